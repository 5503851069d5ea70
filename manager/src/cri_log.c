#include "manager/src/cri_log.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "core/base/str.h"

#define TIME_TEXT_MAX 40

/* The digits behind the point, as nanoseconds; *@text moves behind them. */
static int64_t parse_fraction(const char **text)
{
	int64_t ns = 0;
	int64_t unit = 100000000;
	for (; char_is_digit(**text); (*text)++, unit /= 10)
		ns += (**text - '0') * unit;
	return ns;
}

/* "Z", "+hh:mm", "-hh:mm", in seconds east of UTC. */
static int parse_offset(const char *text, long *ret_seconds)
{
	if (strcmp(text, "Z") == 0) {
		*ret_seconds = 0;
		return 0;
	}
	if ((*text != '+' && *text != '-') || strlen(text) != 6 || text[3] != ':' || !char_is_digit(text[1]) ||
	    !char_is_digit(text[2]) || !char_is_digit(text[4]) || !char_is_digit(text[5]))
		return -EINVAL;
	long hours = (text[1] - '0') * 10 + text[2] - '0';
	long minutes = (text[4] - '0') * 10 + text[5] - '0';
	*ret_seconds = (hours * 60 + minutes) * 60 * (*text == '-' ? -1 : 1);
	return 0;
}

/* RFC 3339 with up to nine digits of a second. */
static int parse_time(const char *text, int64_t *ret_ns)
{
	struct tm tm = {0};
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (!rest || tm.tm_year < 70 || tm.tm_year > 300) /* what 64 bits of nanoseconds hold */
		return -EINVAL;
	int64_t fraction = 0;
	if (*rest == '.') {
		rest++;
		fraction = parse_fraction(&rest);
	}
	long offset = 0;
	if (parse_offset(rest, &offset) < 0)
		return -EINVAL;
	*ret_ns = ((int64_t)timegm(&tm) - offset) * INT64_C(1000000000) + fraction;
	return 0;
}

/* Splits off what stands before the next blank. */
static const char *next_word(const char **line, const char *end, size_t *ret_length)
{
	const char *word = *line;
	const char *blank = memchr(word, ' ', (size_t)(end - word));
	if (!blank)
		return NULL;
	*ret_length = (size_t)(blank - word);
	*line = blank + 1;
	return word;
}

int cri_log_parse(const char *line, size_t length, struct cri_log_line *ret_line)
{
	const char *end = line + length;
	size_t time_length = 0;
	size_t stream_length = 0;
	const char *time = length ? next_word(&line, end, &time_length) : NULL;
	const char *stream = time ? next_word(&line, end, &stream_length) : NULL;
	if (!stream || stream_length != 6 || time_length >= TIME_TEXT_MAX || line == end)
		return -EINVAL;
	char time_text[TIME_TEXT_MAX];
	memcpy(time_text, time, time_length);
	time_text[time_length] = '\0';

	struct cri_log_line parsed = {.stderr_ = memcmp(stream, "stderr", 6) == 0};
	if (!parsed.stderr_ && memcmp(stream, "stdout", 6) != 0)
		return -EINVAL;
	if (parse_time(time_text, &parsed.time_ns) < 0)
		return -EINVAL;
	/* tags are separated by ':'; the first says whether the line is whole */
	const char *tags = line;
	const char *blank = memchr(line, ' ', (size_t)(end - line));
	parsed.partial = *tags == 'P';
	parsed.text = blank ? blank + 1 : end;
	parsed.length = (size_t)(end - parsed.text);
	*ret_line = parsed;
	return 0;
}
