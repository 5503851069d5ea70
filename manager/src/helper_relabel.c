/* Labels of SELinux on the files of a volume (Mount.selinux_relabel). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "manager/src/helper_work.h"

#define ATTRIBUTE "security.selinux"
#define DEPTH_MAX 256

/* What a host lives of: a new label there would lock its own services out. */
static const char *const HOSTS_OWN[] = {"/",	 "/bin", "/boot", "/dev", "/etc",  "/etc/passwd", "/etc/shadow", "/home",
					"/lib",	 "/lib64", "/opt", "/proc", "/root", "/run", "/sbin", "/srv", "/sys",
					"/tmp", "/usr", "/var", "/var/lib", "/var/log", "/var/run", NULL};

static void close_folder(DIR **folder)
{
	if (*folder)
		(void)closedir(*folder);
}

/* Of the entry itself, also where it is a link. A file system without labels keeps its one for all. */
static int set_label(int dir_fd, const char *name, const char *label)
{
	char path[64 + NAME_MAX];
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d/%s", dir_fd, name);
	if (lsetxattr(path, ATTRIBUTE, label, strlen(label) + 1, 0) < 0 && errno != ENOTSUP && errno != ENOENT)
		return -errno;
	return 0;
}

static int walk(int dir_fd, const char *label, int depth)
{
	int copy = fcntl(dir_fd, F_DUPFD_CLOEXEC, 0);
	__attribute__((cleanup(close_folder))) DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	if (!dir || depth == DEPTH_MAX)
		return dir ? -ELOOP : -ENOMEM;
	for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
		if (str_equal(entry->d_name, ".."))
			continue;
		int r = set_label(dir_fd, entry->d_name, label);
		if (r < 0)
			return r;
		if (str_equal(entry->d_name, ".") || (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN))
			continue;
		scoped_fd int below = openat(dir_fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (below < 0 && (errno == ENOTDIR || errno == ELOOP || errno == ENOENT))
			continue; /* no folder, or gone by now */
		r = below < 0 ? -errno : walk(below, label, depth + 1);
		if (r < 0)
			return r;
	}
	return 0;
}

int helper_relabel(const struct helper_relabel *request, struct err *err)
{
	if (strv_contains(HOSTS_OWN, request->path))
		return err_set(err, -EPERM, "relabel.path", "%s: it is the host's own, and gets no label of a container",
			       request->path);
	scoped_fd int place = open(request->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat status = {0};
	if (place < 0 || fstat(place, &status) < 0)
		return err_sys(err, -errno, "relabel", "label %s", request->path);
	int r = 0;
	if (S_ISDIR(status.st_mode)) {
		scoped_fd int dir_fd = open(request->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		r = dir_fd < 0 ? -errno : walk(dir_fd, request->label, 0);
	} else if (lsetxattr(request->path, ATTRIBUTE, request->label, strlen(request->label) + 1, 0) < 0) {
		r = errno == ENOTSUP ? 0 : -errno;
	}
	return r < 0 ? err_sys(err, r, "relabel", "give %s the label %s", request->path, request->label) : 0;
}
