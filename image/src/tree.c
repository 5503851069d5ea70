#include "image/src/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/base/str.h"
#include "image/src/tree_internal.h"

#define XATTR_NAME_MAX 255
#define LINKS_MAX 255 /* symbolic links followed for one path: Go's limit, which other engines have */

static const char WHITEOUT[] = ".wh.";
static const char OPAQUE[] = ".wh..wh..opq";
static const char RESERVED[] = ".wh..wh."; /* aufs's own files, of old builders: skipped as docker does */

int tree_new(struct tree **ret_tree)
{
	scoped(tree_free) struct tree *tree = calloc(1, sizeof *tree);
	if (!tree)
		return -ENOMEM;
	tree->arena.max = TREE_MEMORY_MAX;
	tree->layer = NO_LAYER;
	tree->root_cleared = NO_LAYER;
	tree->pending_end = &tree->pending;
	struct inode *inode = arena_alloc(&tree->arena, sizeof *inode);
	if (!inode || tree_make_node(tree, NULL, "", 0, &tree->root, NULL) < 0)
		return -ENOMEM;
	inode->record = (struct tree_record){.type = TREE_DIRECTORY, .target = "", .mode = 0755};
	inode->layer = NO_LAYER;
	tree->root->inode = inode;
	*ret_tree = TAKE(tree);
	return 0;
}

void tree_free(struct tree *tree)
{
	if (!tree)
		return;
	free(tree->buckets);
	arena_done(&tree->arena);
	free(tree);
}

void tree_begin_layer(struct tree *tree)
{
	tree->layer++;
	tree->root->touched = tree->layer; /* every layer's directory has a root */
}

static int malformed(struct err *err, const char *path, const char *what)
{
	return err_set(err, -EBADMSG, "image.layer-malformed", "entry \"%.200s\": %s", path, what);
}

static int memory(struct err *err)
{
	return err_set(err, -EFBIG, "image.too-large", "the file tree needs more than %zu MiB of memory",
		       TREE_MEMORY_MAX >> 20);
}

/* ---- Paths ------------------------------------------------------------------------------------------------------ */

/* Go's filepath.Clean with the root as the end of "..": relative, without ".", ".." and empty parts; "" is the root. */
static void clean_path(const char *path, char ret_clean[static TAR_NAME_MAX + 1])
{
	size_t end = 0;
	while (*path) {
		size_t length = strcspn(path, "/");
		if (length == 2 && memcmp(path, "..", 2) == 0) {
			while (end && ret_clean[--end] != '/')
				;
		} else if (length && !(length == 1 && *path == '.')) {
			if (end)
				ret_clean[end++] = '/';
			memcpy(ret_clean + end, path, length);
			end += length;
		}
		path += length;
		path += *path == '/';
	}
	ret_clean[end] = '\0';
}

static void touch(const struct tree *tree, struct node *node)
{
	for (; node && node->touched != tree->layer; node = node->parent)
		node->touched = tree->layer;
}

/* The slot is about to lead to something of this layer: remember what it took the place of. */
static void displace(struct tree *tree, struct node *node)
{
	if (node->inode && node->born < tree->layer)
		node->hides = tree->layer;
	tree_drop_children(tree, node);
}

/* Puts @inode into the slot. A directory on a directory keeps what is in it. */
static void place(struct tree *tree, struct node *node, struct inode *inode)
{
	bool directory = inode->record.type == TREE_DIRECTORY;
	if (!(directory && node_is_directory(node))) {
		displace(tree, node);
		node->born = tree->layer;
		node->opaque = directory && node->hides == tree->layer ? tree->layer : NO_LAYER;
	}
	node->inode = inode;
	node->own = tree->layer;
	node->sequence = tree->sequence;
	touch(tree, node);
}

static struct inode *new_inode(struct tree *tree, const struct tree_record *record)
{
	struct inode *inode = arena_alloc(&tree->arena, sizeof *inode);
	if (!inode)
		return NULL;
	inode->record = *record;
	inode->record.path = "";
	inode->layer = tree->layer;
	return inode;
}

static int make_implied(struct tree *tree, struct node *parent, const char *name, size_t length, struct node *slot,
			struct node **ret_node, struct err *err)
{
	static const struct tree_record IMPLIED = {.type = TREE_DIRECTORY, .target = "", .mode = 0755};
	int r = slot ? 0 : tree_make_node(tree, parent, name, length, &slot, err);
	if (r < 0)
		return r;
	struct inode *inode = new_inode(tree, &IMPLIED);
	if (!inode)
		return memory(err);
	place(tree, slot, inode);
	*ret_node = slot;
	return 0;
}

/* Where a walk stands. */
struct walk {
	const char *whole; /* for messages */
	bool create;
	unsigned links;
	unsigned depth;
};

static int walk_path(struct tree *tree, struct walk *walk, struct node *from, const char *path, struct node **ret_node,
		     struct err *err);

/* "missing/.." is nowhere and back, as Go's path functions see it and with them the engines that layers are made for. */
static size_t skip_detour(const struct tree *tree, const struct node *at, const char *path, size_t length)
{
	if (strncmp(path + length, "/..", 3) != 0 || (path[length + 3] && path[length + 3] != '/'))
		return 0;
	const struct node *next = tree_find(tree, at, path, length);
	return next && next->inode ? 0 : length + 3;
}

/* One step: returns 1 where there is nothing of that name and nothing is to be made. */
static int walk_step(struct tree *tree, struct walk *walk, struct node *at, const char *name, size_t length,
		     struct node **ret_node, struct err *err)
{
	struct node *next = tree_find(tree, at, name, length);
	if (!next || !next->inode)
		return walk->create ? make_implied(tree, at, name, length, next, ret_node, err) : 1;
	if (next->inode->record.type == TREE_SYMLINK) {
		const char *target = next->inode->record.target;
		if (++walk->links > LINKS_MAX)
			return malformed(err, walk->whole, "too many symbolic links in its parents");
		return walk_path(tree, walk, *target == '/' ? tree->root : at, target, ret_node, err);
	}
	if (next->inode->record.type != TREE_DIRECTORY)
		return walk->create ? malformed(err, walk->whole, "a parent is no directory") : 1;
	*ret_node = next;
	return 0;
}

/* Resolves @path, whose every part must be a directory or lead to one, as chroot would. */
static int walk_path(struct tree *tree, struct walk *walk, struct node *from, const char *path, struct node **ret_node,
		     struct err *err)
{
	struct node *at = from;
	if (++walk->depth > LINKS_MAX)
		return malformed(err, walk->whole, "too many symbolic links in its parents");
	while (*path) {
		size_t length = strcspn(path, "/");
		int r = 0;
		if (length == 2 && memcmp(path, "..", 2) == 0) {
			at = at->parent ? at->parent : at;
		} else if (length && !(length == 1 && *path == '.')) {
			size_t detour = skip_detour(tree, at, path, length);
			r = detour ? 0 : walk_step(tree, walk, at, path, length, &at, err);
			length = detour ? detour : length;
		}
		if (r)
			return r;
		path += length;
		path += *path == '/';
	}
	walk->depth--;
	*ret_node = at;
	return 0;
}

/* Splits a clean path and resolves all but its last name. Returns 1 where the parent does not exist (without @create). */
static int find_parent(struct tree *tree, char *clean, bool create, struct node **ret_parent, const char **ret_name,
		       struct err *err)
{
	char *slash = strrchr(clean, '/');
	struct walk walk = {.whole = clean, .create = create};
	struct node *parent = tree->root;
	int r = 0;
	if (slash) {
		*slash = '\0';
		r = walk_path(tree, &walk, tree->root, clean, &parent, err);
	}
	if (r)
		return r;
	*ret_parent = parent;
	*ret_name = slash ? slash + 1 : clean;
	return 0;
}

/* ---- Whiteouts -------------------------------------------------------------------------------------------------- */

/* Has this layer already taken away all that lower ones brought below @node? Then it is not walked again: a layer may repeat
 * its markers as often as it has entries. */
static bool is_cleared(const struct tree *tree, const struct node *node)
{
	while (node && node->opaque != tree->layer)
		node = node->parent;
	return node != NULL;
}

/* Takes away what lower layers brought below @top; what this layer brings stays. */
static void hide_lower(struct tree *tree, struct node *top)
{
	bool cleared = is_cleared(tree, top);
	top->opaque = tree->layer;
	top->born = tree->layer;
	struct node *node = cleared ? NULL : tree_next(top, top, false);
	while (node) {
		bool ours = node->inode && node->touched == tree->layer;
		struct node *next = tree_next(top, node, !ours || node->opaque == tree->layer);
		if (ours)
			node->born = tree->layer;
		else
			tree_drop(tree, node);
		node = next;
	}
}

static void white_out(struct tree *tree, struct node *node)
{
	if (!node || !node->inode)
		return;
	if (node->born < tree->layer)
		node->hides = tree->layer;
	if (node_is_directory(node) && node->touched == tree->layer) { /* it is, or holds, something of this layer */
		if (node->hides == tree->layer)
			hide_lower(tree, node);
		return;
	}
	if (node->own == tree->layer)
		return;
	node->ghost = node->inode;
	node->inode = NULL;
	tree_drop_children(tree, node);
	touch(tree, node);
}

/* What a whiteout's name hides must be a name. */
static bool hides_nothing(const char *name)
{
	const char *hidden = name + strlen(WHITEOUT);
	return !*hidden || str_equal(hidden, ".") || str_equal(hidden, "..");
}

static void add_whiteout(struct tree *tree, struct node *parent, const char *name)
{
	const char *hidden = name + strlen(WHITEOUT);
	white_out(tree, tree_find(tree, parent, hidden, strlen(hidden)));
}

static void add_opaque(struct tree *tree, struct node *parent)
{
	if (!parent->parent) { /* overlayfs merges the roots of all layers whatever they say: name each child */
		if (tree->root_cleared == tree->layer)
			return;
		tree->root_cleared = tree->layer;
		for (struct node *child = parent->first_child; child; child = child->next)
			white_out(tree, child);
		return;
	}
	hide_lower(tree, parent);
	parent->hides = tree->layer;
	touch(tree, parent);
}

/* ---- Entries ---------------------------------------------------------------------------------------------------- */

bool tree_keeps_xattr(const char *name)
{
	return (str_after_prefix(name, "user.") && strlen(name) <= XATTR_NAME_MAX &&
		!str_after_prefix(name, "user.overlay.")) ||
	       str_equal(name, "security.capability");
}

static int copy_xattrs(struct tree *tree, const struct tar_xattr *from, size_t count, struct tree_record *record)
{
	record->xattrs_count = 0;
	record->xattrs = NULL;
	if (!count)
		return 0;
	struct tar_xattr *xattrs = arena_array(&tree->arena, count, sizeof *xattrs);
	if (!xattrs)
		return -ENOMEM;
	record->xattrs = xattrs;
	for (size_t i = 0; i < count; i++) {
		if (!tree_keeps_xattr(from[i].name) || from[i].size > TREE_XATTR_VALUE_MAX)
			continue;
		const char *name = arena_strdup(&tree->arena, from[i].name);
		char *value = arena_alloc(&tree->arena, from[i].size + 1);
		if (!name || !value)
			return -ENOMEM;
		memcpy(value, from[i].value, from[i].size);
		xattrs[record->xattrs_count++] = (struct tar_xattr){name, value, from[i].size};
	}
	return 0;
}

static void set_metadata(struct tree_record *record, const struct tar_entry *entry)
{
	record->mode = entry->mode;
	record->uid = entry->uid;
	record->gid = entry->gid;
	record->mtime_s = entry->mtime_s;
	record->mtime_ns = entry->mtime_ns;
}

static const enum tree_type TYPES[] = {
	[TAR_FILE] = TREE_FILE,
	[TAR_HARD_LINK] = TREE_HARD_LINK,
	[TAR_SYMLINK] = TREE_SYMLINK,
	[TAR_CHAR_DEVICE] = TREE_CHAR_DEVICE,
	[TAR_BLOCK_DEVICE] = TREE_BLOCK_DEVICE,
	[TAR_DIRECTORY] = TREE_DIRECTORY,
	[TAR_FIFO] = TREE_FIFO,
};

static int inode_of_entry(struct tree *tree, const struct tar_entry *entry, uint64_t data, struct inode **ret_inode)
{
	struct tree_record record = {.type = TYPES[entry->type], .data = data, .size = entry->size, .target = ""};
	set_metadata(&record, entry);
	record.dev_major = entry->dev_major;
	record.dev_minor = entry->dev_minor;
	if (entry->type == TAR_SYMLINK) {
		record.target = arena_strdup(&tree->arena, entry->link);
		record.mode = 0777;
	}
	if (!record.target || copy_xattrs(tree, entry->xattrs, entry->xattrs_count, &record) < 0)
		return -ENOMEM;
	*ret_inode = new_inode(tree, &record);
	return *ret_inode ? 0 : -ENOMEM;
}

static int slot_of(struct tree *tree, struct node *parent, const char *name, struct node **ret_node, struct err *err)
{
	*ret_node = tree_find(tree, parent, name, strlen(name));
	return *ret_node ? 0 : tree_make_node(tree, parent, name, strlen(name), ret_node, err);
}

/* What a hard link's target is now: a live name, or one that a whiteout of this very layer removed. */
static int find_target(struct tree *tree, const char *link, struct node **ret_node, struct inode **ret_inode,
		       struct err *err)
{
	char clean[TAR_NAME_MAX + 1];
	clean_path(link, clean);
	struct node *parent = NULL;
	const char *name = NULL;
	int r = find_parent(tree, clean, false, &parent, &name, err);
	if (r)
		return r;
	struct node *node = *name ? tree_find(tree, parent, name, strlen(name)) : tree->root;
	if (!node || !(node->inode || node->ghost))
		return 1;
	*ret_node = node->inode ? node : NULL;
	*ret_inode = node->inode ? node->inode : node->ghost;
	return 0;
}

/* A lower layer's inode as one of this layer, with the same bytes. */
static struct inode *copy_up(struct tree *tree, struct inode *lower)
{
	struct inode *inode = new_inode(tree, &lower->record);
	if (!inode)
		return NULL;
	inode->copied_from = lower;
	if (inode->record.type == TREE_FILE)
		inode->record.type = TREE_COPY;
	return inode;
}

/* The target's name gets the copy too, but no entry of this layer: a whiteout may still take it away. */
static void place_copied_up(struct tree *tree, struct node *target, struct inode *inode)
{
	int own = target->own;
	place(tree, target, inode);
	target->own = own;
}

/* Makes @node a name of the target's inode. Returns 1 where there is no such target yet. */
static int link_node(struct tree *tree, struct node *node, const struct tar_entry *entry, struct err *err)
{
	struct node *target = NULL;
	struct inode *inode = NULL;
	int r = find_target(tree, entry->link, &target, &inode, err);
	if (r)
		return r;
	if (inode->record.type == TREE_DIRECTORY)
		return malformed(err, entry->path, "a hard link to a directory");
	if (inode->layer < tree->layer) {
		inode = copy_up(tree, inode);
		if (!inode)
			return memory(err);
		if (target)
			place_copied_up(tree, target, inode);
	}
	set_metadata(&inode->record, entry);
	if (inode->record.type == TREE_SYMLINK)
		inode->record.mode = 0777;
	if (entry->xattrs_count && copy_xattrs(tree, entry->xattrs, entry->xattrs_count, &inode->record) < 0)
		return memory(err);
	if (node != target)
		place(tree, node, inode);
	return 0;
}

static int defer_link(struct tree *tree, const struct tar_entry *entry, struct err *err)
{
	struct pending_link *pending = arena_alloc(&tree->arena, sizeof *pending);
	struct tree_record xattrs = {0};
	if (!pending || copy_xattrs(tree, entry->xattrs, entry->xattrs_count, &xattrs) < 0)
		return memory(err);
	pending->entry = *entry;
	pending->entry.path = arena_strdup(&tree->arena, entry->path);
	pending->entry.link = arena_strdup(&tree->arena, entry->link);
	pending->entry.xattrs = xattrs.xattrs;
	pending->entry.xattrs_count = xattrs.xattrs_count;
	if (!pending->entry.path || !pending->entry.link)
		return memory(err);
	pending->sequence = tree->sequence;
	*tree->pending_end = pending;
	tree->pending_end = &pending->next;
	return 0;
}

static int add_root(struct tree *tree, const struct tar_entry *entry, struct err *err)
{
	if (entry->type != TAR_DIRECTORY)
		return 0; /* names such as "" and "..": nothing else can stand there, and other engines skip it too */
	struct inode *inode = NULL;
	if (inode_of_entry(tree, entry, TREE_NO_DATA, &inode) < 0)
		return memory(err);
	place(tree, tree->root, inode);
	return 0;
}

static int add_node(struct tree *tree, struct node *parent, const char *name, const struct tar_entry *entry,
		    uint64_t data, struct err *err)
{
	struct node *node = NULL;
	int r = slot_of(tree, parent, name, &node, err);
	if (r < 0)
		return r;
	if (entry->type == TAR_HARD_LINK) {
		r = link_node(tree, node, entry, err);
		return r > 0 ? defer_link(tree, entry, err) : r;
	}
	struct inode *inode = NULL;
	if (inode_of_entry(tree, entry, data, &inode) < 0)
		return memory(err);
	place(tree, node, inode);
	return 0;
}

int tree_add(struct tree *tree, const struct tar_entry *entry, uint64_t data, struct err *err)
{
	char clean[TAR_NAME_MAX + 1];
	clean_path(entry->path, clean);
	tree->sequence++;
	if (!*clean)
		return add_root(tree, entry, err);

	const char *base = strrchr(clean, '/');
	base = base ? base + 1 : clean;
	bool whiteout = str_after_prefix(base, WHITEOUT) != NULL;
	bool opaque = str_equal(base, OPAQUE);
	if (!opaque && str_after_prefix(base, RESERVED))
		return 0;
	if (whiteout && hides_nothing(base))
		return malformed(err, entry->path, "a whiteout without a name");
	struct node *parent = NULL;
	const char *name = NULL;
	int r = find_parent(tree, clean, !whiteout, &parent, &name, err);
	if (r)
		return r < 0 ? r : 0; /* a whiteout in a directory that does not exist takes nothing away */
	if (opaque)
		add_opaque(tree, parent);
	else if (whiteout)
		add_whiteout(tree, parent, name);
	else
		return add_node(tree, parent, name, entry, data, err);
	return 0;
}

/* ---- The end of a layer ----------------------------------------------------------------------------------------- */

/* Tries one link that waits. Returns 1 where its target still is not there. */
static int settle(struct tree *tree, const struct pending_link *link, struct err *err)
{
	char clean[TAR_NAME_MAX + 1];
	clean_path(link->entry.path, clean);
	struct node *parent = NULL;
	const char *name = NULL;
	int r = find_parent(tree, clean, true, &parent, &name, err);
	struct node *node = NULL;
	if (r == 0)
		r = slot_of(tree, parent, name, &node, err);
	if (r < 0)
		return r;
	if (node->own == tree->layer && node->sequence > link->sequence)
		return 0; /* a later entry of that name has taken its place */
	return link_node(tree, node, &link->entry, err);
}

int tree_end_layer(struct tree *tree, struct err *err)
{
	bool progress = true;
	while (tree->pending && progress) { /* a link may wait for a link */
		progress = false;
		struct pending_link **at = &tree->pending;
		while (*at) {
			int r = settle(tree, *at, err);
			if (r < 0)
				return r;
			progress = progress || r == 0;
			if (r == 0)
				*at = (*at)->next;
			else
				at = &(*at)->next;
		}
	}
	if (tree->pending)
		return err_set(err, -EBADMSG, "image.layer-malformed",
			       "entry \"%.200s\": a hard link to \"%.200s\", which is in no layer",
			       tree->pending->entry.path, tree->pending->entry.link);
	tree->pending_end = &tree->pending;
	return 0;
}

/* ---- Layers unpacked before ------------------------------------------------------------------------------------- */

static int replay_link(struct tree *tree, struct node *node, const struct tree_record *record, struct err *err)
{
	struct node *target = NULL;
	struct inode *inode = NULL;
	int r = find_target(tree, record->target, &target, &inode, err);
	if (r == 0 && target && inode->layer == tree->layer && inode->record.type != TREE_DIRECTORY) {
		place(tree, node, inode);
		return 0;
	}
	return r < 0 ? r : malformed(err, record->path, "its list links it to a file that is not there");
}

static int replay_inode(struct tree *tree, struct node *node, const struct tree_record *record, struct err *err)
{
	struct tree_record copy = *record;
	bool copied = record->type == TREE_COPY; /* its bytes are in this layer's directory by now */
	copy.type = copied ? TREE_FILE : record->type;
	copy.target = arena_strdup(&tree->arena, copied ? "" : record->target);
	if (!copy.target || copy_xattrs(tree, record->xattrs, record->xattrs_count, &copy) < 0)
		return memory(err);
	struct inode *inode = new_inode(tree, &copy);
	if (!inode)
		return memory(err);
	inode->held = node;
	if (record->opaque)
		displace(tree, node);
	place(tree, node, inode);
	return 0;
}

int tree_replay(struct tree *tree, const struct tree_record *record, struct err *err)
{
	char clean[TAR_NAME_MAX + 1];
	clean_path(record->path, clean);
	tree->sequence++;
	if (!*clean)
		return record->type == TREE_DIRECTORY ? replay_inode(tree, tree->root, record, err)
						      : malformed(err, record->path, "the root is no directory");
	struct node *parent = NULL;
	struct node *node = NULL;
	const char *name = NULL;
	int r = find_parent(tree, clean, true, &parent, &name, err);
	if (r == 0)
		r = slot_of(tree, parent, name, &node, err);
	if (r < 0)
		return r;
	if (record->type == TREE_WHITEOUT) {
		white_out(tree, node);
		return 0;
	}
	return record->type == TREE_HARD_LINK ? replay_link(tree, node, record, err)
					      : replay_inode(tree, node, record, err);
}
