/* `run -t` and `exec -t` in the foreground: the caller's terminal is the container's. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/sys/fd.h"
#include "runtime/src/axrun/console.h"

#define QUEUE_MAX 65536

struct console_relay {
	int master;
	bool is_terminal; /* stdin is one, and has been put into raw mode */
	bool stdin_open;
	struct termios saved;
	struct buf to_container;
};

static void copy_size(const struct console_relay *relay)
{
	struct winsize size = {0};
	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
		(void)ioctl(relay->master, TIOCSWINSZ, &size); /* gone with the container */
}

int console_relay_start(int master, struct console_relay **ret_relay, struct err *err)
{
	struct console_relay *relay = calloc(1, sizeof *relay);
	if (!relay) {
		(void)close(master); /* taken over */
		return err_sys(err, -ENOMEM, "console.relay", "relay of the terminal");
	}
	relay->master = master;
	relay->stdin_open = true;
	relay->to_container.max = QUEUE_MAX;
	(void)fd_set_nonblock(master, true); /* else a full terminal only delays us */
	if (isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &relay->saved) == 0) {
		struct termios raw = relay->saved;
		cfmakeraw(&raw);
		relay->is_terminal = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
		copy_size(relay);
	}
	*ret_relay = relay;
	return 0;
}

void console_relay_free(struct console_relay *relay)
{
	if (!relay)
		return;
	if (relay->is_terminal)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &relay->saved); /* closed meanwhile: nothing to restore */
	buf_done(&relay->to_container);
	(void)close(relay->master);
	free(relay);
}

/* Returns false when the container's side has ended. */
static bool copy_output(struct console_relay *relay)
{
	char bytes[8192];
	ssize_t count = read(relay->master, bytes, sizeof bytes);
	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (count <= 0)
		return false;
	return fd_write_all(STDOUT_FILENO, bytes, (size_t)count) == 0;
}

static void read_input(struct console_relay *relay)
{
	char bytes[4096];
	ssize_t count = read(STDIN_FILENO, bytes, sizeof bytes);
	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (count <= 0) {
		static const char END_OF_INPUT = 4;
		(void)buf_add_char(&relay->to_container, END_OF_INPUT); /* what Ctrl-D would send */
		relay->stdin_open = false;
		return;
	}
	(void)buf_add(&relay->to_container, bytes, (size_t)count); /* polled only while there is room */
}

static void flush_input(struct console_relay *relay)
{
	ssize_t count = write(relay->master, relay->to_container.data, relay->to_container.size);
	if (count > 0)
		buf_consume(&relay->to_container, (size_t)count);
}

static void take_signal(struct console_relay *relay, int signal_fd, void (*on_signal)(int, void *), void *arg)
{
	struct signalfd_siginfo info = {0};
	if (read(signal_fd, &info, sizeof info) != (ssize_t)sizeof info)
		return;
	if (info.ssi_signo == SIGWINCH)
		copy_size(relay);
	else
		on_signal((int)info.ssi_signo, arg);
}

int console_relay_run(struct console_relay *relay, int pidfd, int signal_fd, void (*on_signal)(int signal, void *arg),
		      void *arg)
{
	bool output_open = true;
	for (;;) {
		bool room = relay->to_container.size < QUEUE_MAX - 4096;
		short master_events = (short)(POLLIN | (relay->to_container.size > 0 ? POLLOUT : 0));
		struct pollfd fds[] = {
			{.fd = output_open ? relay->master : -1, .events = master_events},
			{.fd = relay->stdin_open && room ? STDIN_FILENO : -1, .events = POLLIN},
			{.fd = signal_fd, .events = POLLIN},
			{.fd = pidfd, .events = POLLIN},
		};
		if (poll(fds, 4, -1) < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (fds[2].revents & POLLIN)
			take_signal(relay, signal_fd, on_signal, arg);
		if (fds[1].revents)
			read_input(relay);
		if (fds[0].revents & POLLOUT)
			flush_input(relay);
		if (fds[0].revents & (POLLIN | POLLHUP | POLLERR))
			output_open = copy_output(relay);
		else if (fds[3].revents & POLLIN)
			return 0; /* ended, and nothing is left to read */
		if (!output_open && fds[3].revents & POLLIN)
			return 0;
	}
}
