/* linux.namespaces: which of the pod's a container joins, and which are its own. */
#include <errno.h>

#include "core/base/arena.h"
#include "manager/src/pod_user.h"
#include "manager/src/spec_internal.h"

#define NAMESPACES_MAX 8

struct list {
	struct spec_builder *builder;
	struct oci_namespace *items;
	size_t count;
	bool failed; /* out of memory */
};

static const Cri__NamespaceOption *options_of_pod(const struct spec_input *input)
{
	const Cri__LinuxPodSandboxConfig *pod = input->pod->linux;
	return pod && pod->security_context ? pod->security_context->namespace_options : NULL;
}

/* A container that says nothing has what its pod has; POD in a pod with the host's namespace is that one. */
Cri__NamespaceMode spec_pid_mode(const Cri__PodSandboxConfig *pod, const Cri__ContainerConfig *container)
{
	const struct spec_input input = {.pod = pod, .container = container};
	const Cri__NamespaceOption *own = spec_security(&input)->namespace_options;
	const Cri__NamespaceOption *of_pod = options_of_pod(&input);
	Cri__NamespaceMode pods_mode = of_pod ? of_pod->pid : CRI__NAMESPACE_MODE__POD;
	if (!own)
		return pods_mode;
	return own->pid == CRI__NAMESPACE_MODE__POD && pods_mode == CRI__NAMESPACE_MODE__NODE ? CRI__NAMESPACE_MODE__NODE
											       : own->pid;
}

static void add(struct list *list, const char *type, const char *path)
{
	list->items[list->count++] = (struct oci_namespace){type, path};
}

static void add_pinned(struct list *list, const char *type, const char *pin)
{
	const char *path = arena_printf(list->builder->arena, "%s/%s", list->builder->input->pins, pin);
	list->failed |= !path;
	add(list, type, path);
}

static void add_pid(struct list *list)
{
	const struct spec_input *input = list->builder->input;
	switch (spec_pid_mode(input->pod, input->container)) {
	case CRI__NAMESPACE_MODE__NODE:
		break;
	case CRI__NAMESPACE_MODE__POD:
		add_pinned(list, "pid", "pid");
		break;
	case CRI__NAMESPACE_MODE__TARGET:
		add(list, "pid", input->pid_namespace);
		break;
	default:
		add(list, "pid", NULL);
		break;
	}
}

/* The maps repeat what the pinned namespace has: runtimes ask for them to know who is who in it. */
static int make_maps(struct spec_builder *builder, const struct pod_user *user, struct oci_linux *linux_)
{
	struct oci_id_mapping *maps = arena_array(builder->arena, 2, sizeof *maps);
	if (!maps)
		return -ENOMEM;
	maps[0] = (struct oci_id_mapping){.host_id = user->host_uid, .size = user->uid_count};
	maps[1] = (struct oci_id_mapping){.host_id = user->host_gid, .size = user->gid_count};
	linux_->uid_mappings = &maps[0];
	linux_->uid_mappings_count = 1;
	linux_->gid_mappings = &maps[1];
	linux_->gid_mappings_count = 1;
	return 0;
}

int spec_make_namespaces(struct spec_builder *builder, struct oci_linux *linux_)
{
	const struct spec_input *input = builder->input;
	const Cri__NamespaceOption *pod = options_of_pod(input);
	const struct pod_user user = pod_user_of(input->pod);
	struct list list = {builder, arena_array(builder->arena, NAMESPACES_MAX, sizeof *list.items), 0, false};
	if (!list.items)
		return -ENOMEM;
	add(&list, "mount", NULL);
	if (user.own)
		add_pinned(&list, "user", "user");
	if (!pod || pod->network != CRI__NAMESPACE_MODE__NODE) {
		add_pinned(&list, "network", "net");
		add_pinned(&list, "uts", "uts");
	}
	if (!pod || pod->ipc != CRI__NAMESPACE_MODE__NODE)
		add_pinned(&list, "ipc", "ipc");
	add_pid(&list);
	if (!spec_security(input)->privileged)
		add(&list, "cgroup", NULL);
	if (list.failed)
		return -ENOMEM;
	linux_->namespaces = list.items;
	linux_->namespaces_count = list.count;
	return user.own ? make_maps(builder, &user, linux_) : 0;
}
