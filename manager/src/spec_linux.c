#include <errno.h>

#include "core/base/arena.h"
#include "core/base/err.h"
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

/* --- the rest --- */

/* procMount "Unmasked" comes as two empty lists, which is also what a client sends that knows nothing of the matter. A
 * kubelet lets it through only with a user namespace (KEP-4265), and only there it is taken at its word. */
static bool is_unmasked(const struct spec_input *input)
{
	const Cri__LinuxContainerSecurityContext *security = spec_security(input);
	return security->privileged ||
	       (!security->n_masked_paths && !security->n_readonly_paths && spec_has_user_namespace(input));
}

static int copy_paths(struct spec_builder *builder, char **paths, size_t count, const char *const *defaults,
		      const char *const **ret_paths)
{
	struct spec_strings strings = {0};
	int r = 0;
	for (size_t i = 0; r == 0 && i < count; i++) {
		if (paths[i][0] != '/')
			return err_set(builder->err, -EINVAL, "container.masked-path",
				       "masked or read-only path \"%s\": expected an absolute path", paths[i]);
		r = spec_strings_add(builder, &strings, paths[i]);
	}
	*ret_paths = count ? strings.items : defaults;
	return r;
}

static int make_masks(struct spec_builder *builder, struct oci_linux *linux_)
{
	const Cri__LinuxContainerSecurityContext *security = spec_security(builder->input);
	if (is_unmasked(builder->input))
		return 0;
	int r = copy_paths(builder, (char **)security->masked_paths, security->n_masked_paths, MASKED_PATHS,
			   &linux_->masked_paths);
	return r < 0 ? r
		     : copy_paths(builder, (char **)security->readonly_paths, security->n_readonly_paths,
				  READONLY_PATHS, &linux_->readonly_paths);
}

int spec_make_linux(struct spec_builder *builder, const struct oci_capabilities *capabilities,
		    struct oci_linux *ret_linux)
{
	struct oci_resources *resources = arena_alloc(builder->arena, sizeof *resources);
	struct spec_devices devices = {0};
	if (!resources)
		return -ENOMEM;
	ret_linux->resources = resources;
	ret_linux->cgroups_path = arena_printf(builder->arena, "/%s", builder->input->cgroup);
	int r = ret_linux->cgroups_path ? spec_make_namespaces(builder, ret_linux) : -ENOMEM;
	if (r == 0)
		r = spec_make_devices(builder, &devices);
	if (r == 0)
		r = spec_make_resources(builder, resources);
	if (r == 0)
		r = make_masks(builder, ret_linux);
	ret_linux->devices = devices.devices;
	ret_linux->devices_count = devices.count;
	resources->devices = devices.rules;
	resources->devices_count = devices.rules_count;
	return r < 0 ? r : spec_make_seccomp(builder, capabilities, &ret_linux->seccomp);
}
