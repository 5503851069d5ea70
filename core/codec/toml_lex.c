#include "core/codec/toml_lex.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/parse.h"
#include "core/base/str.h"

static void place(const struct toml_reader *reader, size_t *ret_line, size_t *ret_column)
{
	*ret_line = 1;
	*ret_column = 1;
	for (const char *p = reader->start; p < reader->p; p++) {
		*ret_column += 1;
		if (*p == '\n') {
			*ret_line += 1;
			*ret_column = 1;
		}
	}
}

int toml_refuse(const struct toml_reader *reader, const char *format, ...)
{
	char sentence[256];
	va_list args;
	va_start(args, format);
	(void)vsnprintf(sentence, sizeof sentence, format, args);
	va_end(args);

	size_t line = 0;
	size_t column = 0;
	place(reader, &line, &column);
	return err_set(reader->err, -EINVAL, "toml.malformed", "%s: line %zu, column %zu: %s", reader->source, line,
		       column, sentence);
}

int toml_expected(const struct toml_reader *reader, const char *expected)
{
	if (reader->p == reader->end)
		return toml_refuse(reader, "expected %s, found the end of the file", expected);
	unsigned char c = (unsigned char)*reader->p;
	if (c == '\n' || c == '\r')
		return toml_refuse(reader, "expected %s, found the end of the line", expected);
	if (c < 0x20 || c >= 0x7f)
		return toml_refuse(reader, "expected %s, found byte 0x%02x", expected, c);
	return toml_refuse(reader, "expected %s, found '%c'", expected, c);
}

int toml_limit(const struct toml_reader *reader, const char *what, size_t max)
{
	size_t line = 0;
	size_t column = 0;
	place(reader, &line, &column);
	return err_set(reader->err, -EMSGSIZE, "toml.limit", "%s: line %zu, column %zu: more than %zu %s",
		       reader->source, line, column, max, what);
}

bool toml_looking_at(const struct toml_reader *reader, const char *text)
{
	size_t length = strlen(text);
	return (size_t)(reader->end - reader->p) >= length && memcmp(reader->p, text, length) == 0;
}

bool toml_accept(struct toml_reader *reader, const char *text)
{
	if (!toml_looking_at(reader, text))
		return false;
	reader->p += strlen(text);
	return true;
}

void toml_skip_blanks(struct toml_reader *reader)
{
	while (reader->p < reader->end && (*reader->p == ' ' || *reader->p == '\t'))
		reader->p++;
}

static bool is_control(char c)
{
	return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f;
}

static int skip_comment(struct toml_reader *reader)
{
	if (!toml_accept(reader, "#"))
		return 0;
	while (reader->p < reader->end && *reader->p != '\n' && !toml_looking_at(reader, "\r\n")) {
		if (is_control(*reader->p))
			return toml_expected(reader, "no control character in a comment");
		reader->p++;
	}
	return 0;
}

static bool accept_line_end(struct toml_reader *reader)
{
	return toml_accept(reader, "\n") || toml_accept(reader, "\r\n");
}

int toml_skip_lines(struct toml_reader *reader)
{
	do {
		toml_skip_blanks(reader);
		int r = skip_comment(reader);
		if (r < 0)
			return r;
	} while (accept_line_end(reader));
	return 0;
}

int toml_end_line(struct toml_reader *reader)
{
	toml_skip_blanks(reader);
	int r = skip_comment(reader);
	if (r < 0)
		return r;
	if (reader->p == reader->end || accept_line_end(reader))
		return 0;
	return toml_expected(reader, "the end of the line");
}

static bool is_bare(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || char_is_digit(c) || c == '_' || c == '-';
}

int toml_read_key(struct toml_reader *reader, struct buf *ret_key)
{
	buf_clear(ret_key);
	if (toml_looking_at(reader, "\"\"\"") || toml_looking_at(reader, "'''"))
		return toml_expected(reader, "a key on one line");
	if (toml_looking_at(reader, "\"") || toml_looking_at(reader, "'")) {
		int r = toml_read_string(reader, ret_key);
		return r < 0 ? r : buf_add(ret_key, "", 0);
	}
	const char *first = reader->p;
	while (reader->p < reader->end && is_bare(*reader->p))
		reader->p++;
	if (reader->p == first)
		return toml_expected(reader, "a key");
	return buf_add(ret_key, first, (size_t)(reader->p - first));
}

/* --- strings --- */

static int hex_value(char c)
{
	if (char_is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static int add_utf8(struct buf *buf, uint32_t scalar)
{
	if (scalar < 0x80)
		return buf_add_char(buf, (char)scalar);
	char bytes[4];
	size_t count = scalar < 0x800 ? 2 : scalar < 0x10000 ? 3 : 4;
	static const unsigned char LEADS[] = {0, 0, 0xc0, 0xe0, 0xf0};
	for (size_t i = count; i-- > 1; scalar >>= 6)
		bytes[i] = (char)(0x80 | (scalar & 0x3f));
	bytes[0] = (char)(LEADS[count] | scalar);
	return buf_add(buf, bytes, count);
}

static int read_unicode_escape(struct toml_reader *reader, int digits, struct buf *ret_text)
{
	uint32_t scalar = 0;
	for (int i = 0; i < digits; i++, reader->p++) {
		int value = reader->p < reader->end ? hex_value(*reader->p) : -1;
		if (value < 0)
			return toml_expected(reader, digits == 4 ? "4 hexadecimal digits" : "8 hexadecimal digits");
		scalar = scalar << 4 | (uint32_t)value;
	}
	if (scalar == 0 || scalar > 0x10ffff || (scalar >= 0xd800 && scalar < 0xe000))
		return toml_refuse(reader, "the escape U+%04X is no Unicode scalar value that a string may hold",
				   scalar);
	return add_utf8(ret_text, scalar);
}

/* A backslash at the end of a line drops all white space up to the next character. */
static int skip_folded(struct toml_reader *reader)
{
	toml_skip_blanks(reader);
	if (!accept_line_end(reader))
		return toml_expected(reader, "an escape sequence");
	do {
		toml_skip_blanks(reader);
	} while (accept_line_end(reader));
	return 0;
}

static int read_escape(struct toml_reader *reader, bool multi_line, struct buf *ret_text)
{
	static const char LETTERS[] = "btnfr\"\\";
	static const char MEANT[] = "\b\t\n\f\r\"\\";
	if (toml_accept(reader, "u"))
		return read_unicode_escape(reader, 4, ret_text);
	if (toml_accept(reader, "U"))
		return read_unicode_escape(reader, 8, ret_text);
	const char *letter = reader->p < reader->end && *reader->p ? strchr(LETTERS, *reader->p) : NULL;
	if (letter) {
		reader->p++;
		return buf_add_char(ret_text, MEANT[letter - LETTERS]);
	}
	return multi_line ? skip_folded(reader) : toml_expected(reader, "an escape sequence");
}

static int add_character(struct toml_reader *reader, struct buf *ret_text)
{
	if (is_control(*reader->p))
		return toml_expected(reader, "no control character in a string");
	return buf_add_char(ret_text, *reader->p++);
}

static int read_line_string(struct toml_reader *reader, char quote, struct buf *ret_text)
{
	reader->p++;
	while (reader->p < reader->end && *reader->p != quote) {
		int r = quote == '"' && toml_accept(reader, "\\") ? read_escape(reader, false, ret_text)
								   : add_character(reader, ret_text);
		if (r < 0)
			return r;
	}
	if (reader->p == reader->end)
		return toml_expected(reader, "the string's closing quote");
	reader->p++;
	return 0;
}

static int read_text_string(struct toml_reader *reader, const char *quotes, struct buf *ret_text)
{
	reader->p += 3;
	(void)accept_line_end(reader); /* a line end right behind the opening is not part of the string */
	while (!toml_looking_at(reader, quotes)) {
		if (reader->p == reader->end)
			return toml_expected(reader, "the string's three closing quotes");
		int r = 0;
		if (*quotes == '"' && toml_accept(reader, "\\"))
			r = read_escape(reader, true, ret_text);
		else if (accept_line_end(reader))
			r = buf_add_char(ret_text, '\n');
		else
			r = add_character(reader, ret_text);
		if (r < 0)
			return r;
	}
	reader->p += 3;
	/* one or two quotes may stand before the closing three: they belong to the string */
	for (int i = 0; i < 2 && reader->p < reader->end && *reader->p == *quotes; i++, reader->p++) {
		int r = buf_add_char(ret_text, *quotes);
		if (r < 0)
			return r;
	}
	return 0;
}

int toml_read_string(struct toml_reader *reader, struct buf *ret_text)
{
	buf_clear(ret_text);
	if (toml_looking_at(reader, "\"\"\"") || toml_looking_at(reader, "'''"))
		return read_text_string(reader, *reader->p == '"' ? "\"\"\"" : "'''", ret_text);
	if (toml_looking_at(reader, "\"") || toml_looking_at(reader, "'"))
		return read_line_string(reader, *reader->p, ret_text);
	return toml_expected(reader, "a string");
}

/* --- booleans, numbers, dates --- */

/* Matches @pattern, in which 'd' stands for a digit, at @text. */
static bool matches(const char *text, const char *pattern)
{
	for (; *pattern; pattern++, text++)
		if (*pattern == 'd' ? !char_is_digit(*text) : *text != *pattern)
			return false;
	return true;
}

static int two_digits(const char *text)
{
	return (text[0] - '0') * 10 + text[1] - '0';
}

static bool is_date(const char *text)
{
	static const int DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	if (!matches(text, "dddd-dd-dd"))
		return false;
	int year = two_digits(text) * 100 + two_digits(text + 2);
	int month = two_digits(text + 5);
	int day = two_digits(text + 8);
	if (month < 1 || month > 12 || day < 1)
		return false;
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return day <= DAYS[month - 1] + (month == 2 && leap ? 1 : 0);
}

/* Returns what follows the time of day at @text, or NULL where there is none. A second of 60 is a leap second. */
static const char *after_time(const char *text)
{
	if (!matches(text, "dd:dd:dd") || two_digits(text) > 23 || two_digits(text + 3) > 59 ||
	    two_digits(text + 6) > 60)
		return NULL;
	text += 8;
	if (*text != '.')
		return text;
	text++;
	const char *fraction = text;
	while (char_is_digit(*text))
		text++;
	return text > fraction ? text : NULL;
}

static bool is_offset(const char *text)
{
	if (str_equal(text, "Z") || str_equal(text, "z"))
		return true;
	return (*text == '+' || *text == '-') && matches(text + 1, "dd:dd") && !text[6] && two_digits(text + 1) <= 23 &&
	       two_digits(text + 4) <= 59;
}

/* RFC 3339 with or without offset, a date alone, a time alone. */
static bool is_date_time(const char *text)
{
	if (is_date(text)) {
		text += 10;
		if (!*text)
			return true;
		if (*text != 'T' && *text != 't' && *text != ' ')
			return false;
		const char *rest = after_time(text + 1);
		return rest && (!*rest || is_offset(rest));
	}
	const char *rest = after_time(text);
	return rest && !*rest;
}

/* Copies the digits of a number without the underscores between them. False where one does not stand between digits. */
static bool drop_underscores(const char *text, char *ret_text)
{
	for (const char *p = text; *p; p++) {
		if (*p != '_')
			*ret_text++ = *p;
		else if (p == text || hex_value(p[-1]) < 0 || hex_value(p[1]) < 0)
			return false;
	}
	*ret_text = 0;
	return true;
}

static const struct {
	const char *prefix;
	int base;
} RADICES[] = {{"0x", 16}, {"0o", 8}, {"0b", 2}};

/* 1: it is an integer in one of the other bases. */
static int parse_radix(const char *text, json_int_t *ret_value)
{
	for (size_t i = 0; i < ARRAY_COUNT(RADICES); i++) {
		const char *digits = str_after_prefix(text, RADICES[i].prefix);
		if (!digits)
			continue;
		uint64_t value = 0;
		if (!*digits)
			return -EINVAL;
		for (; *digits; digits++) {
			int digit = hex_value(*digits);
			if (digit < 0 || digit >= RADICES[i].base || value > (INT64_MAX >> 4))
				return -EINVAL;
			value = value * (uint64_t)RADICES[i].base + (uint64_t)digit;
		}
		if (value > INT64_MAX)
			return -ERANGE;
		*ret_value = (json_int_t)value;
		return 1;
	}
	return 0;
}

/* Decimal digits without a leading zero; returns what follows, or NULL. */
static const char *after_integer(const char *text)
{
	if (*text == '+' || *text == '-')
		text++;
	if (!char_is_digit(*text) || (*text == '0' && char_is_digit(text[1])))
		return NULL;
	while (char_is_digit(*text))
		text++;
	return text;
}

static bool is_float(const char *text)
{
	const char *p = after_integer(text);
	if (!p || !*p)
		return false;
	if (*p == '.') {
		const char *fraction = ++p;
		while (char_is_digit(*p))
			p++;
		if (p == fraction)
			return false;
	}
	if (*p == 'e' || *p == 'E') {
		p++;
		if (*p == '+' || *p == '-')
			p++;
		const char *exponent = p;
		while (char_is_digit(*p))
			p++;
		if (p == exponent)
			return false;
	}
	return !*p;
}

static int made(json_t *value, json_t **ret_value)
{
	if (!value)
		return -ENOMEM;
	*ret_value = value;
	return 0;
}

static int parse_number(const struct toml_reader *reader, const char *raw, const char *text, json_t **ret_value)
{
	json_int_t integer = 0;
	int r = parse_radix(text, &integer);
	if (r > 0)
		return made(json_integer(integer), ret_value);
	if (r < 0)
		return toml_refuse(reader, "\"%s\" is no integer of 64 bits", raw);

	const char *rest = after_integer(text);
	if (rest && !*rest) {
		int64_t value = 0;
		if (parse_i64(*text == '+' ? text + 1 : text, INT64_MIN, INT64_MAX, &value) < 0)
			return toml_refuse(reader, "\"%s\" is no integer of 64 bits", raw);
		return made(json_integer(value), ret_value);
	}
	if (is_float(text)) {
		double value = strtod(text, NULL); /* checked above; the C locale is never left */
		if (!isfinite(value))
			return toml_refuse(reader, "\"%s\" is out of range", raw);
		return made(json_real(value), ret_value);
	}
	const char *unsigned_text = *text == '+' || *text == '-' ? text + 1 : text;
	if (str_equal(unsigned_text, "inf") || str_equal(unsigned_text, "nan"))
		return toml_refuse(reader, "expected a finite number, found \"%s\"", raw);
	return toml_refuse(reader, "\"%s\" is no value (strings need quotes)", raw);
}

static bool is_scalar_char(char c)
{
	return is_bare(c) || c == '+' || c == '.' || c == ':';
}

/* Copies the characters of one scalar; a date and a time may have one blank between them. */
static int take_scalar(struct toml_reader *reader, char *ret_text, size_t size)
{
	const char *p = reader->p;
	while (p < reader->end && is_scalar_char(*p))
		p++;
	char date[11] = "";
	if (p - reader->p == 10)
		memcpy(date, reader->p, 10);
	if (is_date(date) && reader->end - p > 2 && *p == ' ' && char_is_digit(p[1])) {
		p++;
		while (p < reader->end && is_scalar_char(*p))
			p++;
	}
	size_t length = (size_t)(p - reader->p);
	if (length == 0)
		return toml_expected(reader, "a value");
	if (length >= size)
		return toml_refuse(reader, "a number or date of more than %zu characters", size - 1);
	memcpy(ret_text, reader->p, length);
	ret_text[length] = 0;
	reader->p = p;
	return 0;
}

int toml_read_scalar(struct toml_reader *reader, json_t **ret_value)
{
	char raw[128];
	char text[128];
	const char *first = reader->p;
	int r = take_scalar(reader, raw, sizeof raw);
	if (r < 0)
		return r;
	if (str_equal(raw, "true") || str_equal(raw, "false"))
		return made(json_boolean(*raw == 't'), ret_value);
	if (is_date_time(raw))
		return made(json_string(raw), ret_value);

	struct toml_reader at_value = *reader;
	at_value.p = first;
	if (!drop_underscores(raw, text))
		return toml_refuse(&at_value, "\"%s\": an underscore must stand between digits", raw);
	return parse_number(&at_value, raw, text, ret_value);
}
