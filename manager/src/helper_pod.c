#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/sys/fd.h"
#include "core/sys/path.h"
#include "manager/src/helper_work.h"

static int make_shm(const struct helper_pod_make *request, int dir_fd, struct err *err)
{
	if (!request->shm_bytes)
		return 0;
	if (mkdirat(dir_fd, "shm", 0700) < 0)
		return err_sys(err, -errno, "pod.files", "make %s/shm", request->files);
	scoped_free char *target = str_printf("%s/shm", request->files);
	scoped_free char *options = str_printf("mode=1777,size=%llu,uid=%u,gid=%u", (unsigned long long)request->shm_bytes,
					       request->user ? request->user->host_uid : 0,
					       request->user ? request->user->host_gid : 0);
	if (!target || !options)
		return -ENOMEM;
	if (mount("shm", target, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options) < 0)
		return err_sys(err, -errno, "pod.files", "mount %s", target);
	return 0;
}

static int make_files(const struct helper_pod_make *request, struct err *err)
{
	const struct {
		const char *name;
		const char *text;
	} files[] = {
		{"hosts", request->hosts}, {"hostname", request->hostname_file}, {"resolv.conf", request->resolv_conf}};

	int r = path_make_directories(request->files, 0711, err);
	if (r < 0)
		return r;
	scoped_fd int dir_fd = open(request->files, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return err_sys(err, -errno, "pod.files", "open %s", request->files);
	for (size_t i = 0; r == 0 && i < ARRAY_COUNT(files); i++) {
		r = file_replace_at(dir_fd, files[i].name, files[i].text, strlen(files[i].text), 0644, FILE_VOLATILE, err);
		if (r == 0 && request->user && /* the pod's own root may change them */
		    fchownat(dir_fd, files[i].name, request->user->host_uid, request->user->host_gid, 0) < 0)
			r = err_sys(err, -errno, "pod.files", "own %s/%s", request->files, files[i].name);
	}
	return r < 0 ? r : make_shm(request, dir_fd, err);
}

int helper_pod_remove(const struct helper_pod_remove *request, struct err *err)
{
	static const char *const MOUNTS[] = {"pid", "net", "ipc", "uts", "user"};
	int r = request->init_cgroup ? helper_remove_cgroup(request->init_cgroup, true, err) : 0;
	for (size_t i = 0; r == 0 && i < ARRAY_COUNT(MOUNTS); i++) {
		scoped_free char *path = str_printf("%s/%s", request->pins, MOUNTS[i]);
		r = path ? helper_unmount(path, err) : -ENOMEM;
	}
	scoped_free char *shm = str_printf("%s/shm", request->files);
	if (r == 0)
		r = shm ? helper_unmount(shm, err) : -ENOMEM;
	if (r == 0)
		r = helper_remove_tree(request->pins, err);
	if (r == 0)
		r = helper_remove_tree(request->files, err);
	if (r == 0 && request->cgroup)
		r = helper_remove_cgroup(request->cgroup, false, err);
	return r;
}

int helper_pod_make(const struct helper_pod_make *request, struct err *err)
{
	const struct helper_pod_remove before = {.pins = request->pins, .files = request->files};
	int r = helper_pod_remove(&before, err);
	if (r == 0)
		r = make_files(request, err);
	if (r == 0)
		r = helper_namespaces_make(request, err);
	if (r < 0)
		(void)helper_pod_remove(&before, NULL); /* the first failure is the one to be told */
	return r;
}

static bool is_tmpfs_of_its_own(const char *path)
{
	struct statfs fs = {0};
	struct stat here = {0};
	struct stat above = {0};
	scoped_free char *parent = str_printf("%s/..", path);
	return parent && statfs(path, &fs) == 0 && fs.f_type == TMPFS_MAGIC && stat(path, &here) == 0 &&
	       stat(parent, &above) == 0 && here.st_dev != above.st_dev;
}

int helper_prepare(const struct helper_prepare *request, struct err *err)
{
	if (request->undo) {
		int r = helper_unmount(request->pins, err);
		return r < 0 ? r : helper_remove_tree(request->pins, err);
	}
	int r = path_make_directories(request->pins, 0700, err);
	if (r < 0 || is_tmpfs_of_its_own(request->pins))
		return r;
	if (mount("axle-ns", request->pins, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=700,size=1m") < 0)
		return err_sys(err, -errno, "node.pins", "mount a tmpfs on %s", request->pins);
	/* a pin that propagated to another mount namespace would keep its namespace there */
	if (mount(NULL, request->pins, NULL, MS_PRIVATE, NULL) < 0)
		return err_sys(err, -errno, "node.pins", "make %s private", request->pins);
	return 0;
}
