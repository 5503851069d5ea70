/* The root file system of a container: an overlay of its image's layers, and the user looked up in it. */
#pragma once

struct container;
struct err;

/* Mounts it, finds the user that the container shall run as (recorded in the container), and keeps the mount for the
 * start. Parks. Errors: user.not-found, those of the mount. */
int rootfs_prepare(struct container *container, struct err *err);

/* The mount for a start: kept from before, or made anew; @target as in helper_rootfs_mount (NULL: container->rootfs_fd).
 * Parks. */
int rootfs_mount(struct container *container, const char *target, struct err *err);
