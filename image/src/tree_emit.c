/* Records out of a tree, in pre-order, so that parents come first. */
#include <string.h>

#include "image/src/tree_internal.h"

struct emission {
	struct tree *tree;
	tree_sink *sink;
	void *user;
	bool all; /* the merged view */
	char path[TREE_PATH_MAX + 1];
	char target[TREE_PATH_MAX + 1];
};

static int emit_whiteout(struct emission *emission, const struct node *node, struct err *err)
{
	const struct tree *tree = emission->tree;
	bool wanted = !emission->all && node->hides == tree->layer && node->parent->opaque != tree->layer;
	struct tree_record record = {.type = TREE_WHITEOUT, .path = emission->path, .target = ""};
	return wanted ? emission->sink(emission->user, &record, err) : 0;
}

/* Where the bytes lie: in the merged view each layer's directory has its own; when the layer is being made, those of a
 * copied file are still in the lower one. */
static void fill_copy(struct emission *emission, const struct inode *inode, struct tree_record *record)
{
	const struct inode *holder = emission->all ? inode : inode->copied_from;
	tree_path(holder->held, emission->target);
	record->type = TREE_COPY;
	record->source = (uint32_t)holder->layer;
	record->target = emission->target;
}

static int emit_node(struct emission *emission, struct node *node, struct err *err)
{
	struct inode *inode = node->inode;
	struct tree_record record = inode->record;
	record.path = emission->path;
	record.opaque = !emission->all && record.type == TREE_DIRECTORY && node->opaque == emission->tree->layer;
	if (record.type != TREE_DIRECTORY && inode->emitted == emission->tree->pass) {
		tree_path(inode->first, emission->target);
		record.type = TREE_HARD_LINK;
		record.target = emission->target;
		return emission->sink(emission->user, &record, err);
	}
	if (record.type == TREE_COPY || (record.type == TREE_FILE && emission->all))
		fill_copy(emission, inode, &record);
	inode->emitted = emission->tree->pass;
	inode->first = node;
	if (!emission->all && inode->layer == emission->tree->layer)
		inode->held = node;
	return emission->sink(emission->user, &record, err);
}

static int emit(struct emission *emission, struct err *err)
{
	struct tree *tree = emission->tree;
	tree->pass++;
	for (struct node *node = tree->root; node;) {
		bool wanted = emission->all || node->touched == tree->layer;
		int r = 0;
		if (wanted) {
			tree_path(node, emission->path);
			r = node->inode ? emit_node(emission, node, err) : emit_whiteout(emission, node, err);
		}
		if (r < 0)
			return r;
		node = tree_next(tree->root, node, !wanted);
	}
	return 0;
}

int tree_emit_layer(struct tree *tree, tree_sink *sink, void *user, struct err *err)
{
	struct emission emission = {.tree = tree, .sink = sink, .user = user};
	return emit(&emission, err);
}

int tree_emit_all(struct tree *tree, tree_sink *sink, void *user, struct err *err)
{
	struct emission emission = {.tree = tree, .sink = sink, .user = user, .all = true};
	return emit(&emission, err);
}
