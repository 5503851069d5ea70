/* Which devices a container may use: cgroup v1's device list, cgroup v2's device program. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cgroup;
struct err;
struct oci_resources;

enum device_access {
	DEVICE_MKNOD = 1, /* the bits of linux/bpf.h's BPF_DEVCG_ACC_* */
	DEVICE_READ = 2,
	DEVICE_WRITE = 4,
	DEVICE_ALL = 7,
};

struct device_rule {
	bool allow;
	char type;     /* 'a' (both), 'b', 'c' */
	int64_t major; /* -1: all */
	int64_t minor;
	unsigned access; /* of enum device_access */
};

/* The rules in the order in which they apply (the last that matches decides): close everything, what @resources says,
 * what every container has (config-linux.md, "Default Devices"). *ret_rules is malloc()ed. */
int device_rules_list(const struct oci_resources *resources, struct device_rule **ret_rules, size_t *ret_count,
		      struct err *err);

/* Makes them hold for a group. A machine without cgroups has no way to limit devices: nothing is done there.
 * Errors: of write(2), bpf(2). */
int device_rules_apply(const struct cgroup *group, const struct oci_resources *resources, struct err *err);
