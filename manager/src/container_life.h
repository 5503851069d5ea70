/* The life of a container: made, started, stopped, removed. All of it parks. */
#pragma once

#include "manager/src/container.h"

struct err;
struct monitor_client;
struct monitor_config;
struct monitor_exit;
struct monitor_message;
struct monitor_received;

/* Makes a container in @pod: record, root file system, user, and the whole configuration is checked. A half-made one with
 * the same metadata is removed first.
 * Errors: -EBUSY (the pod is not ready), -EEXIST (container.exists), -ENOENT (image.not-found), -EINVAL. */
int container_create(struct pod *pod, const Cri__ContainerConfig *config, struct container **ret_container,
		     struct err *err);

/* Starts it, once. Where that fails, the container has ended with the reason StartError, and keeps why.
 * Errors: -EBUSY (not in the state created), -ENOENT (runtime.executable-not-found), -EACCES (runtime.executable-denied),
 * of the runtime. */
int container_start(struct container *container, struct err *err);

/* Sends its stop signal, and after @timeout_s SIGKILL to all of it; waits for the end. One that does not run is success. */
int container_stop(struct container *container, int64_t timeout_s, struct err *err);

/* Removes it; one that runs is killed first. One that is gone is success. */
int container_remove(struct container *container, struct err *err);

/* Changes the limits that @wanted names, of a container that runs or does not run yet, and records them. Where it fails
 * nothing is changed. Errors: -EBUSY (container.state: it has ended), -EINVAL (container.resources), of the runtime. */
int container_update(struct container *container, const Cri__LinuxContainerResources *wanted, struct err *err);

/* Sends a signal to its first process. Errors: -EBUSY (it does not run), -EINVAL. */
int container_signal(struct container *container, int signal, struct err *err);

/* Parks until it has ended (or, with @removed, is gone). */
int container_wait(struct container *container, bool removed);

/* Ends what an ended container still holds: the runtime's state, cgroup, mount. The lock is held. */
int container_clean(struct container *container, struct err *err);

/* Gives up a container that a reboot or the loss of its monitor ended: exit 255 with @reason. The lock is held. */
int container_declare_lost(struct container *container, const char *reason, const char *message, struct err *err);

/* Does what was asked for the end of a container: removes it, and a pod of the command line's with it. */
void container_finish_policy(struct container *container);

/* Finds a started container's monitor again, or starts one that adopts it, or learns how it ended. For the restart, and for
 * a monitor that died. Parks. */
void container_resume(struct container *container);

/* Tells from the words of a runtime whether the command itself cannot be run, which callers want to know
 * ("runtime.executable-not-found", "runtime.executable-denied"). Returns the code, changed where it is so. */
int container_classify(struct err *err, int code);

/* Asks the monitor of a running container (monitor_link_call()), after waiting for one that is just adopting it.
 * Errors: -EBUSY (container.state: it does not run), those of monitor_link_call(). */
int container_ask(struct container *container, const struct monitor_message *request, const int *fds,
		  struct monitor_received *ret_received, struct err *err);

/* Watches the connection to its monitor; takes it. */
int container_watch(struct container *container, struct monitor_client *client, struct err *err);

/* What the monitor must know, for create and adopt; in @arena. */
int container_describe(const struct container *container, struct arena *arena, struct monitor_config *ret_config,
		       struct err *err);

/* Takes what the reply to create, adopt or descriptors brought. */
void container_take_descriptors(struct container *container, struct monitor_received *received);

/* Handles that the container has ended, by what its monitor says; to be called without the lock. */
void container_ended(struct container *container, const struct monitor_exit *exit);
