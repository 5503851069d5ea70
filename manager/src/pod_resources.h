/* Limits of a whole pod: the resources and the overhead of its configuration.
 *
 * A kubelet sets them itself on the group that it makes; where the group is ours they are set by us. */
#pragma once

#include "proto/cri.h"

struct err;
struct pod;

/* Sets the limits of the pod's group, if that is ours and there are any. Errors: -EINVAL (pod.resources), of write(2). */
int pod_resources_apply(struct pod *pod, struct err *err);

/* Replaces both in the pod's configuration, applies and records them; NULL changes nothing. Parks.
 * Errors: -EBUSY (pod.not-ready), those of pod_resources_apply(): then all is as it was. */
int pod_resources_update(struct pod *pod, const Cri__LinuxContainerResources *overhead,
			 const Cri__LinuxContainerResources *resources, struct err *err);
