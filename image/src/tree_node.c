/* The structure of a tree: slots by parent and name in one hash table, children in the order in which they came. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "image/src/tree_internal.h"

#define BUCKETS_FIRST 1024
#define NAME_LENGTH_MAX 255

static uint64_t hash_of(const struct node *parent, const char *name, size_t length)
{
	uint64_t hash = (uint64_t)(uintptr_t)parent * 0x9e3779b97f4a7c15u;
	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)name[i]) * 0x100000001b3u; /* FNV-1a */
	return hash ^ hash >> 29;
}

struct node *tree_find(const struct tree *tree, const struct node *parent, const char *name, size_t length)
{
	uint64_t hash = hash_of(parent, name, length);
	for (struct node *node = tree->buckets[hash & (tree->buckets_count - 1)]; node; node = node->hash_next)
		if (node->hash == hash && node->parent == parent && strncmp(node->name, name, length) == 0 &&
		    node->name[length] == '\0')
			return node;
	return NULL;
}

static int grow(struct tree *tree)
{
	size_t count = tree->buckets_count ? tree->buckets_count * 2 : BUCKETS_FIRST;
	struct node **buckets = calloc(count, sizeof(struct node *));
	if (!buckets)
		return -ENOMEM;
	for (size_t i = 0; i < tree->buckets_count; i++) {
		while (tree->buckets[i]) {
			struct node *node = tree->buckets[i];
			tree->buckets[i] = node->hash_next;
			node->hash_next = buckets[node->hash & (count - 1)];
			buckets[node->hash & (count - 1)] = node;
		}
	}
	free(tree->buckets);
	tree->buckets = buckets;
	tree->buckets_count = count;
	return 0;
}

static void append_child(struct node *parent, struct node *node)
{
	node->previous = parent->last_child;
	*(parent->last_child ? &parent->last_child->next : &parent->first_child) = node;
	parent->last_child = node;
}

static int check_size(const struct tree *tree, const struct node *parent, const char *name, size_t length,
		      size_t path_length, struct err *err)
{
	if (length > NAME_LENGTH_MAX)
		return err_set(err, -EFBIG, "image.too-large", "name \"%.32s...\" has %zu bytes, at most %d are taken",
			       name, length, NAME_LENGTH_MAX);
	if (parent && path_length > TREE_PATH_MAX)
		return err_set(err, -EFBIG, "image.too-large", "path ending in \"%.*s\" has more than %d bytes",
			       (int)length, name, TREE_PATH_MAX);
	if (tree->nodes_made >= TREE_NODES_MAX)
		return err_set(err, -EFBIG, "image.too-large", "more than %u files and directories", TREE_NODES_MAX);
	return 0;
}

int tree_make_node(struct tree *tree, struct node *parent, const char *name, size_t length, struct node **ret_node,
		   struct err *err)
{
	size_t path_length = (parent && parent->path_length ? parent->path_length + 1 : 0) + length;
	int r = check_size(tree, parent, name, length, path_length, err);
	if (r < 0)
		return r;
	if (tree->nodes_count >= tree->buckets_count && grow(tree) < 0)
		return err_memory(err, "file tree");
	struct node *node = arena_alloc(&tree->arena, sizeof *node);
	char *copy = arena_strndup(&tree->arena, name, length);
	if (!node || !copy)
		return err_set(err, -EFBIG, "image.too-large", "the file tree needs more than %zu MiB of memory",
			       TREE_MEMORY_MAX >> 20);
	*node = (struct node){.parent = parent,
			      .name = copy,
			      .hash = hash_of(parent, name, length),
			      .path_length = path_length,
			      .born = NO_LAYER,
			      .own = NO_LAYER,
			      .touched = NO_LAYER,
			      .hides = NO_LAYER,
			      .opaque = NO_LAYER};
	struct node **bucket = &tree->buckets[node->hash & (tree->buckets_count - 1)];
	node->hash_next = *bucket;
	*bucket = node;
	if (parent)
		append_child(parent, node);
	tree->nodes_count++;
	tree->nodes_made++;
	*ret_node = node;
	return 0;
}

static void unhash(struct tree *tree, struct node *node)
{
	struct node **at = &tree->buckets[node->hash & (tree->buckets_count - 1)];
	while (*at != node)
		at = &(*at)->hash_next;
	*at = node->hash_next;
	tree->nodes_count--;
}

void tree_drop_children(struct tree *tree, struct node *top)
{
	for (struct node *node = tree_next(top, top, false); node; node = tree_next(top, node, false))
		unhash(tree, node);
	top->first_child = NULL;
	top->last_child = NULL;
}

void tree_drop(struct tree *tree, struct node *node)
{
	tree_drop_children(tree, node);
	unhash(tree, node);
	*(node->previous ? &node->previous->next : &node->parent->first_child) = node->next;
	*(node->next ? &node->next->previous : &node->parent->last_child) = node->previous;
}

struct node *tree_next(const struct node *top, struct node *node, bool skip)
{
	if (!skip && node->first_child)
		return node->first_child;
	while (node != top && !node->next)
		node = node->parent;
	return node == top ? NULL : node->next;
}

void tree_path(const struct node *node, char path[static TREE_PATH_MAX + 1])
{
	if (!node->parent) {
		memcpy(path, ".", 2);
		return;
	}
	char *end = path + node->path_length;
	*end = '\0';
	for (; node->parent; node = node->parent) {
		size_t length = strlen(node->name);
		end -= length;
		memcpy(end, node->name, length);
		if (node->parent->parent)
			*--end = '/';
	}
}
