/* The container's root file system: attached, filled, protected, entered. In the container's process. */
#pragma once

struct err;
struct launch;

/* Puts the detached root into the mount namespace. *ret_root_fd denotes it. */
int rootfs_attach(const struct launch *launch, int *ret_root_fd, struct err *err);

/* Makes mounts and devices in it. */
int rootfs_fill(const struct launch *launch, int root_fd, struct err *err);

/* Masks, read-only paths, read-only root: after the hooks that may still write. */
int rootfs_protect(const struct launch *launch, int root_fd, struct err *err);

/* Makes it the root, and lets go of the old one. */
int rootfs_enter(const struct launch *launch, int root_fd, struct err *err);
