/* The init of a pod whose containers share one pid namespace: started with the first of them, watched, found again.
 *
 * It is no pause process: a pod has none until a container asks for the mode POD. When it ends (nobody in the pod can do
 * that) the kernel ends everything in the namespace, and the pod is stopped. */
#pragma once

#include "manager/src/process_watch.h"

struct err;
struct pod;

/* Makes the namespace and its init, unless it is there. @ended is called with the pod when it ends by itself.
 * The pod's lock is held; parks. Errors: those of the helper. */
int pod_init_ensure(struct pod *pod, process_watch_ended *ended, struct err *err);

/* After a restart of axled: watches the init that the pod had. Blocks shortly.
 * Returns 0 (it lives, or there never was one), or -ESRCH: it has ended. */
int pod_init_resume(struct pod *pod, process_watch_ended *ended, struct err *err);

/* No longer watched: it is about to be ended, or the pod is freed. */
void pod_init_forget(struct pod *pod);

/* Its group; malloc()ed, NULL when out of memory. Two sandboxes may have the same parent, so the pod's id is in it. */
char *pod_init_cgroup(const struct pod *pod);
