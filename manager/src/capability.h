/* Linux capabilities by the names that CRI and OCI use. */
#pragma once

#include <stdint.h>

/* What containers get unless they ask for more or less: as docker and containerd give. */
#define CAPABILITIES_DEFAULT                                                                                           \
	((UINT64_C(1) << CAP_CHOWN) | (UINT64_C(1) << CAP_DAC_OVERRIDE) | (UINT64_C(1) << CAP_FSETID) |                \
	 (UINT64_C(1) << CAP_FOWNER) | (UINT64_C(1) << CAP_MKNOD) | (UINT64_C(1) << CAP_NET_RAW) |                     \
	 (UINT64_C(1) << CAP_SETGID) | (UINT64_C(1) << CAP_SETUID) | (UINT64_C(1) << CAP_SETFCAP) |                    \
	 (UINT64_C(1) << CAP_SETPCAP) | (UINT64_C(1) << CAP_NET_BIND_SERVICE) | (UINT64_C(1) << CAP_SYS_CHROOT) |      \
	 (UINT64_C(1) << CAP_KILL) | (UINT64_C(1) << CAP_AUDIT_WRITE))
#define CAPABILITIES_ALL ((UINT64_C(2) << CAP_LAST_CAP) - 1)

/* "CAP_NET_ADMIN"; NULL for a number that is none. */
const char *capability_name(int capability);

/* A name with or without "CAP_", in either case, or ALL, as a set. Errors: -EINVAL. */
int capability_parse(const char *name, uint64_t *ret_set);
