#include "signals/src/catalogue.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "signals/src/catalogue_internal.h"

#define ARENA_MAX (256U << 20)
#define FIRST_NODES 64

static uint32_t hash_name(uint32_t parent, const char *name, size_t length)
{
	uint32_t hash = 2166136261U ^ parent * 2654435761U; /* FNV-1a */
	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)name[i]) * 16777619U;
	return hash;
}

static void index_insert(struct catalogue *catalogue, uint32_t node)
{
	const struct node *n = &catalogue->nodes[node];
	uint32_t mask = catalogue->index_size - 1;
	uint32_t at = hash_name(n->parent, n->name, strlen(n->name)) & mask;
	while (catalogue->index[at] != NODE_NONE)
		at = (at + 1) & mask;
	catalogue->index[at] = node;
}

int catalogue_index_rebuild(struct catalogue *catalogue, uint32_t size)
{
	uint32_t *index = malloc(size * sizeof *index);
	if (!index)
		return -ENOMEM;
	memset(index, 0xff, size * sizeof *index);
	free(catalogue->index);
	catalogue->index = index;
	catalogue->index_size = size;
	for (uint32_t i = 1; i < catalogue->count; i++)
		index_insert(catalogue, i);
	return 0;
}

static int grow(struct catalogue *catalogue)
{
	uint32_t capacity = catalogue->capacity ? catalogue->capacity * 2 : FIRST_NODES;
	struct node *nodes = realloc(catalogue->nodes, capacity * sizeof *nodes);
	if (!nodes)
		return -ENOMEM;
	catalogue->nodes = nodes;
	struct drafted *drafted = realloc(catalogue->drafted, capacity * sizeof *drafted);
	if (!drafted)
		return -ENOMEM;
	catalogue->drafted = drafted;
	catalogue->capacity = capacity;
	return catalogue_index_rebuild(catalogue, capacity * 2);
}

int catalogue_add_node(struct catalogue *catalogue, uint32_t parent, const char *name, uint32_t *ret_node)
{
	if (catalogue->count == CATALOGUE_NODES_MAX)
		return -E2BIG;
	if (catalogue->count == catalogue->capacity) {
		int r = grow(catalogue);
		if (r < 0)
			return r;
	}
	char *copy = arena_strdup(&catalogue->arena, name);
	if (!copy)
		return -ENOMEM;
	uint32_t index = catalogue->count++;
	catalogue->nodes[index] =
		(struct node){.name = copy, .parent = parent, .first_child = NODE_NONE, .next = NODE_NONE};
	catalogue->drafted[index] = (struct drafted){.last_child = NODE_NONE};
	if (parent != NODE_NONE) {
		index_insert(catalogue, index);
		uint32_t last = catalogue->drafted[parent].last_child;
		if (last == NODE_NONE)
			catalogue->nodes[parent].first_child = index;
		else
			catalogue->nodes[last].next = index;
		catalogue->drafted[parent].last_child = index;
	}
	*ret_node = index;
	return 0;
}

int catalogue_load(const struct catalogue_source *sources, size_t count, struct catalogue **ret_catalogue,
		   struct err *err)
{
	if (count == 0 || count > CATALOGUE_LAYERS_MAX)
		return err_set(err, -E2BIG, "catalogue.layers", "expected 1 to %d catalogue files, found %zu",
			       CATALOGUE_LAYERS_MAX, count);
	scoped(catalogue_free) struct catalogue *catalogue = calloc(1, sizeof *catalogue);
	if (!catalogue)
		return -ENOMEM;
	catalogue->arena.max = ARENA_MAX;
	catalogue->types = NODE_NONE;
	catalogue->sources = sources;
	uint32_t root = 0;
	int r = catalogue_add_node(catalogue, NODE_NONE, "", &root);
	if (r == 0)
		catalogue->nodes[NODE_ROOT].kind = NODE_BRANCH;
	for (size_t i = 0; r == 0 && i < count; i++)
		r = catalogue_read_layer(catalogue, (uint16_t)i, err);
	if (r == 0)
		r = catalogue_check(catalogue, err);
	if (r < 0)
		return r;
	free(catalogue->drafted);
	catalogue->drafted = NULL;
	catalogue->sources = NULL;
	*ret_catalogue = TAKE(catalogue);
	return 0;
}

void catalogue_free(struct catalogue *catalogue)
{
	if (!catalogue)
		return;
	for (size_t i = 0; i < catalogue->pattern_count; i++) {
		regfree(catalogue->patterns[i]);
		free(catalogue->patterns[i]);
	}
	free(catalogue->patterns);
	free(catalogue->nodes);
	free(catalogue->drafted);
	free(catalogue->index);
	arena_done(&catalogue->arena);
	free(catalogue);
}

uint32_t catalogue_node_count(const struct catalogue *catalogue)
{
	return catalogue->count;
}

const struct node *catalogue_node(const struct catalogue *catalogue, uint32_t index)
{
	assert(index < catalogue->count);
	return &catalogue->nodes[index];
}

uint32_t catalogue_child(const struct catalogue *catalogue, uint32_t parent, const char *name, size_t length)
{
	uint32_t mask = catalogue->index_size - 1;
	for (uint32_t at = hash_name(parent, name, length) & mask; catalogue->index[at] != NODE_NONE;
	     at = (at + 1) & mask) {
		const struct node *node = &catalogue->nodes[catalogue->index[at]];
		if (node->parent == parent && strncmp(node->name, name, length) == 0 && !node->name[length])
			return catalogue->index[at];
	}
	return NODE_NONE;
}

static uint32_t find_below(const struct catalogue *catalogue, uint32_t top, const char *path)
{
	uint32_t node = top;
	while (*path && node != NODE_NONE) {
		size_t n = strcspn(path, "./");
		node = catalogue_child(catalogue, node, path, n);
		path += n;
		if (*path && !path[1])
			return NODE_NONE; /* ends in a dot */
		path += *path != '\0';
	}
	return node;
}

uint32_t catalogue_find(const struct catalogue *catalogue, const char *path)
{
	return *path ? find_below(catalogue, NODE_ROOT, path) : NODE_NONE;
}

uint32_t catalogue_next(const struct catalogue *catalogue, uint32_t top, uint32_t index)
{
	if (catalogue->nodes[index].first_child != NODE_NONE)
		return catalogue->nodes[index].first_child;
	while (index != top) {
		if (catalogue->nodes[index].next != NODE_NONE)
			return catalogue->nodes[index].next;
		index = catalogue->nodes[index].parent;
	}
	return NODE_NONE;
}

size_t catalogue_leaf_count(const struct catalogue *catalogue)
{
	size_t count = 0;
	for (uint32_t i = NODE_ROOT; i != NODE_NONE; i = catalogue_next(catalogue, NODE_ROOT, i))
		count += node_is_leaf(&catalogue->nodes[i]);
	return count;
}

size_t catalogue_path(const struct catalogue *catalogue, uint32_t index, char ret_path[static CATALOGUE_PATH_MAX])
{
	char buffer[CATALOGUE_PATH_MAX];
	size_t at = sizeof buffer - 1;
	buffer[at] = '\0';
	while (index != NODE_NONE && catalogue->nodes[index].name[0]) {
		const char *name = catalogue->nodes[index].name;
		size_t n = strlen(name);
		if (n + 1 > at)
			break; /* cannot be: the depth and the names are limited */
		at -= n;
		memcpy(buffer + at, name, n);
		buffer[--at] = '.';
		index = catalogue->nodes[index].parent;
	}
	const char *path = buffer + at + (buffer[at] == '.');
	size_t length = strlen(path);
	memcpy(ret_path, path, length + 1);
	return length;
}

const char *node_kind_name(uint8_t kind)
{
	static const char *const NAMES[] = {
		[NODE_UNKNOWN] = "unknown",	[NODE_BRANCH] = "branch",	[NODE_SENSOR] = "sensor",
		[NODE_ACTUATOR] = "actuator",	[NODE_ATTRIBUTE] = "attribute", [NODE_STRUCT] = "struct",
		[NODE_PROPERTY] = "property",
	};
	return NAMES[kind];
}

int catalogue_fail(const struct catalogue *catalogue, struct place place, uint32_t node, const char *key,
		   struct err *err, const char *format, ...)
{
	char path[CATALOGUE_PATH_MAX];
	char expected[200];
	catalogue_path(catalogue, node, path);
	va_list args;
	va_start(args, format);
	(void)vsnprintf(expected, sizeof expected, format, args);
	va_end(args);
	return err_set(err, -EINVAL, "catalogue.invalid", "%s: line %u: %.200s%s%s: %s",
		       catalogue->sources[place.source].name, place.line, path, key ? "." : "", key ? key : "", expected);
}
