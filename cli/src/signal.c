#include "cli/src/signal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/codec/json.h"

#define ANSWER_MAX 65536
#define CONNECT_MS 1000

int signal_failed(const struct axle_signal *signals, int r, const char *what, struct err *err)
{
	const char *why = axle_signal_error(signals);
	if (strstr(why, what)) /* it names it already */
		return err_set(err, r, "signal.failed", "%s", why);
	return err_set(err, r, "signal.failed", "%s: %s", what, *why ? why : strerror(-r));
}

int signal_connect(const struct signal_options *options, struct axle_signal **ret_signals, struct err *err)
{
	struct axle_signal *signals = NULL;
	int r = axle_signal_open(options->socket, "axle", &signals);
	if (r < 0)
		return err_sys(err, r, "signal.connect", "the signal service's socket");
	axle_signal_set_timeout(signals, CONNECT_MS);
	r = axle_signal_request(signals, "ping", NULL, NULL, NULL, 0);
	axle_signal_set_timeout(signals, 5000);
	if (r < 0) {
		(void)err_set(err, r, "signal.connect", "%s: is axsignald running, and --socket right?",
			axle_signal_error(signals));
		axle_signal_close(signals);
		return r;
	}
	*ret_signals = signals;
	return 0;
}

struct lines {
	char **strv;
	int r;
};

static void take_line(void *user, const char *text)
{
	struct lines *lines = user;
	if (lines->r == 0)
		lines->r = strv_add(&lines->strv, text);
}

int signal_ask(struct axle_signal *signals, char ***ret_lines, struct buf *ret_text, struct err *err, const char *format, ...)
{
	struct lines lines = {0};
	va_list args;
	va_start(args, format);
	scoped_free char *request = NULL;
	int length = vasprintf(&request, format, args);
	va_end(args);
	scoped_free char *answer = malloc(ANSWER_MAX);
	if (length < 0 || !answer)
		return err_memory(err, "axle");
	int r = axle_signal_request(signals, request, take_line, &lines, answer, ANSWER_MAX);
	if (r == 0)
		r = lines.r;
	if (r == 0 && ret_text)
		r = buf_add_text(ret_text, answer);
	if (r == 0 && ret_lines)
		*ret_lines = TAKE(lines.strv);
	strv_free(lines.strv);
	const char *subject = strchr(request, ' ') ? strchr(request, ' ') + 1 : request;
	scoped_free char *first = strndup(subject, strcspn(subject, " "));
	return r < 0 ? signal_failed(signals, r, first ? first : request, err) : 0;
}

bool signal_is_pattern(const char *word)
{
	return strchr(word, '*') != NULL;
}

int signal_add_json(struct buf *out, const char *datatype, const char *value)
{
	if (!value)
		return buf_add_text(out, "null");
	/* The service spells empty and unusual strings as JSON already. */
	if (str_equal(datatype, "string"))
		return *value == '"' ? buf_add_text(out, value) : json_add_string(out, value);
	return buf_add_text(out, value);
}

int signal_parse_duration(const char *option, const char *text, int64_t *ret_ms, struct err *err)
{
	static const struct {
		const char *unit;
		double ms;
	} UNITS[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
	char *end = NULL;
	double number = strtod(text, &end);
	for (size_t i = 0; end != text && i < ARRAY_COUNT(UNITS); i++) {
		if (!str_equal(end, UNITS[i].unit) || !(number >= 0) || number * UNITS[i].ms > 1e12)
			continue;
		*ret_ms = (int64_t)(number * UNITS[i].ms);
		return 0;
	}
	return err_set(err, -EINVAL, "cli.usage", "%s: \"%s\": expected a time such as 500ms, 10s, 2m", option, text);
}
