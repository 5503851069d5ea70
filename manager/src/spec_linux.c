#include <errno.h>

#include "core/base/arena.h"
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
		r = spec_make_devices(builder, ret_linux, resources);
	if (r == 0)
		r = spec_make_resources(builder, resources);
	if (r == 0 && !security->privileged)
		r = copy_paths(builder, (char **)security->masked_paths, security->n_masked_paths, MASKED_PATHS,
			       &ret_linux->masked_paths);
	if (r == 0 && !security->privileged)
		r = copy_paths(builder, (char **)security->readonly_paths, security->n_readonly_paths, READONLY_PATHS,
			       &ret_linux->readonly_paths);
	return r < 0 ? r : spec_make_seccomp(builder, capabilities, &ret_linux->seccomp);
}
