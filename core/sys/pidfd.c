#include "core/sys/pidfd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/sched.h>
#include <sched.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/scoped.h"

pid_t process_clone(const struct process_clone *how, int *ret_pidfd)
{
	int pidfd = -1;
	struct clone_args args = {
		.flags = (unsigned long long)(how->flags | CLONE_PIDFD),
		.pidfd = (unsigned long long)(uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
	};
	if (how->flags & CLONE_PARENT)
		args.exit_signal = 0; /* clone3(2): taken from the caller */
	if (how->cgroup_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (unsigned)how->cgroup_fd;
	}
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
	if (pid < 0)
		return -errno;
	if (pid > 0)
		*ret_pidfd = pidfd;
	return pid;
}

int pidfd_open_process(pid_t pid, int *ret_pidfd)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0)
		return -errno;
	*ret_pidfd = fd;
	return 0;
}

int pidfd_signal(int pidfd, int signal)
{
	return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

int pidfd_wait(int pidfd, int *ret_status)
{
	siginfo_t info = {0};
	while (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0)
		if (errno != EINTR)
			return -errno;
	*ret_status = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
	return 0;
}

int pidfd_await_end(int pidfd, int timeout_ms)
{
	struct pollfd poll_fd = {.fd = pidfd, .events = POLLIN};
	int r = 0;
	do
		r = poll(&poll_fd, 1, timeout_ms);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	return r == 0 ? -ETIMEDOUT : 0;
}

/* /proc/PID/stat: the name may hold anything, so fields count from the last ')'; proc(5): 3 is the state, 22 the start. */
int process_start_time(pid_t pid, uint64_t *ret_ticks, char *ret_state)
{
	char name[32];
	(void)snprintf(name, sizeof name, "/proc/%d/stat", pid);
	scoped_fd int fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	char text[1024];
	ssize_t length = read(fd, text, sizeof text - 1);
	if (length < 0)
		return -errno;
	text[length] = '\0';
	const char *at = strrchr(text, ')');
	char state = '?';
	uint64_t ticks = 0;
	if (!at || sscanf(at + 1, " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %" SCNu64,
			  &state, &ticks) != 2)
		return -EIO;
	*ret_ticks = ticks;
	if (ret_state)
		*ret_state = state;
	return 0;
}
