/* The pid namespaces that a container does not make itself: its pod's (mode POD), another container's (TARGET). */
#pragma once

struct container;
struct err;

/* The container that this one targets. Errors: -EINVAL (container.target: none such runs in the same pod). */
int container_find_target(const struct container *container, const struct container **ret_target, struct err *err);

/* Makes or opens what the runtime is to join. The pod's lock is held; parks. Errors: those of pod_init_ensure() and
 * container_find_target(). */
int container_open_namespaces(struct container *container, struct err *err);

/* The runtime has joined, or will not. */
void container_close_namespaces(struct container *container);
