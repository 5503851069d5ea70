/* An OCI bundle made of an image: config.json, and a flat root file system merged from the layers. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/codec/oci_runtime.h"
#include "core/sys/fd.h"
#include "core/sys/path.h"
#include "image/include/axle/image.h"
#include "image/src/flat.h"

static const char PATH_DEFAULT[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/* Docker's default set, and podman's up to AUDIT_WRITE and MKNOD. */
static const char *const CAPABILITIES[] = {
	"CAP_CHOWN",  "CAP_DAC_OVERRIDE", "CAP_FSETID",	      "CAP_FOWNER",	      "CAP_NET_RAW", "CAP_SETGID",
	"CAP_SETUID", "CAP_SETFCAP",	  "CAP_SETPCAP",      "CAP_NET_BIND_SERVICE", "CAP_KILL",    "CAP_SYS_CHROOT",
	NULL,
};

static const char *const PROC_OPTIONS[] = {"nosuid", "noexec", "nodev", NULL};
static const char *const DEV_OPTIONS[] = {"nosuid", "strictatime", "mode=755", "size=65536k", NULL};
static const char *const PTS_OPTIONS[] = {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5", NULL};
static const char *const SHM_OPTIONS[] = {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k", NULL};
static const char *const SYS_OPTIONS[] = {"nosuid", "noexec", "nodev", "ro", NULL};
static const char *const CGROUP_OPTIONS[] = {"nosuid", "noexec", "nodev", "relatime", "ro", NULL};

static const struct oci_mount MOUNTS[] = {
	{.destination = "/proc", .type = "proc", .source = "proc", .options = PROC_OPTIONS},
	{.destination = "/dev", .type = "tmpfs", .source = "tmpfs", .options = DEV_OPTIONS},
	{.destination = "/dev/pts", .type = "devpts", .source = "devpts", .options = PTS_OPTIONS},
	{.destination = "/dev/shm", .type = "tmpfs", .source = "shm", .options = SHM_OPTIONS},
	{.destination = "/dev/mqueue", .type = "mqueue", .source = "mqueue", .options = PROC_OPTIONS},
	{.destination = "/sys", .type = "sysfs", .source = "sysfs", .options = SYS_OPTIONS},
	{.destination = "/sys/fs/cgroup", .type = "cgroup", .source = "cgroup", .options = CGROUP_OPTIONS},
};

static const struct oci_namespace NAMESPACES[] = {
	{.type = "pid"}, {.type = "network"}, {.type = "ipc"}, {.type = "uts"}, {.type = "mount"}, {.type = "cgroup"},
};

static const char *const MASKED[] = {
	"/proc/acpi",	     "/proc/asound",	 "/proc/kcore",	    "/proc/keys",    "/proc/latency_stats",
	"/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi",
	NULL,
};

static const char *const READ_ONLY[] = {
	"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", NULL,
};

/* No device but those that every container has, which the runtime adds (config-linux.md, "Default Devices"). */
static const struct oci_device_rule DEVICE_RULES[] = {{.allow = false, .access = "rwm"}};

/* The entrypoint, then the command. Returns NULL when out of memory. */
static const char *const *args_of(struct arena *arena, const struct image_config *config)
{
	size_t entry = strv_count(config->entrypoint);
	size_t count = strv_count(config->cmd);
	const char **args = arena_array(arena, entry + count + 1, sizeof *args);
	for (size_t i = 0; args && i < entry; i++)
		args[i] = config->entrypoint[i];
	for (size_t i = 0; args && i < count; i++)
		args[entry + i] = config->cmd[i];
	return args;
}

/* The image's environment, with PATH and HOME where it has none. Returns NULL when out of memory. */
static const char *const *env_of(struct arena *arena, const struct image_config *config, const struct image_user *user)
{
	size_t count = strv_count(config->env);
	const char **env = arena_array(arena, count + 3, sizeof *env);
	if (!env)
		return NULL;
	for (size_t i = 0; i < count; i++)
		env[i] = config->env[i];
	if (!strv_env_get(config->env, "PATH"))
		env[count++] = PATH_DEFAULT;
	if (!strv_env_get(config->env, "HOME"))
		env[count] = arena_printf(arena, "HOME=%s", user->home);
	return env;
}

static int fill_process(const struct image *image, const struct image_user *user, struct arena *arena,
			struct oci_process *ret_process, struct err *err)
{
	const char *const *args = args_of(arena, &image->config);
	const char *const *env = env_of(arena, &image->config, user);
	if (!args || !env)
		return err_memory(err, "config.json");
	if (!args[0])
		return err_set(err, -EBADMSG, "image.malformed", "image %s has neither an entrypoint nor a command",
			       image->id);
	*ret_process = (struct oci_process){
		.user = {.uid = user->uid,
			 .gid = user->gid,
			 .additional_gids = user->groups,
			 .additional_gids_count = user->groups_count},
		.args = args,
		.env = env,
		.cwd = *image->config.working_dir ? image->config.working_dir : "/",
		.no_new_privileges = true,
	};
	return 0;
}

int image_bundle_config(const struct image *image, const char *root_path, const struct image_user *user,
			struct buf *ret_json, struct err *err)
{
	scoped_done(arena_done) struct arena arena = {.max = 4 * 1024 * 1024};
	struct oci_process process = {0};
	int r = fill_process(image, user, &arena, &process, err);
	if (r < 0)
		return r;
	/* A user that is not root gets none of them in effect: they bound what a set-uid program could get. */
	struct oci_capabilities capabilities = {.bounding = CAPABILITIES,
						.effective = user->uid ? NULL : CAPABILITIES,
						.permitted = user->uid ? NULL : CAPABILITIES};
	process.capabilities = &capabilities;
	struct oci_root root = {.path = root_path};
	struct oci_resources resources = {.devices = DEVICE_RULES, .devices_count = ARRAY_COUNT(DEVICE_RULES)};
	struct oci_linux linux_ = {
		.resources = &resources,
		.namespaces = NAMESPACES,
		.namespaces_count = ARRAY_COUNT(NAMESPACES),
		.masked_paths = MASKED,
		.readonly_paths = READ_ONLY,
	};
	struct oci_spec spec = {
		.oci_version = "1.0.2", /* it needs nothing newer, and crun up to 1.8 takes no other than 1.0 */
		.process = &process,
		.root = &root,
		.hostname = "axle",
		.mounts = MOUNTS,
		.mounts_count = ARRAY_COUNT(MOUNTS),
		.linux_ = &linux_,
	};
	r = json_encode(&OCI_SPEC, &spec, ret_json);
	return r < 0 ? err_sys(err, r, "image.malformed", "config.json") : 0;
}

/* ---- The directory ---------------------------------------------------------------------------------------------- */

static int io_error(int code, const char *what, struct err *err)
{
	if (code == -ENOSPC || code == -EDQUOT)
		return err_set(err, -ENOSPC, "store.full", "no space left for the bundle");
	return err_sys(err, code, "store.io", "%s", what);
}

/* Makes the directory, or takes an empty one: rmdir(2) tells, and leaves one that is not. */
static int make_directory(int dir_fd, const char *name, int *ret_fd, struct err *err)
{
	if (mkdirat(dir_fd, name, 0755) < 0) {
		if (errno != EEXIST)
			return io_error(-errno, name, err);
		if (unlinkat(dir_fd, name, AT_REMOVEDIR) < 0)
			return errno == ENOTEMPTY || errno == ENOTDIR
				       ? err_set(err, -ENOTEMPTY, "store.io",
						 "%s exists: expected an empty or no directory", name)
				       : io_error(-errno, name, err);
		if (mkdirat(dir_fd, name, 0755) < 0)
			return io_error(-errno, name, err);
	}
	*ret_fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return *ret_fd < 0 ? io_error(-errno, name, err) : 0;
}

static int fill_bundle(const struct image_store *store, const struct image *image, int bundle_fd, struct err *err)
{
	if (mkdirat(bundle_fd, "rootfs", 0755) < 0)
		return io_error(-errno, "rootfs", err);
	scoped_fd int root = openat(bundle_fd, "rootfs", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (root < 0)
		return io_error(-errno, "rootfs", err);
	int r = flat_make(image_store_dir(store), image->layers, image->layers_count, root, err);
	struct image_user user;
	if (r == 0)
		r = image_user_resolve(root, image->config.user, &user, err);
	scoped_done(buf_done) struct buf json = {.max = 16 * 1024 * 1024};
	if (r == 0)
		r = image_bundle_config(image, "rootfs", &user, &json, err);
	if (r == 0)
		r = file_replace_at(bundle_fd, "config.json", json.data, json.size, 0644, FILE_VOLATILE, err);
	return r;
}

int image_bundle_unpack(const struct image_store *store, const struct image *image, int dir_fd, const char *name,
			struct err *err)
{
	scoped_fd int bundle = -1;
	int r = make_directory(dir_fd, name, &bundle, err);
	if (r < 0)
		return r;
	r = fill_bundle(store, image, bundle, err);
	if (r < 0)
		(void)path_remove_tree(dir_fd, name, NULL); /* the first error is the one to tell */
	return r;
}
