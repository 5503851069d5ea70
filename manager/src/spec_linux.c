#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/parse.h"
#include "core/base/str.h"
#include "manager/src/spec_internal.h"

/* Of the kernel's own interfaces, what an ordinary container neither sees nor changes. */
static const char *const MASKED_PATHS[] = {
	"/proc/acpi",	      "/proc/asound",	      "/proc/interrupts",  "/proc/kcore",
	"/proc/keys",	      "/proc/latency_stats",  "/proc/sched_debug", "/proc/scsi",
	"/proc/timer_list",   "/proc/timer_stats",    "/sys/firmware",	   "/sys/devices/virtual/powercap",
	NULL,
};
static const char *const READONLY_PATHS[] = {
	"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", NULL,
};

/* --- namespaces --- */

static const Cri__NamespaceOption *pod_namespace_options(const struct spec_input *input)
{
	const Cri__LinuxPodSandboxConfig *pod = input->pod->linux;
	return pod && pod->security_context ? pod->security_context->namespace_options : NULL;
}

static Cri__NamespaceMode pid_mode(const struct spec_input *input)
{
	const Cri__NamespaceOption *options = spec_security(input)->namespace_options;
	return options ? options->pid : CRI__NAMESPACE_MODE__CONTAINER;
}

static int make_namespaces(struct spec_builder *builder, struct oci_linux *linux_)
{
	const struct spec_input *input = builder->input;
	const Cri__NamespaceOption *pod = pod_namespace_options(input);
	bool host_network = pod && pod->network == CRI__NAMESPACE_MODE__NODE;
	bool host_ipc = pod && pod->ipc == CRI__NAMESPACE_MODE__NODE;
	bool host_pid = pid_mode(input) == CRI__NAMESPACE_MODE__NODE;
	if (pid_mode(input) == CRI__NAMESPACE_MODE__POD)
		spec_cut(builder, "a pid namespace for the whole pod is not served yet: this container has one of its own");
	struct oci_namespace *namespaces = arena_array(builder->arena, 6, sizeof *namespaces);
	const char *network = arena_printf(builder->arena, "%s/net", input->pins);
	const char *ipc = arena_printf(builder->arena, "%s/ipc", input->pins);
	const char *uts = arena_printf(builder->arena, "%s/uts", input->pins);
	if (!namespaces || !network || !ipc || !uts)
		return -ENOMEM;
	size_t count = 0;
	namespaces[count++] = (struct oci_namespace){"mount", NULL};
	if (!host_network)
		namespaces[count++] = (struct oci_namespace){"network", network};
	if (!host_ipc)
		namespaces[count++] = (struct oci_namespace){"ipc", ipc};
	if (!host_network)
		namespaces[count++] = (struct oci_namespace){"uts", uts};
	if (!host_pid)
		namespaces[count++] = (struct oci_namespace){"pid", input->pid_namespace};
	if (!spec_security(input)->privileged)
		namespaces[count++] = (struct oci_namespace){"cgroup", NULL};
	linux_->namespaces = namespaces;
	linux_->namespaces_count = count;
	return 0;
}

/* --- devices --- */

static int add_device(struct spec_builder *builder, const Cri__Device *wanted, struct oci_device *ret_device,
		      struct oci_device_rule *ret_rule)
{
	struct stat status = {0};
	if (stat(wanted->host_path, &status) < 0)
		return err_sys(builder->err, -errno, "container.device", "device %s", wanted->host_path);
	if (!S_ISCHR(status.st_mode) && !S_ISBLK(status.st_mode))
		return err_set(builder->err, -EINVAL, "container.device", "device %s: expected a device node",
			       wanted->host_path);
	uint32_t *mode = arena_alloc(builder->arena, sizeof *mode);
	uint32_t *uid = arena_alloc(builder->arena, sizeof *uid);
	uint32_t *gid = arena_alloc(builder->arena, sizeof *gid);
	int64_t *numbers = arena_array(builder->arena, 2, sizeof *numbers);
	if (!mode || !uid || !gid || !numbers)
		return -ENOMEM;
	*mode = status.st_mode & 07777;
	*uid = status.st_uid;
	*gid = status.st_gid;
	numbers[0] = major(status.st_rdev);
	numbers[1] = minor(status.st_rdev);
	const char *type = S_ISCHR(status.st_mode) ? "c" : "b";
	*ret_device = (struct oci_device){
		.type = type,
		.path = str_empty(wanted->container_path) ? wanted->host_path : wanted->container_path,
		.major = numbers[0],
		.minor = numbers[1],
		.file_mode = mode,
		.uid = uid,
		.gid = gid,
	};
	*ret_rule = (struct oci_device_rule){
		.allow = true,
		.type = type,
		.major = &numbers[0],
		.minor = &numbers[1],
		.access = str_empty(wanted->permissions) ? "rwm" : wanted->permissions,
	};
	return 0;
}

static int make_devices(struct spec_builder *builder, struct oci_linux *linux_, struct oci_resources *resources)
{
	const struct spec_input *input = builder->input;
	size_t own = input->container->n_devices;
	bool privileged = spec_security(input)->privileged;
	size_t host = privileged ? input->host_devices_count : 0;
	struct oci_device *devices = arena_array(builder->arena, own + host + 1, sizeof *devices);
	struct oci_device_rule *rules = arena_array(builder->arena, own + 1, sizeof *rules);
	if (!devices || !rules)
		return -ENOMEM;
	if (host)
		memcpy(devices, input->host_devices, host * sizeof *devices);
	rules[0] = (struct oci_device_rule){.allow = privileged, .access = "rwm"};
	for (size_t i = 0; i < own; i++) {
		int r = add_device(builder, input->container->devices[i], &devices[host + i], &rules[1 + i]);
		if (r < 0)
			return r;
	}
	linux_->devices = devices;
	linux_->devices_count = host + own;
	resources->devices = rules;
	resources->devices_count = own + 1;
	return 0;
}

/* --- resources --- */

static int set_i64(struct spec_builder *builder, int64_t value, const int64_t **slot)
{
	if (value == 0)
		return 0;
	int64_t *copy = arena_alloc(builder->arena, sizeof *copy);
	if (!copy)
		return -ENOMEM;
	*copy = value;
	*slot = copy;
	return 0;
}

static int set_u64(struct spec_builder *builder, const char *what, int64_t value, const uint64_t **slot)
{
	if (value < 0)
		return err_set(builder->err, -EINVAL, "container.resources", "%s %lld: expected 0 or more", what,
			       (long long)value);
	return set_i64(builder, value, (const int64_t **)slot);
}

static int make_cpu(struct spec_builder *builder, const Cri__LinuxContainerResources *wanted, const struct oci_cpu **ret_cpu)
{
	struct oci_cpu *cpu = arena_alloc(builder->arena, sizeof *cpu);
	if (!cpu)
		return -ENOMEM;
	int r = set_u64(builder, "cpu_shares", wanted->cpu_shares, &cpu->shares);
	if (r == 0)
		r = set_u64(builder, "cpu_period", wanted->cpu_period, &cpu->period);
	if (r == 0)
		r = set_i64(builder, wanted->cpu_quota, &cpu->quota);
	cpu->cpus = str_empty(wanted->cpuset_cpus) ? NULL : wanted->cpuset_cpus;
	cpu->mems = str_empty(wanted->cpuset_mems) ? NULL : wanted->cpuset_mems;
	*ret_cpu = cpu;
	return r;
}

static int make_memory(struct spec_builder *builder, const Cri__LinuxContainerResources *wanted,
		       const struct oci_memory **ret_memory)
{
	struct oci_memory *memory = arena_alloc(builder->arena, sizeof *memory);
	if (!memory)
		return -ENOMEM;
	int r = set_i64(builder, wanted->memory_limit_in_bytes, &memory->limit);
	if (r == 0)
		r = set_i64(builder, wanted->memory_swap_limit_in_bytes, &memory->swap);
	*ret_memory = memory;
	return r;
}

static int make_hugepages(struct spec_builder *builder, const Cri__LinuxContainerResources *wanted,
			  struct oci_resources *resources)
{
	struct oci_hugepage_limit *limits = arena_array(builder->arena, wanted->n_hugepage_limits + 1, sizeof *limits);
	if (!limits)
		return -ENOMEM;
	for (size_t i = 0; i < wanted->n_hugepage_limits; i++)
		limits[i] = (struct oci_hugepage_limit){wanted->hugepage_limits[i]->page_size,
							wanted->hugepage_limits[i]->limit};
	resources->hugepage_limits = limits;
	resources->hugepage_limits_count = wanted->n_hugepage_limits;
	return 0;
}

static int make_pids(struct spec_builder *builder, const char *value, struct oci_resources *resources)
{
	struct oci_pids *pids = arena_alloc(builder->arena, sizeof *pids);
	if (!pids)
		return -ENOMEM;
	if (!str_equal(value, "max") && parse_i64(value, 1, INT64_MAX, &pids->limit) < 0)
		return err_set(builder->err, -EINVAL, "container.resources",
			       "unified pids.max \"%s\": expected a number or \"max\"", value);
	resources->pids = pids;
	return 0;
}

/* cgroup v2's own files. pids.max has a place in the specification, and so works on v1 too. */
static int make_unified(struct spec_builder *builder, const Cri__LinuxContainerResources *wanted,
			struct oci_resources *resources)
{
	struct json_pair *pairs = arena_array(builder->arena, wanted->n_unified + 1, sizeof *pairs);
	if (!pairs)
		return -ENOMEM;
	size_t count = 0;
	for (size_t i = 0; i < wanted->n_unified; i++) {
		const Cri__MapEntry *entry = wanted->unified[i];
		if (str_equal(entry->key, "pids.max")) {
			int r = make_pids(builder, entry->value, resources);
			if (r < 0)
				return r;
		} else if (builder->input->pure_v2) {
			pairs[count++] = (struct json_pair){entry->key, entry->value};
		} else {
			spec_cut(builder, "unified resource %s: this machine's controllers are on cgroup v1", entry->key);
		}
	}
	resources->unified = pairs;
	resources->unified_count = count;
	return 0;
}

static int make_resources(struct spec_builder *builder, struct oci_resources *resources)
{
	const Cri__LinuxContainerResources *wanted = spec_resources(builder->input);
	if (!wanted)
		return 0;
	int r = make_cpu(builder, wanted, &resources->cpu);
	if (r == 0)
		r = make_memory(builder, wanted, &resources->memory);
	if (r == 0)
		r = make_hugepages(builder, wanted, resources);
	return r < 0 ? r : make_unified(builder, wanted, resources);
}

/* --- the rest --- */

static int copy_paths(struct spec_builder *builder, char **paths, size_t count, const char *const *defaults,
		      const char *const **ret_paths)
{
	struct spec_strings strings = {0};
	int r = 0;
	for (size_t i = 0; r == 0 && i < count; i++)
		r = spec_strings_add(builder, &strings, paths[i]);
	*ret_paths = count ? strings.items : defaults;
	return r;
}

int spec_make_linux(struct spec_builder *builder, const struct oci_capabilities *capabilities,
		    struct oci_linux *ret_linux)
{
	const Cri__LinuxContainerSecurityContext *security = spec_security(builder->input);
	struct oci_resources *resources = arena_alloc(builder->arena, sizeof *resources);
	if (!resources)
		return -ENOMEM;
	ret_linux->resources = resources;
	ret_linux->cgroups_path = arena_printf(builder->arena, "/%s", builder->input->cgroup);
	int r = ret_linux->cgroups_path ? make_namespaces(builder, ret_linux) : -ENOMEM;
	if (r == 0)
		r = make_devices(builder, ret_linux, resources);
	if (r == 0)
		r = make_resources(builder, resources);
	if (r == 0 && !security->privileged)
		r = copy_paths(builder, (char **)security->masked_paths, security->n_masked_paths, MASKED_PATHS,
			       &ret_linux->masked_paths);
	if (r == 0 && !security->privileged)
		r = copy_paths(builder, (char **)security->readonly_paths, security->n_readonly_paths, READONLY_PATHS,
			       &ret_linux->readonly_paths);
	return r < 0 ? r : spec_make_seccomp(builder, capabilities, &ret_linux->seccomp);
}
