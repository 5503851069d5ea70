/* The mounts of config.json, made in the container's mount namespace below its root. */
#pragma once

#include <stdbool.h>

struct err;
struct launch;
struct oci_mount;

/* Opens the sources of all bind mounts as detached mounts, with the caller's rights and in the caller's namespaces:
 * fills launch->mount_trees. */
int mounts_open_sources(struct launch *launch, struct err *err);

/* Makes all of them, in order. In the container's process, before its root becomes its root. */
int mounts_make(const struct launch *launch, int root_fd, struct err *err);

/* Is this a bind mount (by type or option)? */
bool mount_is_bind(const struct oci_mount *mount);
