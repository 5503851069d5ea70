/* How much of a disk a tree of files takes, as du(1) counts: blocks, each inode once, one file system. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct err;

#define DISK_USAGE_LINKED_MAX (1 << 20) /* files with several names that are told apart; more count with each name */

struct disk_usage {
	uint64_t bytes;
	uint64_t inodes;
};

/* Walks the tree at the absolute @path (which counts itself), following no link. What vanishes meanwhile, or cannot be read,
 * is not counted. Changes the working directory on the way, so that any depth can be walked: for a process of its own.
 * Errors: -ENOENT, -ENOMEM. */
int disk_usage_of(const char *path, struct disk_usage *ret_usage, struct err *err);
