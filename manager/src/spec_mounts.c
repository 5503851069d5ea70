#include <errno.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "manager/src/spec_internal.h"

#define MOUNTS_MAX 512

struct mount_list {
	struct oci_mount *mounts;
	size_t count;
	size_t capacity;
};

static const char *const PROC_OPTIONS[] = {"nosuid", "noexec", "nodev", NULL};
static const char *const DEV_OPTIONS[] = {"nosuid", "strictatime", "mode=755", "size=65536k", NULL};
static const char *const PTS_OPTIONS[] = {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5", NULL};
static const char *const QUEUE_OPTIONS[] = {"nosuid", "noexec", "nodev", NULL};
static const char *const SYS_OPTIONS[] = {"nosuid", "noexec", "nodev", "ro", NULL};
static const char *const SYS_RW_OPTIONS[] = {"nosuid", "noexec", "nodev", "rw", NULL};
static const char *const CGROUP_OPTIONS[] = {"nosuid", "noexec", "nodev", "relatime", "ro", NULL};
static const char *const CGROUP_RW_OPTIONS[] = {"nosuid", "noexec", "nodev", "relatime", "rw", NULL};
static const char *const SHM_OPTIONS[] = {"rbind", "rprivate", "nosuid", "noexec", "nodev", NULL};
static const char *const FILE_OPTIONS[] = {"rbind", "rprivate", "rw", NULL};
static const char *const FILE_RO_OPTIONS[] = {"rbind", "rprivate", "ro", NULL};

/* What every container has; @privileged_options (NULL: the same) replace the options for a privileged one. */
static const struct {
	const char *destination;
	const char *type;
	const char *const *options;
	const char *const *privileged_options;
} STANDARD[] = {
	{"/proc", "proc", PROC_OPTIONS, NULL},
	{"/dev", "tmpfs", DEV_OPTIONS, NULL},
	{"/dev/pts", "devpts", PTS_OPTIONS, NULL},
	{"/dev/mqueue", "mqueue", QUEUE_OPTIONS, NULL},
	{"/sys", "sysfs", SYS_OPTIONS, SYS_RW_OPTIONS},
	{"/sys/fs/cgroup", "cgroup", CGROUP_OPTIONS, CGROUP_RW_OPTIONS},
};

/* Files of the pod that appear in each of its containers, unless these mount something there themselves. */
static const char *const POD_FILES[] = {"hosts", "hostname", "resolv.conf"};

static bool is_mounted_by_container(const struct spec_input *input, const char *destination)
{
	for (size_t i = 0; i < input->container->n_mounts; i++)
		if (str_equal(input->container->mounts[i]->container_path, destination))
			return true;
	return false;
}

/* Adds a mount unless the container's own configuration has one at this place. */
static int add_standard(struct spec_builder *builder, struct mount_list *list, const struct oci_mount *mount)
{
	if (!mount->destination || !mount->source)
		return -ENOMEM;
	if (!is_mounted_by_container(builder->input, mount->destination))
		list->mounts[list->count++] = *mount;
	return 0;
}

static int add_pod_files(struct spec_builder *builder, struct mount_list *list)
{
	const struct spec_input *input = builder->input;
	const char *const *options = spec_security(input)->readonly_rootfs ? FILE_RO_OPTIONS : FILE_OPTIONS;
	int r = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_COUNT(POD_FILES); i++) {
		const struct oci_mount mount = {
			.destination = arena_printf(builder->arena, "/etc/%s", POD_FILES[i]),
			.type = "bind",
			.source = arena_printf(builder->arena, "%s/%s", input->files, POD_FILES[i]),
			.options = options,
		};
		r = add_standard(builder, list, &mount);
	}
	return r;
}

static int add_shm(struct spec_builder *builder, struct mount_list *list)
{
	const struct spec_input *input = builder->input;
	const Cri__LinuxPodSandboxConfig *pod = input->pod->linux;
	const Cri__NamespaceOption *namespaces =
		pod && pod->security_context ? pod->security_context->namespace_options : NULL;
	bool host_ipc = namespaces && namespaces->ipc == CRI__NAMESPACE_MODE__NODE;
	const struct oci_mount mount = {
		.destination = "/dev/shm",
		.type = "bind",
		.source = host_ipc ? "/dev/shm" : arena_printf(builder->arena, "%s/shm", input->files),
		.options = SHM_OPTIONS,
	};
	return add_standard(builder, list, &mount);
}

static int add_all_standard(struct spec_builder *builder, struct mount_list *list)
{
	bool privileged = spec_security(builder->input)->privileged;
	int r = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_COUNT(STANDARD); i++) {
		const struct oci_mount mount = {
			.destination = STANDARD[i].destination,
			.type = STANDARD[i].type,
			.source = STANDARD[i].type,
			.options = privileged && STANDARD[i].privileged_options ? STANDARD[i].privileged_options
										 : STANDARD[i].options,
		};
		r = add_standard(builder, list, &mount);
	}
	if (r == 0)
		r = add_shm(builder, list);
	return r < 0 ? r : add_pod_files(builder, list);
}

/* --- order --- */

static size_t path_depth(const char *path)
{
	size_t depth = 0;
	for (; *path; path++)
		depth += path[0] == '/' && path[1] != '/' && path[1] != '\0';
	return depth;
}

/* Parents before what lies below them; otherwise as given (insertion sort is stable, and lists are short). */
static void sort_by_depth(struct mount_list *list)
{
	for (size_t i = 1; i < list->count; i++) {
		struct oci_mount mount = list->mounts[i];
		size_t depth = path_depth(mount.destination);
		size_t at = i;
		for (; at > 0 && path_depth(list->mounts[at - 1].destination) > depth; at--)
			list->mounts[at] = list->mounts[at - 1];
		list->mounts[at] = mount;
	}
}

/* What propagates out of the container needs a root that does. */
static const char *root_propagation(const Cri__ContainerConfig *container)
{
	const char *propagation = "rprivate";
	for (size_t i = 0; i < container->n_mounts; i++) {
		if (container->mounts[i]->propagation == CRI__MOUNT_PROPAGATION__PROPAGATION_BIDIRECTIONAL)
			return "rshared";
		if (container->mounts[i]->propagation == CRI__MOUNT_PROPAGATION__PROPAGATION_HOST_TO_CONTAINER)
			propagation = "rslave";
	}
	return propagation;
}

int spec_make_mounts(struct spec_builder *builder, struct oci_spec *ret_spec, const char **ret_propagation)
{
	const Cri__ContainerConfig *container = builder->input->container;
	if (container->n_mounts > MOUNTS_MAX)
		return err_set(builder->err, -E2BIG, "container.mounts", "%zu mounts: expected at most %d",
			       container->n_mounts, MOUNTS_MAX);
	struct mount_list list = {
		.mounts = arena_array(builder->arena,
				      container->n_mounts + ARRAY_COUNT(STANDARD) + ARRAY_COUNT(POD_FILES) + 1 +
					      spec_count_cdi_mounts(builder),
				      sizeof *list.mounts),
	};
	if (!list.mounts)
		return -ENOMEM;
	int r = add_all_standard(builder, &list);
	for (size_t i = 0; r == 0 && i < container->n_mounts; i++)
		r = spec_make_volume(builder, container->mounts[i], i, &list.mounts[list.count++]);
	if (r < 0)
		return r;
	list.count = spec_add_cdi_mounts(builder, list.mounts, list.count);
	sort_by_depth(&list);
	ret_spec->mounts = list.mounts;
	ret_spec->mounts_count = list.count;
	*ret_propagation = root_propagation(container);
	return 0;
}
