#include "manager/src/session.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/sys/fd.h"
#include "manager/src/attachment.h"
#include "manager/src/container_life.h"
#include "manager/src/spec.h"
#include "runtime/include/axle/monitor.h"

void session_init(struct session *session, struct container *container)
{
	*session = (struct session){.container = container, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1, .pty = -1};
}

void session_done(struct session *session)
{
	if (session->has_exec)
		exec_forget(&session->exec);
	const int fds[] = {session->stdin_fd, session->stdout_fd, session->stderr_fd, session->pty};
	for (size_t i = 0; i < 4; i++)
		if (fds[i] >= 0)
			(void)close(fds[i]);
	container_unref(session->container);
}

/* --- beginning --- */

int session_attach(struct session *session, const struct attachment_wish *wish, struct err *err)
{
	struct attachment_streams streams = {-1, -1, -1};
	int r = attachment_open(session->container, wish, &streams, err);
	if (r < 0)
		return r;
	session->stdin_fd = streams.stdin_fd;
	session->stdout_fd = streams.stdout_fd;
	session->stderr_fd = streams.stderr_fd;
	const int fds[] = {streams.stdin_fd, streams.stdout_fd, streams.stderr_fd};
	for (size_t i = 0; i < 3; i++)
		if (fds[i] >= 0)
			(void)fd_set_nonblock(fds[i], true);
	return 0;
}

/* The process's own ends, to be closed once it has them. */
struct ends {
	int fds[3];
};

static void ends_done(struct ends *ends)
{
	for (size_t i = 0; i < 3; i++)
		if (ends->fds[i] >= 0)
			(void)close(ends->fds[i]);
}

static int make_pipes(struct session *session, const struct session_exec *wish, struct ends *ret_ends)
{
	const bool wanted[] = {wish->with_stdin, wish->with_stdout, wish->with_stderr};
	int *ours[] = {&session->stdin_fd, &session->stdout_fd, &session->stderr_fd};
	for (size_t i = 0; i < 3; i++) {
		int pair[2];
		if (!wanted[i])
			continue;
		if (pipe2(pair, O_CLOEXEC) < 0)
			return -errno;
		*ours[i] = pair[i == 0 ? 1 : 0];
		ret_ends->fds[i] = pair[i == 0 ? 0 : 1];
		(void)fd_set_nonblock(*ours[i], true);
	}
	return 0;
}

/* Two descriptors of the terminal's master: one to be closed with the input, one to read. */
static int take_pty(struct session *session, int pty, const struct session_exec *wish)
{
	if (pty < 0)
		return 0;
	(void)fd_set_nonblock(pty, true);
	session->pty = pty;
	session->stdout_fd = fcntl(pty, F_DUPFD_CLOEXEC, 0);
	session->stdin_fd = wish->with_stdin ? fcntl(pty, F_DUPFD_CLOEXEC, 0) : -1;
	return session->stdout_fd < 0 || (wish->with_stdin && session->stdin_fd < 0) ? -errno : 0;
}

int session_start_exec(struct session *session, const struct session_exec *wish, struct err *err)
{
	scoped_done(ends_done) struct ends ends = {{-1, -1, -1}};
	int r = wish->process->tty || wish->detached ? 0 : make_pipes(session, wish, &ends);
	if (r < 0)
		return err_sys(err, r, "exec.pipe", "make pipes for the command");
	const struct exec_options options = {
		.process = wish->process,
		.streams = {ends.fds[0], ends.fds[1], ends.fds[2]},
		.rows = wish->rows,
		.columns = wish->columns,
		.end_with_axled = !wish->detached,
	};
	int pty = -1;
	r = exec_start(session->container, &options, &session->exec, &pty, err);
	if (r < 0)
		return r;
	session->has_exec = true;
	return take_pty(session, pty, wish);
}

/* --- streams --- */

ssize_t session_read(struct session *session, int fd, void *bytes, size_t size)
{
	struct fibers *fibers = session->container->node->fibers;
	for (;;) {
		int r = fiber_await_fd(fibers, fd, UV_READABLE);
		if (r == -ECANCELED || r == -ETIMEDOUT)
			return r;
		ssize_t count = r < 0 ? 0 : read(fd, bytes, size);
		if (count >= 0)
			return count;
		if (errno != EAGAIN && errno != EINTR)
			return 0; /* EIO: nobody holds the terminal any more */
	}
}

void session_close_stdin(struct session *session)
{
	if (session->stdin_fd >= 0)
		(void)close(session->stdin_fd);
	session->stdin_fd = -1;
}

int session_write(struct session *session, const void *bytes, size_t size)
{
	struct fibers *fibers = session->container->node->fibers;
	const char *at = bytes;
	while (size && session->stdin_fd >= 0) {
		ssize_t count = write(session->stdin_fd, at, size);
		if (count >= 0) {
			at += count;
			size -= (size_t)count;
			continue;
		}
		int r = errno == EAGAIN ? fiber_await_fd(fibers, session->stdin_fd, UV_WRITABLE) : -EPIPE;
		if (r == -ECANCELED || r == -ETIMEDOUT)
			return r;
		if (r < 0)
			session_close_stdin(session); /* nobody reads it any more */
	}
	return 0;
}

void session_resize(struct session *session, uint32_t rows, uint32_t columns)
{
	if (session->has_exec) {
		const struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
		if (session->pty >= 0)
			(void)ioctl(session->pty, TIOCSWINSZ, &size);
		return;
	}
	if (!session->container->config->tty)
		return;
	const struct monitor_resize size = {rows, columns};
	struct monitor_message request = {.op = MONITOR_RESIZE, .resize = &size};
	scoped_done(monitor_received_done) struct monitor_received received = {0};
	(void)container_ask(session->container, &request, NULL, &received, NULL); /* it may just have ended */
}

/* --- the process --- */

void session_signal(struct session *session, int number)
{
	if (session->has_exec)
		(void)exec_signal(&session->exec, number, NULL); /* it may have ended */
	else
		(void)container_signal(session->container, number, NULL);
}

static bool has_ended(const struct session *session)
{
	const struct container *container = session->container;
	if (session->has_exec)
		return session->exec.has_ended;
	return container->phase == CONTAINER_EXITED || container->gone;
}

int session_wait(struct session *session)
{
	struct container *container = session->container;
	int r = 0;
	while (r == 0 && !session->left && !has_ended(session))
		r = fiber_signal_wait(container->node->fibers,
				      session->has_exec ? &session->exec.ended : &container->changed);
	return r;
}

void session_leave(struct session *session)
{
	session->left = true;
	fiber_signal_all(session->has_exec ? &session->exec.ended : &session->container->changed);
}

void session_abandon(struct session *session)
{
	if (!session->has_exec || session->exec.has_ended)
		return;
	fiber_shield(session->container->node->fibers);
	(void)exec_signal_all(&session->exec, SIGHUP, NULL);
	fiber_unshield(session->container->node->fibers);
}
