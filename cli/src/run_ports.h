/* --publish: ports of the host that lead to a container's, as podman and docker take them. */
#pragma once

#include <stddef.h>

#include "proto/axle.h"

struct arena;
struct err;

#define PORTS_MAX 1024

/* Reads each of @texts (NULL-terminated, may be NULL): [ADDRESS:]HOST[-LAST]:PORT[-LAST][/tcp|udp|sctp], an address of IPv6 in
 * brackets. Errors: -EINVAL (@err names the text and what was expected), -ENOMEM. */
int run_ports(char *const *texts, struct arena *arena, size_t *ret_count, Cri__PortMapping ***ret_ports, struct err *err);
