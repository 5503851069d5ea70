/* The log of one program: one line for each event, to one descriptor.
 *
 * A struct log is made in main() and passed on; libraries take none, they fill a struct err. An error is logged once,
 * where it is handled. A line has a level, a stable event name ("container.started") and a sentence. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct err;

enum log_level {
	LOG_ERROR,
	LOG_WARNING,
	LOG_INFO,
	LOG_DEBUG,
};

enum log_format {
	LOG_TEXT, /* time level program event: sentence */
	LOG_JSON, /* one object a line: time, level, msg, event, program (msg and level as runc and crun name them) */
};

struct log {
	const char *program;
	int fd; /* not owned; -1 logs nothing */
	enum log_level level;
	enum log_format format;
};

/* A log to standard error in text form at LOG_INFO. */
struct log log_to_stderr(const char *program);

/* Parses "error", "warning", "info", "debug". Errors: -EINVAL. */
int log_level_parse(const char *text, enum log_level *ret_level);

/* Writes one line with a single write(2), longer ones cut at 4 KiB; control characters are escaped, so that a name from
 * outside can forge no second line. @log may be NULL. Never fails visibly: there is no better place to say so. */
void log_write(const struct log *log, enum log_level level, const char *event, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#define log_error(log, event, ...) log_write(log, LOG_ERROR, event, __VA_ARGS__)
#define log_warning(log, event, ...) log_write(log, LOG_WARNING, event, __VA_ARGS__)
#define log_info(log, event, ...) log_write(log, LOG_INFO, event, __VA_ARGS__)
#define log_debug(log, event, ...) log_write(log, LOG_DEBUG, event, __VA_ARGS__)

/* An error with its reason as the event: `log_err(log, &err, r, "pod %s", id)` gives "REASON: pod ID: MESSAGE". */
void log_err(const struct log *log, const struct err *err, int code, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
