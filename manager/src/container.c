#include "manager/src/container.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/str.h"
#include "core/codec/proto_json.h"
#include "manager/src/monitor_link.h"

#define CONTAINER_ARENA_MAX (16 << 20)

static const char *const PHASES[CONTAINER_PHASE_COUNT] = {
	[CONTAINER_CREATING] = "creating", [CONTAINER_CREATED] = "created",   [CONTAINER_STARTED] = "started",
	[CONTAINER_EXITED] = "exited",	   [CONTAINER_REMOVING] = "removing",
};

const char *container_phase_name(enum container_phase phase)
{
	return PHASES[phase];
}

static struct container *container_alloc(struct node *node)
{
	struct container *container = calloc(1, sizeof *container);
	if (!container)
		return NULL;
	container->refs = 1;
	container->node = node;
	container->arena.max = CONTAINER_ARENA_MAX;
	container->pidfd = -1;
	container->rootfs_fd = -1;
	container->target_fd = -1;
	for (size_t i = 0; i < CONTAINER_STDIO; i++)
		container->stdio[i] = -1;
	return container;
}

struct container *container_ref(struct container *container)
{
	container->refs++;
	return container;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		(void)close(fd);
}

void container_unref(struct container *container)
{
	if (!container || --container->refs > 0)
		return;
	monitor_link_close(container->monitor);
	close_fd(container->pidfd);
	close_fd(container->rootfs_fd);
	close_fd(container->target_fd);
	for (size_t i = 0; i < CONTAINER_STDIO; i++)
		close_fd(container->stdio[i]);
	json_decref(container->document);
	arena_done(&container->updated);
	json_decref(container->cdi);
	arena_done(&container->arena);
	pod_unref(container->pod);
	free(container);
}

static int decode_config(struct container *container, struct err *err)
{
	ProtobufCMessage *message = NULL;
	int r = proto_json_decode(container->id, &cri__container_config__descriptor, container->record.config,
				  &container->arena, &message, err);
	if (r == 0)
		container->config = (const Cri__ContainerConfig *)message;
	return r;
}

/* Below the pod's log directory where its owner has one; else the log is ours. */
static const char *log_path_of(struct container *container, const Cri__ContainerConfig *config)
{
	const struct pod *pod = container->pod;
	if (!str_empty(pod->config->log_directory) && !str_empty(config->log_path))
		return arena_printf(&container->arena, "%s/%s", pod->config->log_directory, config->log_path);
	if (container->owner != OWNER_AXLE)
		return "";
	container->record.log_is_ours = true;
	return arena_printf(&container->arena, "%s/%s.log", container->node->places.logs, container->id);
}

int container_new(struct pod *pod, const Cri__ContainerConfig *config, struct container **ret_container,
		  struct err *err)
{
	scoped(container_unref) struct container *container = container_alloc(pod->node);
	if (!container)
		return -ENOMEM;
	id_make(container->id);
	container->pod = pod_ref(pod);
	container->owner = pod->owner;
	container->phase = CONTAINER_CREATING;
	container->document = proto_json_encode(&config->base);
	container->record = (struct container_record){
		.version = RECORD_VERSION,
		.id = container->id,
		.pod_id = pod->id,
		.owner = owner_name(container->owner),
		.phase = PHASES[CONTAINER_CREATING],
		.created_ns = node_now_ns(),
		.image = config->image ? arena_strdup(&container->arena, config->image->image) : "",
		.image_id = "",
		.runtime_handler = pod->record.runtime_handler,
		.cgroup = arena_printf(&container->arena, "%s/%s", pod->record.cgroup, container->id),
		.config = container->document,
	};
	container->record.log_path = log_path_of(container, config);
	if (!container->document || !container->record.image || !container->record.cgroup || !container->record.log_path)
		return -ENOMEM;
	int r = decode_config(container, err);
	if (r == 0)
		*ret_container = TAKE(container);
	return r;
}

static int take_record(struct container *container, const char *name, struct err *err)
{
	struct container_record *record = &container->record;
	if (strlen(record->id) != ID_TEXT_MAX - 1 || owner_parse(record->owner, &container->owner) < 0)
		return err_set(err, -EINVAL, "record.invalid", "%s: expected an id of 64 digits and a known owner", name);
	(void)snprintf(container->id, sizeof container->id, "%s", record->id);
	if (record->exit) {
		container->exit = *record->exit;
		record->exit = &container->exit;
	}
	if (record->last_error) {
		container->last_error = *record->last_error;
		record->last_error = &container->last_error;
	}
	for (size_t i = 0; i < CONTAINER_PHASE_COUNT; i++)
		if (str_equal(record->phase, PHASES[i])) {
			container->phase = (enum container_phase)i;
			return 0;
		}
	return err_set(err, -EINVAL, "record.invalid", "%s: unknown phase \"%s\"", name, record->phase);
}

int container_load(struct node *node, const char *name, struct container **ret_container, struct err *err)
{
	scoped(container_unref) struct container *container = container_alloc(node);
	if (!container)
		return -ENOMEM;
	json_t *document = NULL;
	int r = record_read(node->places.container_records_fd, name, &CONTAINER_RECORD, &container->arena,
			    &container->record, &document, err);
	if (r < 0)
		return r;
	container->document = json_incref(container->record.config);
	container->cdi = json_incref(container->record.cdi);
	json_decref(document);
	r = take_record(container, name, err);
	if (r == 0)
		r = decode_config(container, err);
	if (r < 0)
		return r;
	struct pod *pod = idtable_get(&node->pods, container->record.pod_id);
	if (pod)
		container->pod = pod_ref(pod);
	*ret_container = TAKE(container);
	return pod ? 0 : err_set(err, -ENOENT, "record.orphan", "%s: its pod %s is unknown", name,
				 (*ret_container)->record.pod_id);
}

int container_save(struct container *container, enum container_phase phase, struct err *err)
{
	container->phase = phase;
	container->record.phase = PHASES[phase];
	int r = record_write(container->node->fibers, container->node->places.container_records_fd, container->id,
			     &CONTAINER_RECORD, &container->record, err);
	fiber_signal_all(&container->changed);
	return r;
}

void container_forget(struct container *container)
{
	if (idtable_get(&container->node->containers, container->id) != container)
		return;
	idtable_remove(&container->node->containers, container);
	container->gone = true;
	fiber_signal_all(&container->changed);
	container_unref(container);
}

/* --- finding --- */

/* A person at the command line may name everything; a kubelet sees only what it made. */
static int is_visible(const void *object, const void *owner)
{
	return *(const enum owner *)owner == OWNER_AXLE ||
	       ((const struct container *)object)->owner == *(const enum owner *)owner;
}

int container_find(const struct node *node, enum owner owner, const char *id, struct container **ret_container,
		   struct err *err)
{
	void *found = NULL;
	int r = idtable_find(&node->containers, id, "container", is_visible, &owner, &found, err);
	if (r == 0)
		*ret_container = container_ref(found);
	return r;
}

static const char *name_of(const struct container *container)
{
	return container->config->metadata ? container->config->metadata->name : "";
}

/* By its own name, or by POD/NAME where names of a kubelet's containers repeat. */
static bool has_name(const struct container *container, const char *text)
{
	const Cri__PodSandboxMetadata *pod = container->pod->config->metadata;
	const char *rest = pod ? str_after_prefix(text, pod->name) : NULL;
	return str_equal(name_of(container), text) ||
	       (rest && *rest == '/' && str_equal(rest + 1, name_of(container)));
}

int container_find_by_name(const struct node *node, enum owner owner, bool all_owners, const char *text,
			   struct container **ret_container, struct err *err)
{
	struct container *found = NULL;
	size_t matches = 0;
	for (size_t i = 0; i < node->containers.count; i++) {
		struct container *container = node->containers.objects[i];
		if ((!all_owners && container->owner != owner) || !has_name(container, text))
			continue;
		found = container;
		matches++;
	}
	if (matches > 1)
		return err_set(err, -EEXIST, "container.ambiguous", "%zu containers have the name \"%s\": expected an id",
			       matches, text);
	if (!found) {
		void *object = NULL;
		int r = idtable_find(&node->containers, text, "container", all_owners ? NULL : is_visible, &owner,
				     &object, err);
		if (r < 0)
			return r;
		found = object;
	}
	*ret_container = container_ref(found);
	return 0;
}

struct container *container_find_by_metadata(const struct pod *pod, const Cri__ContainerMetadata *metadata)
{
	for (size_t i = 0; i < pod->node->containers.count; i++) {
		struct container *container = pod->node->containers.objects[i];
		const Cri__ContainerMetadata *its = container->config->metadata;
		if (container->pod == pod && its && str_equal(its->name, metadata->name) &&
		    its->attempt == metadata->attempt)
			return container;
	}
	return NULL;
}

/* --- state --- */

Cri__ContainerState container_cri_state(const struct container *container)
{
	switch (container->phase) {
	case CONTAINER_STARTED:
		return container->running ? CRI__CONTAINER_STATE__CONTAINER_RUNNING
					  : CRI__CONTAINER_STATE__CONTAINER_CREATED;
	case CONTAINER_EXITED:
		return CRI__CONTAINER_STATE__CONTAINER_EXITED;
	case CONTAINER_REMOVING:
		return CRI__CONTAINER_STATE__CONTAINER_UNKNOWN;
	default:
		return CRI__CONTAINER_STATE__CONTAINER_CREATED;
	}
}

int container_set_exit(struct container *container, const struct exit_record *exit, int64_t finished_ns)
{
	container->exit = *exit;
	container->exit.reason = arena_strdup(&container->arena, exit->reason ? exit->reason : "");
	container->exit.message = arena_strdup(&container->arena, exit->message ? exit->message : "");
	container->record.exit = &container->exit;
	container->record.finished_ns = finished_ns;
	return container->exit.reason && container->exit.message ? 0 : -ENOMEM;
}

void container_set_last_error(struct container *container, const char *step, const char *runtime_message,
			      const struct err *err, int code)
{
	struct arena *arena = &container->arena;
	container->last_error = (struct error_record){
		.step = step,
		.code = code,
		.reason = arena_strdup(arena, err->reason ? err->reason : "unknown"),
		.message = arena_strdup(arena, err_text(err, code)),
		.runtime_message = runtime_message ? arena_strdup(arena, runtime_message) : NULL,
		.at_ns = node_now_ns(),
	};
	container->record.last_error = &container->last_error;
}

void container_event(const struct container *container, const char *action)
{
	struct event event = {.type = "container", .action = action};
	(void)snprintf(event.id, sizeof event.id, "%s", container->id);
	(void)snprintf(event.name, sizeof event.name, "%s", name_of(container));
	(void)snprintf(event.owner, sizeof event.owner, "%s", owner_name(container->owner));
	(void)snprintf(event.image, sizeof event.image, "%s", container->record.image);
	if (container->record.exit) {
		event.has_exit = true;
		event.exit_code = container->exit.code;
		event.exit_signal = (uint32_t)container->exit.signal;
		event.oom_killed = container->exit.oom_killed;
	}
	events_add(container->node->events, &event);
}

char *container_state_path(const struct container *container, const char *name)
{
	return str_printf("%s/%s%s%s", container->node->places.containers, container->id, name ? "/" : "",
			  name ? name : "");
}

char *container_rootfs_path(const struct container *container)
{
	return str_printf("%s/%s", container->node->places.rootfs, container->id);
}
