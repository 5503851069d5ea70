#include "signals/adaptors/can/mapping.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/expression.h"
#include "core/base/str.h"
#include "core/codec/json.h"

#define ARENA_MAX (256u << 20)
#define DEFAULT_INTERVAL_MS 1000 /* where neither interval_ms nor on_change is given, as KUKSA */
#define RULES_MAX 65536

struct reader {
	const char *source;
	const struct dbc *dbc;
	struct mapping *mapping;
	char path[MAPPING_PATH_MAX];
	const char *key; /* dbc2vss, dbc, vss2dbc */
	struct err *err;
};

static int fail(struct reader *reader, const char *member, const char *expected)
{
	return err_set(reader->err, -EINVAL, "mapping.malformed", "%s: %s: %s%s%s: expected %s", reader->source, reader->path,
		       reader->key ? reader->key : "", reader->key && *member ? "." : "", member, expected);
}

static int no_memory(struct reader *reader)
{
	return err_set(reader->err, -ENOMEM, "mapping.memory", "%s: more than can be held", reader->source);
}

/* ---- members ---- */

static int read_integer(struct reader *reader, const json_t *rule, const char *member, int64_t min, int64_t *ret_number)
{
	const json_t *value = json_object_get(rule, member);
	if (!value)
		return 0;
	if (!json_is_integer(value) || json_integer_value(value) < min || json_integer_value(value) > INT32_MAX)
		return fail(reader, member, "a whole number");
	*ret_number = json_integer_value(value);
	return 0;
}

/* A value as its text: numbers, booleans and texts. */
static int read_scalar(struct reader *reader, const json_t *value, const char **ret_text, bool *ret_is_number,
		       double *ret_number)
{
	struct arena *arena = reader->mapping->arena;
	if (json_is_string(value) && strlen(json_string_value(value)) < MAPPING_TEXT_MAX) {
		*ret_text = arena_strdup(arena, json_string_value(value));
	} else if (json_is_boolean(value)) {
		*ret_text = json_is_true(value) ? "true" : "false";
		*ret_is_number = true;
		*ret_number = json_is_true(value);
	} else if (json_is_number(value)) {
		*ret_text = arena_printf(arena, "%.15g", json_number_value(value));
		*ret_is_number = true;
		*ret_number = json_number_value(value);
	} else {
		return fail(reader, "transform.mapping", "numbers, booleans and texts");
	}
	return *ret_text ? 0 : no_memory(reader);
}

static int read_pairs(struct reader *reader, const json_t *list, struct mapping_rule *rule)
{
	if (!json_is_array(list))
		return fail(reader, "transform.mapping", "a list of from and to");
	rule->pairs = arena_array(reader->mapping->arena, json_array_size(list) + 1, sizeof *rule->pairs);
	if (!rule->pairs)
		return no_memory(reader);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *from = json_object_get(json_array_get(list, i), "from");
		const json_t *to = json_object_get(json_array_get(list, i), "to");
		struct mapping_pair *pair = &rule->pairs[rule->pair_count++];
		bool from_is_number = false;
		if (!from || !to)
			return fail(reader, "transform.mapping", "\"from\" and \"to\" in each of the list");
		int r = read_scalar(reader, from, &pair->from_text, &from_is_number, &pair->from);
		if (r == 0)
			r = read_scalar(reader, to, &pair->to, &pair->to_is_number, &pair->to_number);
		if (r < 0)
			return r;
		if (from_is_number)
			pair->from_text = NULL;
	}
	return 0;
}

static int read_transform(struct reader *reader, const json_t *json, struct mapping_rule *rule)
{
	const json_t *transform = json_object_get(json, "transform");
	const json_t *math = json_object_get(transform, "math");
	const json_t *pairs = json_object_get(transform, "mapping");
	if (!transform)
		return 0;
	if (!math == !pairs)
		return fail(reader, "transform", "either \"math\" or \"mapping\"");
	if (pairs)
		return read_pairs(reader, pairs, rule);
	struct err why = {0};
	if (!json_is_string(math))
		return fail(reader, "transform.math", "a formula");
	int r = expression_parse(json_string_value(math), &rule->math, &why);
	if (r < 0 && r != -ENOMEM)
		return fail(reader, "transform.math", why.message[0] ? why.message : "a formula");
	return r;
}

static int read_unavailable(struct reader *reader, const json_t *json, struct mapping_rule *rule)
{
	const json_t *list = json_object_get(json, "unavailable");
	if (!list)
		return 0;
	if (!json_is_array(list))
		return fail(reader, "unavailable", "a list of raw values");
	rule->unavailable = arena_array(reader->mapping->arena, json_array_size(list) + 1, sizeof *rule->unavailable);
	if (!rule->unavailable)
		return no_memory(reader);
	for (size_t i = 0; i < json_array_size(list); i++) {
		if (!json_is_integer(json_array_get(list, i)))
			return fail(reader, "unavailable", "a list of raw values");
		rule->unavailable[rule->unavailable_count++] = json_integer_value(json_array_get(list, i));
	}
	return 0;
}

/* ---- signals ---- */

/* "Speed" in any message, or "Message.Speed" where several have it. */
static int find_signal(struct reader *reader, const char *name, struct mapping_rule *rule)
{
	const char *dot = strchr(name, '.');
	const char *signal_name = dot ? dot + 1 : name;
	size_t found = 0;
	for (size_t i = 0; i < reader->dbc->count; i++) {
		const struct dbc_message *message = &reader->dbc->messages[i];
		if (dot && (strlen(message->name) != (size_t)(dot - name) || strncmp(message->name, name,
			(size_t)(dot - name)) != 0))
			continue;
		const struct dbc_signal *signal = dbc_find_signal(message, signal_name);
		if (!signal)
			continue;
		found++;
		rule->message = message;
		rule->signal = signal;
	}
	if (found == 0)
		return err_set(reader->err, -EINVAL, "mapping.signal", "%s: %s: %s.signal: %s: expected a signal of the DBC file",
			       reader->source, reader->path, reader->key, name);
	if (found > 1)
		return err_set(reader->err, -EINVAL, "mapping.signal", "%s: %s: %s.signal: %s: expected MESSAGE.%s, "
			"as several have it",
			       reader->source, reader->path, reader->key, name, signal_name);
	return 0;
}

/* Additional multiplexors that the DBC file does not have as such. */
static int read_selectors(struct reader *reader, const json_t *json, struct mapping_rule *rule)
{
	const json_t *list = json_object_get(json, "multiplexer");
	if (!list)
		return 0;
	if (!json_is_array(list))
		return fail(reader, "multiplexer", "a list of signal and value");
	rule->selectors = arena_array(reader->mapping->arena, json_array_size(list) + 1, sizeof *rule->selectors);
	if (!rule->selectors)
		return no_memory(reader);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *name = json_string_value(json_object_get(json_array_get(list, i), "signal"));
		const json_t *value = json_object_get(json_array_get(list, i), "value");
		const struct dbc_signal *signal = name ? dbc_find_signal(rule->message, name) : NULL;
		if (!signal || !json_is_integer(value))
			return fail(reader, "multiplexer", "a signal of the same message, and a whole number");
		rule->selectors[rule->selector_count++] = (struct mapping_selector){signal, json_integer_value(value)};
	}
	return 0;
}

static int add_rule(struct reader *reader, const struct mapping_rule *rule, struct mapping_rule **list, size_t *count)
{
	if (*count >= RULES_MAX)
		return err_set(reader->err, -E2BIG, "mapping.limit", "%s: more than %d mappings", reader->source, RULES_MAX);
	if ((*count & (*count - 1)) == 0) {
		struct mapping_rule *grown = realloc(*list, (*count ? 2 * *count : 1) * sizeof *grown);
		if (!grown)
			return no_memory(reader);
		*list = grown;
	}
	(*list)[(*count)++] = *rule;
	return 0;
}

static int read_rule(struct reader *reader, const json_t *node, const char *key, bool from_can)
{
	struct mapping_rule rule = {.timeout_ms = -1, .interval_ms = -1};
	const json_t *json = json_object_get(node, key);
	reader->key = key;
	if (!json_is_object(json))
		return fail(reader, "", "an object");
	const char *signal = json_string_value(json_object_get(json, "signal"));
	const char *datatype = json_string_value(json_object_get(node, "datatype"));
	const char *type = json_string_value(json_object_get(node, "type"));
	const json_t *on_change = json_object_get(json, "on_change");
	if (str_empty(signal))
		return fail(reader, "signal", "the name of a signal of the DBC file");
	if (on_change && !json_is_boolean(on_change))
		return fail(reader, "on_change", "true or false");
	if (!from_can && type && !str_equal(type, "actuator"))
		return fail(reader, "", "an actuator, as only these have targets");
	rule.on_change = json_is_true(on_change);
	rule.path = arena_strdup(reader->mapping->arena, reader->path);
	rule.datatype = arena_strdup(reader->mapping->arena, datatype ? datatype : "");
	int r = rule.path && rule.datatype ? find_signal(reader, signal, &rule) : no_memory(reader);
	if (r == 0)
		r = read_integer(reader, json, "interval_ms", 0, &rule.interval_ms);
	if (r == 0)
		r = read_integer(reader, json, "timeout_ms", 0, &rule.timeout_ms);
	if (r == 0)
		r = read_selectors(reader, json, &rule);
	if (r == 0)
		r = read_unavailable(reader, json, &rule);
	if (r == 0)
		r = read_transform(reader, json, &rule);
	if (rule.interval_ms < 0)
		rule.interval_ms = rule.on_change ? 0 : DEFAULT_INTERVAL_MS;
	struct mapping *mapping = reader->mapping;
	if (r == 0)
		r = from_can ? add_rule(reader, &rule, &mapping->from_can, &mapping->from_count)
			     : add_rule(reader, &rule, &mapping->to_can, &mapping->to_count);
	if (r < 0)
		expression_free(rule.math);
	return r;
}

/* ---- the tree ---- */

static int read_nodes(struct reader *reader, const json_t *nodes, size_t length);

static int read_node(struct reader *reader, const char *name, const json_t *node, size_t length)
{
	static const char *const FROM_CAN[] = {"dbc2vss", "dbc"};
	size_t added = strlen(name) + (length > 0);
	int r = 0;
	if (length + added >= sizeof reader->path)
		return fail(reader, "", "a shorter path");
	(void)snprintf(reader->path + length, sizeof reader->path - length, "%s%s", length > 0 ? "." : "", name);
	reader->key = NULL;
	if (!json_is_object(node))
		return fail(reader, "", "an object");
	for (size_t i = 0; r == 0 && i < 2; i++) {
		if (json_object_get(node, FROM_CAN[i])) {
			r = read_rule(reader, node, FROM_CAN[i], true);
			break;
		}
	}
	if (r == 0 && json_object_get(node, "vss2dbc"))
		r = read_rule(reader, node, "vss2dbc", false);
	const json_t *children = json_object_get(node, "children");
	if (r == 0 && children)
		r = read_nodes(reader, children, length + added);
	reader->path[length] = '\0';
	return r;
}

static int read_nodes(struct reader *reader, const json_t *nodes, size_t length)
{
	const char *name = NULL;
	json_t *node = NULL;
	if (!json_is_object(nodes))
		return fail(reader, "children", "an object");
	json_object_foreach((json_t *)nodes, name, node)
	{
		if (length == 0 && str_equal(name, "ComplexDataTypes"))
			continue;
		int r = read_node(reader, name, node, length);
		if (r < 0)
			return r;
	}
	return 0;
}

static int compare_rules(const void *a, const void *b)
{
	const struct dbc_message *x = ((const struct mapping_rule *)a)->message;
	const struct dbc_message *y = ((const struct mapping_rule *)b)->message;
	return (x > y) - (x < y); /* they lie in one array */
}

int mapping_parse(const char *source, const char *text, size_t length, const struct dbc *dbc, struct mapping **ret_mapping,
		  struct err *err)
{
	if (length > MAPPING_BYTES_MAX)
		return err_set(err, -E2BIG, "mapping.limit", "%s: more than %u bytes", source, MAPPING_BYTES_MAX);
	scoped(mapping_free) struct mapping *mapping = calloc(1, sizeof *mapping);
	if (!mapping || !(mapping->arena = calloc(1, sizeof *mapping->arena)))
		return -ENOMEM;
	mapping->arena->max = ARENA_MAX;
	json_t *tree = NULL;
	struct reader reader = {.source = source, .dbc = dbc, .mapping = mapping, .err = err};
	int r = json_parse(source, text, length, &tree, err);
	if (r == 0)
		r = read_nodes(&reader, tree, 0);
	json_decref(tree);
	if (r < 0)
		return r;
	if (mapping->from_count > 0)
		qsort(mapping->from_can, mapping->from_count, sizeof *mapping->from_can, compare_rules);
	*ret_mapping = TAKE(mapping);
	return 0;
}

void mapping_free(struct mapping *mapping)
{
	if (!mapping)
		return;
	for (size_t i = 0; i < mapping->from_count; i++)
		expression_free(mapping->from_can[i].math);
	for (size_t i = 0; i < mapping->to_count; i++)
		expression_free(mapping->to_can[i].math);
	free(mapping->from_can);
	free(mapping->to_can);
	if (mapping->arena)
		arena_done(mapping->arena);
	free(mapping->arena);
	free(mapping);
}

/* ---- values ---- */

static bool is_whole_type(const char *datatype)
{
	return strncmp(datatype, "int", 3) == 0 || strncmp(datatype, "uint", 4) == 0;
}

/* A number as a value of the rule's type. A fraction in a whole type is cut, as KUKSA's provider does. */
static void format_number(const struct mapping_rule *rule, double number, char ret_text[static MAPPING_TEXT_MAX])
{
	if (str_equal(rule->datatype, "boolean"))
		(void)snprintf(ret_text, MAPPING_TEXT_MAX, "%s", number != 0 ? "true" : "false");
	else if (is_whole_type(rule->datatype) && fabs(number) < 9e18)
		(void)snprintf(ret_text, MAPPING_TEXT_MAX, "%lld", (long long)number);
	else
		(void)snprintf(ret_text, MAPPING_TEXT_MAX, "%.15g", number);
}

static int value_by_pairs(const struct mapping_rule *rule, double number, const char *name,
			  char ret_text[static MAPPING_TEXT_MAX])
{
	for (size_t i = 0; i < rule->pair_count; i++) {
		const struct mapping_pair *pair = &rule->pairs[i];
		bool same = pair->from_text ? str_equal(pair->from_text, name) : pair->from == number;
		if (!same)
			continue;
		(void)snprintf(ret_text, MAPPING_TEXT_MAX, "%s", pair->to);
		return 0;
	}
	return 2;
}

int mapping_value(const struct mapping_rule *rule, int64_t raw, bool j1939, char ret_text[static MAPPING_TEXT_MAX])
{
	for (size_t i = 0; i < rule->unavailable_count; i++)
		if (rule->unavailable[i] == raw)
			return 1;
	const char *name = dbc_value_text(rule->signal, raw);
	double number = dbc_physical(rule->signal, raw);
	/* A pair for the value's name is the author's word, even where the name reads like "error". */
	if (rule->pair_count > 0 && value_by_pairs(rule, number, name, ret_text) == 0)
		return 0;
	if (dbc_is_unavailable(rule->signal, raw, j1939))
		return 1;
	if (rule->pair_count > 0)
		return 2;
	if (rule->math) {
		struct expression_value result = {0};
		if (expression_evaluate(rule->math, &(struct expression_value){.number = number}, &result) < 0 || result.text)
			return 2;
		number = result.number;
	} else if (name && str_equal(rule->datatype, "string")) {
		(void)snprintf(ret_text, MAPPING_TEXT_MAX, "%s", name);
		return 0;
	}
	format_number(rule, number, ret_text);
	return 0;
}

bool mapping_selects(const struct mapping_rule *rule, const struct can_frame_data *frame)
{
	for (size_t i = 0; i < rule->selector_count; i++) {
		int64_t raw = 0;
		if (dbc_extract(rule->message, rule->selectors[i].signal, frame, &raw) != 0 || raw != rule->selectors[i].raw)
			return false;
	}
	return true;
}

/* A target's text as a number; names of the value table come first. */
static int number_of(const char *text, double *ret_number)
{
	char *end = NULL;
	if (str_equal(text, "true") || str_equal(text, "false")) {
		*ret_number = *text == 't';
		return 0;
	}
	*ret_number = strtod(text, &end);
	return end == text || *end || !isfinite(*ret_number) ? -EINVAL : 0;
}

int mapping_raw(const struct mapping_rule *rule, const char *text, int64_t *ret_raw)
{
	double number = 0;
	bool is_number = number_of(text, &number) == 0;
	for (size_t i = 0; i < rule->pair_count; i++) {
		const struct mapping_pair *pair = &rule->pairs[i];
		bool same = pair->from_text ? str_equal(pair->from_text, text) : is_number && pair->from == number;
		if (!same)
			continue;
		if (dbc_value_raw(rule->signal, pair->to, ret_raw))
			return 0;
		return pair->to_is_number ? dbc_raw(rule->signal, pair->to_number, ret_raw) : -EINVAL;
	}
	if (rule->pair_count > 0)
		return -EINVAL;
	if (!is_number)
		return dbc_value_raw(rule->signal, text, ret_raw) ? 0 : -EINVAL;
	if (rule->math) {
		struct expression_value result = {0};
		if (expression_evaluate(rule->math, &(struct expression_value){.number = number}, &result) < 0 || result.text)
			return -EINVAL;
		number = result.number;
	}
	return dbc_raw(rule->signal, number, ret_raw);
}
