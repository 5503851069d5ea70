#include "manager/src/spec.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/err.h"
#include "manager/src/spec_internal.h"

int spec_strings_add(struct spec_builder *builder, struct spec_strings *strings, const char *text)
{
	if (!text)
		return -ENOMEM;
	if (strings->count + 1 >= strings->capacity) {
		size_t capacity = strings->capacity ? strings->capacity * 2 : 16;
		const char **grown = arena_array(builder->arena, capacity, sizeof *grown);
		if (!grown)
			return -ENOMEM;
		if (strings->count)
			memcpy(grown, strings->items, strings->count * sizeof *grown);
		strings->items = grown;
		strings->capacity = capacity;
	}
	strings->items[strings->count++] = text;
	strings->items[strings->count] = NULL;
	return 0;
}

void spec_cut(struct spec_builder *builder, const char *format, ...)
{
	struct spec_cuts *cuts = builder->cuts;
	if (!cuts || cuts->count == ARRAY_COUNT(cuts->lines))
		return;
	char line[256];
	va_list args;
	va_start(args, format);
	(void)vsnprintf(line, sizeof line, format, args);
	va_end(args);
	const char *copy = arena_strdup(builder->arena, line);
	if (copy)
		cuts->lines[cuts->count++] = copy;
}

const Cri__LinuxContainerSecurityContext *spec_security(const struct spec_input *input)
{
	static const Cri__LinuxContainerSecurityContext DEFAULTS = CRI__LINUX_CONTAINER_SECURITY_CONTEXT__INIT;
	const Cri__LinuxContainerConfig *config = input->container->linux;
	return config && config->security_context ? config->security_context : &DEFAULTS;
}

bool spec_is_privileged(const Cri__ContainerConfig *container)
{
	return container->linux && container->linux->security_context && container->linux->security_context->privileged;
}

const Cri__LinuxContainerResources *spec_resources(const struct spec_input *input)
{
	return input->container->linux ? input->container->linux->resources : NULL;
}

/* What tells whose container it is to those who look at the runtime's state. */
static int make_annotations(struct spec_builder *builder, struct oci_spec *spec)
{
	struct json_pair *pairs = arena_array(builder->arena, 3, sizeof *pairs);
	if (!pairs)
		return -ENOMEM;
	const Cri__ContainerMetadata *metadata = builder->input->container->metadata;
	pairs[0] = (struct json_pair){"io.kubernetes.cri.container-type", "container"};
	pairs[1] = (struct json_pair){"io.kubernetes.cri.sandbox-id", builder->input->pod_id};
	pairs[2] = (struct json_pair){"io.kubernetes.cri.container-name", metadata ? metadata->name : ""};
	spec->annotations = pairs;
	spec->annotations_count = 3;
	return 0;
}

int spec_build(const struct spec_input *input, struct arena *arena, struct oci_spec *ret_spec,
	       struct spec_cuts *ret_cuts, struct err *err)
{
	struct spec_builder builder = {input, arena, ret_cuts, err};
	struct oci_process *process = arena_alloc(arena, sizeof *process);
	struct oci_root *root = arena_alloc(arena, sizeof *root);
	struct oci_linux *linux_ = arena_alloc(arena, sizeof *linux_);
	if (!process || !root || !linux_)
		return -ENOMEM;
	*root = (struct oci_root){.path = input->rootfs, .readonly = spec_security(input)->readonly_rootfs};
	/* what is used of 1.2 is optional there, and older runtimes refuse a version they do not know (crun 1.8) */
	struct oci_spec spec = {.oci_version = "1.0.2", .process = process, .root = root, .linux_ = linux_};
	int r = spec_make_process(&builder, process);
	if (r == 0)
		r = spec_make_mounts(&builder, &spec, &linux_->rootfs_propagation);
	if (r == 0)
		r = spec_make_linux(&builder, process->capabilities, linux_);
	if (r == 0)
		r = make_annotations(&builder, &spec);
	if (r == -ENOMEM)
		return err_set(err, r, "spec.memory", "the container's configuration is too large");
	if (r == 0)
		*ret_spec = spec;
	return r;
}
