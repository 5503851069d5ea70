/* axle.v1 Containers: List, Inspect, Wait, Signal, SetPolicy. */
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "image/include/axle/image.h"
#include "manager/src/axle.h"
#include "manager/src/container_life.h"
#include "manager/src/cri.h"
#include "manager/src/signals.h"

Axle__ExitStatus *axle_make_exit_status(struct rpc *rpc, const struct container *container)
{
	Axle__ExitStatus *status = rpc_new(rpc, &axle__exit_status__descriptor);
	if (!status || !container->record.exit)
		return status;
	status->code = container->exit.code;
	status->signal = (uint32_t)container->exit.signal;
	status->oom_killed = container->exit.oom_killed;
	status->reason = arena_strdup(rpc->arena, container->exit.reason ? container->exit.reason : "");
	status->message = arena_strdup(rpc->arena, container->exit.message ? container->exit.message : "");
	status->finished_at = container->record.finished_ns;
	return status->reason && status->message ? status : NULL;
}

/* The entry point and its arguments, as they were made of image and configuration. */
static int add_command(struct rpc *rpc, const struct container *container, Axle__ContainerSummary *summary)
{
	const Cri__ContainerConfig *config = container->config;
	const struct image *image = NULL;
	if (image_store_resolve(container->node->images, container->record.image_id, &image, NULL) < 0)
		image = NULL;
	const char *const *entry = image && !config->n_command ? image->config.entrypoint : NULL;
	const char *const *cmd = image && !config->n_command && !config->n_args ? image->config.cmd : NULL;
	size_t most = config->n_command + config->n_args + (entry ? strv_count(entry) : 0) + (cmd ? strv_count(cmd) : 0);
	const char **words = rpc_array(rpc, most);
	size_t count = 0;
	if (!words)
		return -ENOMEM;
	for (size_t i = 0; entry && entry[i]; i++)
		words[count++] = arena_strdup(rpc->arena, entry[i]);
	for (size_t i = 0; i < config->n_command; i++)
		words[count++] = config->command[i];
	for (size_t i = 0; i < config->n_args; i++)
		words[count++] = config->args[i];
	for (size_t i = 0; cmd && cmd[i]; i++)
		words[count++] = arena_strdup(rpc->arena, cmd[i]);
	for (size_t i = 0; i < count; i++)
		if (!words[i])
			return -ENOMEM;
	summary->command = words;
	summary->n_command = count;
	return 0;
}

static Axle__ContainerSummary *make_summary(struct rpc *rpc, const struct container *container)
{
	const struct container_record *record = &container->record;
	const Cri__PodSandboxMetadata *pod = container->pod->config->metadata;
	Axle__ContainerSummary *summary = rpc_new(rpc, &axle__container_summary__descriptor);
	if (!summary)
		return NULL;
	summary->id = container->id;
	summary->name = container->config->metadata->name;
	summary->pod_id = container->pod->id;
	summary->pod_name = pod->name;
	summary->pod_namespace = pod->namespace_;
	summary->owner = owner_name(container->owner);
	summary->image = str_empty(container->config->image->user_specified_image)
				 ? record->image
				 : container->config->image->user_specified_image;
	summary->image_id = record->image_id;
	summary->state = container_cri_state(container);
	summary->created_at = record->created_ns;
	summary->started_at = container->running || record->exit ? record->started_ns : 0;
	summary->finished_at = record->finished_ns;
	summary->pid = container->running ? (uint32_t)container->pid : 0;
	summary->runtime_handler = str_empty(record->runtime_handler) ? container->node->config.default_runtime
								      : record->runtime_handler;
	summary->n_labels = container->config->n_labels;
	summary->labels = container->config->labels;
	summary->tty = container->config->tty;
	if (record->exit) {
		summary->exit = axle_make_exit_status(rpc, container);
		if (!summary->exit)
			return NULL;
	}
	return add_command(rpc, container, summary) < 0 ? NULL : summary;
}

/* --- filters: "key=value"; equal keys are combined with "or", different ones with "and" --- */

static const struct {
	const char *name;
	Cri__ContainerState state;
} STATUSES[] = {
	{"created", CRI__CONTAINER_STATE__CONTAINER_CREATED},
	{"running", CRI__CONTAINER_STATE__CONTAINER_RUNNING},
	{"exited", CRI__CONTAINER_STATE__CONTAINER_EXITED},
};

static bool by_id(const struct container *container, const char *value)
{
	return cri_id_matches(container->id, value);
}

static bool by_name(const struct container *container, const char *value)
{
	return strstr(container->config->metadata->name, value) != NULL;
}

static bool by_status(const struct container *container, const char *value)
{
	for (size_t i = 0; i < ARRAY_COUNT(STATUSES); i++)
		if (str_equal(STATUSES[i].name, value))
			return container_cri_state(container) == STATUSES[i].state;
	return false;
}

static bool by_label(const struct container *container, const char *value)
{
	const char *equals = strchr(value, '=');
	size_t length = equals ? (size_t)(equals - value) : strlen(value);
	for (size_t i = 0; i < container->config->n_labels; i++) {
		const Cri__MapEntry *label = container->config->labels[i];
		if (strlen(label->key) == length && strncmp(label->key, value, length) == 0)
			return !equals || str_equal(label->value, equals + 1);
	}
	return false;
}

static bool by_ancestor(const struct container *container, const char *value)
{
	const struct image *image = NULL;
	return image_store_resolve(container->node->images, value, &image, NULL) == 0
		       ? str_equal(image->id, container->record.image_id)
		       : str_equal(container->record.image, value);
}

static bool by_pod(const struct container *container, const char *value)
{
	return cri_id_matches(container->pod->id, value) || str_equal(container->pod->config->metadata->name, value);
}

static bool by_owner(const struct container *container, const char *value)
{
	return str_equal(owner_name(container->owner), value);
}

static const struct {
	const char *key;
	bool (*matches)(const struct container *container, const char *value);
} FILTERS[] = {
	{"id", by_id},	     {"name", by_name},	 {"status", by_status}, {"label", by_label}, {"ancestor", by_ancestor},
	{"pod", by_pod}, {"owner", by_owner},
};

static int check_filters(const Axle__ListContainersRequest *request, struct err *err)
{
	for (size_t i = 0; i < request->n_filters; i++) {
		bool known = false;
		for (size_t j = 0; j < ARRAY_COUNT(FILTERS); j++) {
			const char *rest = str_after_prefix(request->filters[i], FILTERS[j].key);
			known = known || (rest && *rest == '=');
		}
		if (!known)
			return err_set(err, -EINVAL, "list.filter",
				       "filter \"%s\": expected id=, name=, status=, label=, ancestor=, pod= or owner=",
				       request->filters[i]);
	}
	return 0;
}

static bool passes_filters(const struct container *container, const Axle__ListContainersRequest *request)
{
	for (size_t j = 0; j < ARRAY_COUNT(FILTERS); j++) {
		bool asked = false;
		bool matched = false;
		for (size_t i = 0; i < request->n_filters; i++) {
			const char *rest = str_after_prefix(request->filters[i], FILTERS[j].key);
			if (!rest || *rest != '=')
				continue;
			asked = true;
			matched = matched || FILTERS[j].matches(container, rest + 1);
		}
		if (asked && !matched)
			return false;
	}
	return true;
}

static bool asks_status(const Axle__ListContainersRequest *request)
{
	for (size_t i = 0; i < request->n_filters; i++)
		if (str_after_prefix(request->filters[i], "status="))
			return true;
	return false;
}

static int newest_first(const void *a, const void *b)
{
	const Axle__ContainerSummary *left = *(Axle__ContainerSummary *const *)a;
	const Axle__ContainerSummary *right = *(Axle__ContainerSummary *const *)b;
	return left->created_at < right->created_at ? 1 : left->created_at > right->created_at ? -1 : 0;
}

int axle_list_containers(struct rpc *rpc, const void *request_, void *ret_reply, struct err *err)
{
	const Axle__ListContainersRequest *request = request_;
	Axle__ListContainersResponse *reply = ret_reply;
	const struct idtable *all = &rpc->node->containers;
	bool all_states = request->all_states || request->last || asks_status(request);
	int r = check_filters(request, err);
	if (r < 0)
		return r;
	reply->containers = rpc_array(rpc, all->count);
	if (!reply->containers)
		return -ENOMEM;
	for (size_t i = 0; i < all->count; i++) {
		const struct container *container = all->objects[i];
		if ((!request->all_owners && container->owner != rpc->owner) ||
		    container->phase == CONTAINER_CREATING || (!all_states && !container->running) ||
		    !passes_filters(container, request))
			continue;
		Axle__ContainerSummary *summary = make_summary(rpc, container);
		if (!summary)
			return -ENOMEM;
		reply->containers[reply->n_containers++] = summary;
	}
	qsort(reply->containers, reply->n_containers, sizeof(void *), newest_first);
	if (request->last && reply->n_containers > request->last)
		reply->n_containers = request->last;
	return 0;
}

/* --- one container --- */

static Axle__LastError *make_last_error(struct rpc *rpc, const struct error_record *record)
{
	Axle__LastError *error = rpc_new(rpc, &axle__last_error__descriptor);
	if (!error)
		return NULL;
	error->step = record->step ? record->step : "";
	error->path = record->path ? record->path : "";
	error->error = -record->code;
	error->reason = record->reason ? record->reason : "";
	error->message = record->message ? record->message : "";
	error->runtime_message = record->runtime_message ? record->runtime_message : "";
	error->at = record->at_ns;
	return error;
}

static int add_layers(struct rpc *rpc, const struct container *container, Axle__InspectContainerResponse *reply)
{
	const struct image *image = NULL;
	if (image_store_resolve(rpc->node->images, container->record.image_id, &image, NULL) < 0)
		return 0;
	reply->layers = rpc_array(rpc, image->layers_count);
	if (!reply->layers)
		return -ENOMEM;
	for (size_t i = 0; i < image->layers_count; i++) {
		reply->layers[i] = arena_printf(rpc->arena, "%s/images/%s", rpc->node->places.root,
						image->layers[image->layers_count - 1 - i]);
		if (!reply->layers[i])
			return -ENOMEM;
	}
	reply->n_layers = image->layers_count;
	return 0;
}

static int add_places(struct rpc *rpc, const struct container *container, Axle__InspectContainerResponse *reply)
{
	reply->bundle = arena_printf(rpc->arena, "%s/%s", rpc->node->places.containers, container->id);
	reply->rootfs = arena_printf(rpc->arena, "%s/%s/upper", rpc->node->places.rootfs, container->id);
	reply->cgroup = container->record.cgroup;
	reply->log_path = container->record.log_path;
	reply->monitor_pid = (uint32_t)container->monitor_pid;
	return reply->bundle && reply->rootfs ? 0 : -ENOMEM;
}

int axle_inspect_container(struct rpc *rpc, const void *request_, void *ret_reply, struct err *err)
{
	const Axle__InspectContainerRequest *request = request_;
	Axle__InspectContainerResponse *reply = ret_reply;
	scoped(container_unref) struct container *container = NULL;
	int r = container_find_by_name(rpc->node, rpc->owner, request->all_owners, request->container, &container, err);
	if (r < 0)
		return r;
	reply->summary = make_summary(rpc, container);
	reply->config = (Cri__ContainerConfig *)container->config;
	reply->pod_config = (Cri__PodSandboxConfig *)container->pod->config;
	reply->status = cri_make_container_status(rpc, container);
	reply->pod_status = cri_make_pod_status(rpc, container->pod);
	reply->policy = rpc_new(rpc, &axle__policy__descriptor);
	if (!reply->summary || !reply->status || !reply->pod_status || !reply->policy)
		return -ENOMEM;
	reply->policy->auto_remove = container->record.auto_remove;
	if (container->record.last_error) {
		reply->last_error = make_last_error(rpc, container->record.last_error);
		if (!reply->last_error)
			return -ENOMEM;
	}
	r = add_places(rpc, container, reply);
	return r < 0 ? r : add_layers(rpc, container, reply);
}

int axle_wait_container(struct rpc *rpc, const void *request_, void *ret_reply, struct err *err)
{
	const Axle__WaitRequest *request = request_;
	Axle__WaitResponse *reply = ret_reply;
	scoped(container_unref) struct container *container = NULL;
	int r = container_find_by_name(rpc->node, rpc->owner, true, request->container, &container, err);
	if (r == 0)
		r = container_wait(container, request->removed);
	if (r < 0)
		return r;
	reply->exit = axle_make_exit_status(rpc, container);
	return reply->exit ? 0 : -ENOMEM;
}

int axle_signal_container(struct rpc *rpc, const void *request_, void *ret_reply, struct err *err)
{
	(void)ret_reply;
	const Axle__SignalRequest *request = request_;
	scoped(container_unref) struct container *container = NULL;
	int number = signal_parse(request->signal);
	if (!number)
		return err_set(err, -EINVAL, "signal.name", "signal \"%s\": expected a name such as TERM, or a number",
			       request->signal);
	int r = container_find_by_name(rpc->node, rpc->owner, true, request->container, &container, err);
	return r < 0 ? r : container_signal(container, number, err);
}

int axle_set_policy(struct rpc *rpc, const void *request_, void *ret_reply, struct err *err)
{
	(void)ret_reply;
	const Axle__SetPolicyRequest *request = request_;
	scoped(container_unref) struct container *container = NULL;
	if (!request->policy)
		return err_set(err, -EINVAL, "policy.missing", "expected a policy");
	if (request->policy->restart != AXLE__RESTART_POLICY__RESTART_NEVER)
		return err_set(err, -ENOSYS, "policy.restart", "restart policies other than \"no\" are not served yet");
	int r = container_find_by_name(rpc->node, rpc->owner, true, request->container, &container, err);
	if (r < 0)
		return r;
	r = fiber_lock(rpc->node->fibers, &container->lock);
	if (r < 0)
		return r;
	container->record.auto_remove = request->policy->auto_remove;
	r = container_save(container, container->phase, err);
	fiber_unlock(rpc->node->fibers, &container->lock);
	return r;
}
