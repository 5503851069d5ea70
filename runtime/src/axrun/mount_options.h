/* The options of a mount in config.json, sorted by what they mean (config.md, "Linux mount options"). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/sys/mount.h"

struct err;

#define MOUNT_DATA_MAX 64

struct mount_options {
	bool bind;
	bool recursive; /* rbind */
	bool remount;
	bool copy_up;	       /* tmpcopyup: a tmpfs starts with what the image has there */
	bool idmap;	       /* idmap or ridmap: with the container's own mapping */
	bool idmap_recursive;  /* ridmap */
	bool readonly;	       /* ro was asked for, which for a disk also concerns its superblock */
	uint64_t set, clear;   /* MOUNT_ATTR_* for this mount */
	uint64_t rset, rclear; /* for it and all mounts below (rro ...) */
	uint64_t propagation;  /* MS_PRIVATE ...; 0: as it comes */
	bool propagation_recursive;
	struct mount_option data[MOUNT_DATA_MAX]; /* what the file system itself reads; values point into @storage */
	size_t data_count;
	char storage[4096];
	size_t storage_used;
};

/* Sorts @options (NULL-terminated; NULL: none); option strings may themselves be comma-separated lists.
 * Errors: -E2BIG (more than the struct holds). */
int mount_options_parse(const char *const *options, struct mount_options *ret_options, struct err *err);

/* All names that are no file system data, for `features`: NULL-terminated by index. */
const char *mount_option_name(size_t index);
