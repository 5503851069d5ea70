/* The container's own mounts: Mount in the configuration of CRI. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/sys/path.h"
#include "manager/src/spec_internal.h"

static const struct {
	Cri__MountPropagation mode;
	const char *option;
} PROPAGATIONS[] = {
	{CRI__MOUNT_PROPAGATION__PROPAGATION_PRIVATE, "rprivate"},
	{CRI__MOUNT_PROPAGATION__PROPAGATION_HOST_TO_CONTAINER, "rslave"},
	{CRI__MOUNT_PROPAGATION__PROPAGATION_BIDIRECTIONAL, "rshared"},
};

static const char *const EXTRA_OPTIONS[] = {"noexec", "nodev", "nosuid", NULL};

static const char *source_of(const Cri__Mount *mount)
{
	return mount->image ? mount->image->image : mount->host_path;
}

static int refuse(struct spec_builder *builder, const Cri__Mount *mount, int code, const char *why)
{
	return err_set(builder->err, code, "container.mount", "mount %s at %s: %s", source_of(mount),
		       mount->container_path, why);
}

static const char *propagation_option(const Cri__Mount *mount)
{
	for (size_t i = 0; i < ARRAY_COUNT(PROPAGATIONS); i++)
		if (PROPAGATIONS[i].mode == mount->propagation)
			return PROPAGATIONS[i].option;
	return NULL;
}

static int check_image(struct spec_builder *builder, const Cri__Mount *mount)
{
	if (!str_empty(mount->host_path))
		return refuse(builder, mount, -EINVAL, "expected an image or a host path, not both");
	if (!mount->readonly)
		return refuse(builder, mount, -EINVAL, "an image's mount is never written to: expected readonly");
	if (mount->propagation != CRI__MOUNT_PROPAGATION__PROPAGATION_PRIVATE)
		return refuse(builder, mount, -EINVAL, "an image's mount needs private propagation");
	if (mount->n_uidmappings || mount->n_gidmappings)
		return refuse(builder, mount, -EINVAL, "an image's mount has no id mappings of its own");
	return 0;
}

static int check(struct spec_builder *builder, const Cri__Mount *mount)
{
	if (mount->container_path[0] != '/')
		return refuse(builder, mount, -EINVAL, "expected an absolute path in the container");
	if (!propagation_option(mount))
		return refuse(builder, mount, -EINVAL, "its propagation is none that is known");
	if (mount->recursive_read_only &&
	    (!mount->readonly || mount->propagation != CRI__MOUNT_PROPAGATION__PROPAGATION_PRIVATE))
		return refuse(builder, mount, -EINVAL, "recursive_read_only needs readonly and private propagation");
	if (!mount->n_uidmappings != !mount->n_gidmappings)
		return refuse(builder, mount, -EINVAL, "expected mappings of both user and group ids, or of neither");
	if (mount->image)
		return check_image(builder, mount);
	if (!str_empty(mount->image_sub_path))
		return refuse(builder, mount, -EINVAL, "image_sub_path needs an image");
	return mount->host_path[0] == '/' ? 0 : refuse(builder, mount, -EINVAL, "expected an absolute host path");
}

/* As kubelets expect: a missing source becomes a directory. Links are resolved now, so that what is mounted is what was
 * there when the container was made. */
static int resolve_source(struct spec_builder *builder, const Cri__Mount *mount, const char **ret_source)
{
	struct stat status = {0};
	if (stat(mount->host_path, &status) < 0 && errno == ENOENT) {
		int r = path_make_directories(mount->host_path, 0755, builder->err);
		if (r < 0)
			return err_add(builder->err, r, "mount at %s", mount->container_path);
	}
	char *resolved = realpath(mount->host_path, NULL);
	if (!resolved)
		return err_sys(builder->err, -errno, "container.mount", "mount %s at %s", mount->host_path,
			       mount->container_path);
	*ret_source = arena_strdup(builder->arena, resolved);
	free(resolved);
	return *ret_source ? 0 : -ENOMEM;
}

/* Images are mounted beforehand, by their place in the list of mounts. */
static int make_source(struct spec_builder *builder, const Cri__Mount *mount, size_t index, const char **ret_source)
{
	if (!mount->image)
		return resolve_source(builder, mount, ret_source);
	*ret_source = arena_printf(builder->arena, "%s/%zu/" SPEC_VOLUME_NAME, builder->input->volumes, index);
	return *ret_source ? 0 : -ENOMEM;
}

static const char *access_option(const Cri__Mount *mount)
{
	if (mount->recursive_read_only)
		return "rro";
	return mount->readonly ? "ro" : "rw";
}

static int make_options(struct spec_builder *builder, const Cri__Mount *mount, const char *const **ret_options)
{
	struct spec_strings options = {0};
	int r = spec_strings_add(builder, &options, "rbind");
	if (r == 0)
		r = spec_strings_add(builder, &options, propagation_option(mount));
	if (r == 0)
		r = spec_strings_add(builder, &options, access_option(mount));
	for (size_t i = 0; r == 0 && i < mount->n_mount_options; i++) {
		if (!strv_contains(EXTRA_OPTIONS, mount->mount_options[i]))
			return refuse(builder, mount, -EINVAL, "its options may be noexec, nodev and nosuid");
		r = spec_strings_add(builder, &options, mount->mount_options[i]);
	}
	*ret_options = options.items;
	return r;
}

/* The kernel takes at most 340 lines (user_namespaces(7)). */
static int make_maps(struct spec_builder *builder, const Cri__Mount *mount, Cri__IDMapping *const *maps, size_t count,
		     const struct oci_id_mapping **ret_maps)
{
	if (count > SPEC_ID_MAPPINGS_MAX)
		return refuse(builder, mount, -E2BIG, "expected at most 340 id mappings");
	struct oci_id_mapping *made = count ? arena_array(builder->arena, count, sizeof *made) : NULL;
	if (count && !made)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		if (!maps[i]->length)
			return refuse(builder, mount, -EINVAL, "an id mapping of no ids");
		made[i] = (struct oci_id_mapping){maps[i]->container_id, maps[i]->host_id, maps[i]->length};
	}
	*ret_maps = made;
	return 0;
}

int spec_make_volume(struct spec_builder *builder, const Cri__Mount *mount, size_t index, struct oci_mount *ret_mount)
{
	struct oci_mount made = {
		.destination = mount->container_path,
		.type = "bind",
		.uid_mappings_count = mount->n_uidmappings,
		.gid_mappings_count = mount->n_gidmappings,
	};
	int r = check(builder, mount);
	if (r == 0)
		r = make_source(builder, mount, index, &made.source);
	if (r == 0)
		r = make_options(builder, mount, &made.options);
	if (r == 0)
		r = make_maps(builder, mount, mount->uidmappings, mount->n_uidmappings, &made.uid_mappings);
	if (r == 0)
		r = make_maps(builder, mount, mount->gidmappings, mount->n_gidmappings, &made.gid_mappings);
	if (r == 0)
		*ret_mount = made;
	return r;
}
