#include "signals/adaptors/replay/csv.h"

#include <errno.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"

/* Cuts a field off at *@at, taking quotes away in place. *@at is NULL behind the last. *ret_quoted tells "" from
 * nothing. Errors: -EINVAL: a quote without its end, or something behind it. */
static int take_field(char **at, char **ret_field, bool *ret_quoted)
{
	char *c = *at;
	*ret_quoted = *c == '"';
	if (!*ret_quoted) {
		char *comma = strchr(c, ',');
		*ret_field = c;
		*at = comma ? comma + 1 : NULL;
		if (comma)
			*comma = '\0';
		return 0;
	}
	char *out = ++c;
	*ret_field = out;
	for (;; c++) {
		if (!*c)
			return -EINVAL;
		if (*c == '"' && *++c != '"')
			break;
		*out++ = *c;
	}
	if (*c && *c != ',')
		return -EINVAL;
	*at = *c ? c + 1 : NULL;
	*out = '\0';
	return 0;
}

/* "12.5" seconds, nine digits behind the point count. */
static int parse_time(const char *text, int64_t *ret_time_ns)
{
	int64_t seconds = 0;
	int64_t fraction = 0;
	int64_t scale = 1000000000;
	const char *c = text;
	for (; *c >= '0' && *c <= '9'; c++) {
		if (seconds > INT64_MAX / 1000000000 / 10 - 1)
			return -EINVAL;
		seconds = seconds * 10 + (*c - '0');
	}
	if (c == text)
		return -EINVAL;
	if (*c == '.')
		for (c++; *c >= '0' && *c <= '9'; c++)
			if (scale > 1)
				fraction += (*c - '0') * (scale /= 10);
	*ret_time_ns = seconds * 1000000000 + fraction;
	return *c ? -EINVAL : 0;
}

int csv_parse(char *line, struct csv_record *ret_record, struct err *err)
{
	size_t length = strlen(line);
	if (length > 0 && line[length - 1] == '\r')
		line[length - 1] = '\0';
	if (!*line || *line == '#' || strcmp(line, CSV_HEADER) == 0)
		return 0;
	char *fields[3] = {NULL, NULL, NULL};
	bool quoted = false;
	char *at = line;
	for (size_t i = 0; i < 3; i++) {
		if (!at)
			return err_set(err, -EINVAL, "csv.malformed", "expected " CSV_HEADER ", found %zu fields", i);
		if (take_field(&at, &fields[i], &quoted) < 0)
			return err_set(err, -EINVAL, "csv.malformed", "expected a closing quote, and a comma behind it");
	}
	if (at)
		return err_set(err, -EINVAL, "csv.malformed", "expected " CSV_HEADER ", found more fields");
	struct csv_record record = {.path = fields[1], .value = *fields[2] || quoted ? fields[2] : NULL};
	if (parse_time(fields[0], &record.time_ns) < 0)
		return err_set(err, -EINVAL, "csv.time", "\"%.30s\": expected seconds, such as 12.5", fields[0]);
	if (!*record.path || strpbrk(record.path, " \t"))
		return err_set(err, -EINVAL, "csv.path", "\"%.60s\": expected the path of a signal", record.path);
	*ret_record = record;
	return 1;
}

int csv_add(struct buf *out, const struct csv_record *record)
{
	size_t before = out->size;
	int r = buf_printf(out, "%lld.%09lld,%s,", (long long)(record->time_ns / 1000000000),
			   (long long)(record->time_ns % 1000000000), record->path);
	bool quote = record->value && (!*record->value || strpbrk(record->value, ",\"\r"));
	if (r == 0 && quote)
		r = buf_add_char(out, '"');
	for (const char *c = record->value; r == 0 && c && *c; c++) {
		if (*c == '"')
			r = buf_add_char(out, '"');
		if (r == 0)
			r = buf_add_char(out, *c);
	}
	if (r == 0)
		r = buf_add_text(out, quote ? "\"\n" : "\n");
	if (r < 0)
		out->size = before;
	return r;
}
