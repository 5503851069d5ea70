/* Can this machine make root file systems for user namespaces? Tried rather than guessed from its version: the kernel, the
 * file systems of the layers and of the writable directories all have their say. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/sys/path.h"
#include "core/sys/pidfd.h"
#include "manager/src/helper_work.h"

#define PROBE_ID 4242U /* on the host; nobody's, and for the blink of an eye */

static int make_folders(const char *folder, struct err *err)
{
	static const char *const NAMES[] = {"lower/seen", "upper", "workdir", NULL};
	int r = 0;
	for (size_t i = 0; r == 0 && NAMES[i]; i++) {
		scoped_free char *path = str_printf("%s/%s", folder, NAMES[i]);
		r = path ? path_make_directories(path, 0700, err) : err_memory(err, "the probe of user namespaces");
	}
	return r;
}

/* What is root's in the layer is the mapped one's in the mount. */
static int check_tree(int tree, struct err *err)
{
	struct stat status = {0};
	if (fstatat(tree, "seen", &status, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, -errno, "rootfs.idmap", "look at the mount");
	if (status.st_uid != PROBE_ID || status.st_gid != PROBE_ID)
		return err_set(err, -ENOTSUP, "rootfs.idmap", "the kernel mounts mapped layers, but does not map their owners");
	if (mkdirat(tree, "made", 0700) < 0)
		return err_sys(err, -errno, "rootfs.idmap", "write to the mount");
	return 0;
}

static int try_mount(const char *folder, pid_t pid, struct err *err)
{
	static const char *const LOWERS[] = {"lower", NULL};
	scoped_free char *upper = str_printf("%s/upper", folder);
	scoped_free char *work = str_printf("%s/workdir", folder);
	scoped_free char *user_namespace = str_printf("/proc/%d/ns/user", (int)pid);
	if (!upper || !work || !user_namespace)
		return err_memory(err, "the probe of user namespaces");
	const struct helper_layers layers = {
		.folder = folder, .names = LOWERS, .upper = upper, .work = work, .user_namespace = user_namespace};
	scoped_fd int tree = -1;
	int r = helper_mount_layers(&layers, &tree, err);
	return r < 0 ? r : check_tree(tree, err);
}

int helper_user_probe(const struct helper_user_probe *request, struct err *err)
{
	const struct helper_user_map map = {PROBE_ID, 1, PROBE_ID, 1};
	scoped_fd int pidfd = -1;
	pid_t pid = 0;
	int status = 0;
	int r = helper_remove_tree(request->folder, err);
	if (r == 0)
		r = make_folders(request->folder, err);
	if (r == 0)
		r = helper_user_namespace(&map, 0, &pid, &pidfd, err);
	if (r < 0)
		return r;
	r = try_mount(request->folder, pid, err);
	(void)pidfd_signal(pidfd, SIGKILL); /* our child, which only waits */
	(void)pidfd_wait(pidfd, &status);
	struct err remove_err = {0};
	int removed = helper_remove_tree(request->folder, &remove_err);
	if (r == 0 && removed < 0) {
		*err = remove_err;
		r = removed;
	}
	return r;
}
