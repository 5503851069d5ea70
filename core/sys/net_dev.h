/* What went through the network devices of a network namespace: /proc/net/dev (proc(5)). Sans-I/O. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define NET_DEV_NAME_MAX 16 /* with its terminator, as IFNAMSIZ */
#define NET_DEV_MAX 64	    /* devices that are told; who makes more in a namespace of its own sees the first */

struct net_dev {
	char name[NET_DEV_NAME_MAX];
	uint64_t rx_bytes, rx_errors;
	uint64_t tx_bytes, tx_errors;
};

/* Reads at most NET_DEV_MAX devices out of @text. A last line that was cut is left out, so are devices whose names are
 * not printable ASCII: whoever rules the namespace chooses them. Returns how many. */
size_t net_dev_parse(const char *text, struct net_dev ret_devices[NET_DEV_MAX]);
