/* The init of a pod whose containers share one pid namespace (axinit(8)): started like a container, with less than one.
 *
 * Three processes: the helper, which is the host's root and pins; one in between, which enters the pod's namespaces (what it
 * clones then belongs to them); the init itself, which is the helper's child all the same (CLONE_PARENT) and gives up what
 * it has before it becomes axinit. Whoever is root in the pod finds behind /proc/1 an empty directory and a program that it
 * may not even read. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/sys/cgroup.h"
#include "core/sys/fd.h"
#include "core/sys/mount.h"
#include "core/sys/ns.h"
#include "core/sys/path.h"
#include "core/sys/pidfd.h"
#include "manager/src/helper_work.h"

#define PROGRAM_BYTES_MAX (1 << 20)

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

struct start {
	const struct helper_pod_init *request;
	struct cgroup_layout layout;
	struct cgroup group;
	int entries[CGROUP_HIERARCHIES_MAX];
	int namespaces[NS_KINDS]; /* to join; -1 */
	int program;		  /* O_PATH of the sealed copy */
	int report;		  /* the writing end of a pipe */
};

/* What the other two write; one write each, so that none is torn. */
struct report {
	int32_t pid; /* of the init; 0: a failure */
	int32_t code;
	char step[48];
};

static void start_done(struct start *start)
{
	for (size_t i = 0; i < NS_KINDS; i++)
		if (start->namespaces[i] >= 0)
			(void)close(start->namespaces[i]);
	for (size_t i = 0; i < CGROUP_HIERARCHIES_MAX; i++)
		if (start->entries[i] >= 0)
			(void)close(start->entries[i]);
	if (start->program >= 0)
		(void)close(start->program);
	if (start->report >= 0)
		(void)close(start->report);
	cgroup_done(&start->group);
	cgroup_layout_done(&start->layout);
}

/* --- the init: from here on in a process of its own --- */

static void __attribute__((noreturn)) fail(const struct start *start, const char *step)
{
	struct report report = {.code = -errno};
	(void)snprintf(report.step, sizeof report.step, "%s", step);
	(void)!write(start->report, &report, sizeof report); /* nobody there: then nobody wants to know */
	_exit(1);
}

/* An empty directory that nothing can be written to, and nothing else of any file system. */
static int enter_empty_root(void)
{
	static const struct mount_option OPTIONS[] = {{"mode", "555"}, {"size", "4k"}, {"nr_inodes", "1"}};
	scoped_fd int tree = -1;
	int r = mount_filesystem("tmpfs", OPTIONS, ARRAY_COUNT(OPTIONS),
				 MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, &tree, NULL);
	scoped_fd int place = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (r == 0)
		r = place < 0 ? -errno : mount_change(place, true, &(struct mount_change){.propagation = MS_PRIVATE});
	if (r == 0)
		r = mount_tree_attach(tree, place);
	if (r < 0) {
		errno = -r;
		return -1;
	}
	if (fchdir(tree) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0)
		return -1;
	return chdir("/");
}

/* Whoever was root of a user namespace without a name there keeps its rights through setresuid(2): so they are put down. */
static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct none[2] = {0};
	return (int)syscall(SYS_capset, &header, none);
}

static int drop_bounding_set(void)
{
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return -1;
	return 0;
}

static int become_nobody(const struct helper_pod_init *request)
{
	if (drop_bounding_set() < 0 || syscall(SYS_setgroups, 0, NULL) < 0)
		return -1;
	if (setresgid(request->gid, request->gid, request->gid) < 0 || setresuid(request->uid, request->uid, request->uid) < 0)
		return -1;
	return drop_capabilities() < 0 ? -1 : prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static void reset_signals(void)
{
	sigset_t none;
	for (int number = 1; number < NSIG; number++)
		(void)signal(number, SIG_DFL); /* SIGKILL and SIGSTOP cannot be changed */
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void __attribute__((noreturn)) run_init(struct start *start)
{
	static char *const ARGV[] = {(char *)(uintptr_t)"axinit", NULL};
	static char *const ENVP[] = {NULL};
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (cgroup_enter(start->entries, NULL) < 0)
		fail(start, "enter its cgroup");
	if (unshare(CLONE_NEWCGROUP) < 0)
		fail(start, "make a cgroup namespace");
	(void)setsid(); /* it may be a leader already */
	if (enter_empty_root() < 0)
		fail(start, "enter an empty root");
	reset_signals();
	if (become_nobody(start->request) < 0)
		fail(start, "give up its rights");
	if (close_range(0, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		fail(start, "close its descriptors");
	(void)syscall(SYS_execveat, start->program, "", ARGV, ENVP, AT_EMPTY_PATH);
	fail(start, "execute axinit");
}

static void __attribute__((noreturn)) run_between(struct start *start)
{
	for (size_t i = 0; i < NS_KINDS; i++)
		if (start->namespaces[i] >= 0 && ns_join(start->namespaces[i], &NS_KIND[i], NULL) < 0)
			fail(start, "enter the pod's namespaces");
	int pidfd = -1;
	const struct process_clone how = {.flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_PARENT,
					  .cgroup_fd = cgroup_v2_fd(&start->group)};
	struct report report = {.pid = process_clone(&how, &pidfd)};
	if (report.pid == 0)
		run_init(start);
	errno = -report.pid;
	if (report.pid < 0)
		fail(start, "clone it in a pid namespace");
	_exit(write(start->report, &report, sizeof report) == sizeof report ? 0 : 1);
}

/* --- the helper --- */

/* A copy of our own that nobody can read or change: with a file that its user may not read, the kernel keeps all of it from
 * those who may look at the user's other processes (ptrace(2), "PTRACE_MODE"; prctl(2), PR_SET_DUMPABLE). */
static int copy_program(const char *path, int *ret_fd, struct err *err)
{
	scoped_done(buf_done) struct buf program = {.max = PROGRAM_BYTES_MAX};
	int r = file_read_at(AT_FDCWD, path, &program, err);
	if (r < 0)
		return r;
	scoped_fd int file = memfd_create("axinit", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
	if (file < 0 && errno == EINVAL) /* before Linux 6.3 */
		file = memfd_create("axinit", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	r = file < 0 ? -errno : fd_write_all(file, program.data, program.size);
	if (r == 0 && (fchmod(file, 0111) < 0 ||
		       fcntl(file, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0))
		r = -errno;
	if (r < 0)
		return err_sys(err, r, "pod.init", "copy %s", path);
	char name[64];
	(void)snprintf(name, sizeof name, "/proc/self/fd/%d", file);
	*ret_fd = open(name, O_PATH | O_CLOEXEC); /* one that is open for writing cannot be executed */
	return *ret_fd < 0 ? err_sys(err, -errno, "pod.init", "open the copy of %s", path) : 0;
}

static int open_namespaces(struct start *start, struct err *err)
{
	for (size_t i = 0; i < NS_KINDS; i++) {
		if (!(NS_KIND[i].flag & (CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)))
			continue;
		scoped_free char *path = str_printf("%s/%s", start->request->pins, NS_KIND[i].proc_name);
		int r = path ? ns_open(path, &NS_KIND[i], &start->namespaces[i], err) : -ENOMEM;
		if (r < 0 && r != -ENOENT)
			return r;
	}
	return 0;
}

static int prepare(struct start *start, struct err *err)
{
	int r = cgroup_layout_open(CGROUP_ROOT, &start->layout, err);
	if (r == 0)
		r = cgroup_make(&start->layout, start->request->cgroup, &start->group, err);
	if (r == 0)
		r = cgroup_open_entries(&start->group, false, start->entries, err);
	if (r == 0)
		r = open_namespaces(start, err);
	return r < 0 ? r : copy_program(start->request->program, &start->program, err);
}

/* Until nobody can write any more: the one in between has ended, the other one has become axinit or has ended. */
static int read_reports(int pipe_fd, pid_t *ret_pid, struct err *err)
{
	struct report report;
	int r = 0;
	for (;;) {
		ssize_t size = read(pipe_fd, &report, sizeof report);
		if (size < 0 && errno == EINTR)
			continue;
		if (size != sizeof report)
			break;
		report.step[sizeof report.step - 1] = '\0';
		if (report.pid > 0)
			*ret_pid = report.pid;
		else
			r = err_sys(err, report.code, "pod.init", "start the init of the pod: %s", report.step);
	}
	if (r == 0 && *ret_pid <= 0)
		r = err_set(err, -EIO, "pod.init", "start the init of the pod: the process before it ended");
	return r;
}

static int run(struct start *start, int *ret_pidfd, pid_t *ret_pid, struct err *err)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, -errno, "pod.init", "make a pipe");
	scoped_fd int report = ends[0];
	start->report = ends[1];
	scoped_fd int between = -1;
	pid_t pid = process_clone(&(struct process_clone){.cgroup_fd = -1}, &between);
	if (pid == 0)
		run_between(start);
	close(TAKE_FD(start->report));
	if (pid < 0)
		return err_sys(err, pid, "pod.init", "clone");
	pid_t init = 0;
	int status = 0;
	int r = read_reports(report, &init, err);
	(void)pidfd_wait(between, &status); /* what it had to say it has said */
	scoped_fd int pidfd = -1;
	if (init > 0 && pidfd_open_process(init, &pidfd) < 0) /* our child, not yet reaped */
		return err_sys(err, -errno, "pod.init", "open the init of the pod");
	if (r == 0 && pidfd_await_end(pidfd, 0) == 0)
		r = err_set(err, -EIO, "pod.init", "the init of the pod ended at once");
	if (r < 0)
		return r;
	*ret_pidfd = TAKE_FD(pidfd);
	*ret_pid = init;
	return 0;
}

static int pin_pid_namespace(const struct helper_pod_init *request, pid_t pid, struct err *err)
{
	scoped_fd int dir_fd = open(request->pins, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return err_sys(err, -errno, "pod.pin", "open %s", request->pins);
	char source[64];
	(void)snprintf(source, sizeof source, "/proc/%d/ns/pid", (int)pid);
	return helper_pin(dir_fd, request->pins, "pid", source, err);
}

/* Last of all: without it a restart knows of no init, and the next one is made afresh. */
static int note(const struct helper_pod_init *request, pid_t pid, struct err *err)
{
	const struct pod_init_file file = {.version = POD_INIT_VERSION, .pid = pid};
	scoped_done(buf_done) struct buf text = {.max = 256};
	int r = json_encode(&POD_INIT_TABLE, &file, &text);
	scoped_fd int dir_fd = open(request->files, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r < 0 || dir_fd < 0)
		return err_sys(err, r < 0 ? r : -errno, "pod.init", "open %s", request->files);
	return file_replace_at(dir_fd, POD_INIT_FILE, text.data, text.size, 0600, FILE_VOLATILE, err);
}

static int end_former(const struct helper_pod_init *request, struct err *err)
{
	scoped_free char *pin = str_printf("%s/pid", request->pins);
	scoped_free char *file = str_printf("%s/" POD_INIT_FILE, request->files);
	if (!pin || !file)
		return -ENOMEM;
	int r = helper_remove_cgroup(request->cgroup, true, err);
	if (r == 0)
		r = helper_unmount(pin, err);
	if (r == 0 && ((unlink(pin) < 0 && errno != ENOENT) || (unlink(file) < 0 && errno != ENOENT)))
		r = err_sys(err, -errno, "pod.init", "remove %s and %s", pin, file);
	return r;
}

int helper_pod_init(const struct helper_pod_init *request, int *ret_pidfd, int32_t *ret_pid, struct err *err)
{
	scoped_done(start_done) struct start start = {.request = request, .program = -1, .report = -1};
	for (size_t i = 0; i < NS_KINDS; i++)
		start.namespaces[i] = -1;
	for (size_t i = 0; i < CGROUP_HIERARCHIES_MAX; i++)
		start.entries[i] = -1;
	scoped_fd int pidfd = -1;
	pid_t pid = 0;
	int r = end_former(request, err);
	if (r == 0)
		r = prepare(&start, err);
	if (r == 0)
		r = run(&start, &pidfd, &pid, err);
	if (r == 0)
		r = pin_pid_namespace(request, pid, err);
	if (r == 0)
		r = note(request, pid, err);
	if (r < 0) {
		(void)end_former(request, NULL); /* the first failure is the one to be told */
		return r;
	}
	*ret_pidfd = TAKE_FD(pidfd);
	*ret_pid = pid;
	return 0;
}
