/* What the verbs of `axle signal` share: the connection to the signal service, and its answers as errors and JSON. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/scoped.h"
#include "signals/include/axle/signal.h"

struct buf;
struct err;

/* The options of every verb that talks to the service. The first members of each verb's own struct. */
struct signal_options {
	const char *socket;
	bool json;
};
#define SIGNAL_OPTIONS                                                                                                 \
	{0, "socket", "PATH", OPT_STRING, offsetof(struct signal_options, socket),                                     \
	 "the service's (AXLE_SIGNAL_SOCKET, else /run/axle/signal.sock, else /dev/signal.sock)"},                                     \
	{                                                                                                              \
		0, "json", NULL, OPT_FLAG, offsetof(struct signal_options, json), "print JSON"                         \
	}

SCOPED_DEFINE(struct axle_signal, axle_signal_close)

/* Connects; fails at once where nobody serves. Errors: those of connect(2); @err says what to do. */
int signal_connect(const struct signal_options *options, struct axle_signal **ret_signals, struct err *err);

/* The error of a call that returned @r, with what it was about. */
int signal_failed(const struct axle_signal *signals, int r, const char *what, struct err *err);

/* One request with its lines. @ret_lines: a strv of the `item` lines, may be NULL; @ret_text: what stands behind
 * `ok`, may be NULL. */
int signal_ask(struct axle_signal *signals, char ***ret_lines, struct buf *ret_text, struct err *err, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

bool signal_is_pattern(const char *word);

/* Appends a value as JSON: as it is where @datatype is not a string's; null where @value is NULL. */
int signal_add_json(struct buf *out, const char *datatype, const char *value);

/* "2", "1.5s", "10m", "1h": in milliseconds. Errors: -EINVAL (@err names @option). */
int signal_parse_duration(const char *option, const char *text, int64_t *ret_ms, struct err *err);
