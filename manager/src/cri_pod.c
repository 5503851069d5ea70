/* Pod sandboxes. */
#include <errno.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/codec/json.h"
#include "manager/src/container.h"
#include "manager/src/cri.h"
#include "manager/src/pod_life.h"

#define CONFIG_TEXT_MAX (4 << 20)

int cri_run_pod_sandbox(struct rpc *rpc, const void *request_, void *ret_reply, struct err *err)
{
	const Cri__RunPodSandboxRequest *request = request_;
	Cri__RunPodSandboxResponse *reply = ret_reply;
	scoped(pod_unref) struct pod *pod = NULL;
	int r = pod_run(rpc->node, rpc->owner, request->runtime_handler, request->config, &pod, err);
	if (r < 0)
		return r;
	reply->pod_sandbox_id = arena_strdup(rpc->arena, pod->id);
	return reply->pod_sandbox_id ? 0 : -ENOMEM;
}

/* What is gone is success for Stop and Remove. */
static int act_on_pod(struct rpc *rpc, const char *id, int (*act)(struct pod *pod, struct err *err), struct err *err)
{
	scoped(pod_unref) struct pod *pod = NULL;
	int r = pod_find(rpc->node, rpc->owner, id, &pod, err);
	if (r == -ENOENT)
		return 0;
	return r < 0 ? r : act(pod, err);
}

int cri_stop_pod_sandbox(struct rpc *rpc, const void *request, void *ret_reply, struct err *err)
{
	(void)ret_reply;
	return act_on_pod(rpc, ((const Cri__StopPodSandboxRequest *)request)->pod_sandbox_id, pod_stop, err);
}

int cri_remove_pod_sandbox(struct rpc *rpc, const void *request, void *ret_reply, struct err *err)
{
	(void)ret_reply;
	return act_on_pod(rpc, ((const Cri__RemovePodSandboxRequest *)request)->pod_sandbox_id, pod_remove, err);
}

static Cri__PodSandboxState state_of(const struct pod *pod)
{
	return pod->phase == POD_READY ? CRI__POD_SANDBOX_STATE__SANDBOX_READY : CRI__POD_SANDBOX_STATE__SANDBOX_NOTREADY;
}

static Cri__LinuxPodSandboxStatus *make_namespaces(struct rpc *rpc, const struct pod *pod)
{
	struct pod_namespaces has = pod_namespaces(pod->config);
	Cri__LinuxPodSandboxStatus *status = rpc_new(rpc, &cri__linux_pod_sandbox_status__descriptor);
	Cri__Namespace *namespaces = rpc_new(rpc, &cri__namespace__descriptor);
	Cri__NamespaceOption *options = rpc_new(rpc, &cri__namespace_option__descriptor);
	if (!status || !namespaces || !options)
		return NULL;
	options->network = has.host_network ? CRI__NAMESPACE_MODE__NODE : CRI__NAMESPACE_MODE__POD;
	options->ipc = has.host_ipc ? CRI__NAMESPACE_MODE__NODE : CRI__NAMESPACE_MODE__POD;
	options->pid = has.pid;
	const Cri__NamespaceOption *asked = pod->config->linux && pod->config->linux->security_context
						    ? pod->config->linux->security_context->namespace_options
						    : NULL;
	options->userns_options = asked ? asked->userns_options : NULL;
	namespaces->options = options;
	status->namespaces = namespaces;
	return status;
}

Cri__PodSandboxStatus *cri_make_pod_status(struct rpc *rpc, const struct pod *pod)
{
	Cri__PodSandboxStatus *status = rpc_new(rpc, &cri__pod_sandbox_status__descriptor);
	if (!status)
		return NULL;
	status->id = pod->id;
	status->metadata = pod->config->metadata;
	status->state = state_of(pod);
	status->created_at = pod->record.created_ns;
	status->network = cri_make_network_status(rpc, pod);
	status->linux = make_namespaces(rpc, pod);
	status->n_labels = pod->config->n_labels;
	status->labels = pod->config->labels;
	status->n_annotations = pod->config->n_annotations;
	status->annotations = pod->config->annotations;
	status->runtime_handler = pod->record.runtime_handler;
	return status->network && status->linux ? status : NULL;
}

static int add_container_statuses(struct rpc *rpc, const struct pod *pod, Cri__PodSandboxStatusResponse *reply)
{
	const struct idtable *all = &rpc->node->containers;
	reply->containers_statuses = rpc_array(rpc, all->count);
	if (!reply->containers_statuses)
		return -ENOMEM;
	for (size_t i = 0; i < all->count; i++) {
		const struct container *container = all->objects[i];
		if (container->pod != pod)
			continue;
		Cri__ContainerStatus *status = cri_make_container_status(rpc, container);
		if (!status)
			return -ENOMEM;
		reply->containers_statuses[reply->n_containers_statuses++] = status;
	}
	return 0;
}

struct config_info {
	json_t *config;
};

static const struct json_field CONFIG_INFO_FIELDS[] = {JSON_FIELD(struct config_info, config, "config", JSON_RAW, 0)};
static const struct json_table CONFIG_INFO = JSON_TABLE(struct config_info, CONFIG_INFO_FIELDS);

/* The pod's configuration as it counts now, with what UpdatePodSandboxResources made of it. */
static const char *describe_config(struct rpc *rpc, const struct pod *pod)
{
	scoped_done(buf_done) struct buf text = {.max = CONFIG_TEXT_MAX};
	const struct config_info info = {pod->record.config};
	return json_encode(&CONFIG_INFO, &info, &text) < 0 ? NULL : arena_strndup(rpc->arena, text.data, text.size);
}

int cri_pod_sandbox_status(struct rpc *rpc, const void *request_, void *ret_reply, struct err *err)
{
	const Cri__PodSandboxStatusRequest *request = request_;
	Cri__PodSandboxStatusResponse *reply = ret_reply;
	scoped(pod_unref) struct pod *pod = NULL;
	int r = pod_find(rpc->node, rpc->owner, request->pod_sandbox_id, &pod, err);
	if (r < 0)
		return r;
	const char *network = request->verbose ? cri_describe_network(rpc, pod) : "";
	reply->status = cri_make_pod_status(rpc, pod);
	reply->timestamp = node_now_ns();
	r = reply->status ? add_container_statuses(rpc, pod, reply) : -ENOMEM;
	if (r == 0 && request->verbose) {
		const char *info = arena_printf(rpc->arena,
						"{\"phase\":\"%s\",\"cgroup\":\"%s\",\"pins\":\"%s/%s\",\"owner\":\"%s\","
						"\"initPid\":%d}",
						pod_phase_name(pod->phase), pod->record.cgroup, rpc->node->places.pins,
						pod->id, owner_name(pod->owner), pod->init_pid);
		r = rpc_add_entry(rpc, &reply->info, &reply->n_info, "info", info);
		if (r == 0)
			r = rpc_add_entry(rpc, &reply->info, &reply->n_info, "config", describe_config(rpc, pod));
		if (r == 0)
			r = rpc_add_entry(rpc, &reply->info, &reply->n_info, "network", network);
	}
	return r;
}

static bool matches(const struct rpc *rpc, const struct pod *pod, const Cri__PodSandboxFilter *filter)
{
	if (pod->owner != rpc->owner || pod->phase == POD_CREATING)
		return false;
	if (!filter)
		return true;
	return cri_id_matches(pod->id, filter->id) && (!filter->state || filter->state->state == state_of(pod)) &&
	       cri_labels_match(pod->config->labels, pod->config->n_labels, filter->label_selector,
				filter->n_label_selector);
}

static Cri__PodSandbox *make_item(struct rpc *rpc, const struct pod *pod)
{
	Cri__PodSandbox *item = rpc_new(rpc, &cri__pod_sandbox__descriptor);
	if (!item)
		return NULL;
	item->id = pod->id;
	item->metadata = pod->config->metadata;
	item->state = state_of(pod);
	item->created_at = pod->record.created_ns;
	item->n_labels = pod->config->n_labels;
	item->labels = pod->config->labels;
	item->n_annotations = pod->config->n_annotations;
	item->annotations = pod->config->annotations;
	item->runtime_handler = pod->record.runtime_handler;
	return item;
}

int cri_list_pod_sandbox(struct rpc *rpc, const void *request_, void *ret_reply, struct err *err)
{
	(void)err;
	const Cri__ListPodSandboxRequest *request = request_;
	Cri__ListPodSandboxResponse *reply = ret_reply;
	const struct idtable *all = &rpc->node->pods;
	reply->items = rpc_array(rpc, all->count);
	if (!reply->items)
		return -ENOMEM;
	for (size_t i = 0; i < all->count; i++) {
		const struct pod *pod = all->objects[i];
		if (!matches(rpc, pod, request->filter))
			continue;
		Cri__PodSandbox *item = make_item(rpc, pod);
		if (!item)
			return -ENOMEM;
		reply->items[reply->n_items++] = item;
	}
	return 0;
}
