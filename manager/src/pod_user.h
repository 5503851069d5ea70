/* The user namespace of a pod: CRI's UserNamespace, as a kubelet fills it (mode POD with one range, or NODE). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/cri.h"

struct err;

struct pod_user {
	bool own; /* else the host's, and the rest is 0 */
	uint32_t host_uid;
	uint32_t uid_count;
	uint32_t host_gid;
	uint32_t gid_count;
};

/* Reads the options of a pod or a container; NULL: the host's namespace.
 * Errors: -EINVAL (pod.user-namespace: another mode, more or less than one range, one that does not begin at id 0 or leaves
 * the host's ids). */
int pod_user_parse(const Cri__NamespaceOption *options, struct pod_user *ret_user, struct err *err);

/* The same for a pod's configuration that has been checked. */
struct pod_user pod_user_of(const Cri__PodSandboxConfig *config);

/* A container must ask for its pod's user namespace, or say nothing. Errors: -EINVAL. */
int pod_user_check_container(const Cri__PodSandboxConfig *pod, const Cri__ContainerConfig *container, struct err *err);

/* The id of the pod's init, within its user namespace: the last one there is, and one that nobody is given without one. */
uint32_t pod_user_init_uid(const struct pod_user *user);
uint32_t pod_user_init_gid(const struct pod_user *user);
