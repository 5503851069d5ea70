#include "core/codec/yaml.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"

#define STRING_TAG "tag:yaml.org,2002:str"
#define NUMBER_TEXT_MAX 64

struct anchor {
	char *name;
	json_t *value;
};

struct reader {
	const char *source;
	yaml_parser_t parser;
	struct anchor anchors[YAML_ANCHORS_MAX];
	size_t anchors_count;
	size_t values;
	struct err *err;
};

/* --- messages --- */

static int refuse_at(struct reader *reader, const yaml_mark_t *mark, const char *what)
{
	return err_set(reader->err, -EINVAL, "yaml.malformed", "%s: line %zu, column %zu: %s", reader->source,
		       mark->line + 1, mark->column + 1, what);
}

static int limit(struct reader *reader, const char *what, int most)
{
	return err_set(reader->err, -EMSGSIZE, "yaml.limit", "%s: more than %d %s", reader->source, most, what);
}

static int next_event(struct reader *reader, yaml_event_t *ret_event)
{
	if (yaml_parser_parse(&reader->parser, ret_event))
		return 0;
	if (reader->parser.error == YAML_MEMORY_ERROR)
		return err_memory(reader->err, reader->source);
	return refuse_at(reader, &reader->parser.problem_mark,
			 reader->parser.problem ? reader->parser.problem : "not YAML");
}

/* --- scalars --- */

static bool is_one_of(const char *text, const char *const *words)
{
	return strv_contains(words, text);
}

/* "0x1f", "0o17", "017", "-5". Returns false where it is no integer, or beyond 64 bits. */
static bool read_integer(const char *text, int64_t *ret_value)
{
	bool negative = *text == '-';
	const char *digits = text + (*text == '-' || *text == '+');
	int base = 10;
	if (digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'o')) {
		base = digits[1] == 'x' ? 16 : 8;
		digits += 2;
	} else if (digits[0] == '0' && digits[1]) {
		base = 8;
	}
	static const char DIGITS[] = "0123456789abcdefABCDEF";
	size_t allowed = base == 16 ? 22 : (size_t)base;
	char set[sizeof DIGITS];
	memcpy(set, DIGITS, allowed);
	set[allowed] = '\0';
	if (!*digits || digits[strspn(digits, set)])
		return false;
	errno = 0;
	unsigned long long value = strtoull(digits, NULL, base);
	unsigned long long most = (unsigned long long)INT64_MAX + negative;
	if (errno || value > most)
		return false;
	*ret_value = negative ? (int64_t)(0 - value) : (int64_t)value;
	return true;
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? : YAML 1.2, 10.3.2 */
static bool looks_like_float(const char *text)
{
	const char *at = text + (*text == '-' || *text == '+');
	size_t whole = strspn(at, "0123456789");
	at += whole;
	size_t part = 0;
	if (*at == '.') {
		part = strspn(at + 1, "0123456789");
		at += 1 + part;
	}
	if (whole + part == 0)
		return false;
	if (*at == 'e' || *at == 'E') {
		at++;
		at += *at == '-' || *at == '+';
		size_t exponent = strspn(at, "0123456789");
		if (!exponent)
			return false;
		at += exponent;
	}
	return *at == '\0';
}

static bool is_not_finite(const char *text)
{
	static const char *const WORDS[] = {".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN", NULL};
	return is_one_of(text + (*text == '-' || *text == '+'), WORDS);
}

/* A plain scalar by the core schema. NULL with 0: it is a string. */
static int read_plain(struct reader *reader, const yaml_event_t *event, json_t **ret_value)
{
	static const char *const NULLS[] = {"", "~", "null", "Null", "NULL", NULL};
	static const char *const TRUES[] = {"true", "True", "TRUE", NULL};
	static const char *const FALSES[] = {"false", "False", "FALSE", NULL};
	const char *text = (const char *)event->data.scalar.value;
	int64_t integer = 0;
	*ret_value = NULL;
	if (strlen(text) != event->data.scalar.length || strlen(text) > NUMBER_TEXT_MAX)
		return 0;
	if (is_not_finite(text))
		return refuse_at(reader, &event->start_mark, "expected a finite number");
	if (is_one_of(text, NULLS))
		*ret_value = json_null();
	else if (is_one_of(text, TRUES) || is_one_of(text, FALSES))
		*ret_value = json_boolean(is_one_of(text, TRUES));
	else if (read_integer(text, &integer))
		*ret_value = json_integer(integer);
	else if (looks_like_float(text)) {
		double number = strtod(text, NULL);
		if (!isfinite(number))
			return refuse_at(reader, &event->start_mark, "expected a finite number");
		*ret_value = json_real(number);
	} else {
		return 0;
	}
	return *ret_value ? 0 : err_memory(reader->err, reader->source);
}

static int read_scalar(struct reader *reader, const yaml_event_t *event, json_t **ret_value)
{
	const char *tag = (const char *)event->data.scalar.tag;
	if (tag && !str_equal(tag, STRING_TAG) && !str_equal(tag, "!"))
		return refuse_at(reader, &event->start_mark, "expected no tag but !!str");
	if (!tag && event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
		int r = read_plain(reader, event, ret_value);
		if (r < 0 || *ret_value)
			return r;
	}
	const char *text = (const char *)event->data.scalar.value;
	if (memchr(text, 0, event->data.scalar.length))
		return refuse_at(reader, &event->start_mark, "expected text without zero bytes");
	*ret_value = json_stringn(text, event->data.scalar.length);
	return *ret_value ? 0 : refuse_at(reader, &event->start_mark, "expected UTF-8");
}

/* --- anchors --- */

static int keep_anchor(struct reader *reader, const yaml_char_t *name, json_t *value)
{
	if (!name)
		return 0;
	if (reader->anchors_count == ARRAY_COUNT(reader->anchors))
		return limit(reader, "anchors", YAML_ANCHORS_MAX);
	struct anchor *anchor = &reader->anchors[reader->anchors_count];
	anchor->name = strdup((const char *)name);
	if (!anchor->name)
		return err_memory(reader->err, reader->source);
	anchor->value = json_incref(value);
	reader->anchors_count++;
	return 0;
}

/* The latest of this name (YAML 1.2, 7.1). One that is not complete yet is not there: there are no circles. */
static int read_alias(struct reader *reader, const yaml_event_t *event, json_t **ret_value)
{
	for (size_t i = reader->anchors_count; i-- > 0;)
		if (str_equal(reader->anchors[i].name, (const char *)event->data.alias.anchor)) {
			*ret_value = json_incref(reader->anchors[i].value);
			return 0;
		}
	return refuse_at(reader, &event->start_mark, "an alias without an anchor before it");
}

/* --- collections --- */

static int read_value(struct reader *reader, const yaml_event_t *event, int depth, json_t **ret_value);

static int read_next_value(struct reader *reader, int depth, json_t **ret_value)
{
	yaml_event_t event;
	int r = next_event(reader, &event);
	if (r < 0)
		return r;
	r = read_value(reader, &event, depth, ret_value);
	yaml_event_delete(&event);
	return r;
}

static int read_items(struct reader *reader, int depth, json_t *array)
{
	for (;;) {
		yaml_event_t event;
		json_t *item = NULL;
		int r = next_event(reader, &event);
		if (r < 0)
			return r;
		bool ended = event.type == YAML_SEQUENCE_END_EVENT;
		if (!ended)
			r = read_value(reader, &event, depth + 1, &item);
		yaml_event_delete(&event);
		if (ended || r < 0)
			return r;
		if (json_array_append_new(array, item) < 0)
			return err_memory(reader->err, reader->source);
	}
}

static int check_key(struct reader *reader, const yaml_event_t *event, const json_t *object)
{
	if (event->type != YAML_SCALAR_EVENT)
		return refuse_at(reader, &event->start_mark, "expected a scalar as the key");
	const char *key = (const char *)event->data.scalar.value;
	if (strlen(key) != event->data.scalar.length)
		return refuse_at(reader, &event->start_mark, "expected text without zero bytes");
	if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && str_equal(key, "<<"))
		return refuse_at(reader, &event->start_mark, "merge keys are not read");
	return json_object_get(object, key) ? refuse_at(reader, &event->start_mark, "this key is there already") : 0;
}

/* Returns 1 at the end of the mapping. */
static int read_member(struct reader *reader, int depth, json_t *object)
{
	yaml_event_t event;
	int r = next_event(reader, &event);
	if (r < 0)
		return r;
	json_t *value = NULL;
	bool ended = event.type == YAML_MAPPING_END_EVENT;
	if (!ended)
		r = check_key(reader, &event, object);
	if (!ended && r == 0)
		r = read_next_value(reader, depth + 1, &value);
	if (!ended && r == 0 && json_object_set_new(object, (const char *)event.data.scalar.value, value) < 0)
		r = refuse_at(reader, &event.start_mark, "expected UTF-8");
	yaml_event_delete(&event);
	return ended ? 1 : r;
}

static int read_members(struct reader *reader, int depth, json_t *object)
{
	int r = 0;
	while (r == 0)
		r = read_member(reader, depth, object);
	return r < 0 ? r : 0;
}

static int read_collection(struct reader *reader, const yaml_event_t *event, int depth, json_t **ret_value)
{
	bool sequence = event->type == YAML_SEQUENCE_START_EVENT;
	const yaml_char_t *tag = sequence ? event->data.sequence_start.tag : event->data.mapping_start.tag;
	if (tag)
		return refuse_at(reader, &event->start_mark, "expected no tag but !!str");
	if (depth == YAML_DEPTH_MAX)
		return limit(reader, "levels", YAML_DEPTH_MAX);
	json_t *value = sequence ? json_array() : json_object();
	if (!value)
		return err_memory(reader->err, reader->source);
	int r = sequence ? read_items(reader, depth, value) : read_members(reader, depth, value);
	if (r < 0) {
		json_decref(value);
		return r;
	}
	*ret_value = value;
	return 0;
}

static const yaml_char_t *anchor_of(const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return event->data.scalar.anchor;
	case YAML_SEQUENCE_START_EVENT:
		return event->data.sequence_start.anchor;
	case YAML_MAPPING_START_EVENT:
		return event->data.mapping_start.anchor;
	default:
		return NULL;
	}
}

static int read_value(struct reader *reader, const yaml_event_t *event, int depth, json_t **ret_value)
{
	json_t *value = NULL;
	int r = 0;
	if (++reader->values > YAML_VALUES_MAX)
		return limit(reader, "values", YAML_VALUES_MAX);
	if (event->type == YAML_ALIAS_EVENT)
		return read_alias(reader, event, ret_value);
	if (event->type == YAML_SCALAR_EVENT)
		r = read_scalar(reader, event, &value);
	else if (event->type == YAML_SEQUENCE_START_EVENT || event->type == YAML_MAPPING_START_EVENT)
		r = read_collection(reader, event, depth, &value);
	else
		r = refuse_at(reader, &event->start_mark, "expected a value");
	if (r == 0)
		r = keep_anchor(reader, anchor_of(event), value);
	if (r < 0) {
		json_decref(value);
		return r;
	}
	*ret_value = value;
	return 0;
}

/* --- documents --- */

/* Takes the next event, which must be of this type. Returns 1 where it is of @or_type. */
static int expect(struct reader *reader, yaml_event_type_t type, yaml_event_type_t or_type, const char *what)
{
	yaml_event_t event;
	int r = next_event(reader, &event);
	if (r < 0)
		return r;
	if (event.type == or_type && or_type != type)
		r = 1;
	else if (event.type != type)
		r = refuse_at(reader, &event.start_mark, what);
	yaml_event_delete(&event);
	return r;
}

static int read_stream(struct reader *reader, json_t **ret_value)
{
	json_t *value = NULL;
	int r = expect(reader, YAML_STREAM_START_EVENT, YAML_STREAM_START_EVENT, "expected a document");
	if (r == 0)
		r = expect(reader, YAML_DOCUMENT_START_EVENT, YAML_STREAM_END_EVENT, "expected a document");
	if (r == 1) {
		*ret_value = json_null();
		return 0;
	}
	if (r == 0)
		r = read_next_value(reader, 0, &value);
	if (r == 0)
		r = expect(reader, YAML_DOCUMENT_END_EVENT, YAML_DOCUMENT_END_EVENT, "expected the end of the document");
	if (r == 0)
		r = expect(reader, YAML_STREAM_END_EVENT, YAML_STREAM_END_EVENT, "expected one document only");
	if (r < 0) {
		json_decref(value);
		return r;
	}
	*ret_value = value;
	return 0;
}

int yaml_parse(const char *source, const char *text, size_t length, json_t **ret_value, struct err *err)
{
	if (length > YAML_BYTES_MAX)
		return err_set(err, -EMSGSIZE, "yaml.limit", "%s: more than %d bytes", source, YAML_BYTES_MAX);
	scoped_free struct reader *reader = calloc(1, sizeof *reader);
	if (!reader || !yaml_parser_initialize(&reader->parser))
		return err_memory(err, source);
	reader->source = source;
	reader->err = err;
	yaml_parser_set_encoding(&reader->parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&reader->parser, (const unsigned char *)text, length);
	int r = read_stream(reader, ret_value);
	for (size_t i = 0; i < reader->anchors_count; i++) {
		free(reader->anchors[i].name);
		json_decref(reader->anchors[i].value);
	}
	yaml_parser_delete(&reader->parser);
	return r;
}
