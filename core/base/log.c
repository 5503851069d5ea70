#include "core/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/array.h"
#include "core/base/err.h"

#define LINE_MAX_BYTES 4096
#define SENTENCE_MAX_BYTES 1800 /* worst case doubles by escaping and still fits a line */

static const char *const LEVELS[] = {
	[LOG_ERROR] = "error",
	[LOG_WARNING] = "warning",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};

struct log log_to_stderr(const char *program)
{
	return (struct log){.program = program, .fd = STDERR_FILENO, .level = LOG_INFO, .format = LOG_TEXT};
}

int log_level_parse(const char *text, enum log_level *ret_level)
{
	for (size_t i = 0; i < ARRAY_COUNT(LEVELS); i++) {
		if (strcmp(text, LEVELS[i]) != 0)
			continue;
		*ret_level = (enum log_level)i;
		return 0;
	}
	return -EINVAL;
}

/* Copies @text with control characters (and for JSON quotes and backslashes) escaped; cut at @size. */
static void escape(const char *text, bool json, char *ret_escaped, size_t size)
{
	size_t at = 0;
	for (const unsigned char *c = (const unsigned char *)text; *c && at + 8 < size; c++) {
		if (*c < 0x20 || *c == 0x7f)
			at += (size_t)snprintf(ret_escaped + at, size - at, json ? "\\u%04x" : "\\x%02x", *c);
		else if (json && (*c == '"' || *c == '\\'))
			at += (size_t)snprintf(ret_escaped + at, size - at, "\\%c", *c);
		else
			ret_escaped[at++] = (char)*c;
	}
	ret_escaped[at] = '\0';
}

static void format_time(char ret_text[static 40])
{
	struct timespec now = {0};
	struct tm parts = {0};
	(void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail with this clock */
	(void)gmtime_r(&now.tv_sec, &parts);
	size_t length = strftime(ret_text, 40, "%Y-%m-%dT%H:%M:%S", &parts);
	(void)snprintf(ret_text + length, 40 - length, ".%03ldZ", now.tv_nsec / 1000000);
}

static void write_line(const struct log *log, enum log_level level, const char *event, const char *sentence)
{
	char escaped[LINE_MAX_BYTES - 256];
	escape(sentence, log->format == LOG_JSON, escaped, sizeof escaped);
	char now[40];
	format_time(now);
	char line[LINE_MAX_BYTES];
	const char *format = log->format == LOG_JSON ? "{\"time\":\"%s\",\"level\":\"%s\",\"program\":\"%s\","
						       "\"event\":\"%s\",\"msg\":\"%s\"}\n"
						     : "%s %s %s %s: %s\n";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* one of the two literals above */
	int length = snprintf(line, sizeof line, format, now, LEVELS[level], log->program, event, escaped);
#pragma GCC diagnostic pop
	if (length >= (int)sizeof line) {
		length = (int)sizeof line - 1;
		line[length - 1] = '\n';
	}
	(void)!write(log->fd, line, (size_t)length); /* a log that cannot be written has nobody to tell */
}

void log_write(const struct log *log, enum log_level level, const char *event, const char *format, ...)
{
	if (!log || log->fd < 0 || level > log->level)
		return;
	int saved = errno;
	char sentence[SENTENCE_MAX_BYTES];
	va_list args;
	va_start(args, format);
	(void)vsnprintf(sentence, sizeof sentence, format, args);
	va_end(args);
	write_line(log, level, event, sentence);
	errno = saved;
}

void log_err(const struct log *log, const struct err *err, int code, const char *format, ...)
{
	if (!log || log->fd < 0)
		return;
	char context[SENTENCE_MAX_BYTES / 2];
	va_list args;
	va_start(args, format);
	(void)vsnprintf(context, sizeof context, format, args);
	va_end(args);
	const char *reason = err && err->reason ? err->reason : "error";
	log_write(log, LOG_ERROR, reason, "%s: %s", context, err_text(err, code));
}
