/* What the adaptors that ship have in common: their start, their connection, one place to wait, a clean end at
 * SIGTERM. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/log.h"
#include "core/base/opt.h"
#include "signals/include/axle/signal.h"

struct err;

struct adaptor {
	struct log log;
	const char *socket; /* NULL: the default */
	struct axle_signal *signals;
	int signal_fd; /* SIGTERM and SIGINT */
	bool ended;    /* asked to end */
};

/* The program's command line: what --help says, and where its values go. */
struct adaptor_usage {
	const char *program;
	const char *arguments; /* "--dbc FILE --mapping FILE [OPTION]..." */
	const char *what;      /* one line */
	const struct opt *options;
};

/* Parses the command line into @values, says --help and --version itself. Returns 0 with *ret_first as opt_parse(),
 * or 1: the program is to exit with *ret_status. */
int adaptor_parse(const struct adaptor_usage *usage, char **argv, void *values, int *ret_first, int *ret_status);

/* Blocks SIGTERM and SIGINT, connects. @adaptor holds log and socket. Errors: those of axle_signal_open(), -errno. */
int adaptor_start(struct adaptor *adaptor, const char *name, struct err *err);
void adaptor_stop(struct adaptor *adaptor);

enum adaptor_event {
	ADAPTOR_READABLE = 1, /* @fd is, or has ended */
	ADAPTOR_DUE = 2,      /* the time has come */
};

/* Sends what was published, waits for the connection, for @fd (-1: none) or for @due_ns (CLOCK_MONOTONIC; INT64_MAX:
 * never), and
 * dispatches. Returns enum adaptor_event, also 0. */
unsigned adaptor_wait(struct adaptor *adaptor, int fd, int64_t due_ns);

/* Waits up to @timeout_ms for the claims to stand or be refused; logs the refused. Returns how many stand. */
int adaptor_settle(struct adaptor *adaptor, struct axle_signal_claim *const *claims, const char *const *paths, size_t count,
		   int timeout_ms);

int64_t adaptor_now(void);  /* CLOCK_MONOTONIC, ns */
int64_t adaptor_wall(void); /* ns since 1970 */
