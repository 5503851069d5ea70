#include "manager/src/spec.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "manager/src/pod_user.h"
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

bool spec_has_user_namespace(const struct spec_input *input)
{
	return input->pod && pod_user_of(input->pod).own;
}

bool spec_is_privileged(const Cri__ContainerConfig *container)
{
	return container->linux && container->linux->security_context && container->linux->security_context->privileged;
}

const Cri__LinuxContainerResources *spec_resources(const struct spec_input *input)
{
	return input->container->linux ? input->container->linux->resources : NULL;
}

struct annotations {
	struct json_pair *pairs;
	size_t count;
};

static void put(struct annotations *list, const char *key, const char *value)
{
	for (size_t i = 0; i < list->count; i++)
		if (str_equal(list->pairs[i].key, key)) {
			list->pairs[i].value = value;
			return;
		}
	list->pairs[list->count++] = (struct json_pair){key, value};
}

static bool is_allowed(const char *const *patterns, const char *key)
{
	for (size_t i = 0; patterns && patterns[i]; i++)
		if (fnmatch(patterns[i], key, FNM_PATHNAME) == 0)
			return true;
	return false;
}

static void put_allowed(struct annotations *list, Cri__MapEntry *const *entries, size_t count,
			const char *const *patterns)
{
	for (size_t i = 0; i < count; i++)
		if (is_allowed(patterns, entries[i]->key))
			put(list, entries[i]->key, entries[i]->value);
}

/* What tells whose container it is to those who look at the runtime's state, under the names that containerd gave these;
 * and what the configuration of the runtime lets through of the pod's and the container's own. */
static int make_annotations(struct spec_builder *builder, struct oci_spec *spec)
{
	const struct spec_input *input = builder->input;
	const Cri__ContainerMetadata *metadata = input->container->metadata;
	const Cri__PodSandboxMetadata *pod = input->pod->metadata;
	const struct json_pair own[] = {
		{"io.kubernetes.cri.container-type", "container"},
		{"io.kubernetes.cri.sandbox-id", input->pod_id},
		{"io.kubernetes.cri.sandbox-name", pod ? pod->name : ""},
		{"io.kubernetes.cri.sandbox-namespace", pod ? pod->namespace_ : ""},
		{"io.kubernetes.cri.sandbox-uid", pod ? pod->uid : ""},
		{"io.kubernetes.cri.container-name", metadata ? metadata->name : ""},
	};
	size_t most = ARRAY_COUNT(own) + input->pod->n_annotations + input->container->n_annotations;
	struct annotations list = {.pairs = arena_array(builder->arena, most, sizeof *list.pairs)};
	if (!list.pairs)
		return -ENOMEM;
	put_allowed(&list, input->pod->annotations, input->pod->n_annotations, input->pod_annotations);
	put_allowed(&list, input->container->annotations, input->container->n_annotations,
		    input->container_annotations);
	for (size_t i = 0; i < ARRAY_COUNT(own); i++)
		put(&list, own[i].key, own[i].value);
	spec->annotations = list.pairs;
	spec->annotations_count = list.count;
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
		r = spec_make_labels(&builder, process, linux_);
	if (r == 0)
		r = spec_add_cdi_hooks(&builder, &spec, linux_);
	if (r == 0)
		r = make_annotations(&builder, &spec);
	if (r == 0)
		r = spec_make_signals(&builder, &spec);
	if (r == -ENOMEM)
		return err_set(err, r, "spec.memory", "the container's configuration is too large");
	if (r == 0)
		*ret_spec = spec;
	return r;
}

int spec_build_resources(const struct spec_input *input, struct arena *arena, struct oci_resources *ret_resources,
			 struct err *err)
{
	struct spec_builder builder = {.input = input, .arena = arena, .err = err};
	return spec_make_resources(&builder, ret_resources);
}
