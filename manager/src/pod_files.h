/* What a pod's helper is to make: its namespaces, and the contents of hosts, hostname and resolv.conf. */
#pragma once

#include <stdint.h>

#include "manager/src/helper_protocol.h"
#include "proto/cri.h"

struct arena;
struct config_pods;
struct err;
struct pod;

/* Fills @ret_make; all of it lies in @arena. Errors: -EINVAL (DNS configuration with line ends), -ENOMEM. */
int pod_describe(const struct pod *pod, struct arena *arena, struct helper_pod_make *ret_make, struct err *err);

/* In bytes or with a unit; only this pod's. Without it the node's configuration counts. */
#define POD_SHM_ANNOTATION "io.axle.shm-size"

/* The size of the pod's /dev/shm. Errors: -EINVAL (pod.shm: the annotation is no size). */
int pod_shm_bytes(const Cri__PodSandboxConfig *config, const struct config_pods *pods, uint64_t *ret_bytes,
		  struct err *err);

/* The name of the pod's uts namespace. NULL when out of memory. */
const char *pod_hostname(const struct pod *pod, struct arena *arena);
