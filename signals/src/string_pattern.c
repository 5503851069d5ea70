#include "signals/src/string_pattern.h"

#include <errno.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/scoped.h"

#define GROUP_DEPTH_MAX 64

/* The length of what stands between brackets, with them, at the beginning of @text: a "]" that comes first is one of the set,
 * and "[:alpha:]", "[.x.]", "[=x=]" hold brackets of their own (POSIX, 9.3.5). */
static size_t bracket_length(const char *text)
{
	size_t i = 1;
	i += text[i] == '^';
	i += text[i] == ']';
	while (text[i] && text[i] != ']') {
		const char *inner = text[i] == '[' && text[i + 1] && strchr(":.=", text[i + 1]) ? &text[i + 1] : NULL;
		const char close[] = {inner ? *inner : '\0', ']', '\0'};
		const char *end = inner ? strstr(inner + 1, close) : NULL;
		i = end ? (size_t)(end - text) + 2 : i + 1;
	}
	return i + (text[i] == ']');
}

static int translate(const char *text, struct buf *ret_posix)
{
	int r = 0;
	while (r == 0 && *text) {
		size_t length = 1;
		if (*text == '[')
			length = bracket_length(text);
		else if (*text == '\\' && text[1])
			length = 2;
		else if (strncmp(text, "(?:", 3) == 0)
			length = 3;
		if (*text == '\\' && text[1] >= '1' && text[1] <= '9')
			return -EINVAL;
		if (*text == '\\' && text[1] == 'd')
			r = buf_add_text(ret_posix, "[0-9]");
		else
			r = buf_add(ret_posix, text, length == 3 && *text == '(' ? 1 : length);
		text += length;
	}
	return r;
}

/* ---- how large it becomes ---- */

struct parts {
	size_t sum[GROUP_DEPTH_MAX]; /* of each group that is open, and of all */
	size_t depth;
	size_t last; /* what a repetition would repeat */
};

static int count(struct parts *parts, size_t more)
{
	parts->last = more;
	parts->sum[parts->depth] += more;
	return parts->sum[parts->depth] > STRING_PATTERN_PARTS_MAX ? -EMSGSIZE : 0;
}

static int repeat(struct parts *parts, size_t times)
{
	size_t once = parts->last;
	if (times > STRING_PATTERN_PARTS_MAX)
		return -EMSGSIZE;
	int r = times > 1 ? count(parts, once * (times - 1)) : 0;
	parts->last = once * (times > 1 ? times : 1);
	return r;
}

/* "{3}", "{3,}", "{3,5}" at the beginning of @text: how often; *ret_length: 0 where it is none. */
static size_t interval(const char *text, size_t *ret_length)
{
	size_t numbers[2] = {0, 0};
	size_t i = 1;
	size_t at = 0;
	for (; (text[i] >= '0' && text[i] <= '9') || (text[i] == ',' && at == 0); i++) {
		if (text[i] == ',')
			at = 1;
		else if (numbers[at] <= STRING_PATTERN_PARTS_MAX)
			numbers[at] = numbers[at] * 10 + (size_t)(text[i] - '0');
	}
	*ret_length = text[i] == '}' ? i + 1 : 0;
	size_t most = numbers[0] > numbers[1] ? numbers[0] : numbers[1];
	return at == 1 && text[i - 1] == ',' ? most + 1 : most;
}

static int count_group(struct parts *parts, char c)
{
	if (c == '(' && parts->depth + 1 == GROUP_DEPTH_MAX)
		return -EMSGSIZE;
	if (c == '(') {
		parts->sum[++parts->depth] = 0;
		return count(parts, 1);
	}
	size_t group = parts->sum[parts->depth];
	if (parts->depth == 0) { /* no group's end: as if all before it were one */
		parts->last = group;
		return 0;
	}
	parts->depth--;
	return count(parts, group);
}

static int count_parts(const char *text)
{
	struct parts parts = {.last = 1};
	int r = 0;
	while (r == 0 && *text) {
		size_t length = 1;
		size_t times = *text == '{' ? interval(text, &length) : 2;
		if (*text == '+' || (*text == '{' && length > 0)) {
			r = repeat(&parts, times);
		} else if (*text == '(' || *text == ')') {
			r = count_group(&parts, *text);
		} else if (*text != '*' && *text != '?') {
			length = *text == '[' ? bracket_length(text) : *text == '\\' && text[1] ? 2 : 1;
			r = count(&parts, 1);
		}
		text += length;
	}
	return r;
}

int string_pattern_compile(const char *text, size_t length, regex_t *ret_pattern)
{
	scoped_done(buf_done) struct buf whole = {.max = STRING_PATTERN_MAX};
	scoped_done(buf_done) struct buf posix = {.max = STRING_PATTERN_MAX};
	int r = memchr(text, '\0', length) ? -EINVAL : buf_add(&whole, text, length);
	if (r == 0)
		r = buf_add(&posix, "", 0);
	if (r == 0)
		r = translate(whole.data, &posix);
	if (r == 0)
		r = count_parts(posix.data);
	if (r < 0)
		return r;
	r = regcomp(ret_pattern, posix.data, REG_EXTENDED);
	return r == 0 ? 0 : r == REG_ESPACE ? -ENOMEM : -EINVAL;
}
