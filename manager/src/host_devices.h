/* The host's device nodes, which a privileged container gets. */
#pragma once

#include <stddef.h>

struct arena;
struct oci_device;

#define HOST_DEVICES_MAX 512

/* Lists the character and block devices below /dev, without those that every container has of its own (pts, shm, console).
 * Errors: -ENOMEM. A /dev that cannot be read has none. */
int host_devices_list(struct arena *arena, const struct oci_device **ret_devices, size_t *ret_count);
