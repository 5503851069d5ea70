#include "core/codec/json_scan.h"

#include <errno.h>
#include <string.h>

#include "core/base/err.h"
#include "core/base/str.h"

/* What the grammar allows at the present place. */
enum state {
	STATE_VALUE,	   /* a value */
	STATE_FIRST_KEY,   /* behind "{": a key or "}" */
	STATE_KEY,	   /* behind "," in an object */
	STATE_FIRST_ITEM,  /* behind "[": a value or "]" */
	STATE_AFTER_VALUE, /* "," or a closing bracket; at depth 0 the end */
};

void json_scan_init(struct json_scan *scan, const char *source, const char *bytes, size_t length)
{
	*scan = (struct json_scan){
		.source = source,
		.bytes = bytes,
		.length = length,
		.text = {.max = JSON_SCAN_STRING_MAX},
		.line = 1,
		.state = STATE_VALUE,
	};
}

void json_scan_done(struct json_scan *scan)
{
	buf_done(&scan->text);
}

unsigned json_scan_line(struct json_scan *scan, size_t offset)
{
	if (offset < scan->line_offset) {
		scan->line_offset = 0;
		scan->line = 1;
	}
	if (offset > scan->length)
		offset = scan->length;
	const char *at = scan->bytes + scan->line_offset;
	const char *end = scan->bytes + offset;
	while (at < end && (at = memchr(at, '\n', (size_t)(end - at)))) {
		scan->line++;
		at++;
	}
	scan->line_offset = offset;
	return scan->line;
}

unsigned json_scan_column(const struct json_scan *scan, size_t offset)
{
	size_t begin = offset;
	while (begin > 0 && scan->bytes[begin - 1] != '\n')
		begin--;
	return (unsigned)(offset - begin + 1);
}

const char *json_token_name(enum json_token_type type)
{
	static const char *const NAMES[] = {
		[JSON_TOKEN_END] = "the end",	     [JSON_TOKEN_OBJECT] = "an object",
		[JSON_TOKEN_OBJECT_END] = "\"}\"",   [JSON_TOKEN_ARRAY] = "an array",
		[JSON_TOKEN_ARRAY_END] = "\"]\"",    [JSON_TOKEN_KEY] = "a key",
		[JSON_TOKEN_STRING] = "a string",    [JSON_TOKEN_NUMBER] = "a number",
		[JSON_TOKEN_TRUE] = "true",	     [JSON_TOKEN_FALSE] = "false",
		[JSON_TOKEN_NULL] = "null",
	};
	return NAMES[type];
}

static int malformed(struct json_scan *scan, size_t offset, const char *expected, struct err *err)
{
	return err_set(err, -EINVAL, "json.malformed", "%s: line %u, column %u: expected %s", scan->source,
		       json_scan_line(scan, offset), json_scan_column(scan, offset), expected);
}

static void skip_blanks(struct json_scan *scan)
{
	while (scan->at < scan->length && strchr(" \t\r\n", scan->bytes[scan->at]) && scan->bytes[scan->at])
		scan->at++;
}

static int peek(const struct json_scan *scan)
{
	return scan->at < scan->length ? (unsigned char)scan->bytes[scan->at] : -1;
}

/* Four hexadecimal digits behind "\u". */
static int scan_hex4(struct json_scan *scan, uint32_t *ret_unit, struct err *err)
{
	uint32_t unit = 0;
	for (int i = 0; i < 4; i++, scan->at++) {
		int c = peek(scan);
		uint32_t digit = 0;
		if (c >= '0' && c <= '9')
			digit = (uint32_t)c - '0';
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			digit = ((uint32_t)c | 0x20) - 'a' + 10;
		else
			return malformed(scan, scan->at, "four hexadecimal digits behind \\u", err);
		unit = unit << 4 | digit;
	}
	*ret_unit = unit;
	return 0;
}

static int add_code_point(struct buf *text, uint32_t c)
{
	char bytes[4];
	size_t n = 0;
	if (c < 0x80) {
		bytes[n++] = (char)c;
	} else if (c < 0x800) {
		bytes[n++] = (char)(0xc0 | c >> 6);
		bytes[n++] = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		bytes[n++] = (char)(0xe0 | c >> 12);
		bytes[n++] = (char)(0x80 | (c >> 6 & 0x3f));
		bytes[n++] = (char)(0x80 | (c & 0x3f));
	} else {
		bytes[n++] = (char)(0xf0 | c >> 18);
		bytes[n++] = (char)(0x80 | (c >> 12 & 0x3f));
		bytes[n++] = (char)(0x80 | (c >> 6 & 0x3f));
		bytes[n++] = (char)(0x80 | (c & 0x3f));
	}
	return buf_add(text, bytes, n);
}

static int scan_unicode_escape(struct json_scan *scan, struct err *err)
{
	size_t begin = scan->at - 2;
	uint32_t unit = 0;
	int r = scan_hex4(scan, &unit, err);
	if (r < 0)
		return r;
	if (unit >= 0xd800 && unit < 0xdc00) { /* RFC 8259, 7: a pair of surrogates */
		uint32_t low = 0;
		if (peek(scan) != '\\' || scan->at + 1 >= scan->length || scan->bytes[scan->at + 1] != 'u')
			return malformed(scan, begin, "a pair of surrogates", err);
		scan->at += 2;
		r = scan_hex4(scan, &low, err);
		if (r < 0)
			return r;
		if (low < 0xdc00 || low > 0xdfff)
			return malformed(scan, begin, "a pair of surrogates", err);
		unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
	} else if (unit >= 0xdc00 && unit < 0xe000) {
		return malformed(scan, begin, "a pair of surrogates", err);
	} else if (unit == 0) {
		return malformed(scan, begin, "a string without zero bytes", err);
	}
	return add_code_point(&scan->text, unit);
}

static int scan_escape(struct json_scan *scan, struct err *err)
{
	static const char LETTERS[] = "\"\\/bfnrt";
	static const char MEANINGS[] = "\"\\/\b\f\n\r\t";
	scan->at++;
	int c = peek(scan);
	if (c == 'u') {
		scan->at++;
		return scan_unicode_escape(scan, err);
	}
	const char *letter = c > 0 ? strchr(LETTERS, c) : NULL;
	if (!letter)
		return malformed(scan, scan->at, "an escape of JSON", err);
	scan->at++;
	return buf_add_char(&scan->text, MEANINGS[letter - LETTERS]);
}

/* Decodes the string at the present place into scan->text. */
static int scan_string(struct json_scan *scan, struct json_token *token, struct err *err)
{
	size_t begin = scan->at++;
	buf_clear(&scan->text);
	int r = 0;
	for (;;) {
		size_t run = scan->at;
		while (run < scan->length && (unsigned char)scan->bytes[run] >= 0x20 && scan->bytes[run] != '"' &&
		       scan->bytes[run] != '\\')
			run++;
		r = buf_add(&scan->text, scan->bytes + scan->at, run - scan->at);
		scan->at = run;
		if (r == 0 && peek(scan) == '\\') {
			r = scan_escape(scan, err);
			if (r == -EINVAL)
				return r;
		} else if (r == 0) {
			break;
		}
		if (r == -EMSGSIZE)
			return malformed(scan, begin, "a string of at most 1 MiB", err);
		if (r < 0)
			return r;
	}
	if (peek(scan) != '"')
		return malformed(scan, scan->at, "the end of a string", err);
	scan->at++;
	if (scan->text.size && !str_is_utf8(scan->text.data, scan->text.size))
		return malformed(scan, begin, "UTF-8", err);
	token->text = scan->text.size ? scan->text.data : "";
	token->length = scan->text.size;
	return 0;
}

static size_t scan_digits(struct json_scan *scan)
{
	size_t begin = scan->at;
	while (peek(scan) >= '0' && peek(scan) <= '9')
		scan->at++;
	return scan->at - begin;
}

static int scan_number(struct json_scan *scan, struct json_token *token, struct err *err)
{
	size_t begin = scan->at;
	if (peek(scan) == '-')
		scan->at++;
	size_t digits_at = scan->at;
	size_t digits = scan_digits(scan);
	bool good = digits == 1 || (digits > 1 && scan->bytes[digits_at] != '0');
	if (good && peek(scan) == '.') {
		scan->at++;
		good = scan_digits(scan) > 0;
	}
	if (good && (peek(scan) | 0x20) == 'e') {
		scan->at++;
		if (peek(scan) == '+' || peek(scan) == '-')
			scan->at++;
		good = scan_digits(scan) > 0;
	}
	if (!good)
		return malformed(scan, begin, "a number", err);
	buf_clear(&scan->text);
	int r = buf_add(&scan->text, scan->bytes + begin, scan->at - begin);
	if (r == -EMSGSIZE)
		return malformed(scan, begin, "a shorter number", err);
	token->type = JSON_TOKEN_NUMBER;
	token->text = scan->text.data;
	token->length = scan->text.size;
	return r;
}

static int scan_word(struct json_scan *scan, struct json_token *token, struct err *err)
{
	static const struct {
		const char *word;
		enum json_token_type type;
	} WORDS[] = {{"true", JSON_TOKEN_TRUE}, {"false", JSON_TOKEN_FALSE}, {"null", JSON_TOKEN_NULL}};
	for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
		size_t n = strlen(WORDS[i].word);
		if (scan->length - scan->at >= n && memcmp(scan->bytes + scan->at, WORDS[i].word, n) == 0) {
			scan->at += n;
			token->type = WORDS[i].type;
			return 0;
		}
	}
	return malformed(scan, scan->at, "a value", err);
}

static int open_container(struct json_scan *scan, struct json_token *token, bool object, struct err *err)
{
	if (scan->depth == JSON_SCAN_DEPTH_MAX)
		return malformed(scan, scan->at, "at most 64 levels", err);
	uint64_t bit = UINT64_C(1) << scan->depth++;
	scan->objects = object ? scan->objects | bit : scan->objects & ~bit;
	scan->state = object ? STATE_FIRST_KEY : STATE_FIRST_ITEM;
	scan->at++;
	token->type = object ? JSON_TOKEN_OBJECT : JSON_TOKEN_ARRAY;
	return 0;
}

static bool in_object(const struct json_scan *scan)
{
	return scan->depth > 0 && scan->objects >> (scan->depth - 1) & 1;
}

static int close_container(struct json_scan *scan, struct json_token *token)
{
	token->type = in_object(scan) ? JSON_TOKEN_OBJECT_END : JSON_TOKEN_ARRAY_END;
	scan->depth--;
	scan->at++;
	scan->state = STATE_AFTER_VALUE;
	return 0;
}

static int scan_value(struct json_scan *scan, struct json_token *token, struct err *err)
{
	int c = peek(scan);
	if (c == '{' || c == '[')
		return open_container(scan, token, c == '{', err);
	scan->state = STATE_AFTER_VALUE;
	if (c == '"') {
		token->type = JSON_TOKEN_STRING;
		return scan_string(scan, token, err);
	}
	if (c == '-' || (c >= '0' && c <= '9'))
		return scan_number(scan, token, err);
	return scan_word(scan, token, err);
}

static int scan_key(struct json_scan *scan, struct json_token *token, struct err *err)
{
	if (peek(scan) != '"')
		return malformed(scan, scan->at, "a key in quotes", err);
	token->type = JSON_TOKEN_KEY;
	int r = scan_string(scan, token, err);
	if (r < 0)
		return r;
	skip_blanks(scan);
	if (peek(scan) != ':')
		return malformed(scan, scan->at, "\":\"", err);
	token->end = scan->at; /* the caller sets it otherwise */
	scan->at++;
	scan->state = STATE_VALUE;
	return 0;
}

/* Behind a value: a comma and what follows it, a closing bracket, or the end of the document. */
static int scan_after_value(struct json_scan *scan, struct json_token *token, struct err *err)
{
	int c = peek(scan);
	if (scan->depth == 0) {
		if (c >= 0)
			return malformed(scan, scan->at, "the end of the document", err);
		token->type = JSON_TOKEN_END;
		return 0;
	}
	if (c == (in_object(scan) ? '}' : ']'))
		return close_container(scan, token);
	if (c != ',')
		return malformed(scan, scan->at, in_object(scan) ? "\",\" or \"}\"" : "\",\" or \"]\"", err);
	scan->at++;
	skip_blanks(scan);
	token->offset = scan->at;
	scan->state = in_object(scan) ? STATE_KEY : STATE_VALUE;
	return in_object(scan) ? scan_key(scan, token, err) : scan_value(scan, token, err);
}

int json_scan_next(struct json_scan *scan, struct json_token *ret_token, struct err *err)
{
	skip_blanks(scan);
	struct json_token token = {.offset = scan->at};
	int r = 0;
	if (scan->state == STATE_AFTER_VALUE)
		r = scan_after_value(scan, &token, err);
	else if (scan->state == STATE_FIRST_KEY && peek(scan) == '}')
		r = close_container(scan, &token);
	else if (scan->state == STATE_FIRST_ITEM && peek(scan) == ']')
		r = close_container(scan, &token);
	else if (scan->state == STATE_FIRST_KEY || scan->state == STATE_KEY)
		r = scan_key(scan, &token, err);
	else
		r = scan_value(scan, &token, err);
	if (r < 0)
		return r == -EINVAL ? r : err_set(err, r, "json.memory", "%s: out of memory", scan->source);
	if (token.type != JSON_TOKEN_KEY)
		token.end = scan->at;
	*ret_token = token;
	return 0;
}

int json_scan_skip(struct json_scan *scan, size_t *ret_begin, size_t *ret_end, struct err *err)
{
	unsigned depth = scan->depth;
	struct json_token token;
	int r = json_scan_next(scan, &token, err);
	size_t begin = r == 0 ? token.offset : 0;
	while (r == 0 && scan->depth > depth)
		r = json_scan_next(scan, &token, err);
	if (r < 0)
		return r;
	*ret_begin = begin;
	*ret_end = scan->at;
	return 0;
}
