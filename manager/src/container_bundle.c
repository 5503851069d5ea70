#include "manager/src/container_bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/parse.h"
#include "core/base/str.h"
#include "core/sys/fd.h"
#include "core/sys/path.h"
#include "image/include/axle/image.h"
#include "manager/src/capability.h"
#include "manager/src/container_cdi.h"
#include "manager/src/container_namespaces.h"
#include "manager/src/host_devices.h"
#include "manager/src/pod_files.h"
#include "manager/src/security_modules.h"

#include <linux/capability.h>

#define SYSFS_ROOT "/sys"
#define SPEC_ARENA_MAX (16 << 20)
#define SPEC_BYTES_MAX (4 << 20)
#define IMAGE_DIGESTS_MAX 16

/* --- the configuration --- */

/* Without CAP_SYS_RESOURCE nothing may be set below what axled has itself. */
static int32_t oom_score_floor(const struct node *node)
{
	if (node->bounding_capabilities & UINT64_C(1) << CAP_SYS_RESOURCE)
		return -1000;
	scoped_done(buf_done) struct buf text = {.max = 64};
	int64_t own = 0;
	if (file_read_at(AT_FDCWD, "/proc/self/oom_score_adj", &text, NULL) < 0)
		return 0;
	text.data[strcspn(text.data, "\n")] = '\0';
	return parse_i64(text.data, -1000, 1000, &own) < 0 ? 0 : (int32_t)own;
}

static const struct {
	const char *name;
	int resource;
} LIMITS[] = {
	{"as", RLIMIT_AS},	     {"core", RLIMIT_CORE},	    {"cpu", RLIMIT_CPU},
	{"data", RLIMIT_DATA},	     {"fsize", RLIMIT_FSIZE},	    {"locks", RLIMIT_LOCKS},
	{"memlock", RLIMIT_MEMLOCK}, {"msgqueue", RLIMIT_MSGQUEUE}, {"nice", RLIMIT_NICE},
	{"nofile", RLIMIT_NOFILE},   {"nproc", RLIMIT_NPROC},	    {"rss", RLIMIT_RSS},
	{"rtprio", RLIMIT_RTPRIO},   {"rttime", RLIMIT_RTTIME},	    {"sigpending", RLIMIT_SIGPENDING},
	{"stack", RLIMIT_STACK},
};

/* What axled may not raise is cut to its own hard limit. */
static uint64_t hard_limit(const struct node *node, const char *name)
{
	struct rlimit own = {RLIM_INFINITY, RLIM_INFINITY};
	if (node->bounding_capabilities & UINT64_C(1) << CAP_SYS_RESOURCE)
		return UINT64_MAX;
	for (size_t i = 0; i < ARRAY_COUNT(LIMITS); i++)
		if (str_equal(LIMITS[i].name, name))
			(void)getrlimit((__rlimit_resource_t)LIMITS[i].resource, &own);
	return own.rlim_max;
}

static int make_rlimits(const struct node *node, struct arena *arena, struct spec_input *input)
{
	struct oci_rlimit *limits = arena_array(arena, node->config.ulimits_count + 1, sizeof *limits);
	if (!limits)
		return -ENOMEM;
	for (size_t i = 0; i < node->config.ulimits_count; i++) {
		const struct config_ulimit *wanted = &node->config.ulimits[i];
		uint64_t most = hard_limit(node, wanted->name);
		char *type = arena_printf(arena, "RLIMIT_%s", wanted->name);
		if (!type)
			return -ENOMEM;
		for (char *p = type; *p; p++)
			*p = (char)(*p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p);
		limits[i] = (struct oci_rlimit){
			.type = type,
			.hard = wanted->hard < most ? wanted->hard : most,
			.soft = wanted->soft < most ? wanted->soft : most,
		};
	}
	input->rlimits = limits;
	input->rlimits_count = node->config.ulimits_count;
	return 0;
}

/* The pid namespace of another container of the pod: by our descriptor of it where the start has opened one, since the
 * number of a process may come to another one. */
static int name_target(const struct container *container, struct arena *arena, struct spec_input *input, struct err *err)
{
	if (spec_pid_mode(container->pod->config, container->config) != CRI__NAMESPACE_MODE__TARGET)
		return 0;
	const struct container *target = NULL;
	int r = container_find_target(container, &target, err);
	if (r < 0)
		return r;
	input->pid_namespace = container->target_fd >= 0
				       ? arena_printf(arena, "/proc/%d/fd/%d", (int)getpid(), container->target_fd)
				       : arena_printf(arena, "/proc/%d/ns/pid", (int)target->pid);
	return input->pid_namespace ? 0 : -ENOMEM;
}

/* The image is held: what is borrowed of it stays as long as the container. */
static int find_image(const struct container *container, const struct image **ret_image, struct err *err)
{
	return image_store_resolve(container->node->images, container->record.image_id, ret_image, err);
}

/* Its configuration's, its manifest's, and those that it was pulled by (an index's, where there is one). */
static const char *image_digests(const struct image *image, struct arena *arena)
{
	const char *all = arena_printf(arena, "%s %s", image->id, image->manifest_digest);
	for (size_t i = 0; all && image->digests && image->digests[i] && i < IMAGE_DIGESTS_MAX; i++) {
		const char *at = strrchr(image->digests[i], '@');
		if (at && !strstr(all, at + 1))
			all = arena_printf(arena, "%s %s", all, at + 1);
	}
	return all;
}

static int make_signals(const struct node *node, const struct image *image, struct arena *arena,
			const struct spec_signals **ret_signals)
{
	if (!node->config.signals.socket)
		return 0;
	scoped_free char *hook = path_of_sibling_program("axsignal-hook");
	struct spec_signals *signals = arena_alloc(arena, sizeof *signals);
	if (!hook || !signals)
		return -ENOMEM;
	*signals = (struct spec_signals){
		.hook = arena_strdup(arena, hook),
		.socket = node->config.signals.socket,
		.service_account = node->config.signals.service_account,
		.image_digests = image_digests(image, arena),
	};
	*ret_signals = signals;
	return signals->hook && signals->image_digests ? 0 : -ENOMEM;
}

static const Cri__SELinuxOption *selinux_options(const struct container *container)
{
	const Cri__LinuxContainerConfig *config = container->config->linux;
	const Cri__LinuxPodSandboxConfig *pod = container->pod->config->linux;
	if (config && config->security_context && config->security_context->selinux_options)
		return config->security_context->selinux_options;
	return pod && pod->security_context ? pod->security_context->selinux_options : NULL;
}

/* NULL where the kernel has no SELinux, or the container is privileged. */
static int make_labels(const struct container *container, const struct security_modules *modules, struct arena *arena,
		       const struct selinux_labels **ret_labels)
{
	*ret_labels = NULL;
	if (!modules->selinux || spec_is_privileged(container->config))
		return 0;
	struct selinux_labels *labels = arena_alloc(arena, sizeof *labels);
	*ret_labels = labels;
	return labels ? selinux_make_labels(selinux_options(container), container->pod->id, arena, labels) : -ENOMEM;
}

int container_mount_label(const struct container *container, struct arena *arena, const char **ret_label)
{
	struct security_modules modules = {0};
	const struct selinux_labels *labels = NULL;
	security_modules_find(SYSFS_ROOT, &modules);
	int r = make_labels(container, &modules, arena, &labels);
	*ret_label = labels ? labels->mount : NULL;
	return r;
}

static int make_security(const struct container *container, struct arena *arena, struct spec_input *input)
{
	struct security_modules *modules = arena_alloc(arena, sizeof *modules);
	if (!modules)
		return -ENOMEM;
	security_modules_find(SYSFS_ROOT, modules);
	input->modules = modules;
	return make_labels(container, modules, arena, &input->labels);
}

static bool counts_swap(const struct node *node)
{
	bool v2 = false;
	int group_fd = cgroup_controller_fd(&node->helpers_group, "memory", &v2);
	return v2 || (group_fd >= 0 && faccessat(group_fd, "memory.memsw.limit_in_bytes", F_OK, 0) == 0);
}

/* NULL where no cgroup v2 tree is mounted. */
static int list_v2_controllers(const struct node *node, struct arena *arena, const char **ret_list)
{
	scoped_done(buf_done) struct buf text = {.max = 4096};
	*ret_list = NULL;
	if (node->cgroups.v2_index < 0 ||
	    file_read_at(node->cgroups.hierarchies[node->cgroups.v2_index].root_fd, "cgroup.controllers", &text, NULL) < 0)
		return 0;
	*ret_list = arena_strdup(arena, text.data ? text.data : "");
	return *ret_list ? 0 : -ENOMEM;
}

static int make_input(const struct container *container, struct arena *arena, struct spec_input *ret_input,
		      struct err *err)
{
	const struct node *node = container->node;
	const struct container_record *record = &container->record;
	struct spec_input input = {
		.pod = container->pod->config,
		.container = container->config,
		.container_id = container->id,
		.pod_id = container->pod->id,
		.rootfs = arena_printf(arena, "%s/%s/rootfs", node->places.containers, container->id),
		.cgroup = record->cgroup,
		.pins = arena_printf(arena, "%s/%s", node->places.pins, container->pod->id),
		.files = arena_printf(arena, "%s/%s", node->places.pods, container->pod->id),
		.hostname = pod_hostname(container->pod, arena),
		.uid = record->uid,
		.gid = record->gid,
		.groups = record->groups,
		.groups_count = record->groups_count,
		.home = record->home,
		.capabilities = node->bounding_capabilities,
		.oom_score_floor = oom_score_floor(node),
		.counts_swap = counts_swap(node),
		.volumes = arena_printf(arena, "%s/%s/volumes", node->places.containers, container->id),
	};
	const struct config_runtime *handler = config_find_runtime(&node->config, record->runtime_handler);
	if (handler) {
		input.pod_annotations = handler->pod_annotations;
		input.container_annotations = handler->container_annotations;
	}
	if (!input.rootfs || !input.volumes || !input.pins || !input.files || !input.hostname)
		return -ENOMEM;
	const struct image *image = NULL;
	int r = find_image(container, &image, err);
	if (r < 0)
		return r;
	input.image = &image->config;
	r = make_signals(node, image, arena, &input.signals);
	if (r == 0)
		r = container_cdi_edits(container, arena, &input.cdi, err);
	if (r == 0)
		r = make_rlimits(node, arena, &input);
	if (r == 0)
		r = make_security(container, arena, &input);
	if (r == 0)
		r = list_v2_controllers(node, arena, &input.v2_controllers);
	if (r == 0 && spec_is_privileged(container->config))
		r = host_devices_list(arena, &input.host_devices, &input.host_devices_count);
	if (r == 0)
		*ret_input = input;
	return r;
}

int container_make_spec(const struct container *container, struct arena *arena, struct oci_spec *ret_spec,
			struct spec_cuts *ret_cuts, struct err *err)
{
	struct spec_input input = {0};
	int r = make_input(container, arena, &input, err);
	if (r == 0)
		r = name_target(container, arena, &input, err);
	return r < 0 ? r : spec_build(&input, arena, ret_spec, ret_cuts, err);
}

int container_make_resources(const struct container *container, const Cri__ContainerConfig *config, struct arena *arena,
			     struct oci_resources *ret_resources, struct err *err)
{
	struct spec_input input = {0};
	int r = make_input(container, arena, &input, err);
	if (r < 0)
		return r;
	input.container = config;
	return spec_build_resources(&input, arena, ret_resources, err);
}

int container_write_bundle(const struct container *container, struct err *err)
{
	scoped_done(arena_done) struct arena arena = {.max = SPEC_ARENA_MAX};
	scoped_done(buf_done) struct buf text = {.max = SPEC_BYTES_MAX};
	struct oci_spec spec = {0};
	int r = container_make_spec(container, &arena, &spec, NULL, err);
	if (r == 0)
		r = json_encode(&OCI_SPEC, &spec, &text);
	if (r < 0)
		return err_add(err, r, "config.json");
	scoped_free char *folder = container_state_path(container, NULL);
	scoped_free char *rootfs = container_state_path(container, "rootfs");
	if (!folder || !rootfs)
		return -ENOMEM;
	r = path_make_directories(folder, 0700, err);
	if (r == 0)
		r = path_make_directories(rootfs, 0700, err);
	if (r < 0)
		return r;
	scoped_fd int dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return err_sys(err, -errno, "container.bundle", "open %s", folder);
	return file_replace_at(dir_fd, "config.json", text.data, text.size, 0600, FILE_VOLATILE, err);
}

/* Another user than the container's, by the files that the running container has now. */
static int find_exec_user(const struct container *container, const char *name, struct arena *arena,
			  struct spec_input *input, struct err *err)
{
	const struct helper_user user = {.name = name};
	const struct helper_user_find find = {
		.root = arena_printf(arena, "/proc/%d/root", (int)container->pid),
		.user = &user,
	};
	struct helper_request request = {.user_find = &find};
	struct helper_reply reply = {0};
	int r = find.root ? helper_run(&container->node->helper, &request, arena, &reply, NULL, err) : -ENOMEM;
	if (r < 0)
		return r;
	if (!reply.user)
		return err_set(err, -EIO, "helper.answer", "the helper gave no user");
	input->uid = reply.user->uid;
	input->gid = reply.user->gid;
	input->groups = reply.user->groups;
	input->groups_count = reply.user->groups_count;
	input->home = reply.user->home;
	return 0;
}

int container_make_exec(const struct container *container, const struct spec_exec *exec, struct buf *ret_json,
			struct err *err)
{
	scoped_done(arena_done) struct arena arena = {.max = SPEC_ARENA_MAX};
	struct spec_input input = {0};
	struct oci_process process = {0};
	int r = make_input(container, &arena, &input, err);
	if (r == 0 && !str_empty(exec->user))
		r = find_exec_user(container, exec->user, &arena, &input, err);
	if (r == 0)
		r = spec_build_exec(&input, exec, &arena, &process, err);
	return r < 0 ? r : json_encode(&OCI_PROCESS, &process, ret_json);
}
