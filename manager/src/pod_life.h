/* The life of a pod: made, stopped, removed. All of it parks; what was begun and cannot be ended is undone. */
#pragma once

#include "manager/src/pod.h"

struct err;

/* Makes a pod: record, files, namespaces. A half-made pod with the same metadata is removed first.
 * Errors: -EINVAL, -EEXIST (pod.exists: there is one with this name), those of the helper. */
int pod_run(struct node *node, enum owner owner, const char *runtime_handler, const Cri__PodSandboxConfig *config,
	    struct pod **ret_pod, struct err *err);

/* Ends its containers and unpins its namespaces; the record stays. A stopped pod is success. */
int pod_stop(struct pod *pod, struct err *err);

/* The same, and removes containers, files, cgroup and record. A pod that is gone is success. */
int pod_remove(struct pod *pod, struct err *err);

/* Ends what a pod holds besides its record: for pod_remove(), and at the start for what a reboot or a crash left. */
int pod_release(struct pod *pod, bool with_cgroup, struct err *err);

/* For pod_init.h: the init of a pod has ended, so nothing is left that its containers could share. The pod is stopped. */
void pod_lose_init(void *pod);

void pod_event(const struct pod *pod, const char *action);
