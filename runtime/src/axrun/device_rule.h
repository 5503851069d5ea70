/* One rule about devices, as both versions of cgroups need it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

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
