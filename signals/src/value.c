#include "signals/src/value.h"

#include <errno.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/codec/json.h"
#include "core/codec/json_scan.h"

#define SHOWN_MAX 40 /* bytes of a refused text that a message repeats */

static int refuse(struct err *err, int code, const char *text, size_t length, const char *expected)
{
	return err_set(err, code, code == -ERANGE ? "value.range" : "value.type", "\"%.*s%s\": expected %s",
		       length > SHOWN_MAX ? SHOWN_MAX : (int)length, text, length > SHOWN_MAX ? "..." : "", expected);
}

static bool is_plain_string(const char *text, size_t length)
{
	if (length == 0 || text[0] == '"')
		return false;
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return false;
	return true;
}

int value_add_string(struct buf *ret_text, const char *text, size_t length)
{
	if (is_plain_string(text, length))
		return buf_add(ret_text, text, length);
	return json_add_string(ret_text, text);
}

static int check_allowed(const struct value_rule *rule, const char *text, struct err *err)
{
	if (rule->allowed && !strv_contains(rule->allowed, text))
		return refuse(err, -ERANGE, text, strlen(text), "one of the allowed values");
	return 0;
}

static int parse_boolean(const char *text, size_t length, struct buf *ret_text, double *ret_number, struct err *err)
{
	bool yes = (length == 4 && memcmp(text, "true", 4) == 0) || (length == 1 && *text == '1');
	bool no = (length == 5 && memcmp(text, "false", 5) == 0) || (length == 1 && *text == '0');
	if (!yes && !no)
		return refuse(err, -EINVAL, text, length, "true or false");
	*ret_number = yes;
	return buf_add_text(ret_text, yes ? "true" : "false");
}

static int parse_number(const struct value_rule *rule, const char *text, size_t length, struct buf *ret_text,
			double *ret_number, struct err *err)
{
	union number number = {0};
	char shown[NUMBER_TEXT_MAX];
	int r = number_parse(&rule->type, text, length, &number);
	if (r < 0)
		return refuse(err, r, text, length, datatype_scalar_name(&rule->type));
	if (rule->has_min && number_compare(&rule->type, number, rule->min) < 0) {
		number_format(&rule->type, rule->min, shown);
		return err_set(err, -ERANGE, "value.range", "%.*s: expected at least %s", (int)length, text, shown);
	}
	if (rule->has_max && number_compare(&rule->type, number, rule->max) > 0) {
		number_format(&rule->type, rule->max, shown);
		return err_set(err, -ERANGE, "value.range", "%.*s: expected at most %s", (int)length, text, shown);
	}
	size_t n = number_format(&rule->type, number, shown);
	r = check_allowed(rule, shown, err);
	if (r < 0)
		return r;
	*ret_number = number_to_double(&rule->type, number);
	return buf_add(ret_text, shown, n);
}

/* @text: the string's content, terminated. */
static int parse_string(const struct value_rule *rule, const char *text, size_t length, struct buf *ret_text,
			struct err *err)
{
	if (length > VALUE_TEXT_MAX)
		return err_set(err, -EMSGSIZE, "value.size", "expected at most %d bytes", VALUE_TEXT_MAX);
	scoped_done(buf_done) struct buf canonical = {.max = VALUE_TEXT_MAX * 6};
	int r = value_add_string(&canonical, text, length);
	if (r < 0)
		return r;
	r = check_allowed(rule, canonical.data, err);
	if (r < 0)
		return r;
	regmatch_t match = {0};
	if (rule->pattern && (regexec(rule->pattern, text, 1, &match, 0) != 0 || match.rm_so != 0))
		return refuse(err, -ERANGE, text, length, "what the pattern says");
	return buf_add(ret_text, canonical.data, canonical.size);
}

static int parse_element(const struct value_rule *rule, struct json_scan *scan, const struct json_token *token,
			 struct buf *ret_text, double *ret_number, struct err *err);

static int wrong_token(const struct value_rule *rule, const struct json_token *token, struct err *err)
{
	return err_set(err, -EINVAL, "value.type", "expected %s%s, found %s", datatype_scalar_name(&rule->type),
		       rule->type.array ? "[]" : "", json_token_name(token->type));
}

static int parse_array(const struct value_rule *rule, struct json_scan *scan, struct buf *ret_text, struct err *err)
{
	struct value_rule element = *rule;
	element.type = datatype_element(&rule->type);
	double number = 0;
	size_t count = 0;
	int r = buf_add_char(ret_text, '[');
	while (r == 0) {
		struct json_token token;
		r = json_scan_next(scan, &token, err);
		if (r < 0 || token.type == JSON_TOKEN_ARRAY_END)
			break;
		if (count++ == ARRAY_ELEMENTS_MAX)
			return err_set(err, -EMSGSIZE, "value.size", "expected at most %d elements", ARRAY_ELEMENTS_MAX);
		if (count > 1)
			r = buf_add_char(ret_text, ',');
		if (r == 0)
			r = parse_element(&element, scan, &token, ret_text, &number, err);
	}
	if (r < 0)
		return r;
	if (rule->type.array_size && count != rule->type.array_size)
		return err_set(err, -ERANGE, "value.range", "expected %u elements, found %zu", rule->type.array_size,
			       count);
	return buf_add_char(ret_text, ']');
}

static size_t find_member(const struct struct_type *type, const char *name)
{
	size_t i = 0;
	while (i < type->count && strcmp(type->members[i].name, name) != 0)
		i++;
	return i;
}

struct slice {
	size_t begin;
	size_t end;
};

/* Where the value of each member lies: they are checked in the definition's order, not in the text's. */
static int collect_members(const struct struct_type *type, struct json_scan *scan, struct slice *slices,
			   struct err *err)
{
	for (;;) {
		struct json_token token;
		int r = json_scan_next(scan, &token, err);
		if (r < 0 || token.type == JSON_TOKEN_OBJECT_END)
			return r;
		size_t i = find_member(type, token.text);
		if (i == type->count)
			return err_set(err, -EINVAL, "value.type", "%s has no member \"%.*s\"", type->name, SHOWN_MAX,
				       token.text);
		if (slices[i].end)
			return err_set(err, -EINVAL, "value.type", "member %s is given twice", type->members[i].name);
		r = json_scan_skip(scan, &slices[i].begin, &slices[i].end, err);
		if (r < 0)
			return r;
	}
}

static int parse_struct(const struct struct_type *type, struct json_scan *scan, struct buf *ret_text, struct err *err)
{
	scoped_free struct slice *slices = calloc(type->count + 1, sizeof *slices);
	if (!slices)
		return -ENOMEM;
	int r = collect_members(type, scan, slices, err);
	for (size_t i = 0; r == 0 && i < type->count; i++) {
		const struct struct_member *member = &type->members[i];
		if (!slices[i].end)
			return err_set(err, -EINVAL, "value.type", "member %s of %s is missing", member->name,
				       type->name);
		r = buf_printf(ret_text, "%s\"%s\":", i ? "," : "{", member->name);
		scoped_done(buf_done) struct buf text = {.max = VALUE_TEXT_MAX * 6};
		double number = 0;
		if (r == 0)
			r = value_parse_json(&member->rule, scan->bytes + slices[i].begin,
					     slices[i].end - slices[i].begin, &text, &number, err);
		if (r < 0)
			return err ? err_add(err, r, "%s", member->name) : r;
		r = value_add_json(&member->rule.type, text.data, text.size, ret_text);
	}
	return r < 0 ? r : buf_add_text(ret_text, type->count ? "}" : "{}");
}

/* An element of an array: strings stay JSON. */
static int parse_string_element(const struct value_rule *rule, const struct json_token *token, struct buf *ret_text,
				struct err *err)
{
	scoped_done(buf_done) struct buf text = {.max = VALUE_TEXT_MAX * 6};
	int r = parse_string(rule, token->text, token->length, &text, err);
	if (r < 0)
		return r;
	return value_add_json(&rule->type, text.data, text.size, ret_text);
}

static int parse_element(const struct value_rule *rule, struct json_scan *scan, const struct json_token *token,
			 struct buf *ret_text, double *ret_number, struct err *err)
{
	bool word = token->type == JSON_TOKEN_TRUE || token->type == JSON_TOKEN_FALSE;
	if (rule->type.kind == DATATYPE_STRUCT && token->type == JSON_TOKEN_OBJECT)
		return parse_struct(rule->type.structure, scan, ret_text, err);
	if (rule->type.kind == DATATYPE_STRING && token->type == JSON_TOKEN_STRING)
		return parse_string_element(rule, token, ret_text, err);
	if (rule->type.kind == DATATYPE_BOOLEAN && word)
		return parse_boolean(scan->bytes + token->offset, token->end - token->offset, ret_text, ret_number, err);
	if (datatype_is_number(&rule->type) && token->type == JSON_TOKEN_NUMBER)
		return parse_number(rule, token->text, token->length, ret_text, ret_number, err);
	return wrong_token(rule, token, err);
}

static int parse_document(const struct value_rule *rule, struct json_scan *scan, struct buf *ret_text,
			  double *ret_number, struct err *err)
{
	struct json_token token;
	int r = json_scan_next(scan, &token, err);
	if (r < 0)
		return r;
	if (rule->type.array)
		r = token.type == JSON_TOKEN_ARRAY ? parse_array(rule, scan, ret_text, err)
						   : wrong_token(rule, &token, err);
	else if (rule->type.kind == DATATYPE_STRING && token.type == JSON_TOKEN_STRING)
		r = parse_string(rule, token.text, token.length, ret_text, err);
	else
		r = parse_element(rule, scan, &token, ret_text, ret_number, err);
	if (r < 0)
		return r;
	r = json_scan_next(scan, &token, err); /* nothing may follow */
	if (r == 0 && ret_text->size > VALUE_TEXT_MAX)
		return err_set(err, -EMSGSIZE, "value.size", "expected at most %d bytes", VALUE_TEXT_MAX);
	return r;
}

int value_parse_json(const struct value_rule *rule, const char *json, size_t length, struct buf *ret_text,
		     double *ret_number, struct err *err)
{
	struct json_scan scan;
	json_scan_init(&scan, "value", json, length);
	int r = parse_document(rule, &scan, ret_text, ret_number, err);
	json_scan_done(&scan);
	return r;
}

static int parse_plain_string(const struct value_rule *rule, const char *text, size_t length, struct buf *ret_text,
			      struct err *err)
{
	if (length == 0)
		return refuse(err, -EINVAL, text, length, "a string (the empty one is \"\")");
	if (!is_plain_string(text, length) || !str_is_utf8(text, length))
		return refuse(err, -EINVAL, text, length, "one line of UTF-8");
	scoped_free char *copy = strndup(text, length);
	if (!copy)
		return -ENOMEM;
	return parse_string(rule, copy, length, ret_text, err);
}

int value_parse(const struct value_rule *rule, const char *text, size_t length, struct buf *ret_text,
		double *ret_number, struct err *err)
{
	if (length > VALUE_TEXT_MAX)
		return err_set(err, -EMSGSIZE, "value.size", "expected at most %d bytes", VALUE_TEXT_MAX);
	if (rule->type.array || rule->type.kind == DATATYPE_STRUCT)
		return value_parse_json(rule, text, length, ret_text, ret_number, err);
	if (rule->type.kind == DATATYPE_STRING)
		return length && text[0] == '"' ? value_parse_json(rule, text, length, ret_text, ret_number, err)
						: parse_plain_string(rule, text, length, ret_text, err);
	if (rule->type.kind == DATATYPE_BOOLEAN)
		return parse_boolean(text, length, ret_text, ret_number, err);
	return parse_number(rule, text, length, ret_text, ret_number, err);
}

int value_add_json(const struct datatype *type, const char *text, size_t length, struct buf *ret_json)
{
	if (type->kind != DATATYPE_STRING || type->array || (length && text[0] == '"'))
		return buf_add(ret_json, text, length);
	return json_add_string(ret_json, text);
}
