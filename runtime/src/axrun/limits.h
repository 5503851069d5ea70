/* The resource limits of config.json, written to cgroup files: one table row per file, controller and version. */
#pragma once

#include <stdbool.h>

struct cgroup;
struct err;
struct oci_resources;

/* Writes all limits of @resources (NULL: none). @update: the group has processes already (`update`), so only what is set
 * is changed; and where that fails nothing is; otherwise the device list is closed first.
 * Errors: -EOPNOTSUPP (a limit is asked for whose controller is nowhere on this machine), of write(2); @err names the
 * file and the value. */
int limits_apply(const struct cgroup *group, const struct oci_resources *resources, bool update, struct err *err);

