#include "manager/src/pod.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/base/str.h"
#include "core/codec/proto_json.h"
#include "manager/src/process_watch.h"

#define POD_ARENA_MAX (8 << 20)

static const char *const PHASES[POD_PHASE_COUNT] = {
	[POD_CREATING] = "creating",
	[POD_READY] = "ready",
	[POD_STOPPED] = "stopped",
	[POD_REMOVING] = "removing",
};

const char *pod_phase_name(enum pod_phase phase)
{
	return PHASES[phase];
}

static struct pod *pod_alloc(struct node *node)
{
	struct pod *pod = calloc(1, sizeof *pod);
	if (!pod)
		return NULL;
	pod->refs = 1;
	pod->node = node;
	pod->net_dev_fd = -1;
	pod->arena.max = POD_ARENA_MAX;
	return pod;
}

struct pod *pod_ref(struct pod *pod)
{
	pod->refs++;
	return pod;
}

void pod_unref(struct pod *pod)
{
	if (!pod || --pod->refs > 0)
		return;
	if (pod->net_dev_fd >= 0)
		(void)close(pod->net_dev_fd);
	process_watch_free(pod->init);
	json_decref(pod->document);
	membership_done(&pod->network);
	arena_done(&pod->resources_arena);
	arena_done(&pod->arena);
	free(pod);
}

static int decode_config(struct pod *pod, struct err *err)
{
	ProtobufCMessage *message = NULL;
	int r = proto_json_decode(pod->id, &cri__pod_sandbox_config__descriptor, pod->record.config, &pod->arena,
				  &message, err);
	if (r == 0)
		pod->config = (const Cri__PodSandboxConfig *)message;
	return r;
}

/* Where the containers' cgroups go: below the parent that the kubelet made, or below our own. */
static const char *cgroup_of(struct pod *pod, const Cri__PodSandboxConfig *config)
{
	const char *parent = config->linux ? config->linux->cgroup_parent : "";
	while (*parent == '/')
		parent++;
	if (*parent)
		return arena_strdup(&pod->arena, parent);
	pod->record.cgroup_is_ours = true;
	return arena_printf(&pod->arena, "%s/pods/%s", pod->node->name, pod->id);
}

int pod_new(struct node *node, enum owner owner, const char *runtime_handler, const Cri__PodSandboxConfig *config,
	    struct pod **ret_pod, struct err *err)
{
	scoped(pod_unref) struct pod *pod = pod_alloc(node);
	if (!pod)
		return -ENOMEM;
	id_make(pod->id);
	pod->owner = owner;
	pod->phase = POD_CREATING;
	pod->document = proto_json_encode(&config->base);
	pod->record = (struct pod_record){
		.version = RECORD_VERSION,
		.id = pod->id,
		.owner = owner_name(owner),
		.phase = PHASES[POD_CREATING],
		.created_ns = node_now_ns(),
		.runtime_handler = arena_strdup(&pod->arena, runtime_handler),
		.config = pod->document,
	};
	pod->record.cgroup = cgroup_of(pod, config);
	if (!pod->document || !pod->record.runtime_handler || !pod->record.cgroup)
		return -ENOMEM;
	int r = decode_config(pod, err);
	if (r == 0)
		*ret_pod = TAKE(pod);
	return r;
}

static int take_record(struct pod *pod, const char *name, struct err *err)
{
	const struct pod_record *record = &pod->record;
	if (strlen(record->id) != ID_TEXT_MAX - 1 || owner_parse(record->owner, &pod->owner) < 0)
		return err_set(err, -EINVAL, "record.invalid", "%s: expected an id of 64 digits and a known owner", name);
	(void)snprintf(pod->id, sizeof pod->id, "%s", record->id);
	for (size_t i = 0; i < POD_PHASE_COUNT; i++)
		if (str_equal(record->phase, PHASES[i])) {
			pod->phase = (enum pod_phase)i;
			return 0;
		}
	return err_set(err, -EINVAL, "record.invalid", "%s: unknown phase \"%s\"", name, record->phase);
}

int pod_load(struct node *node, const char *name, struct pod **ret_pod, struct err *err)
{
	scoped(pod_unref) struct pod *pod = pod_alloc(node);
	if (!pod)
		return -ENOMEM;
	json_t *document = NULL;
	int r = record_read(node->places.pod_records_fd, name, &POD_RECORD, &pod->arena, &pod->record, &document, err);
	if (r < 0)
		return r;
	pod->document = json_incref(pod->record.config);
	r = membership_load(&pod->network, &pod->record, &pod->arena, err);
	json_decref(document);
	if (r == 0)
		r = take_record(pod, name, err);
	if (r == 0)
		r = decode_config(pod, err);
	if (r == 0)
		*ret_pod = TAKE(pod);
	return r;
}

int pod_save(struct pod *pod, enum pod_phase phase, struct err *err)
{
	pod->phase = phase;
	pod->record.phase = PHASES[phase];
	return record_write(pod->node->fibers, pod->node->places.pod_records_fd, pod->id, &POD_RECORD, &pod->record, err);
}

void pod_forget(struct pod *pod)
{
	if (idtable_get(&pod->node->pods, pod->id) != pod)
		return;
	idtable_remove(&pod->node->pods, pod);
	pod_unref(pod);
}

/* A person at the command line may name everything; a kubelet sees only what it made. */
static int is_visible(const void *object, const void *owner)
{
	return *(const enum owner *)owner == OWNER_AXLE || ((const struct pod *)object)->owner == *(const enum owner *)owner;
}

int pod_find(const struct node *node, enum owner owner, const char *id, struct pod **ret_pod, struct err *err)
{
	void *found = NULL;
	int r = idtable_find(&node->pods, id, "pod sandbox", is_visible, &owner, &found, err);
	if (r == 0)
		*ret_pod = pod_ref(found);
	return r;
}

struct pod *pod_find_by_metadata(const struct node *node, enum owner owner, const Cri__PodSandboxMetadata *metadata)
{
	for (size_t i = 0; i < node->pods.count; i++) {
		struct pod *pod = node->pods.objects[i];
		const Cri__PodSandboxMetadata *its = pod->config->metadata;
		if (pod->owner == owner && its && str_equal(its->name, metadata->name) &&
		    str_equal(its->uid, metadata->uid) && str_equal(its->namespace_, metadata->namespace_) &&
		    its->attempt == metadata->attempt)
			return pod;
	}
	return NULL;
}

struct pod_namespaces pod_namespaces(const Cri__PodSandboxConfig *config)
{
	const Cri__NamespaceOption *options = config->linux && config->linux->security_context
						      ? config->linux->security_context->namespace_options
						      : NULL;
	if (!options)
		return (struct pod_namespaces){.pid = CRI__NAMESPACE_MODE__POD};
	return (struct pod_namespaces){
		.host_network = options->network == CRI__NAMESPACE_MODE__NODE,
		.host_ipc = options->ipc == CRI__NAMESPACE_MODE__NODE,
		.pid = options->pid,
	};
}

char *pod_pins_path(const struct pod *pod)
{
	return str_printf("%s/%s", pod->node->places.pins, pod->id);
}

char *pod_files_path(const struct pod *pod)
{
	return str_printf("%s/%s", pod->node->places.pods, pod->id);
}
