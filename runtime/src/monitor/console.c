#include "runtime/src/monitor/console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/sys/fd.h"
#include "core/sys/usocket.h"

int console_open(struct console *console, int dir_fd, const char *name, struct err *err)
{
	*console = (struct console){.dir_fd = dir_fd, .listen_fd = -1};
	(void)snprintf(console->name, sizeof console->name, "%s", name);
	(void)unlinkat(dir_fd, name, 0); /* left by a monitor that was killed */
	char path[64];
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d/%s", dir_fd, name);
	int fd = usocket_listen(path, SOCK_STREAM, 0600, 1, err);
	if (fd < 0)
		return fd;
	console->listen_fd = fd;
	return 0;
}

/* Programs behind the terminal print "\n"; a terminal in raw mode at the other end needs "\r\n". */
static int translate_newlines(int pty_fd)
{
	struct termios settings;
	if (tcgetattr(pty_fd, &settings) < 0)
		return -errno;
	settings.c_oflag |= OPOST | ONLCR;
	return tcsetattr(pty_fd, TCSANOW, &settings) < 0 ? -errno : 0;
}

int console_resize(int pty_fd, unsigned rows, unsigned columns)
{
	struct winsize size = {.ws_row = (unsigned short)(rows > 0xffff ? 0xffff : rows),
			       .ws_col = (unsigned short)(columns > 0xffff ? 0xffff : columns)};
	return ioctl(pty_fd, TIOCSWINSZ, &size) < 0 ? -errno : 0;
}

static int receive_master(const struct console *console)
{
	scoped_fd int fd = accept4(console->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return -errno;
	char text[4096]; /* the runtime sends the terminal's name along */
	int master = -1;
	size_t count = 0;
	ssize_t size = fd_receive_message(fd, text, sizeof text, &master, 1, &count);
	if (size < 0)
		return (int)size;
	return count == 1 ? master : -EPROTO;
}

int console_receive(struct console *console, unsigned rows, unsigned columns, struct err *err)
{
	scoped_fd int master = receive_master(console);
	if (master < 0)
		return err_sys(err, -EPROTO, "runtime.console", "the runtime sent no terminal");
	int r = isatty(master) ? translate_newlines(master) : -ENOTTY;
	if (r == 0 && rows > 0)
		r = console_resize(master, rows, columns);
	return r < 0 ? err_sys(err, r, "runtime.console", "the descriptor sent by the runtime") : TAKE_FD(master);
}

void console_close(struct console *console)
{
	if (console->listen_fd < 0)
		return;
	(void)close(TAKE_FD(console->listen_fd));
	(void)unlinkat(console->dir_fd, console->name, 0);
}
