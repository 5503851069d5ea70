/* What a pod's configuration may ask for: checked before anything is made. */
#pragma once

#include "proto/cri.h"

struct err;

/* Checks namespaces, user namespace, ids, SELinux and seccomp options, and cgroup_parent.
 * Errors: -EINVAL; @err names the field and what was expected. */
int pod_check_security(const Cri__PodSandboxConfig *config, struct err *err);

/* A privileged container needs a pod that was announced as such. Errors: -EINVAL. */
int pod_check_privileged(const Cri__PodSandboxConfig *pod, const Cri__ContainerConfig *container, struct err *err);
