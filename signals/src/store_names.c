/* Ids: which entry of the table a node of the catalogue has. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "signals/src/pattern.h"
#include "signals/src/store_internal.h"

/* (parent, name) of all entries, while a catalogue is put in force. */
struct name_index {
	uint32_t *slots;
	uint32_t mask;
};

static uint32_t hash(uint32_t parent, const char *name)
{
	uint32_t h = 2166136261U ^ parent * 2654435761U;
	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 16777619U;
	return h;
}

static void index_add(const struct table *table, struct name_index *index, uint32_t entry)
{
	uint32_t at = hash(table->entries[entry].parent, table_entry_name(table, entry)) & index->mask;
	while (index->slots[at] != SIGNAL_NONE)
		at = (at + 1) & index->mask;
	index->slots[at] = entry;
}

static uint32_t index_find(const struct table *table, const struct name_index *index, uint32_t parent, const char *name)
{
	for (uint32_t at = hash(parent, name) & index->mask; index->slots[at] != SIGNAL_NONE; at = (at + 1) & index->mask) {
		uint32_t entry = index->slots[at];
		if (table->entries[entry].parent == parent && strcmp(table_entry_name(table, entry), name) == 0)
			return entry;
	}
	return SIGNAL_NONE;
}

static int index_build(const struct table *table, uint32_t more, struct name_index *ret_index)
{
	uint32_t size = 64;
	while (size < 2 * (table->header->entry_count + more))
		size *= 2;
	ret_index->slots = malloc(size * sizeof *ret_index->slots);
	if (!ret_index->slots)
		return -ENOMEM;
	memset(ret_index->slots, 0xff, size * sizeof *ret_index->slots);
	ret_index->mask = size - 1;
	for (uint32_t i = 0; i < table->header->entry_count; i++)
		index_add(table, ret_index, i);
	return 0;
}

/* An id for each node, in preorder: a parent has its before its children. */
static int find_ids(struct store *store, const struct catalogue *catalogue, struct name_index *index, uint32_t *ids)
{
	for (uint32_t node = NODE_ROOT; node != NODE_NONE; node = catalogue_next(catalogue, NODE_ROOT, node)) {
		const struct node *n = catalogue_node(catalogue, node);
		uint32_t parent = node == NODE_ROOT ? SIGNAL_NONE : ids[n->parent];
		uint32_t entry = index_find(store->table, index, parent, n->name);
		if (entry == SIGNAL_NONE) {
			int r = table_add_entry(store->table, parent, n->name, &entry);
			if (r < 0)
				return r;
			index_add(store->table, index, entry);
		}
		ids[node] = entry;
	}
	return 0;
}

static int grow_slots(struct store *store)
{
	uint32_t count = store->table->header->entry_count;
	struct slot *slots = realloc(store->slots, (count + 1) * sizeof *slots);
	if (!slots)
		return -ENOMEM;
	/* the first watcher of each list points back to where its list begins */
	for (uint32_t i = 0; i < store->slot_count; i++)
		if (slots[i].watchers)
			slots[i].watchers->link = &slots[i].watchers;
	for (uint32_t i = store->slot_count; i < count; i++)
		slots[i] = (struct slot){.node = NODE_NONE};
	store->slots = slots;
	store->slot_count = count;
	return 0;
}

int store_follow_names(struct store *store, struct catalogue *catalogue, struct err *err)
{
	struct name_index index = {0};
	uint32_t count = catalogue_node_count(catalogue);
	scoped_free uint32_t *ids = malloc(count * sizeof *ids);
	int r = ids ? index_build(store->table, count, &index) : -ENOMEM;
	if (r == 0)
		r = find_ids(store, catalogue, &index, ids);
	free(index.slots);
	if (r == -E2BIG)
		return err_set(err, r, "store.full", "expected at most %d names over all catalogues since the start",
			       TABLE_ENTRIES_MAX);
	if (r == 0)
		r = grow_slots(store);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < store->slot_count; i++)
		store->slots[i].node = NODE_NONE;
	for (uint32_t node = NODE_ROOT; node != NODE_NONE; node = catalogue_next(catalogue, NODE_ROOT, node))
		store->slots[ids[node]].node = node;
	free(store->ids);
	store->ids = TAKE(ids);
	return 0;
}

const struct catalogue *store_catalogue(const struct store *store)
{
	return store->catalogue;
}

signal_id store_id(const struct store *store, uint32_t node)
{
	return node == NODE_NONE ? SIGNAL_NONE : store->ids[node];
}

signal_id store_find(const struct store *store, const char *path)
{
	return store_id(store, catalogue_find(store->catalogue, path));
}

uint32_t store_node_index(const struct store *store, signal_id id)
{
	return id < store->slot_count ? store->slots[id].node : NODE_NONE;
}

uint32_t store_id_count(const struct store *store)
{
	return store->slot_count;
}

const struct node *store_node(const struct store *store, signal_id id)
{
	uint32_t node = store_node_index(store, id);
	return node == NODE_NONE ? NULL : catalogue_node(store->catalogue, node);
}

/* From the table: an id that has left the catalogue still has a name. */
size_t store_path(const struct store *store, signal_id id, char ret_path[static CATALOGUE_PATH_MAX])
{
	char buffer[CATALOGUE_PATH_MAX];
	size_t at = sizeof buffer;
	while (id < store->slot_count && store->table->entries[id].name_size) {
		size_t n = store->table->entries[id].name_size;
		if (n + 1 > at)
			break; /* cannot be: names and depth are limited */
		at -= n;
		memcpy(buffer + at, table_entry_name(store->table, id), n);
		buffer[--at] = '.';
		id = store->table->entries[id].parent;
	}
	size_t length = at < sizeof buffer ? sizeof buffer - at - 1 : 0;
	memcpy(ret_path, buffer + sizeof buffer - length, length);
	ret_path[length] = '\0';
	return length;
}

int store_match(struct store *store, const struct subject *subject, const char *pattern,
		int (*visit)(void *user, signal_id id), void *user)
{
	if (!pattern_is_good(pattern))
		return -EINVAL;
	uint32_t top = NODE_ROOT;
	if (pattern_is_path(pattern)) {
		top = catalogue_find(store->catalogue, pattern);
		if (top == NODE_NONE)
			return -ENOENT;
	}
	bool found = false;
	for (uint32_t node = top; node != NODE_NONE; node = catalogue_next(store->catalogue, top, node)) {
		char path[CATALOGUE_PATH_MAX];
		if (!node_is_leaf(catalogue_node(store->catalogue, node)))
			continue;
		catalogue_path(store->catalogue, node, path);
		signal_id id = store->ids[node];
		if (!pattern_matches(pattern, path) || store_may(store, subject, id, RIGHT_READ) == -ENOENT)
			continue;
		int denied = store_may(store, subject, id, RIGHT_READ);
		if (denied < 0 && pattern_is_path(pattern) && node == top)
			return denied;
		if (denied < 0)
			continue;
		found = true;
		int r = visit(user, id);
		if (r != 0)
			return r;
	}
	return found ? 0 : -ENOENT;
}
