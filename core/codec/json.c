#include "core/codec/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/parse.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/codec/json_internal.h"

#define BIG_ESCAPED "\"\\u0000u64:" /* how jansson reads and writes the front of such a number */
#define BIG_DIGITS_MIN 19	      /* 2^63 has 19 digits */
#define BIG_DIGITS_MAX 20

bool json_big_get(const json_t *value, uint64_t *ret_number)
{
	return json_is_string(value) && json_string_length(value) > JSON_BIG_PREFIX_BYTES &&
	       memcmp(json_string_value(value), JSON_BIG_PREFIX, JSON_BIG_PREFIX_BYTES) == 0 &&
	       parse_u64(json_string_value(value) + JSON_BIG_PREFIX_BYTES, 0, UINT64_MAX, ret_number) == 0;
}

json_t *json_big_new(uint64_t number)
{
	if (number <= INT64_MAX)
		return json_integer((json_int_t)number);
	char text[32] = JSON_BIG_PREFIX;
	int digits = snprintf(text + JSON_BIG_PREFIX_BYTES, sizeof text - JSON_BIG_PREFIX_BYTES, "%" PRIu64, number);
	return json_stringn(text, JSON_BIG_PREFIX_BYTES + (size_t)digits);
}

/* What one walk over a document finds out, strings skipped. */
struct survey {
	bool too_deep;
	bool has_big; /* a number that could be beyond 2^63-1 */
};

static size_t count_digits(const char *text, size_t length)
{
	size_t count = 0;
	while (count < length && char_is_digit(text[count]))
		count++;
	return count;
}

/* The length of the string literal whose opening quote is text[0]. */
static size_t skip_string(const char *text, size_t length)
{
	for (size_t i = 1; i < length; i++) {
		if (text[i] == '\\')
			i++;
		else if (text[i] == '"')
			return i + 1;
	}
	return length;
}

static struct survey survey_text(const char *text, size_t length)
{
	struct survey survey = {0};
	size_t depth = 0;
	for (size_t i = 0; i < length;) {
		char c = text[i];
		if (c == '"') {
			i += skip_string(text + i, length - i);
			continue;
		}
		if (char_is_digit(c)) {
			size_t digits = count_digits(text + i, length - i);
			survey.has_big |= digits >= BIG_DIGITS_MIN;
			i += digits;
			continue;
		}
		if ((c == '{' || c == '[') && ++depth > JSON_DEPTH_MAX)
			survey.too_deep = true;
		if ((c == '}' || c == ']') && depth > 0)
			depth--;
		i++;
	}
	return survey;
}

/* Is the number at text[at], @digits long, a positive integer from 2^63 to 2^64-1? */
static bool is_big(const char *text, size_t length, size_t at, size_t digits)
{
	if (digits < BIG_DIGITS_MIN || digits > BIG_DIGITS_MAX || text[at] == '0')
		return false;
	if (at > 0 && memchr("-.+eE", text[at - 1], 5))
		return false;
	if (at + digits < length && memchr(".eE", text[at + digits], 3))
		return false;
	char number[BIG_DIGITS_MAX + 1] = {0};
	memcpy(number, text + at, digits);
	uint64_t value = 0;
	return parse_u64(number, (uint64_t)INT64_MAX + 1, UINT64_MAX, &value) == 0;
}

/* Copies @text with each such number as the string that stands for it. */
static int rewrite_big(const char *text, size_t length, struct buf *ret_text)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < length;) {
		size_t step = 1;
		if (text[i] == '"')
			step = skip_string(text + i, length - i);
		else if (char_is_digit(text[i]))
			step = count_digits(text + i, length - i);
		bool big = char_is_digit(text[i]) && is_big(text, length, i, step);
		if (big)
			r = buf_add_text(ret_text, BIG_ESCAPED);
		if (r == 0)
			r = buf_add(ret_text, text + i, step);
		if (r == 0 && big)
			r = buf_add_char(ret_text, '"');
		i += step;
	}
	return r;
}

int json_parse(const char *source, const char *text, size_t length, json_t **ret_value, struct err *err)
{
	struct survey survey = survey_text(text, length);
	if (survey.too_deep)
		return err_set(err, -EINVAL, "json.malformed", "%s: nested more than %d levels deep", source,
			       JSON_DEPTH_MAX);
	scoped_done(buf_done) struct buf rewritten = {.max = 2 * length + 64};
	if (survey.has_big) {
		int r = rewrite_big(text, length, &rewritten);
		if (r < 0)
			return err_set(err, r, "json.memory", "%s: no memory left", source);
		text = rewritten.data;
		length = rewritten.size;
	}
	json_error_t error = {0};
	json_t *value = json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
	if (!value && json_error_code(&error) == json_error_out_of_memory)
		return err_set(err, -ENOMEM, "json.memory", "%s: no memory left", source);
	if (!value)
		return err_set(err, -EINVAL, "json.malformed", "%s: line %d, column %d: %s", source, error.line,
			       error.column, error.text);
	*ret_value = value;
	return 0;
}

static int add_bytes(const char *bytes, size_t size, void *buf)
{
	return buf_add(buf, bytes, size) < 0 ? -1 : 0;
}

/* Turns the strings that stand for big numbers, from @start on, back into the numbers. */
static void restore_big(struct buf *text, size_t start)
{
	const size_t front = sizeof BIG_ESCAPED - 1;
	char *from = text->data + start;
	char *to = from;
	char *end = text->data + text->size;
	while (from < end) {
		size_t step = *from == '"' ? skip_string(from, (size_t)(end - from)) : 1;
		bool big = step > front && memcmp(from, BIG_ESCAPED, front) == 0;
		size_t size = big ? step - front - 1 : step;
		memmove(to, big ? from + front : from, size);
		to += size;
		from += step;
	}
	*to = '\0';
	text->size = (size_t)(to - text->data);
}

int json_encode(const struct json_table *table, const void *value, struct buf *ret_text)
{
	json_t *object = json_encode_value(table, value);
	if (!object)
		return -ENOMEM;
	size_t before = ret_text->size;
	int r = json_dump_callback(object, add_bytes, ret_text, JSON_COMPACT);
	json_decref(object);
	if (r == 0) {
		restore_big(ret_text, before);
		return 0;
	}
	ret_text->size = before; /* nothing half-written */
	if (ret_text->data)
		ret_text->data[before] = '\0';
	return -EMSGSIZE;
}

static int add_escaped(struct buf *text, unsigned char c)
{
	if (c == '"' || c == '\\')
		return buf_printf(text, "\\%c", c);
	if (c < 0x20)
		return buf_printf(text, "\\u%04x", c);
	return buf_add_char(text, (char)c);
}

int json_add_string(struct buf *ret_text, const char *text)
{
	int r = buf_add_char(ret_text, '"');
	for (const char *c = text; r == 0 && *c;) {
		size_t step = 1;
		while (step <= 4 && strnlen(c, step) == step && !str_is_utf8(c, step))
			step++;
		if (strnlen(c, step) < step || step > 4) {
			r = buf_add_text(ret_text, "\xef\xbf\xbd");
			step = 1;
		} else if (step == 1) {
			r = add_escaped(ret_text, (unsigned char)*c);
		} else {
			r = buf_add(ret_text, c, step);
		}
		c += step;
	}
	return r < 0 ? r : buf_add_char(ret_text, '"');
}
