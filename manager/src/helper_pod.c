#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
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

/* The sysctls that belong to a namespace; all others are the host's and none of a pod's business. */
static const struct {
	const char *prefix;
	bool network; /* else ipc or uts */
} SYSCTLS[] = {
	{"net.", true},
	{"kernel.shm", false},
	{"kernel.msg", false},
	{"kernel.sem", false},
	{"fs.mqueue.", false},
	{"kernel.domainname", false},
};

static int check_sysctl(const struct helper_pod_make *request, const char *name, struct err *err)
{
	for (size_t i = 0; i < ARRAY_COUNT(SYSCTLS); i++) {
		if (!str_after_prefix(name, SYSCTLS[i].prefix))
			continue;
		if (SYSCTLS[i].network ? request->network : request->ipc)
			return 0;
		return err_set(err, -EINVAL, "pod.sysctl", "sysctl %s: the pod shares this namespace with the host",
			       name);
	}
	return err_set(err, -EINVAL, "pod.sysctl", "sysctl %s: expected one that belongs to a pod (net.*, kernel.shm*, "
						   "kernel.msg*, kernel.sem, fs.mqueue.*)", name);
}

static int write_sysctl(int proc_sys, const struct json_pair *sysctl, struct err *err)
{
	scoped_free char *path = strdup(sysctl->key);
	if (!path)
		return -ENOMEM;
	for (char *p = path; *p; p++) /* as sysctl(8): the other separator may stand in an interface's name */
		*p = *p == '.' ? '/' : *p == '/' ? '.' : *p;
	scoped_fd int fd = path_open_beneath(proc_sys, path, O_WRONLY | O_CLOEXEC, 0);
	int r = fd < 0 ? fd : fd_write_all(fd, sysctl->value, strlen(sysctl->value));
	return r < 0 ? err_sys(err, r, "pod.sysctl", "sysctl %s = %s", sysctl->key, sysctl->value) : 0;
}

static int write_sysctls(const struct helper_pod_make *request, struct err *err)
{
	if (!request->sysctls_count)
		return 0;
	scoped_fd int proc_sys = open("/proc/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (proc_sys < 0)
		return err_sys(err, -errno, "pod.sysctl", "open /proc/sys");
	for (size_t i = 0; i < request->sysctls_count; i++) {
		int r = check_sysctl(request, request->sysctls[i].key, err);
		if (r == 0)
			r = write_sysctl(proc_sys, &request->sysctls[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* A new network namespace has a loopback device that is down. */
static int raise_loopback(struct err *err)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	scoped_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		return err_sys(err, -errno, "pod.loopback", "raise the loopback device");
	return 0;
}

static int make_namespaces(const struct helper_pod_make *request, struct err *err)
{
	int flags = (request->network ? CLONE_NEWNET : 0) | (request->ipc ? CLONE_NEWIPC : 0) |
		    (request->uts ? CLONE_NEWUTS : 0);
	if (flags && unshare(flags) < 0)
		return err_sys(err, -errno, "pod.namespaces", "make the namespaces of the pod");
	if (request->uts && request->hostname && sethostname(request->hostname, strlen(request->hostname)) < 0)
		return err_sys(err, -errno, "pod.hostname", "set the hostname \"%s\"", request->hostname);
	int r = request->network ? raise_loopback(err) : 0;
	return r < 0 ? r : write_sysctls(request, err);
}

static int pin(int dir_fd, const char *dir, const char *kind, struct err *err)
{
	scoped_fd int file = openat(dir_fd, kind, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	if (file < 0)
		return err_sys(err, -errno, "pod.pin", "make %s/%s", dir, kind);
	char source[64];
	char target[64];
	(void)snprintf(source, sizeof source, "/proc/self/ns/%s", kind);
	(void)snprintf(target, sizeof target, "/proc/self/fd/%d", file);
	if (mount(source, target, NULL, MS_BIND, NULL) < 0)
		return err_sys(err, -errno, "pod.pin", "pin %s at %s/%s", kind, dir, kind);
	return 0;
}

static int pin_namespaces(const struct helper_pod_make *request, struct err *err)
{
	const struct {
		bool wanted;
		const char *kind;
	} pins[] = {{request->network, "net"}, {request->ipc, "ipc"}, {request->uts, "uts"}};

	int r = path_make_directories(request->pins, 0700, err);
	if (r < 0)
		return r;
	scoped_fd int dir_fd = open(request->pins, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return err_sys(err, -errno, "pod.pin", "open %s", request->pins);
	for (size_t i = 0; r == 0 && i < ARRAY_COUNT(pins); i++)
		if (pins[i].wanted)
			r = pin(dir_fd, request->pins, pins[i].kind, err);
	return r;
}

static int make_shm(const struct helper_pod_make *request, int dir_fd, struct err *err)
{
	if (!request->shm_bytes)
		return 0;
	if (mkdirat(dir_fd, "shm", 0700) < 0)
		return err_sys(err, -errno, "pod.files", "make %s/shm", request->files);
	scoped_free char *target = str_printf("%s/shm", request->files);
	scoped_free char *options = str_printf("mode=1777,size=%llu", (unsigned long long)request->shm_bytes);
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
	for (size_t i = 0; r == 0 && i < ARRAY_COUNT(files); i++)
		r = file_replace_at(dir_fd, files[i].name, files[i].text, strlen(files[i].text), 0644, FILE_VOLATILE, err);
	return r < 0 ? r : make_shm(request, dir_fd, err);
}

int helper_pod_remove(const struct helper_pod_remove *request, struct err *err)
{
	static const char *const MOUNTS[] = {"net", "ipc", "uts"};
	int r = 0;
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
		r = make_namespaces(request, err);
	if (r == 0)
		r = pin_namespaces(request, err);
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
