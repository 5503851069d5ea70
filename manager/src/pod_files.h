/* What a pod's helper is to make: its namespaces, and the contents of hosts, hostname and resolv.conf. */
#pragma once

#include "manager/src/helper_protocol.h"

struct arena;
struct err;
struct pod;

/* Fills @ret_make; all of it lies in @arena. Errors: -EINVAL (DNS configuration with line ends), -ENOMEM. */
int pod_describe(const struct pod *pod, struct arena *arena, struct helper_pod_make *ret_make, struct err *err);

/* The name of the pod's uts namespace. NULL when out of memory. */
const char *pod_hostname(const struct pod *pod, struct arena *arena);
