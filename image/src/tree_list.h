/* The list of a layer: the records of its tree as a file (docs/formats/image-store.md, "Layer lists").
 * The worker writes it, the privileged half applies it, later pulls and the bundle read it again. Sans-I/O. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/src/tree.h"

struct buf;

#define TREE_LIST_VERSION 1
#define TREE_LIST_MAX ((size_t)512 * 1024 * 1024) /* bytes of one list */

/* What a layer directory costs. */
struct tree_totals {
	uint64_t records;
	uint64_t bytes; /* of files, each inode once */
	uint64_t inodes;
};

/* Appends the head, one record, or the end to @ret_bytes. @totals counts. Errors: -ENOMEM, -EMSGSIZE. */
int tree_list_begin(struct buf *ret_bytes);
int tree_list_add(struct buf *ret_bytes, const struct tree_record *record, struct tree_totals *totals);
int tree_list_end(struct buf *ret_bytes, const struct tree_totals *totals);

/* Reads a whole list and gives its records; checks every length, type and name (clean, relative, of bounded size), but not
 * that names are unique. *ret_totals may be NULL.
 * Errors: -EUCLEAN (store.damaged), -EPROTONOSUPPORT (store.version), those of the sink. */
int tree_list_read(const void *bytes, size_t size, tree_sink *sink, void *user, struct tree_totals *ret_totals,
		   struct err *err);

/* Only the totals at the end. */
int tree_list_read_totals(const void *bytes, size_t size, struct tree_totals *ret_totals, struct err *err);
