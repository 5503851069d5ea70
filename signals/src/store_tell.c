/* What the store says of its signals, as JSON. docs/formats/signal-state.md */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/codec/json.h"
#include "signals/src/store_internal.h"

#define NS_PER_SECOND 1000000000

static const struct {
	const char *quality; /* "good", "unavailable", "forced" */
	const char *reason;  /* NULL: none */
} QUALITIES[] = {
	[QUALITY_NEVER] = {"unavailable", "never-set"},
	[QUALITY_WITHDRAWN] = {"unavailable", "withdrawn"},
	[QUALITY_PROVIDER] = {"unavailable", "provider-gone"},
	[QUALITY_TIMEOUT] = {"unavailable", "timeout"},
	[QUALITY_REMOVED] = {"unavailable", "removed"},
	[QUALITY_GOOD] = {"good", NULL},
	[QUALITY_DEFAULT] = {"good", "default"},
	[QUALITY_FORCED] = {"forced", NULL},
};

/* ,"name":"text"; nothing for NULL */
static int add_text(struct buf *json, const char *name, const char *text)
{
	if (!text || !*text)
		return 0;
	int r = buf_printf(json, ",\"%s\":", name);
	return r < 0 ? r : json_add_string(json, text);
}

/* ,"name":1763822200.123456789 (seconds since the epoch); nothing for 0 */
static int add_time(struct buf *json, const char *name, int64_t ns)
{
	if (ns <= 0)
		return 0;
	return buf_printf(json, ",\"%s\":%lld.%09lld", name, (long long)(ns / NS_PER_SECOND),
			  (long long)(ns % NS_PER_SECOND));
}

static int add_path(const struct store *store, signal_id id, struct buf *json)
{
	char path[CATALOGUE_PATH_MAX];
	store_path(store, id, path);
	return buf_printf(json, "{\"path\":\"%s\"", path); /* names hold letters, digits, "_", "-" */
}

static int add_limits(const struct value_rule *rule, struct buf *json)
{
	char text[NUMBER_TEXT_MAX];
	struct datatype element = datatype_element(&rule->type);
	int r = 0;
	if (rule->has_min) {
		number_format(&element, rule->min, text);
		r = buf_printf(json, ",\"min\":%s", text);
	}
	if (r == 0 && rule->has_max) {
		number_format(&element, rule->max, text);
		r = buf_printf(json, ",\"max\":%s", text);
	}
	for (size_t i = 0; r == 0 && rule->allowed && rule->allowed[i]; i++) {
		r = buf_add_text(json, i ? "," : ",\"allowed\":[");
		if (r == 0)
			r = value_add_json(&element, rule->allowed[i], strlen(rule->allowed[i]), json);
		if (r == 0 && !rule->allowed[i + 1])
			r = buf_add_char(json, ']');
	}
	return r;
}

static int add_leaf(const struct leaf *leaf, struct buf *json)
{
	int r = add_text(json, "datatype", leaf->datatype);
	if (r == 0)
		r = add_limits(&leaf->rule, json);
	if (r < 0 || !leaf->default_text)
		return r;
	r = buf_add_text(json, ",\"default\":");
	return r < 0 ? r : value_add_json(&leaf->rule.type, leaf->default_text, strlen(leaf->default_text), json);
}

int store_add_meta(const struct store *store, signal_id id, struct buf *ret_json)
{
	const struct node *node = store_node(store, id);
	if (!node)
		return -ENOENT;
	int r = add_path(store, id, ret_json);
	if (r == 0)
		r = add_text(ret_json, "type", node_kind_name(node->kind));
	if (r == 0 && node->leaf)
		r = add_leaf(node->leaf, ret_json);
	if (r == 0)
		r = add_text(ret_json, "unit", node->unit);
	if (r == 0)
		r = add_text(ret_json, "description", node->description);
	if (r == 0)
		r = add_text(ret_json, "comment", node->comment);
	if (r == 0)
		r = add_text(ret_json, "deprecation", node->deprecation);
	return r < 0 ? r : buf_add_char(ret_json, '}');
}

static int add_value(const struct store *store, signal_id id, const struct reading *reading, struct buf *json)
{
	const struct node *node = store_node(store, id);
	if (!reading->text || !node || !node->leaf)
		return buf_add_text(json, "null");
	return value_add_json(&node->leaf->rule.type, reading->text, reading->length, json);
}

static int add_target(const struct store *store, signal_id id, struct buf *json)
{
	const struct table_target *target = &store->table->targets[id];
	const struct node *node = store_node(store, id);
	if (!(store->table->entries[id].touched & TOUCHED_TARGET) || !target->id || !node || !node->leaf)
		return 0;
	static const char *const FAILED = "failed";
	const char *outcome = target->result == 1	      ? "open"
			      : target->result == 0	      ? "ok"
			      : target->result == -ETIMEDOUT  ? "timeout"
			      : target->result == -EOWNERDEAD ? "provider-gone"
			      : target->result == -EAGAIN     ? "queue-full"
							      : FAILED;
	int r = buf_printf(json, ",\"target\":{\"id\":%llu,\"value\":", (unsigned long long)target->id);
	if (r == 0)
		r = value_add_json(&node->leaf->rule.type, table_text_bytes(store->table, &target->text),
				   target->text.size, json);
	if (r == 0)
		r = add_text(json, "outcome", outcome);
	if (r == 0)
		r = add_text(json, "error", target->error);
	if (r == 0)
		r = add_text(json, "requester", target->requester);
	if (r == 0)
		r = add_time(json, "time", target->asked_ns);
	if (r == 0)
		r = add_time(json, "deadline", target->deadline_ns);
	return r < 0 ? r : buf_add_char(json, '}');
}

static const char *provider_name(const struct store *store, signal_id id)
{
	const struct provider *provider = store->slots[id].provider;
	return provider ? provider->name : NULL;
}

static int add_origin(const struct store *store, signal_id id, const struct reading *reading, struct buf *json)
{
	bool forced = reading->quality == QUALITY_FORCED;
	bool touched = store->table->entries[id].touched & TOUCHED_CELL;
	int r = add_time(json, "source_time", reading->source_ns);
	if (r == 0)
		r = add_time(json, "receive_time", reading->receive_ns);
	if (r == 0 && forced)
		r = add_text(json, "publisher", store->table->forces[id].actor);
	else if (r == 0 && touched)
		r = add_text(json, "publisher", store_cell(store, id)->publisher);
	return r < 0 ? r : add_text(json, "provider", provider_name(store, id));
}

int store_add_state(const struct store *store, const struct view *view, signal_id id, struct buf *ret_json)
{
	struct reading reading;
	store_read(store, view, id, &reading);
	int r = add_path(store, id, ret_json);
	if (r == 0)
		r = buf_add_text(ret_json, ",\"value\":");
	if (r == 0)
		r = add_value(store, id, &reading, ret_json);
	if (r == 0)
		r = buf_printf(ret_json, ",\"sequence\":%llu", (unsigned long long)reading.sequence);
	if (r == 0)
		r = add_text(ret_json, "quality", QUALITIES[reading.quality].quality);
	if (r == 0)
		r = add_text(ret_json, "reason", QUALITIES[reading.quality].reason);
	if (r == 0)
		r = add_origin(store, id, &reading, ret_json);
	if (r == 0)
		r = add_target(store, id, ret_json);
	if (r == 0)
		r = buf_printf(ret_json, ",\"lost\":%llu", (unsigned long long)store->slots[id].lost);
	return r < 0 ? r : buf_add_char(ret_json, '}');
}

int store_add_branch(const struct store *store, const struct subject *subject, signal_id branch, struct buf *ret_json)
{
	uint32_t top = store_node_index(store, branch);
	if (top == NODE_NONE)
		return -ENOENT;
	char path[CATALOGUE_PATH_MAX];
	size_t prefix = catalogue_path(store->catalogue, top, path);
	prefix += prefix > 0;
	bool first = true;
	int r = buf_add_char(ret_json, '{');
	for (uint32_t node = top; r == 0 && node != NODE_NONE; node = catalogue_next(store->catalogue, top, node)) {
		signal_id id = store->ids[node];
		struct reading reading;
		if (!node_is_leaf(catalogue_node(store->catalogue, node)) || store_may(store, subject, id, RIGHT_READ) < 0)
			continue;
		catalogue_path(store->catalogue, node, path);
		store_read(store, subject->view, id, &reading);
		r = buf_printf(ret_json, "%s\"%s\":", first ? "" : ",", path + prefix);
		if (r == 0)
			r = add_value(store, id, &reading, ret_json);
		first = false;
	}
	return r < 0 ? r : buf_add_char(ret_json, '}');
}

int store_add_who(const struct store *store, signal_id id, struct buf *ret_json)
{
	unsigned long watchers = 0;
	for (const struct watcher *watcher = store->slots[id].watchers; watcher; watcher = watcher->next)
		watchers++;
	int r = add_path(store, id, ret_json);
	if (r == 0)
		r = add_text(ret_json, "provider", provider_name(store, id));
	return r < 0 ? r : buf_printf(ret_json, ",\"watchers\":%lu}", watchers);
}
