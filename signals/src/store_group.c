/* Several signals in one write: all or nothing, seen together. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/codec/json_scan.h"
#include "signals/src/store_internal.h"

#define GROUP_MEMBERS_MAX 4096

struct member {
	signal_id id;
	size_t begin; /* of the canonical text in the texts */
	size_t end;
	double number;
	bool changed;
};

struct group {
	struct store *store;
	const struct subject *subject;
	uint32_t branch; /* node */
	struct member *members;
	size_t count;
	struct buf texts;
};

static uint32_t find_below(const struct store *store, uint32_t branch, const char *path)
{
	char whole[CATALOGUE_PATH_MAX];
	struct buf text = {.max = 2 * CATALOGUE_PATH_MAX};
	catalogue_path(store->catalogue, branch, whole);
	int r = *whole ? buf_printf(&text, "%s.%s", whole, path) : buf_add_text(&text, path);
	uint32_t node = r == 0 && text.data ? catalogue_find(store->catalogue, text.data) : NODE_NONE;
	buf_done(&text);
	return node;
}

static int check_actuator(struct group *group, signal_id id, struct err *err)
{
	int r = store_request_check(group->store, group->subject, id, err);
	struct provider *provider = group->store->slots[id].provider;
	if (r == 0 && provider->has_room && !provider->has_room(provider))
		return err_set(err, -EAGAIN, "signal.queue-full", "the provider's queue is full");
	return r;
}

/* Everything that could fail later is checked now. */
static int check_member(struct group *group, struct member *member, struct err *err)
{
	struct store *store = group->store;
	if (store_node(store, member->id)->kind == NODE_ACTUATOR)
		return check_actuator(group, member->id, err);
	int r = store_check_right(store, group->subject, member->id, RIGHT_PUBLISH, err);
	const struct provider *provider = store->slots[member->id].provider;
	if (r == 0 && provider && !provider->awaited)
		return err_set(err, -EBUSY, "signal.claimed", "%s provides it", provider->name);
	return r;
}

static int add_member(struct group *group, const char *path, const char *json, size_t length, struct err *err)
{
	struct store *store = group->store;
	uint32_t node = find_below(store, group->branch, path);
	if (node == NODE_NONE || !node_is_leaf(catalogue_node(store->catalogue, node)))
		return err_set(err, -ENOENT, "signal.unknown", "no such signal");
	if (group->count == GROUP_MEMBERS_MAX)
		return err_set(err, -EMSGSIZE, "group.size", "expected at most %d members", GROUP_MEMBERS_MAX);
	struct member *member = &group->members[group->count];
	*member = (struct member){.id = store->ids[node], .begin = group->texts.size};
	for (size_t i = 0; i < group->count; i++)
		if (group->members[i].id == member->id)
			return err_set(err, -EINVAL, "group.twice", "it is given twice");
	int r = check_member(group, member, err);
	if (r == 0)
		r = value_parse_json(store_rule(store, member->id), json, length, &group->texts, &member->number, err);
	member->end = group->texts.size;
	group->count += r == 0;
	return r;
}

static int read_members(struct group *group, const char *json, size_t length, struct err *err)
{
	struct json_scan scan;
	struct json_token token;
	json_scan_init(&scan, "group", json, length);
	int r = json_scan_next(&scan, &token, err);
	if (r == 0 && token.type != JSON_TOKEN_OBJECT)
		r = err_set(err, -EINVAL, "group.object", "expected an object of paths and values");
	while (r == 0 && (r = json_scan_next(&scan, &token, err)) == 0 && token.type == JSON_TOKEN_KEY) {
		size_t begin = 0, end = 0;
		scoped_free char *path = strndup(token.text, token.length);
		r = path ? json_scan_skip(&scan, &begin, &end, err) : -ENOMEM;
		if (r < 0)
			break;
		r = add_member(group, path, json + begin, end - begin, err);
		if (r < 0)
			(void)err_add(err, r, "%.200s", path);
	}
	if (r == 0)
		r = json_scan_next(&scan, &token, err); /* nothing may follow */
	json_scan_done(&scan);
	return r;
}

/* Requests first: each queue had room, and nobody else has run since. */
static int deliver_requests(struct group *group, struct err *err)
{
	for (size_t i = 0; i < group->count; i++) {
		struct member *member = &group->members[i];
		uint64_t request = 0;
		if (store_node(group->store, member->id)->kind != NODE_ACTUATOR)
			continue;
		int r = store_request_deliver(group->store, group->subject, member->id, group->texts.data + member->begin,
					      member->end - member->begin, NULL, &request, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int apply_values(struct group *group)
{
	for (size_t i = 0; i < group->count; i++) {
		struct member *member = &group->members[i];
		struct change change = {.text = group->texts.data + member->begin, .length = member->end - member->begin,
					.number = member->number, .quality = QUALITY_GOOD,
					.publisher = group->subject->name};
		if (store_node(group->store, member->id)->kind == NODE_ACTUATOR)
			continue;
		int r = store_apply(group->store, member->id, &change, &member->changed);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < group->count; i++)
		if (store_node(group->store, group->members[i].id)->kind != NODE_ACTUATOR)
			store_notify(group->store, group->members[i].id, group->members[i].changed);
	return 0;
}

int store_set_group(struct store *store, const struct subject *subject, signal_id branch, const char *json,
		    size_t length, struct err *err)
{
	uint32_t node = store_node_index(store, branch);
	if (node == NODE_NONE)
		return err_set(err, -ENOENT, "signal.unknown", "no such branch");
	struct group group = {.store = store, .subject = subject, .branch = node, .texts = {.max = 64 * VALUE_TEXT_MAX}};
	group.members = calloc(GROUP_MEMBERS_MAX, sizeof *group.members);
	int r = group.members ? read_members(&group, json, length, err) : -ENOMEM;
	store->stats.refused += r < 0;
	if (r == 0)
		r = deliver_requests(&group, err);
	if (r == 0)
		r = apply_values(&group);
	free(group.members);
	buf_done(&group.texts);
	return r;
}
