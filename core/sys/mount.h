/* The mount calls that work by descriptor (open_tree, move_mount, mount_setattr, fsopen): Linux 5.12 and later.
 *
 * A "tree" is a descriptor of a detached mount: nobody sees it until it is attached, and it goes when its last holder
 * closes it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

/* The file systems that carry the kernel's own state (linux/magic.h). */
#define MOUNT_MAGIC_PROC 0x9fa0L
#define MOUNT_MAGIC_SYSFS 0x62656572L
#define MOUNT_MAGIC_TMPFS 0x01021994L
#define MOUNT_MAGIC_DEVPTS 0x1cd1L
#define MOUNT_MAGIC_CGROUP 0x27e0ebL
#define MOUNT_MAGIC_CGROUP2 0x63677270L

/* The part of a mount's attributes that is to change: MOUNT_ATTR_* (sys/mount.h). */
struct mount_change {
	uint64_t set;
	uint64_t clear;
	uint64_t propagation; /* MS_PRIVATE, MS_SLAVE, MS_SHARED, MS_UNBINDABLE; 0: as it is */
	int userns_fd;	      /* with MOUNT_ATTR_IDMAP in @set */
};

/* A copy of the mount at @path below @dir_fd ("" for @dir_fd itself), as a bind mount would make it.
 * Errors: those of open_tree(2). */
int mount_tree_open(int dir_fd, const char *path, bool recursive, int *ret_tree);

/* Puts a tree on the file or directory that @target_fd (O_PATH) denotes. Errors: those of move_mount(2). */
int mount_tree_attach(int tree, int target_fd);

/* mount_setattr(2) on the mount that @fd denotes, and all below it with @recursive. */
int mount_change(int fd, bool recursive, const struct mount_change *change);

struct mount_option {
	const char *key;
	const char *value; /* NULL: a flag */
};

/* A new instance of a file system as a tree, with @attributes (MOUNT_ATTR_*).
 * Errors: those of fsopen(2), fsconfig(2), fsmount(2); @err names the option that was refused, with the kernel's words. */
int mount_filesystem(const char *type, const struct mount_option *options, size_t count, uint64_t attributes,
		     int *ret_tree, struct err *err);

/* Is @fd on a file system of this magic? */
bool mount_is_filesystem(int fd, long magic);

/* Is a mount at @path below @dir_fd (itself not followed where it is a link) one whose server is gone, as FUSE's may be? The
 * server is asked, so that this waits for one that is slow. */
bool mount_is_dead(int dir_fd, const char *path);
