/* Paths that a container must not see or change (config-linux.md, "Masked Paths", "Readonly Paths"). */
#pragma once

struct err;
struct oci_linux;

/* Covers files with /dev/null and directories with one empty read-only tmpfs; missing paths are fine. */
int mask_paths(const struct oci_linux *config, int root_fd, struct err *err);

/* Makes the mounts of readonlyPaths. */
int mask_readonly_paths(const struct oci_linux *config, int root_fd, struct err *err);
