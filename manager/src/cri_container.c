/* Containers. */
#include <errno.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "manager/src/container_life.h"
#include "manager/src/cri.h"
#include "manager/src/signals.h"
#include "runtime/include/axle/monitor.h"

int cri_create_container(struct rpc *rpc, const void *request_, void *ret_reply, struct err *err)
{
	const Cri__CreateContainerRequest *request = request_;
	Cri__CreateContainerResponse *reply = ret_reply;
	scoped(pod_unref) struct pod *pod = NULL;
	scoped(container_unref) struct container *container = NULL;
	int r = pod_find(rpc->node, rpc->owner, request->pod_sandbox_id, &pod, err);
	if (r == 0)
		r = container_create(pod, request->config, &container, err);
	if (r < 0)
		return r;
	reply->container_id = arena_strdup(rpc->arena, container->id);
	return reply->container_id ? 0 : -ENOMEM;
}

int cri_start_container(struct rpc *rpc, const void *request_, void *ret_reply, struct err *err)
{
	(void)ret_reply;
	const Cri__StartContainerRequest *request = request_;
	scoped(container_unref) struct container *container = NULL;
	int r = container_find(rpc->node, rpc->owner, request->container_id, &container, err);
	if (r == 0)
		r = container_start(container, err);
	return r;
}

int cri_stop_container(struct rpc *rpc, const void *request_, void *ret_reply, struct err *err)
{
	(void)ret_reply;
	const Cri__StopContainerRequest *request = request_;
	scoped(container_unref) struct container *container = NULL;
	int r = container_find(rpc->node, rpc->owner, request->container_id, &container, err);
	if (r == -ENOENT)
		return 0;
	return r < 0 ? r : container_stop(container, request->timeout, err);
}

int cri_remove_container(struct rpc *rpc, const void *request_, void *ret_reply, struct err *err)
{
	(void)ret_reply;
	const Cri__RemoveContainerRequest *request = request_;
	scoped(container_unref) struct container *container = NULL;
	int r = container_find(rpc->node, rpc->owner, request->container_id, &container, err);
	if (r == -ENOENT)
		return 0;
	return r < 0 ? r : container_remove(container, err);
}

int cri_reopen_container_log(struct rpc *rpc, const void *request_, void *ret_reply, struct err *err)
{
	(void)ret_reply;
	const Cri__ReopenContainerLogRequest *request = request_;
	scoped(container_unref) struct container *container = NULL;
	int r = container_find(rpc->node, rpc->owner, request->container_id, &container, err);
	if (r < 0)
		return r;
	scoped_done(monitor_received_done) struct monitor_received received = {0};
	return container_ask(container, &(struct monitor_message){.op = MONITOR_REOPEN_LOG}, NULL, &received, err);
}

/* --- status --- */

static Cri__ContainerUser *make_user(struct rpc *rpc, const struct container *container)
{
	const struct container_record *record = &container->record;
	Cri__ContainerUser *user = rpc_new(rpc, &cri__container_user__descriptor);
	Cri__LinuxContainerUser *ids = rpc_new(rpc, &cri__linux_container_user__descriptor);
	int64_t *groups = arena_array(rpc->arena, record->groups_count + 1, sizeof *groups);
	if (!user || !ids || !groups)
		return NULL;
	ids->uid = record->uid;
	ids->gid = record->gid;
	/* the primary group counts as one of them, as getgroups(2) shows it to the process of others */
	size_t count = 0;
	groups[count++] = record->gid;
	for (size_t i = 0; i < record->groups_count; i++)
		if (record->groups[i] != record->gid)
			groups[count++] = record->groups[i];
	ids->supplemental_groups = groups;
	ids->n_supplemental_groups = count;
	user->linux = ids;
	return user;
}

static int add_resources(struct rpc *rpc, const struct container *container, Cri__ContainerStatus *status)
{
	if (!container->config->linux || !container->config->linux->resources)
		return 0;
	status->resources = rpc_new(rpc, &cri__container_resources__descriptor);
	if (!status->resources)
		return -ENOMEM;
	status->resources->linux = container->config->linux->resources;
	return 0;
}

/* A mount of an image, with the id of what is mounted (KEP-5365). */
static Cri__Mount *copy_image_mount(struct rpc *rpc, const Cri__Mount *mount, const char *id)
{
	Cri__Mount *copy = rpc_new(rpc, &cri__mount__descriptor);
	Cri__ImageSpec *image = rpc_new(rpc, &cri__image_spec__descriptor);
	if (!copy || !image)
		return NULL;
	*copy = *mount;
	*image = *mount->image;
	image->image_ref = id;
	copy->image = image;
	return copy;
}

/* The mounts as they were asked for. */
static int add_mounts(struct rpc *rpc, const struct container *container, Cri__ContainerStatus *status)
{
	const Cri__ContainerConfig *config = container->config;
	const char *const *images = container->record.volume_images;
	status->mounts = config->mounts;
	status->n_mounts = config->n_mounts;
	if (!images)
		return 0;
	status->mounts = arena_array(rpc->arena, config->n_mounts, sizeof *status->mounts);
	if (!status->mounts)
		return -ENOMEM;
	for (size_t i = 0; i < config->n_mounts; i++) {
		status->mounts[i] = config->mounts[i];
		if (config->mounts[i]->image && *images)
			status->mounts[i] = copy_image_mount(rpc, config->mounts[i], *images++);
		if (!status->mounts[i])
			return -ENOMEM;
	}
	return 0;
}

static void add_exit(const struct container *container, Cri__ContainerStatus *status)
{
	if (!container->record.exit || container->phase != CONTAINER_EXITED)
		return;
	status->finished_at = container->record.finished_ns;
	status->exit_code = container->exit.code;
	status->reason = container->exit.reason ? container->exit.reason : "";
	status->message = container->exit.message ? container->exit.message : "";
}

Cri__ContainerStatus *cri_make_container_status(struct rpc *rpc, const struct container *container)
{
	const Cri__ContainerConfig *config = container->config;
	Cri__ContainerStatus *status = rpc_new(rpc, &cri__container_status__descriptor);
	if (!status)
		return NULL;
	status->id = container->id;
	status->metadata = config->metadata;
	status->state = container_cri_state(container);
	status->created_at = container->record.created_ns;
	status->started_at = container->phase == CONTAINER_EXITED || container->running ? container->record.started_ns : 0;
	status->image = config->image;
	status->image_ref = container->record.image_id;
	status->image_id = container->record.image_id;
	status->n_labels = config->n_labels;
	status->labels = config->labels;
	status->n_annotations = config->n_annotations;
	status->annotations = config->annotations;
	status->log_path = container->record.log_path;
	status->user = make_user(rpc, container);
	status->stop_signal = signal_to_cri(container->record.stop_signal);
	add_exit(container, status);
	int r = add_mounts(rpc, container, status);
	return r == 0 && status->user && add_resources(rpc, container, status) == 0 ? status : NULL;
}

int cri_container_status(struct rpc *rpc, const void *request_, void *ret_reply, struct err *err)
{
	const Cri__ContainerStatusRequest *request = request_;
	Cri__ContainerStatusResponse *reply = ret_reply;
	scoped(container_unref) struct container *container = NULL;
	int r = container_find(rpc->node, rpc->owner, request->container_id, &container, err);
	if (r < 0)
		return r;
	reply->status = cri_make_container_status(rpc, container);
	if (!reply->status)
		return -ENOMEM;
	if (!request->verbose)
		return 0;
	const char *info = arena_printf(rpc->arena,
					"{\"pid\":%d,\"sandboxID\":\"%s\",\"phase\":\"%s\",\"cgroup\":\"%s\","
					"\"monitorPid\":%d}",
					(int)container->pid, container->pod->id, container_phase_name(container->phase),
					container->record.cgroup, (int)container->monitor_pid);
	return rpc_add_entry(rpc, &reply->info, &reply->n_info, "info", info);
}

/* --- list --- */

static bool matches(const struct rpc *rpc, const struct container *container, const Cri__ContainerFilter *filter)
{
	if (container->owner != rpc->owner || container->phase == CONTAINER_CREATING)
		return false;
	if (!filter)
		return true;
	return cri_id_matches(container->id, filter->id) && cri_id_matches(container->pod->id, filter->pod_sandbox_id) &&
	       (!filter->state || filter->state->state == container_cri_state(container)) &&
	       cri_labels_match(container->config->labels, container->config->n_labels, filter->label_selector,
				filter->n_label_selector);
}

static Cri__Container *make_item(struct rpc *rpc, const struct container *container)
{
	Cri__Container *item = rpc_new(rpc, &cri__container__descriptor);
	if (!item)
		return NULL;
	item->id = container->id;
	item->pod_sandbox_id = container->pod->id;
	item->metadata = container->config->metadata;
	item->image = container->config->image;
	item->image_ref = container->record.image_id;
	item->image_id = container->record.image_id;
	item->state = container_cri_state(container);
	item->created_at = container->record.created_ns;
	item->n_labels = container->config->n_labels;
	item->labels = container->config->labels;
	item->n_annotations = container->config->n_annotations;
	item->annotations = container->config->annotations;
	return item;
}

int cri_list_containers(struct rpc *rpc, const void *request_, void *ret_reply, struct err *err)
{
	(void)err;
	const Cri__ListContainersRequest *request = request_;
	Cri__ListContainersResponse *reply = ret_reply;
	const struct idtable *all = &rpc->node->containers;
	reply->containers = rpc_array(rpc, all->count);
	if (!reply->containers)
		return -ENOMEM;
	for (size_t i = 0; i < all->count; i++) {
		const struct container *container = all->objects[i];
		if (!matches(rpc, container, request->filter))
			continue;
		Cri__Container *item = make_item(rpc, container);
		if (!item)
			return -ENOMEM;
		reply->containers[reply->n_containers++] = item;
	}
	return 0;
}
