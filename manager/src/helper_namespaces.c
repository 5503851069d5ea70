/* The namespaces of a pod: made, set up and pinned. With a user namespace of its own the others are made inside of it, so
 * that they belong to it (user_namespaces(7), "Interaction of user namespaces and other types of namespaces"). */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/sys/fd.h"
#include "core/sys/path.h"
#include "core/sys/pidfd.h"
#include "manager/src/helper_work.h"

/* Where the namespaces come from: this process, or one that waits in them. */
struct source {
	pid_t pid; /* 0: this process */
	int pidfd;
};

static void source_end(struct source *source)
{
	int status = 0;
	if (source->pidfd < 0)
		return;
	(void)pidfd_signal(source->pidfd, SIGKILL); /* what it held is pinned by now, or is not wanted */
	(void)pidfd_wait(source->pidfd, &status);
	(void)close(source->pidfd);
	source->pidfd = -1;
}

/* --- sysctls: pod_sysctls.c has checked that they belong to these namespaces --- */

static int write_sysctl(int proc_sys, const struct json_pair *sysctl, struct err *err)
{
	scoped_free char *path = strdup(sysctl->key);
	if (!path)
		return -ENOMEM;
	/* as sysctl(8): the first separator decides, the other one may stand in an interface's name */
	bool dots = path[strcspn(path, "./")] == '.';
	for (char *p = path; dots && *p; p++)
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
	int r = 0;
	for (size_t i = 0; r == 0 && i < request->sysctls_count; i++)
		r = write_sysctl(proc_sys, &request->sysctls[i], err);
	return r;
}

/* --- making --- */

static int write_map(pid_t pid, const char *file, uint32_t host_id, uint32_t count, struct err *err)
{
	char path[64];
	char line[64];
	(void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
	(void)snprintf(line, sizeof line, "0 %u %u\n", host_id, count);
	int r = file_write_kernel(AT_FDCWD, path, line, err);
	return r < 0 ? err_add(err, r, "map ids %u to %u of the host", host_id, host_id + count - 1) : 0;
}

static void __attribute__((noreturn)) wait_to_be_killed(void)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		(void)pause();
}

int helper_user_namespace(const struct helper_user_map *map, int flags, pid_t *ret_pid, int *ret_pidfd, struct err *err)
{
	const struct process_clone how = {.flags = CLONE_NEWUSER | (uint64_t)flags, .cgroup_fd = -1};
	scoped_done(source_end) struct source source = {.pidfd = -1};
	source.pid = process_clone(&how, &source.pidfd);
	if (source.pid == 0)
		wait_to_be_killed();
	if (source.pid < 0)
		return err_sys(err, source.pid, "pod.user-namespace", "make a user namespace");
	int r = write_map(source.pid, "uid_map", map->host_uid, map->uid_count, err);
	if (r == 0)
		r = write_map(source.pid, "gid_map", map->host_gid, map->gid_count, err);
	if (r < 0)
		return r;
	*ret_pid = source.pid;
	*ret_pidfd = TAKE_FD(source.pidfd);
	return 0;
}

/* One process makes them all, which the kernel does in the right order; this one then enters those that it sets up. As the
 * host's root it keeps its rights there. */
static int make_in_user_namespace(const struct helper_pod_make *request, int flags, struct source *source, struct err *err)
{
	int r = helper_user_namespace(request->user, flags, &source->pid, &source->pidfd, err);
	if (r == 0 && flags && setns(source->pidfd, flags) < 0)
		r = err_sys(err, -errno, "pod.namespaces", "enter the namespaces of the pod");
	return r;
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

static int make_and_enter(const struct helper_pod_make *request, struct source *ret_source, struct err *err)
{
	int flags = (request->network ? CLONE_NEWNET : 0) | (request->ipc ? CLONE_NEWIPC : 0) |
		    (request->uts ? CLONE_NEWUTS : 0);
	if (request->user)
		return make_in_user_namespace(request, flags, ret_source, err);
	if (flags && unshare(flags) < 0)
		return err_sys(err, -errno, "pod.namespaces", "make the namespaces of the pod");
	return 0;
}

static int set_up(const struct helper_pod_make *request, struct err *err)
{
	if (request->uts && request->hostname && sethostname(request->hostname, strlen(request->hostname)) < 0)
		return err_sys(err, -errno, "pod.hostname", "set the hostname \"%s\"", request->hostname);
	int r = request->network ? raise_loopback(err) : 0;
	return r < 0 ? r : write_sysctls(request, err);
}

/* --- pinning --- */

int helper_pin(int dir_fd, const char *dir, const char *name, const char *source, struct err *err)
{
	scoped_fd int file = openat(dir_fd, name, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	if (file < 0)
		return err_sys(err, -errno, "pod.pin", "make %s/%s", dir, name);
	char target[64];
	(void)snprintf(target, sizeof target, "/proc/self/fd/%d", file);
	if (mount(source, target, NULL, MS_BIND, NULL) < 0)
		return err_sys(err, -errno, "pod.pin", "pin %s at %s/%s", source, dir, name);
	return 0;
}

static int pin_all(const struct helper_pod_make *request, const struct source *source, struct err *err)
{
	const struct {
		bool wanted;
		const char *kind;
	} pins[] = {{request->user, "user"}, {request->network, "net"}, {request->ipc, "ipc"}, {request->uts, "uts"}};

	int r = path_make_directories(request->pins, 0700, err);
	if (r < 0)
		return r;
	scoped_fd int dir_fd = open(request->pins, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return err_sys(err, -errno, "pod.pin", "open %s", request->pins);
	for (size_t i = 0; r == 0 && i < ARRAY_COUNT(pins); i++) {
		char path[64];
		(void)snprintf(path, sizeof path, "/proc/%d/ns/%s", source->pid ? (int)source->pid : (int)getpid(),
			       pins[i].kind);
		if (pins[i].wanted)
			r = helper_pin(dir_fd, request->pins, pins[i].kind, path, err);
	}
	return r;
}

int helper_namespaces_make(const struct helper_pod_make *request, struct err *err)
{
	scoped_done(source_end) struct source source = {.pidfd = -1};
	int r = make_and_enter(request, &source, err);
	if (r == 0)
		r = set_up(request, err);
	return r < 0 ? r : pin_all(request, &source, err);
}
