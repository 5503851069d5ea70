#include "manager/src/pod_life.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/str.h"
#include "manager/src/container_life.h"
#include "manager/src/pod_files.h"
#include "manager/src/usage.h"
#include "manager/src/pod_network.h"
#include "manager/src/pod_init.h"
#include "manager/src/pod_resources.h"
#include "manager/src/pod_security.h"
#include "manager/src/pod_sysctls.h"
#include "manager/src/runtimes.h"

#define HOSTNAME_BYTES_MAX 64 /* the kernel's */

void pod_event(const struct pod *pod, const char *action)
{
	struct event event = {.type = "pod", .action = action};
	(void)snprintf(event.id, sizeof event.id, "%s", pod->id);
	(void)snprintf(event.name, sizeof event.name, "%s", pod->config->metadata ? pod->config->metadata->name : "");
	(void)snprintf(event.owner, sizeof event.owner, "%s", owner_name(pod->owner));
	events_add(pod->node->events, &event);
}

/* --- making --- */

static int check(struct node *node, const char *runtime_handler, const Cri__PodSandboxConfig *config,
		 struct err *err)
{
	if (!config || !config->metadata || str_empty(config->metadata->name))
		return err_set(err, -EINVAL, "pod.metadata", "expected a configuration with metadata and a name");
	if (!config_find_runtime(&node->config, runtime_handler))
		return err_set(err, -EINVAL, "pod.runtime-handler",
			       "runtime handler \"%s\": expected one of the [runtimes] in %s", runtime_handler,
			       node->places.config);
	if (strlen(config->hostname) > HOSTNAME_BYTES_MAX)
		return err_set(err, -EINVAL, "pod.hostname", "hostname \"%.80s\": expected at most %d bytes",
			       config->hostname, HOSTNAME_BYTES_MAX);
	int r = pod_check_security(config, err);
	if (r == 0)
		r = pod_sysctls_check(config, &node->config.pods, err);
	uint64_t shm_bytes = 0;
	if (r == 0)
		r = pod_shm_bytes(config, &node->config.pods, &shm_bytes, err);
	return r < 0 ? r : runtime_check_pod(node, runtime_handler, config, err);
}

/* For a person one name means one pod, whatever its uid and attempt. */
static struct pod *find_same(const struct node *node, enum owner owner, const Cri__PodSandboxMetadata *metadata)
{
	if (owner == OWNER_CRI)
		return pod_find_by_metadata(node, owner, metadata);
	for (size_t i = 0; i < node->pods.count; i++) {
		struct pod *pod = node->pods.objects[i];
		if (pod->owner == owner && str_equal(pod->config->metadata->name, metadata->name) &&
		    str_equal(pod->config->metadata->namespace_, metadata->namespace_))
			return pod;
	}
	return NULL;
}

static int remove_locked(struct pod *pod, struct err *err);

/* Waits for one that is just being made or removed, and removes one of which only a part was made. */
static int make_room(struct node *node, enum owner owner, const Cri__PodSandboxMetadata *metadata, struct err *err)
{
	for (;;) {
		struct pod *found = find_same(node, owner, metadata);
		if (!found)
			return 0;
		scoped(pod_unref) struct pod *pod = pod_ref(found);
		int r = fiber_lock(node->fibers, &pod->lock);
		if (r < 0)
			return err_set(err, r, "pod.busy", "pod %s is being made or removed", pod->id);
		if (pod->phase == POD_READY || pod->phase == POD_STOPPED)
			r = err_set(err, -EEXIST, "pod.exists", "the name \"%s\" is used by pod %s", metadata->name,
				    pod->id);
		else
			r = remove_locked(pod, err);
		fiber_unlock(node->fibers, &pod->lock);
		if (r < 0)
			return r;
	}
}

static int make(struct pod *pod, struct err *err)
{
	scoped_done(arena_done) struct arena arena = {.max = 1 << 20};
	struct helper_pod_make make = {0};
	int r = pod_network_plan(pod, err);
	if (r == 0)
		r = pod_save(pod, POD_CREATING, err);
	if (r == 0)
		r = pod_describe(pod, &arena, &make, err);
	if (r < 0)
		return r;
	struct helper_request request = {.pod_make = &make};
	struct helper_reply reply = {0};
	r = helper_run(&pod->node->helper, &request, &arena, &reply, NULL, err);
	if (r == 0)
		r = pod_network_attach(pod, err);
	if (r == 0)
		r = pod_resources_apply(pod, err);
	if (r < 0)
		return err_add(err, r, "pod %.12s", pod->id);
	return pod_save(pod, POD_READY, err);
}

/* What cannot be undone now (a plugin that fails at DEL as it did at ADD) is shown as a stopped pod, for its owner to remove. */
static void undo(struct pod *pod)
{
	struct err err = {0};
	fiber_shield(pod->node->fibers);
	int r = remove_locked(pod, &err);
	if (r < 0) {
		log_err(&pod->node->log, &err, r, "undo pod %s", pod->id);
		r = pod_save(pod, POD_STOPPED, &err);
		if (r < 0)
			log_err(&pod->node->log, &err, r, "undo pod %s", pod->id);
	}
	fiber_unshield(pod->node->fibers);
}

int pod_run(struct node *node, enum owner owner, const char *runtime_handler, const Cri__PodSandboxConfig *config,
	    struct pod **ret_pod, struct err *err)
{
	scoped(pod_unref) struct pod *pod = NULL;
	int r = check(node, runtime_handler, config, err);
	if (r == 0)
		r = make_room(node, owner, config->metadata, err);
	if (r == 0)
		r = pod_new(node, owner, runtime_handler, config, &pod, err);
	if (r == 0)
		r = idtable_add(&node->pods, pod);
	if (r < 0)
		return r;
	(void)pod_ref(pod); /* the table's */
	(void)fiber_lock(node->fibers, &pod->lock); /* nobody else knows it yet */
	r = make(pod, err);
	if (r < 0)
		undo(pod);
	fiber_unlock(node->fibers, &pod->lock);
	if (r < 0)
		return r;
	pod_event(pod, "created");
	log_info(&node->log, "pod.created", "pod %s (%s)", pod->id, config->metadata->name);
	*ret_pod = TAKE(pod);
	return 0;
}

/* --- ending --- */

int pod_release(struct pod *pod, bool with_cgroup, struct err *err)
{
	usage_close_network(pod);
	scoped_free char *pins = pod_pins_path(pod);
	scoped_free char *files = pod_files_path(pod);
	scoped_free char *init_cgroup = pod_init_cgroup(pod);
	if (!pins || !files || !init_cgroup)
		return -ENOMEM;
	pod_init_forget(pod);
	int r = pod_network_detach(pod, err); /* while the namespace is there */
	if (r < 0)
		return r;
	scoped_done(arena_done) struct arena arena = {.max = 1 << 20};
	struct helper_pod_remove remove = {
		.pins = pins,
		.files = files,
		.init_cgroup = init_cgroup,
		.cgroup = with_cgroup && pod->record.cgroup_is_ours ? pod->record.cgroup : NULL,
	};
	struct helper_request request = {.pod_remove = &remove};
	struct helper_reply reply = {0};
	return helper_run(&pod->node->helper, &request, &arena, &reply, NULL, err);
}

/* The next container of the pod, with a reference; NULL: there is none. */
static struct container *next_container(const struct pod *pod, const struct container *after)
{
	const struct idtable *all = &pod->node->containers;
	for (size_t i = 0; i < all->count; i++) {
		struct container *container = all->objects[i];
		if (container->pod == pod && (!after || strcmp(container->id, after->id) > 0))
			return container_ref(container);
	}
	return NULL;
}

static int for_each_container(struct pod *pod, int (*act)(struct container *container, struct err *err), struct err *err)
{
	scoped(container_unref) struct container *container = next_container(pod, NULL);
	int r = 0;
	while (r == 0 && container) {
		r = act(container, err);
		struct container *next = next_container(pod, container);
		container_unref(container);
		container = next;
	}
	return r;
}

static int kill_container(struct container *container, struct err *err)
{
	return container_stop(container, 0, err);
}

static int note_end(struct pod *pod, enum pod_phase phase, struct err *err)
{
	return record_end_noted(&pod->node->log, pod->id, pod_save(pod, phase, err));
}

static int stop_locked(struct pod *pod, struct err *err)
{
	int r = for_each_container(pod, kill_container, err);
	bool networked = pod->record.network;
	if (r < 0 || !(pod->phase == POD_READY || (pod->phase == POD_STOPPED && networked)))
		return r;
	r = note_end(pod, POD_STOPPED, err); /* first: a start that finds it so ends what is left */
	if (r == 0)
		r = pod_release(pod, false, err);
	if (r == 0 && networked)
		r = note_end(pod, POD_STOPPED, err); /* nothing is attached any more */
	if (r == 0) {
		pod_event(pod, "stopped");
		log_info(&pod->node->log, "pod.stopped", "pod %s", pod->id);
	}
	return r;
}

int pod_stop(struct pod *pod, struct err *err)
{
	int r = fiber_lock(pod->node->fibers, &pod->lock);
	if (r < 0)
		return err_set(err, r, "pod.busy", "pod %s: another call is not done with it", pod->id);
	r = stop_locked(pod, err);
	fiber_unlock(pod->node->fibers, &pod->lock);
	return r;
}

static void run_stop(void *data)
{
	struct pod *pod = data;
	struct err err = {0};
	int r = pod_stop(pod, &err);
	if (r < 0)
		log_err(&pod->node->log, &err, r, "stop pod %s, whose init has ended", pod->id);
	pod_unref(pod);
}

void pod_lose_init(void *data)
{
	struct pod *pod = data;
	pod_init_forget(pod);
	log_warning(&pod->node->log, "pod.init-ended", "pod %s: its init has ended, and with it the pid namespace", pod->id);
	if (fiber_start(pod->node->fibers, run_stop, pod_ref(pod), NULL) < 0)
		pod_unref(pod);
}

static int remove_locked(struct pod *pod, struct err *err)
{
	struct node *node = pod->node;
	if (idtable_get(&node->pods, pod->id) != pod)
		return 0;
	int r = stop_locked(pod, err);
	if (r == 0)
		r = note_end(pod, POD_REMOVING, err);
	if (r == 0)
		r = for_each_container(pod, container_remove, err);
	if (r == 0)
		r = pod_release(pod, true, err);
	if (r == 0)
		r = record_remove(node->fibers, node->places.pod_records_fd, pod->id, err);
	if (r < 0)
		return r;
	pod_event(pod, "removed");
	log_info(&node->log, "pod.removed", "pod %s", pod->id);
	pod_forget(pod);
	return 0;
}

int pod_remove(struct pod *pod, struct err *err)
{
	struct fibers *fibers = pod->node->fibers;
	int r = fiber_lock(fibers, &pod->lock);
	if (r < 0)
		return err_set(err, r, "pod.busy", "pod %s: another call is not done with it", pod->id);
	r = remove_locked(pod, err);
	fiber_unlock(fibers, &pod->lock);
	return r;
}
