#include "core/sys/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/scoped.h"

#define SPAWN_FDS_MAX 32

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

/* In the child: only async-signal-safe calls until execve(2), for the caller may have threads. */

static void reset_signals(void)
{
	struct sigaction action = {.sa_handler = SIG_DFL};
	for (int i = 1; i < NSIG; i++)
		(void)sigaction(i, &action, NULL); /* KILL, STOP and libc's own refuse, as they should */
	sigset_t none;
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Moves all descriptors above the numbers that they shall get, then down to them; @report comes behind the last. */
static int arrange_fds(const struct spawn *spawn, int report)
{
	int count = (int)spawn->fds_count;
	int moved[SPAWN_FDS_MAX + 1];
	for (int i = 0; i < count; i++) {
		int fd = spawn->fds[i] >= 0 ? spawn->fds[i] : open("/dev/null", O_RDWR | O_CLOEXEC);
		moved[i] = fcntl(fd, F_DUPFD_CLOEXEC, count + 1);
		if (moved[i] < 0)
			return -errno;
	}
	moved[count] = fcntl(report, F_DUPFD_CLOEXEC, count + 1);
	if (moved[count] < 0)
		return -errno;
	for (int i = 0; i < count; i++)
		if (dup2(moved[i], i) < 0)
			return -errno;
	if (dup3(moved[count], count, O_CLOEXEC) < 0)
		return -errno;
	return syscall(SYS_close_range, (unsigned)count + 1, ~0U, 0U) < 0 ? -errno : 0;
}

static int prepare_child(const struct spawn *spawn, pid_t caller, int report)
{
	if (spawn->die_with_caller) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
			return -errno;
		if (getppid() != caller) /* it was quicker */
			return -ESRCH;
	}
	if (spawn->new_session && setsid() < 0)
		return -errno;
	reset_signals();
	return arrange_fds(spawn, report);
}

static _Noreturn void run_child(const struct spawn *spawn, pid_t caller, int report)
{
	int r = prepare_child(spawn, caller, report);
	if (r == 0) {
		report = (int)spawn->fds_count;
		(void)execve(spawn->path, (char *const *)spawn->argv,
			     spawn->envp ? (char *const *)spawn->envp : environ);
		r = -errno;
	}
	(void)!write(report, &r, sizeof r); /* the caller sees an end without a word otherwise */
	_exit(127);
}

static pid_t clone_process(int cgroup_fd, int *ret_pidfd)
{
	struct clone_args args = {
		.flags = CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)ret_pidfd,
		.exit_signal = SIGCHLD,
	};
	if (cgroup_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (unsigned)cgroup_fd;
	}
	return (pid_t)syscall(SYS_clone3, &args, sizeof args);
}

/* Waits until the child has executed the program (0) or says why not. */
static int read_report(int report, int *ret_code)
{
	ssize_t count = 0;
	do
		count = read(report, ret_code, sizeof *ret_code);
	while (count < 0 && errno == EINTR);
	return count == sizeof *ret_code ? -1 : 0;
}

int spawn_process(const struct spawn *spawn, pid_t *ret_pid, int *ret_pidfd, struct err *err)
{
	if (spawn->fds_count < 3 || spawn->fds_count > SPAWN_FDS_MAX)
		return err_set(err, -EINVAL, "spawn.descriptors", "%s: %zu descriptors: expected 3 to %d", spawn->path,
			       spawn->fds_count, SPAWN_FDS_MAX);
	int report[2];
	if (pipe2(report, O_CLOEXEC) < 0)
		return err_sys(err, -errno, "spawn.pipe", "start %s", spawn->path);
	scoped_fd int report_read = report[0];
	scoped_fd int report_write = report[1];

	pid_t caller = getpid();
	int pidfd = -1;
	pid_t pid = clone_process(spawn->cgroup_fd, &pidfd);
	if (pid < 0)
		return err_sys(err, -errno, "spawn.clone", "start %s", spawn->path);
	if (pid == 0)
		run_child(spawn, caller, report_write);

	scoped_fd int owned_pidfd = pidfd;
	close(TAKE_FD(report_write));
	int code = 0;
	if (read_report(report_read, &code) < 0) {
		(void)waitid(P_PIDFD, (id_t)pidfd, &(siginfo_t){0}, WEXITED);
		return err_sys(err, code, "spawn.exec", "execute %s", spawn->path);
	}
	*ret_pid = pid;
	*ret_pidfd = TAKE_FD(owned_pidfd);
	return 0;
}

int spawn_reap(int pidfd)
{
	siginfo_t info = {0};
	int r = 0;
	do
		r = waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	if (info.si_pid == 0)
		return -EAGAIN;
	return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}
