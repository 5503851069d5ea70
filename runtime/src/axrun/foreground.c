#include "runtime/src/axrun/foreground.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/sys/pidfd.h"
#include "runtime/src/axrun/console.h"
#include "runtime/src/axrun/launch.h"
#include "runtime/src/axrun/launcher.h"

int foreground_begin(int *ret_signal_fd, struct err *err)
{
	sigset_t all;
	(void)sigfillset(&all);
	(void)sigdelset(&all, SIGTTOU); /* setting the terminal's mode from the background stops us, as it should */
	int fd = sigprocmask(SIG_BLOCK, &all, NULL) < 0 ? -1 : signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return err_sys(err, -errno, "foreground.signals", "take signals");
	*ret_signal_fd = fd;
	return 0;
}

static void pass_on(int signal, void *arg)
{
	const struct launched *launched = arg;
	if (signal != SIGCHLD && signal != SIGURG)
		(void)pidfd_signal(launched->pidfd, signal); /* ended meanwhile: the wait notices */
}

static int wait_without_terminal(struct launched *launched, int signal_fd)
{
	for (;;) {
		struct pollfd fds[] = {{.fd = launched->pidfd, .events = POLLIN}, {.fd = signal_fd, .events = POLLIN}};
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return -errno;
		struct signalfd_siginfo info = {0};
		if (fds[1].revents & POLLIN && read(signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
			pass_on((int)info.ssi_signo, launched);
		if (fds[0].revents & POLLIN)
			return 0;
	}
}

static int wait_with_terminal(struct launched *launched, int signal_fd, struct err *err)
{
	struct console_relay *relay = NULL;
	int master = launched->console;
	launched->console = -1;
	int r = console_relay_start(master, &relay, err);
	if (r < 0)
		return r;
	r = console_relay_run(relay, launched->pidfd, signal_fd, pass_on, launched);
	console_relay_free(relay);
	return r;
}

int foreground_wait(struct launched *launched, int signal_fd, int *ret_status, struct err *err)
{
	int r = launched->console >= 0 ? wait_with_terminal(launched, signal_fd, err)
				       : wait_without_terminal(launched, signal_fd);
	if (r == 0)
		r = pidfd_wait(launched->pidfd, ret_status);
	return r < 0 ? err_sys(err, r, "foreground.wait", "wait for the container") : 0;
}
