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

static int refuse(struct spec_builder *builder, const Cri__Mount *mount, int code, const char *why)
{
	return err_set(builder->err, code, "container.mount", "mount %s at %s: %s", mount->host_path,
		       mount->container_path, why);
}

static int check_mount(struct spec_builder *builder, const Cri__Mount *mount)
{
	if (mount->image)
		return refuse(builder, mount, -ENOTSUP, "mounting an image is not supported yet");
	if (mount->n_uidmappings || mount->n_gidmappings)
		return refuse(builder, mount, -ENOTSUP, "mapped ids are not supported yet");
	if (mount->container_path[0] != '/' || mount->host_path[0] != '/')
		return refuse(builder, mount, -EINVAL, "expected absolute paths");
	if (mount->recursive_read_only &&
	    (!mount->readonly || mount->propagation != CRI__MOUNT_PROPAGATION__PROPAGATION_PRIVATE))
		return refuse(builder, mount, -EINVAL, "recursive_read_only needs readonly and private propagation");
	return 0;
}

/* As kubelets expect: a missing source becomes a directory. Links are resolved now, so that what is mounted is what was
 * there when the container was made. */
static int resolve_source(struct spec_builder *builder, const Cri__Mount *mount, const char **ret_source)
{
	struct stat status = {0};
	if (stat(mount->host_path, &status) < 0 && errno == ENOENT) {
		int r = path_make_directories(mount->host_path, 0755, builder->err);
		if (r < 0)
			return r;
	}
	char *resolved = realpath(mount->host_path, NULL);
	if (!resolved)
		return err_sys(builder->err, -errno, "container.mount", "mount %s at %s", mount->host_path,
			       mount->container_path);
	*ret_source = arena_strdup(builder->arena, resolved);
	free(resolved);
	return *ret_source ? 0 : -ENOMEM;
}

static int mount_options(struct spec_builder *builder, const Cri__Mount *mount, const char *const **ret_options)
{
	struct spec_strings options = {0};
	int r = spec_strings_add(builder, &options, "rbind");
	for (size_t i = 0; r == 0 && i < ARRAY_COUNT(PROPAGATIONS); i++)
		if (PROPAGATIONS[i].mode == mount->propagation)
			r = spec_strings_add(builder, &options, PROPAGATIONS[i].option);
	if (r == 0)
		r = spec_strings_add(builder, &options,
				     mount->recursive_read_only ? "rro" : mount->readonly ? "ro" : "rw");
	for (size_t i = 0; r == 0 && i < mount->n_mount_options; i++) {
		if (!strv_contains(EXTRA_OPTIONS, mount->mount_options[i]))
			return refuse(builder, mount, -EINVAL, "its options may be noexec, nodev and nosuid");
		r = spec_strings_add(builder, &options, mount->mount_options[i]);
	}
	*ret_options = options.items;
	return r;
}

int spec_make_volume(struct spec_builder *builder, const Cri__Mount *mount, struct oci_mount *ret_mount)
{
	struct oci_mount made = {.destination = mount->container_path, .type = "bind"};
	int r = check_mount(builder, mount);
	if (r == 0)
		r = resolve_source(builder, mount, &made.source);
	if (r == 0)
		r = mount_options(builder, mount, &made.options);
	if (r == 0)
		*ret_mount = made;
	return r;
}
