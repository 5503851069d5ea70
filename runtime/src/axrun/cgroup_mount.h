/* A mount of type "cgroup": the container's own group in every hierarchy. */
#pragma once

struct err;
struct launch;
struct mount_options;
struct oci_mount;

/* On v2 alone the group's directory itself; else a tmpfs with one directory per hierarchy, as the host has it. */
int cgroup_mount_make(const struct launch *launch, const struct oci_mount *mount, const struct mount_options *options,
		      int root_fd, struct err *err);
