/* The root file system of a container: an overlay of its image's layers, and the user looked up in it. */
#pragma once

struct arena;
struct container;
struct err;
struct image;

/* The image's layers as overlayfs wants them, the topmost first; NULL when out of memory. */
const char *const *image_lowers(const struct image *image, struct arena *arena);

/* Mounts it, finds the user that the container shall run as (recorded in the container), and keeps the mount for the
 * start. Parks. Errors: user.not-found, those of the mount. */
int rootfs_prepare(struct container *container, struct err *err);

/* The mount for a start: kept from before, or made anew; @target as in helper_rootfs_mount (NULL: container->rootfs_fd).
 * Parks. */
int rootfs_mount(struct container *container, const char *target, struct err *err);
