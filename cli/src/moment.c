#include "cli/src/moment.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/src/format.h"
#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/parse.h"

#define NS_PER_SECOND 1000000000LL
#define SECONDS_MAX (INT64_MAX / NS_PER_SECOND)

static int64_t unit_seconds(char unit)
{
	switch (unit) {
	case 's':
		return 1;
	case 'm':
		return 60;
	case 'h':
		return 3600;
	case 'd':
		return 86400;
	default:
		return 0;
	}
}

/* "1h30m" */
static bool parse_ago(const char *text, int64_t *ret_seconds)
{
	int64_t total = 0;
	const char *at = text;
	while (*at) {
		size_t digits = strspn(at, "0123456789");
		int64_t unit = unit_seconds(at[digits]);
		if (digits == 0 || digits > 9 || unit == 0)
			return false;
		total += strtoll(at, NULL, 10) * unit;
		at += digits + 1;
	}
	*ret_seconds = total;
	return at != text && total < SECONDS_MAX;
}

static bool parse_date(const char *text, int64_t *ret_ns)
{
	static const char *const FORMATS[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d"};
	for (size_t i = 0; i < ARRAY_COUNT(FORMATS); i++) {
		struct tm parts = {.tm_isdst = -1};
		const char *rest = strptime(text, FORMATS[i], &parts);
		if (!rest)
			continue;
		int64_t fraction = 0, scale = NS_PER_SECOND;
		if (*rest == '.')
			for (rest++; *rest >= '0' && *rest <= '9'; rest++)
				if (scale > 1)
					fraction += (*rest - '0') * (scale /= 10);
		bool utc = strcmp(rest, "Z") == 0;
		if (*rest && !utc)
			continue;
		*ret_ns = (int64_t)(utc ? timegm(&parts) : mktime(&parts)) * NS_PER_SECOND + fraction;
		return true;
	}
	return false;
}

int moment_parse(const char *option, const char *text, int64_t *ret_ns, struct err *err)
{
	int64_t seconds = 0;
	if (!text)
		return 0;
	if (parse_i64(text, 0, SECONDS_MAX, &seconds) == 0)
		*ret_ns = seconds * NS_PER_SECOND;
	else if (parse_ago(text, &seconds))
		*ret_ns = now_ns() - seconds * NS_PER_SECOND;
	else if (!parse_date(text, ret_ns))
		return err_set(err, -EINVAL, "cli.usage",
			       "option --%s: \"%s\": expected a time ago such as 10m, or a date such as 2026-01-31T12:00:00Z",
			       option, text);
	return 0;
}
