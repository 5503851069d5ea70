#include "cli/src/volume.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"

static int host_path(const char *option, const char *text, const char *path, struct arena *arena,
		     const char **ret_path, struct err *err)
{
	scoped_free char *real = realpath(path, NULL);
	if (!real)
		return err_sys(err, -errno, "cli.host-path", "option %s: \"%s\": %s on this host", option, text, path);
	*ret_path = arena_strdup(arena, real);
	return *ret_path ? 0 : err_memory(err, "axle");
}

static const struct propagation {
	const char *name;
	Cri__MountPropagation value;
} PROPAGATIONS[] = {
	{"private", CRI__MOUNT_PROPAGATION__PROPAGATION_PRIVATE},
	{"rprivate", CRI__MOUNT_PROPAGATION__PROPAGATION_PRIVATE},
	{"slave", CRI__MOUNT_PROPAGATION__PROPAGATION_HOST_TO_CONTAINER},
	{"rslave", CRI__MOUNT_PROPAGATION__PROPAGATION_HOST_TO_CONTAINER},
	{"shared", CRI__MOUNT_PROPAGATION__PROPAGATION_BIDIRECTIONAL},
	{"rshared", CRI__MOUNT_PROPAGATION__PROPAGATION_BIDIRECTIONAL},
};

static bool is_mount_option(const char *option)
{
	return str_equal(option, "noexec") || str_equal(option, "nosuid") || str_equal(option, "nodev");
}

static int add_mount_option(const char *option, struct arena *arena, Cri__Mount *mount)
{
	const char **grown = arena_array(arena, mount->n_mount_options + 1, sizeof *grown);
	if (!grown || !(grown[mount->n_mount_options] = arena_strdup(arena, option)))
		return -ENOMEM;
	if (mount->n_mount_options > 0)
		memcpy(grown, mount->mount_options, mount->n_mount_options * sizeof *grown);
	mount->mount_options = grown;
	mount->n_mount_options++;
	return 0;
}

/* Returns -EINVAL for a word that is none. */
static int apply_option(const char *option, struct arena *arena, Cri__Mount *mount)
{
	for (size_t i = 0; i < ARRAY_COUNT(PROPAGATIONS); i++)
		if (str_equal(PROPAGATIONS[i].name, option)) {
			mount->propagation = PROPAGATIONS[i].value;
			return 0;
		}
	if (is_mount_option(option))
		return add_mount_option(option, arena, mount);
	if (str_equal(option, "z") || str_equal(option, "Z"))
		mount->selinux_relabel = 1;
	else if (str_equal(option, "ro"))
		mount->readonly = 1;
	else if (str_equal(option, "rro"))
		mount->readonly = mount->recursive_read_only = 1;
	else if (!str_equal(option, "rw") && !str_equal(option, "rbind") && !str_equal(option, "bind"))
		return -EINVAL;
	return 0;
}

static int apply_options(const char *text, const char *list, struct arena *arena, Cri__Mount *mount, struct err *err)
{
	scoped(strv_free) char **options = str_split(list, ',');
	if (!options)
		return err_memory(err, "axle");
	for (char **option = options; *option; option++) {
		int r = apply_option(*option, arena, mount);
		if (r == -EINVAL)
			return err_set(err, r, "cli.usage",
				       "option --volume: \"%s\": \"%s\": expected ro, rw, rro, z, noexec, nosuid, nodev, or a "
				       "propagation such as rslave",
				       text, *option);
		if (r < 0)
			return err_memory(err, "axle");
	}
	return 0;
}

int volume_parse(const char *text, struct arena *arena, Cri__Mount *ret_mount, struct err *err)
{
	scoped(strv_free) char **parts = str_split(text, ':');
	size_t count = strv_count((const char *const *)parts);
	if (count < 2 || count > 3 || !*parts[0] || *parts[1] != '/')
		return err_set(err, -EINVAL, "cli.usage",
			       "option --volume: \"%s\": expected HOST:PATH[:OPTIONS] with an absolute PATH", text);
	if (!strchr(parts[0], '/') && !str_equal(parts[0], "."))
		return err_set(err, -EINVAL, "cli.usage",
			       "option --volume: \"%s\": volumes by name are not available: expected a path of the host", text);
	cri__mount__init(ret_mount);
	ret_mount->container_path = arena_strdup(arena, parts[1]);
	if (!ret_mount->container_path)
		return err_memory(err, "axle");
	int r = host_path("--volume", text, parts[0], arena, &ret_mount->host_path, err);
	return r < 0 || count < 3 ? r : apply_options(text, parts[2], arena, ret_mount, err);
}

int device_parse(const char *text, struct arena *arena, Cri__Device *ret_device, struct err *err)
{
	scoped(strv_free) char **parts = str_split(text, ':');
	size_t count = strv_count((const char *const *)parts);
	const char *permissions = count == 3 ? parts[2] : count == 2 && *parts[1] != '/' ? parts[1] : "rwm";
	bool bad = count < 1 || count > 3 || !*permissions || strspn(permissions, "rwm") != strlen(permissions);
	if (bad || *parts[0] != '/')
		return err_set(err, -EINVAL, "cli.usage",
			       "option --device: \"%s\": expected HOST[:PATH[:rwm]] with absolute paths", text);
	cri__device__init(ret_device);
	const char *inside = count >= 2 && *parts[1] == '/' ? parts[1] : parts[0];
	ret_device->container_path = arena_strdup(arena, inside);
	ret_device->permissions = arena_strdup(arena, permissions);
	if (!ret_device->container_path || !ret_device->permissions)
		return err_memory(err, "axle");
	return host_path("--device", text, parts[0], arena, &ret_device->host_path, err);
}
