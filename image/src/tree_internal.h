/* Nodes and inodes of struct tree: shared by tree.c (meaning), tree_node.c (structure) and tree_emit.c. */
#pragma once

#include "core/base/arena.h"
#include "image/src/tree.h"

#define NO_LAYER (-1)

/* What a name leads to. Shared by hard links; belongs to the layer that made it. */
struct inode {
	struct tree_record record; /* path is not used; target, xattrs are in the arena */
	int layer;
	const struct inode *copied_from; /* the lower inode whose bytes it has */
	const struct node *held;	 /* the name under which its layer's directory holds it; once emitted */
	const struct node *first;	 /* the name under which the last pass emitted it first */
	int emitted;			 /* number of that pass: its other names are links */
};

/* A name in a directory: a slot that outlives what it leads to. */
struct node {
	struct node *parent;
	struct node *hash_next;
	struct node *first_child;
	struct node *last_child;
	struct node *previous;
	struct node *next;
	const char *name;
	uint64_t hash;
	size_t path_length;
	struct inode *inode; /* NULL: nothing is here (any more) */
	struct inode *ghost; /* what a whiteout of this layer removed: links to it may still come */
	int born;	     /* layer that brought what is here; a directory merged with a lower one keeps the lower number */
	int own;	     /* layer whose archive has an entry for it, or made it on the way */
	int touched;	     /* layer that has it or something below it */
	int hides;	     /* layer in which it took the place of something of a lower one */
	int opaque;	     /* layer in which it hides the lower directory */
	uint64_t sequence;   /* of the entry that placed it */
};

/* A hard link whose target had not come yet. */
struct pending_link {
	struct pending_link *next;
	struct tar_entry entry;
	uint64_t sequence;
};

struct tree {
	struct arena arena;
	struct node *root;
	struct node **buckets;
	size_t buckets_count; /* a power of two */
	size_t nodes_count;   /* in the table */
	size_t nodes_made;    /* ever */
	int layer;
	int root_cleared; /* layer that has hidden all that lower ones have in the root */
	int pass;
	uint64_t sequence;
	struct pending_link *pending;
	struct pending_link **pending_end;
};

struct node *tree_find(const struct tree *tree, const struct node *parent, const char *name, size_t length);

/* Errors: -EFBIG, -ENOMEM. */
int tree_make_node(struct tree *tree, struct node *parent, const char *name, size_t length, struct node **ret_node,
		   struct err *err);

/* Takes away all that is below @node. */
void tree_drop_children(struct tree *tree, struct node *node);
void tree_drop(struct tree *tree, struct node *node);

/* The next node in pre-order below @top, NULL at the end; @skip: without those below @node. */
struct node *tree_next(const struct node *top, struct node *node, bool skip);

/* Writes the path of @node ("." for the root) into @path. */
void tree_path(const struct node *node, char path[static TREE_PATH_MAX + 1]);

static inline bool node_is_directory(const struct node *node)
{
	return node->inode && node->inode->record.type == TREE_DIRECTORY;
}
