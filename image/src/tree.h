/* What a layer means: the one place where whiteouts, opaque directories, duplicates and links are decided.
 *
 * A tree holds the merged view of the layers so far. The entries of the next layer's tar archive go in one by one, in the
 * archive's order (image-spec 1.1, layer.md), or the records of a layer that was unpacked before are replayed. Out come
 * records: what an overlayfs layer directory must hold for the top layer (tree_emit_layer), or the whole view (tree_emit_all).
 * Sinks only do what a record says.
 *
 * Decided here:
 * - Names are cleaned ("a/../b" is "b") and parents are resolved in the merged view as chroot would: nothing ever leads out.
 * - Whiteouts and opaque marks take away what lower layers brought, never what their own layer brings, in any order.
 * - A directory in place of something removed or of something else hides the lower one (opaque).
 * - A hard link shares its target's inode, wherever the target comes from: a later entry of the layer, or a lower layer
 *   (then the file is copied up, under both names). The link's own header sets the mode, owner and time of that inode.
 * - A parent without an entry of its own is the lower layer's directory, or a new one (0755, root).
 *
 * Bounded: TREE_NODES_MAX, TREE_MEMORY_MAX, TREE_PATH_MAX. Does no I/O. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/scoped.h"
#include "core/codec/tar.h"

struct err;

#define TREE_NODES_MAX 2000000u
#define TREE_MEMORY_MAX ((size_t)1024 * 1024 * 1024)
#define TREE_PATH_MAX 4000 /* bytes; leaves room below PATH_MAX for what is put in front */
#define TREE_XATTR_VALUE_MAX 65536 /* as Linux */
#define TREE_NO_DATA UINT64_MAX

enum tree_type {
	TREE_DIRECTORY,
	TREE_FILE,	/* bytes: those of the entry's data */
	TREE_COPY,	/* bytes: those of @target in layer @source */
	TREE_HARD_LINK, /* to @target, an earlier record */
	TREE_SYMLINK,	/* @target is its text */
	TREE_CHAR_DEVICE,
	TREE_BLOCK_DEVICE,
	TREE_FIFO,
	TREE_WHITEOUT,
	TREE_TYPES,
};

/* One thing that a sink makes. Parents come before what they hold. Valid during the callback. */
struct tree_record {
	enum tree_type type;
	const char *path;   /* relative, clean; "." is the root */
	const char *target; /* "" where it has none */
	uint32_t source;    /* layer index, of a copy */
	bool opaque;	    /* a directory that hides the lower layers' */
	uint64_t data;	    /* number given with the entry, of a file */
	uint64_t size;	    /* of a file or copy */
	uint32_t mode;
	uint32_t uid;
	uint32_t gid;
	int64_t mtime_s;
	uint32_t mtime_ns;
	uint32_t dev_major;
	uint32_t dev_minor;
	const struct tar_xattr *xattrs;
	size_t xattrs_count;
};

typedef int tree_sink(void *user, const struct tree_record *record, struct err *err);

struct tree;

/* Errors: -ENOMEM. */
int tree_new(struct tree **ret_tree);
void tree_free(struct tree *tree);
SCOPED_DEFINE(struct tree, tree_free)

/* Begins the next layer (the first is number 0). */
void tree_begin_layer(struct tree *tree);

/* Adds one entry of the layer's archive; @data names the bytes of a file (TREE_NO_DATA for others). Strings are copied.
 * Errors: -EBADMSG (image.layer-malformed), -EFBIG (image.too-large), -ENOMEM. */
int tree_add(struct tree *tree, const struct tar_entry *entry, uint64_t data, struct err *err);

/* Adds one record of a layer that was emitted before. Errors: as tree_add(). */
int tree_replay(struct tree *tree, const struct tree_record *record, struct err *err);

/* Ends the layer: links whose target had not come yet are resolved. Errors: -EBADMSG (a link to nothing). */
int tree_end_layer(struct tree *tree, struct err *err);

/* Which extended attributes of a layer are kept: user.* and security.capability. Others are left out: they belong to the machine
 * that built the layer (security.selinux) or to the machine that runs it (trusted.*). */
bool tree_keeps_xattr(const char *name);

/* Gives the records of the top layer, or of the merged view: there every file is a copy. Errors: those of the sink. */
int tree_emit_layer(struct tree *tree, tree_sink *sink, void *user, struct err *err);
int tree_emit_all(struct tree *tree, tree_sink *sink, void *user, struct err *err);
