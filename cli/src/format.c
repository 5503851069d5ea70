#include "cli/src/format.h"

#include <string.h>
#include <time.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/scoped.h"
#include "core/base/str.h"

#define NS_PER_SECOND 1000000000LL
#define COMMAND_BYTES_MAX 65536

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

int64_t now_ns(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

const char *format_id(struct arena *arena, const char *id, bool whole)
{
	if (whole)
		return id;
	const char *colon = strchr(id, ':');
	return or_empty(arena_strndup(arena, colon ? colon + 1 : id, strnlen(colon ? colon + 1 : id, SHORT_ID)));
}

const char *format_size(struct arena *arena, uint64_t bytes)
{
	static const char *const UNITS[] = {"B", "kB", "MB", "GB", "TB", "PB"};
	size_t unit = 0;
	double value = (double)bytes;
	while (value >= 1000 && unit + 1 < ARRAY_COUNT(UNITS)) {
		value /= 1000;
		unit++;
	}
	int digits = unit == 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
	return or_empty(arena_printf(arena, "%.*f %s", digits, value, UNITS[unit]));
}

const char *format_duration(struct arena *arena, int64_t from_ns, int64_t to_ns)
{
	static const struct {
		const char *name;
		int64_t seconds;
		int64_t below; /* it is used up to so many seconds */
	} UNITS[] = {
		{"second", 1, 60},		{"minute", 60, 3600},
		{"hour", 3600, 48 * 3600},	{"day", 86400, 14 * 86400},
		{"week", 7 * 86400, 60 * 86400}, {"month", 30 * 86400, 730 * 86400},
		{"year", 365 * 86400, INT64_MAX},
	};
	int64_t seconds = to_ns > from_ns ? (to_ns - from_ns) / NS_PER_SECOND : 0;
	if (seconds < 1)
		return "Less than a second";
	for (size_t i = 0; i < ARRAY_COUNT(UNITS); i++)
		if (seconds < UNITS[i].below) {
			long long count = seconds / UNITS[i].seconds;
			return or_empty(arena_printf(arena, "%lld %s%s", count, UNITS[i].name, count == 1 ? "" : "s"));
		}
	return "";
}

const char *format_time(struct arena *arena, int64_t time_ns)
{
	if (time_ns == 0)
		return "";
	time_t seconds = (time_t)(time_ns / NS_PER_SECOND);
	struct tm parts;
	char text[40];
	if (!gmtime_r(&seconds, &parts) || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts) == 0)
		return "";
	return or_empty(arena_printf(arena, "%s.%09lldZ", text, (long long)(time_ns % NS_PER_SECOND)));
}

const char *format_status(struct arena *arena, const Axle__ContainerSummary *container, int64_t now)
{
	const char *duration = NULL;
	switch (container->state) {
	case CRI__CONTAINER_STATE__CONTAINER_RUNNING:
		duration = format_duration(arena, container->started_at, now);
		return or_empty(arena_printf(arena, "Up %s%s", duration, container->paused ? " (Paused)" : ""));
	case CRI__CONTAINER_STATE__CONTAINER_EXITED:
		duration = format_duration(arena, container->finished_at, now);
		return or_empty(
			arena_printf(arena, "Exited (%d) %s ago", container->exit ? container->exit->code : 0, duration));
	case CRI__CONTAINER_STATE__CONTAINER_CREATED:
		return "Created";
	default:
		return "Unknown";
	}
}

const char *format_command(struct arena *arena, const char *const *words, size_t count, size_t most)
{
	scoped_done(buf_done) struct buf text = {.max = COMMAND_BYTES_MAX};
	for (size_t i = 0; i < count; i++)
		if ((i > 0 && buf_add_char(&text, ' ') < 0) || buf_add_text(&text, words[i]) < 0)
			break; /* longer than anybody reads */
	for (size_t i = 0; i < text.size; i++)
		if ((unsigned char)text.data[i] < ' ' || text.data[i] == 0x7f)
			text.data[i] = '?';
	if (text.size == 0)
		return "";
	if (most == 0 || text.size <= most)
		return or_empty(arena_strdup(arena, text.data));
	size_t kept = most - 3;
	while (kept > 0 && ((unsigned char)text.data[kept] & 0xc0) == 0x80)
		kept--; /* not within a character */
	return or_empty(arena_printf(arena, "%.*s...", (int)kept, text.data));
}

void format_reference(struct arena *arena, const char *reference, const char **ret_repository, const char **ret_tag)
{
	const char *at = strchr(reference, '@');
	const char *slash = strrchr(reference, '/');
	const char *colon = at ? NULL : strchr(slash ? slash : reference, ':');
	const char *end = at ? at : colon ? colon : reference + strlen(reference);
	*ret_repository = or_empty(arena_strndup(arena, reference, (size_t)(end - reference)));
	*ret_tag = colon ? colon + 1 : "<none>";
}
