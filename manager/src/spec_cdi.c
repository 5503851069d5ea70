/* What CDI devices change in config.json, beside the environment (spec_process.c). */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "manager/src/cdi.h"
#include "manager/src/spec_internal.h"

static const struct cdi_edits *edits_of(const struct spec_builder *builder)
{
	static const struct cdi_edits NOTHING = {0};
	return builder->input->cdi ? builder->input->cdi : &NOTHING;
}

/* --- device nodes --- */

/* What the file leaves out is as the host's node is (SPEC.md, "containerEdits.deviceNodes"). */
static int complete(struct spec_builder *builder, const struct cdi_device_node *node, struct oci_device *device)
{
	const char *host_path = str_empty(node->host_path) ? node->path : node->host_path;
	bool known = !str_empty(node->type) && (str_equal(node->type, "p") || (node->major && node->minor));
	struct stat status = {0};
	*device = (struct oci_device){.type = node->type, .path = node->path};
	if (!known && stat(host_path, &status) < 0)
		return err_sys(builder->err, -errno, "cdi.device", "CDI device node %s", host_path);
	if (!known) {
		int r = spec_describe_device(builder, host_path, &status, node->path, device);
		if (r < 0)
			return err_add(builder->err, r, "CDI");
		if (!str_empty(node->type) && !str_equal(node->type, device->type) && !str_equal(node->type, "u"))
			return err_set(builder->err, -EINVAL, "cdi.device", "CDI device node %s: expected type %s, found %s",
				       host_path, node->type, device->type);
	}
	if (node->major)
		device->major = *node->major;
	if (node->minor)
		device->minor = *node->minor;
	return 0;
}

static const uint32_t *copy_id(struct spec_builder *builder, uint32_t id)
{
	uint32_t *copy = arena_alloc(builder->arena, sizeof *copy);
	if (copy)
		*copy = id;
	return copy;
}

static int add_node(struct spec_builder *builder, const struct cdi_device_node *node, struct spec_devices *devices)
{
	struct oci_device device = {0};
	int r = complete(builder, node, &device);
	if (r < 0)
		return r;
	if (node->file_mode)
		device.file_mode = node->file_mode;
	/* who runs the container's process owns its devices, unless the file says otherwise */
	const struct spec_input *input = builder->input;
	device.uid = node->uid ? node->uid : input->uid ? copy_id(builder, input->uid) : NULL;
	device.gid = node->gid ? node->gid : input->gid ? copy_id(builder, input->gid) : NULL;
	if ((!device.uid && !node->uid && input->uid) || (!device.gid && !node->gid && input->gid))
		return -ENOMEM;
	return spec_add_device(builder, devices, &device, str_empty(node->permissions) ? "rwm" : node->permissions);
}

int spec_add_cdi_devices(struct spec_builder *builder, struct spec_devices *devices)
{
	const struct cdi_edits *edits = edits_of(builder);
	int r = 0;
	for (size_t i = 0; r == 0 && i < edits->device_nodes_count; i++)
		r = add_node(builder, &edits->device_nodes[i], devices);
	return r;
}

/* --- mounts --- */

size_t spec_count_cdi_mounts(const struct spec_builder *builder)
{
	return edits_of(builder)->mounts_count;
}

static size_t without(struct oci_mount *mounts, size_t count, const char *destination)
{
	size_t kept = 0;
	for (size_t i = 0; i < count; i++)
		if (!str_equal(mounts[i].destination, destination))
			mounts[kept++] = mounts[i];
	return kept;
}

size_t spec_add_cdi_mounts(struct spec_builder *builder, struct oci_mount *mounts, size_t count)
{
	const struct cdi_edits *edits = edits_of(builder);
	for (size_t i = 0; i < edits->mounts_count; i++) {
		const struct cdi_mount *mount = &edits->mounts[i];
		count = without(mounts, count, mount->container_path);
		mounts[count++] = (struct oci_mount){
			.destination = mount->container_path,
			.type = str_empty(mount->type) ? "bind" : mount->type,
			.source = mount->host_path,
			.options = mount->options,
		};
	}
	return count;
}

/* --- hooks and the rest --- */

#define LIST(name, member) {name, offsetof(struct oci_hooks, member), offsetof(struct oci_hooks, member##_count)}

static const struct {
	const char *name;
	size_t list;  /* where its pointer lies */
	size_t count; /* and its count */
} LISTS[] = {
	LIST("prestart", prestart),	      LIST("createRuntime", create_runtime), LIST("createContainer", create_container),
	LIST("startContainer", start_container), LIST("poststart", poststart),	     LIST("poststop", poststop),
};

static int add_hook(struct spec_builder *builder, const struct cdi_hook *hook, struct oci_hooks *hooks)
{
	for (size_t i = 0; i < ARRAY_COUNT(LISTS); i++) {
		if (!str_equal(LISTS[i].name, hook->name))
			continue;
		struct oci_hook **list = (struct oci_hook **)((char *)hooks + LISTS[i].list);
		size_t *count = (size_t *)((char *)hooks + LISTS[i].count);
		if (!*list)
			*list = arena_array(builder->arena, edits_of(builder)->hooks_count, sizeof **list);
		if (!*list)
			return -ENOMEM;
		(*list)[(*count)++] = (struct oci_hook){hook->path, hook->args, hook->env, hook->timeout};
		return 0;
	}
	return err_set(builder->err, -EINVAL, "cdi.invalid", "CDI hook \"%s\": expected one of the runtime's", hook->name);
}

int spec_add_cdi_hooks(struct spec_builder *builder, struct oci_spec *spec, struct oci_linux *linux_)
{
	const struct cdi_edits *edits = edits_of(builder);
	if (edits->intel_rdt)
		linux_->intel_rdt = edits->intel_rdt;
	if (!edits->hooks_count)
		return 0;
	struct oci_hooks *hooks = arena_alloc(builder->arena, sizeof *hooks);
	if (!hooks)
		return -ENOMEM;
	int r = 0;
	for (size_t i = 0; r == 0 && i < edits->hooks_count; i++)
		r = add_hook(builder, &edits->hooks[i], hooks);
	spec->hooks = hooks;
	return r;
}

int spec_add_cdi_groups(struct spec_builder *builder, struct oci_user *user)
{
	const struct cdi_edits *edits = edits_of(builder);
	if (!edits->additional_gids_count)
		return 0;
	size_t most = user->additional_gids_count + edits->additional_gids_count;
	uint32_t *groups = arena_array(builder->arena, most, sizeof *groups);
	if (!groups)
		return -ENOMEM;
	size_t count = user->additional_gids_count;
	if (count)
		memcpy(groups, user->additional_gids, count * sizeof *groups);
	for (size_t i = 0; i < edits->additional_gids_count; i++) {
		uint32_t group = edits->additional_gids[i];
		bool there = group == 0; /* 0 gives nothing, as the specification's library has it */
		for (size_t j = 0; j < count; j++)
			there |= groups[j] == group;
		if (!there)
			groups[count++] = group;
	}
	user->additional_gids = groups;
	user->additional_gids_count = count;
	return 0;
}
