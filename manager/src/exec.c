#include "manager/src/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/sys/fd.h"
#include "manager/src/container.h"
#include "manager/src/container_bundle.h"
#include "manager/src/container_life.h"
#include "runtime/include/axle/monitor.h"

#define PROCESS_BYTES_MAX (1 << 20)
#define DRAIN_MS 2000 /* what stays in a pipe that a descendant holds open is waited for no longer */
#define READ_STEP 32768

/* --- sessions --- */

static void end_session(struct exec_session *session)
{
	session->has_ended = true;
	fiber_signal_all(&session->ended);
}

void exec_ended(struct container *container, const struct monitor_exec_exit *exit)
{
	for (struct exec_session *session = container->sessions; session; session = session->next) {
		if (!str_equal(session->name, exit->session))
			continue;
		session->exit_code = exit->exit_code;
		session->signal = exit->signal;
		session->timed_out = str_equal(exit->reason, "timeout");
		session->lost = str_equal(exit->reason, "status-lost");
		end_session(session);
	}
}

void exec_lost(struct container *container)
{
	for (struct exec_session *session = container->sessions; session; session = session->next)
		if (!session->has_ended) {
			session->lost = true;
			session->exit_code = 255;
			end_session(session);
		}
}

void exec_forget(struct exec_session *session)
{
	if (!session->container)
		return;
	for (struct exec_session **place = &session->container->sessions; *place; place = &(*place)->next)
		if (*place == session) {
			*place = session->next;
			return;
		}
}

int exec_wait(struct exec_session *session)
{
	int r = 0;
	while (r == 0 && !session->has_ended)
		r = fiber_signal_wait(session->container->node->fibers, &session->ended);
	return r;
}

static int ask_signal(struct exec_session *session, int signal, bool descendants, struct err *err)
{
	struct container *container = session->container;
	if (session->has_ended)
		return err_set(err, -EBUSY, "exec.state", "the process has ended");
	const struct monitor_signal wish = {.signal = signal, .session = session->name, .descendants = descendants};
	struct monitor_message request = {.op = MONITOR_SIGNAL, .signal = &wish};
	scoped_done(monitor_received_done) struct monitor_received received = {0};
	return container_ask(container, &request, NULL, &received, err);
}

int exec_signal(struct exec_session *session, int signal, struct err *err)
{
	return ask_signal(session, signal, false, err);
}

int exec_signal_all(struct exec_session *session, int signal, struct err *err)
{
	return ask_signal(session, signal, true, err);
}

/* The process object as a file that leaves nothing behind. */
static int make_process_fd(const struct container *container, const struct spec_exec *process, int *ret_fd,
			   struct err *err)
{
	scoped_done(buf_done) struct buf text = {.max = PROCESS_BYTES_MAX};
	int r = container_make_exec(container, process, &text, err);
	if (r < 0)
		return r;
	scoped_fd int fd = memfd_create("process", MFD_CLOEXEC);
	if (fd < 0)
		return err_sys(err, -errno, "exec.process", "make a file for the process");
	r = fd_write_all(fd, text.data, text.size);
	if (r < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(err, r < 0 ? r : -errno, "exec.process", "write the process");
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int ask_exec(struct exec_session *session, const struct exec_options *options, int process_fd, int *ret_pty,
		    struct err *err)
{
	static const char *const NAMES[] = {"process", "stdin", "stdout", "stderr"};
	const int given[] = {process_fd, options->streams.stdin_fd, options->streams.stdout_fd,
			     options->streams.stderr_fd};
	const char *names[5] = {0};
	int fds[4];
	size_t count = 0;
	for (size_t i = 0; i < 4; i++)
		if (given[i] >= 0) {
			names[count] = NAMES[i];
			fds[count++] = given[i];
		}
	const struct monitor_exec wish = {
		.session = session->name,
		.tty = options->process->tty,
		.rows = options->rows,
		.columns = options->columns,
		.timeout_ms = options->timeout_ms,
		.end_with_client = options->end_with_axled,
	};
	struct monitor_message request = {.op = MONITOR_EXEC, .exec = &wish, .descriptors = names};
	scoped_done(monitor_received_done) struct monitor_received received = {0};
	int r = container_ask(session->container, &request, fds, &received, err);
	if (r < 0)
		return container_classify(err, r);
	session->pid = received.message.exec_session->pid;
	*ret_pty = monitor_received_take(&received, "pty");
	return 0;
}

int exec_start(struct container *container, const struct exec_options *options, struct exec_session *session,
	       int *ret_pty, struct err *err)
{
	*session = (struct exec_session){.container = container};
	char id[ID_TEXT_MAX];
	id_make(id);
	(void)snprintf(session->name, sizeof session->name, "%.32s", id);
	if (!container->running)
		return err_set(err, -EBUSY, "container.state", "container %s is %s: expected one that runs", container->id,
			       container_phase_name(container->phase));
	scoped_fd int process_fd = -1;
	int r = make_process_fd(container, options->process, &process_fd, err);
	if (r < 0)
		return r;
	session->next = container->sessions; /* first: its end may be told before the reply is read */
	container->sessions = session;
	r = ask_exec(session, options, process_fd, ret_pty, err);
	if (r < 0)
		exec_forget(session);
	return r;
}

/* --- output to its end --- */

struct collector {
	struct fibers *fibers;
	int fd;
	struct buf *output;
	struct fiber *fiber;
	bool done;
	struct fiber_signal *finished;
};

/* Drops what does not fit, so that the process is never held up by it. Returns false at the end. */
static bool read_some(struct collector *collector)
{
	char bytes[READ_STEP];
	ssize_t count = read(collector->fd, bytes, sizeof bytes);
	if (count < 0)
		return errno == EAGAIN || errno == EINTR;
	size_t room = collector->output->max - collector->output->size;
	size_t kept = (size_t)count < room ? (size_t)count : room;
	if (kept && buf_add(collector->output, bytes, kept) < 0)
		return false;
	return count > 0;
}

static void collect(void *data)
{
	struct collector *collector = data;
	while (fiber_await_fd(collector->fibers, collector->fd, UV_READABLE) == 0 && read_some(collector))
		;
	collector->done = true;
	collector->fiber = NULL;
	fiber_signal_all(collector->finished);
}

static int make_pipe(int *ret_read, int *ret_write)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	(void)fd_set_nonblock(ends[0], true);
	*ret_read = ends[0];
	*ret_write = ends[1];
	return 0;
}

/* Both streams at their ends, or the time is over: then the collectors are ended before their memory goes. */
static void finish_collectors(struct fibers *fibers, struct collector *collectors, size_t count,
			      struct fiber_signal *finished)
{
	fiber_shield(fibers);
	uint64_t outer = fiber_set_deadline(fibers, uv_hrtime() + DRAIN_MS * UINT64_C(1000000));
	for (size_t i = 0; i < count; i++)
		while (!collectors[i].done && fiber_signal_wait(fibers, finished) == 0)
			;
	(void)fiber_set_deadline(fibers, UINT64_MAX);
	for (size_t i = 0; i < count; i++) {
		if (collectors[i].fiber)
			fiber_cancel(collectors[i].fiber);
		while (!collectors[i].done)
			(void)fiber_signal_wait(fibers, finished);
	}
	(void)fiber_set_deadline(fibers, outer);
	fiber_unshield(fibers);
}

static int run_to_end(struct container *container, const struct exec_options *options, int32_t *ret_exit_code,
		      struct err *err)
{
	struct exec_session session;
	int pty = -1;
	int r = exec_start(container, options, &session, &pty, err);
	if (r < 0)
		return r;
	r = exec_wait(&session);
	if (r < 0) {
		fiber_shield(container->node->fibers);
		(void)exec_signal_all(&session, SIGKILL, NULL);
		fiber_unshield(container->node->fibers);
		(void)err_set(err, r, "exec.timeout", "the command did not end in time and was killed");
	}
	exec_forget(&session);
	if (r < 0)
		return r;
	if (session.timed_out)
		return err_set(err, -ETIMEDOUT, "exec.timeout", "the command did not end within %llu s and was killed",
			       (unsigned long long)(options->timeout_ms / 1000));
	*ret_exit_code = session.exit_code;
	return 0;
}

int exec_sync(struct container *container, const char *const *command, uint64_t timeout_ms, struct buf *ret_stdout,
	      struct buf *ret_stderr, int32_t *ret_exit_code, struct err *err)
{
	struct fibers *fibers = container->node->fibers;
	scoped_fd int out_read = -1;
	scoped_fd int out_write = -1;
	scoped_fd int err_read = -1;
	scoped_fd int err_write = -1;
	int r = make_pipe(&out_read, &out_write);
	if (r == 0)
		r = make_pipe(&err_read, &err_write);
	if (r < 0)
		return err_sys(err, r, "exec.pipe", "make pipes for the command");
	struct fiber_signal finished = {0};
	struct collector collectors[] = {
		{.fibers = fibers, .fd = out_read, .output = ret_stdout, .finished = &finished, .done = true},
		{.fibers = fibers, .fd = err_read, .output = ret_stderr, .finished = &finished, .done = true},
	};
	for (size_t i = 0; r == 0 && i < 2; i++) {
		r = fiber_start(fibers, collect, &collectors[i], &collectors[i].fiber);
		collectors[i].done = r < 0;
	}
	const struct spec_exec process = {.command = command};
	const struct exec_options options = {
		.process = &process,
		.streams = {-1, out_write, err_write},
		.timeout_ms = timeout_ms,
		.end_with_axled = true,
	};
	if (r == 0)
		r = run_to_end(container, &options, ret_exit_code, err);
	close(TAKE_FD(out_write));
	close(TAKE_FD(err_write));
	finish_collectors(fibers, collectors, 2, &finished);
	return r;
}
