/* Which devices a container may use: cgroup v1's device list, cgroup v2's device program. */
#pragma once

#include <stddef.h>

struct cgroup;
struct device_rule;
struct err;
struct oci_resources;

/* The rules in the order in which they apply (the last that matches decides): close everything, what @resources says,
 * what every container has (config-linux.md, "Default Devices"). *ret_rules is malloc()ed. */
int device_rules_list(const struct oci_resources *resources, struct device_rule **ret_rules, size_t *ret_count,
		      struct err *err);

/* Makes them hold for a group. A machine without cgroups has no way to limit devices: nothing is done there.
 * Errors: of write(2), bpf(2). */
int device_rules_apply(const struct cgroup *group, const struct oci_resources *resources, struct err *err);
