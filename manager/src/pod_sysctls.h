/* Which sysctls a pod may set: those of its own namespaces, safe ones always, others where axled.toml says so. */
#pragma once

#include "proto/cri.h"

struct config_pods;
struct err;

/* Errors: -EINVAL (pod.sysctl: not of a namespace, or of one that the pod shares with the host), -EPERM (not allowed). */
int pod_sysctls_check(const Cri__PodSandboxConfig *config, const struct config_pods *allowed, struct err *err);
