/* axle.v1 Containers: Attach and Exec, one bidirectional stream each. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/sys/fd.h"
#include "manager/src/attachment.h"
#include "manager/src/axle.h"
#include "manager/src/container_life.h"
#include "manager/src/exec.h"
#include "manager/src/signals.h"
#include "manager/src/spec.h"
#include "manager/src/stream.h"
#include "runtime/include/axle/monitor.h"

#define READ_STEP 32768
#define MESSAGE_ARENA_MAX (32 << 20)

enum wish_kind {
	WISH_NONE,
	WISH_STDIN,
	WISH_STDIN_CLOSED,
	WISH_RESIZE,
	WISH_SIGNAL,
	WISH_DETACH,
};

/* What a client's message asks for, alike for both calls. */
struct wish {
	enum wish_kind kind;
	ProtobufCBinaryData bytes;
	uint32_t rows, columns;
	const char *signal;
};

struct session {
	struct stream *stream;
	struct container *container;
	struct exec_session *exec; /* NULL: attached to the container itself */
	int stdin_fd;		   /* -1: none, or closed */
	int stdout_fd;
	int stderr_fd;
	int pty; /* of an exec with a terminal; the same open file as stdin and stdout */
	bool detached;
	struct fiber *main;
	struct wish (*read_wish)(const ProtobufCMessage *message);
};

/* --- output --- */

static int send_output(struct session *session, bool is_stderr, const char *bytes, size_t size)
{
	Axle__SessionResponse response = AXLE__SESSION_RESPONSE__INIT;
	ProtobufCBinaryData data = {size, (uint8_t *)bytes};
	if (is_stderr) {
		response.what_case = AXLE__SESSION_RESPONSE__WHAT_STDERR;
		response.stderr = data;
	} else {
		response.what_case = AXLE__SESSION_RESPONSE__WHAT_STDOUT;
		response.stdout = data;
	}
	return stream_send(session->stream, &response);
}

static void pump(struct session *session, int fd, bool is_stderr)
{
	struct fibers *fibers = session->container->node->fibers;
	char bytes[READ_STEP];
	while (fiber_await_fd(fibers, fd, UV_READABLE) == 0) {
		ssize_t count = read(fd, bytes, sizeof bytes);
		if (count < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (count <= 0 || send_output(session, is_stderr, bytes, (size_t)count) < 0)
			return; /* the end, or EIO: nobody holds the terminal any more */
	}
}

static void pump_stdout(void *data)
{
	struct session *session = data;
	pump(session, session->stdout_fd, false);
}

static void pump_stderr(void *data)
{
	struct session *session = data;
	pump(session, session->stderr_fd, true);
}

/* --- input --- */

static void close_stdin(struct session *session)
{
	if (session->stdin_fd >= 0)
		(void)close(session->stdin_fd);
	session->stdin_fd = -1;
}

static int write_stdin(struct session *session, const uint8_t *bytes, size_t size)
{
	struct fibers *fibers = session->container->node->fibers;
	while (size && session->stdin_fd >= 0) {
		ssize_t count = write(session->stdin_fd, bytes, size);
		if (count < 0 && errno == EAGAIN) {
			int r = fiber_await_fd(fibers, session->stdin_fd, UV_WRITABLE);
			if (r < 0)
				return r;
			continue;
		}
		if (count < 0) { /* nobody reads it any more */
			close_stdin(session);
			return 0;
		}
		bytes += count;
		size -= (size_t)count;
	}
	return 0;
}

static void resize(struct session *session, uint32_t rows, uint32_t columns)
{
	if (session->exec) {
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

static void send_signal(struct session *session, const char *name)
{
	int number = signal_parse(name);
	if (!number)
		return;
	if (session->exec)
		(void)exec_signal(session->exec, number, NULL); /* it may have ended */
	else
		(void)container_signal(session->container, number, NULL);
}

/* Returns < 0 where there is no more to do. */
static int act(struct session *session, const struct wish *wish)
{
	switch (wish->kind) {
	case WISH_STDIN:
		return write_stdin(session, wish->bytes.data, wish->bytes.len);
	case WISH_STDIN_CLOSED:
		close_stdin(session);
		return 0;
	case WISH_RESIZE:
		resize(session, wish->rows, wish->columns);
		return 0;
	case WISH_SIGNAL:
		send_signal(session, wish->signal);
		return 0;
	case WISH_DETACH:
		session->detached = true;
		fiber_wake(session->main, 0);
		return -ECANCELED;
	default:
		return 0;
	}
}

static void read_input(void *data)
{
	struct session *session = data;
	int r = 1;
	while (r > 0) {
		scoped_done(arena_done) struct arena arena = {.max = MESSAGE_ARENA_MAX};
		const ProtobufCMessage *message = NULL;
		r = stream_receive(session->stream, &arena, &message);
		if (r <= 0)
			break;
		struct wish wish = session->read_wish(message);
		if (act(session, &wish) < 0)
			return;
	}
	if (r == 0) /* the client has closed its side: there is no more input */
		close_stdin(session);
}

/* --- both --- */

static int send_started(struct session *session, const char *id, int pid, bool tty)
{
	Axle__SessionResponse response = AXLE__SESSION_RESPONSE__INIT;
	Axle__Started started = AXLE__STARTED__INIT;
	started.id = id;
	started.pid = (uint32_t)pid;
	started.tty = tty;
	response.what_case = AXLE__SESSION_RESPONSE__WHAT_STARTED;
	response.started = &started;
	return stream_send(session->stream, &response);
}

static int send_exit(struct session *session, Axle__ExitStatus *exit)
{
	Axle__SessionResponse response = AXLE__SESSION_RESPONSE__INIT;
	if (!exit)
		return -ENOMEM;
	response.what_case = AXLE__SESSION_RESPONSE__WHAT_EXIT;
	response.exit = exit;
	return stream_send(session->stream, &response);
}

static int start_pumps(struct session *session)
{
	int r = session->stdout_fd >= 0 ? stream_fork(session->stream, pump_stdout, session) : 0;
	return r == 0 && session->stderr_fd >= 0 ? stream_fork(session->stream, pump_stderr, session) : r;
}

static void session_done(struct session *session)
{
	close_stdin(session);
	const int fds[] = {session->stdout_fd, session->stderr_fd, session->pty};
	for (size_t i = 0; i < 3; i++)
		if (fds[i] >= 0)
			(void)close(fds[i]);
	container_unref(session->container);
}

static int receive_first(struct stream *stream, const ProtobufCMessage **ret_message)
{
	int r = stream_receive(stream, stream_rpc(stream)->arena, ret_message);
	return r == 0 ? -ECANCELED : r < 0 ? r : 0;
}

/* --- Attach --- */

static struct wish read_attach_wish(const ProtobufCMessage *message)
{
	const Axle__AttachRequest *request = (const Axle__AttachRequest *)message;
	switch (request->what_case) {
	case AXLE__ATTACH_REQUEST__WHAT_STDIN:
		return (struct wish){.kind = WISH_STDIN, .bytes = request->stdin};
	case AXLE__ATTACH_REQUEST__WHAT_STDIN_CLOSED:
		return (struct wish){.kind = WISH_STDIN_CLOSED};
	case AXLE__ATTACH_REQUEST__WHAT_RESIZE:
		return (struct wish){.kind = WISH_RESIZE, .rows = request->resize->rows, .columns = request->resize->columns};
	case AXLE__ATTACH_REQUEST__WHAT_SIGNAL:
		return (struct wish){.kind = WISH_SIGNAL, .signal = request->signal};
	case AXLE__ATTACH_REQUEST__WHAT_DETACH:
		return (struct wish){.kind = WISH_DETACH};
	default:
		return (struct wish){.kind = WISH_NONE};
	}
}

static void on_waiting(void *data)
{
	struct session *session = data;
	/* it is queued at once; a peer that does not read yet has nothing else in its queue */
	(void)send_started(session, session->container->id, 0, session->container->config->tty);
}

static int open_attachment(struct session *session, const Axle__AttachStart *start, struct err *err)
{
	struct attachment_streams streams = {-1, -1, -1};
	bool running = session->container->running;
	const struct attachment_wish wish = {
		.with_stdin = start->stdin,
		.with_stdout = start->stdout,
		.with_stderr = start->stderr,
		.on_waiting = on_waiting,
		.data = session,
	};
	int r = attachment_open(session->container, &wish, &streams, err);
	if (r < 0)
		return r;
	session->stdin_fd = streams.stdin_fd;
	session->stdout_fd = streams.stdout_fd;
	session->stderr_fd = streams.stderr_fd;
	const int fds[] = {streams.stdin_fd, streams.stdout_fd, streams.stderr_fd};
	for (size_t i = 0; i < 3; i++)
		if (fds[i] >= 0)
			(void)fd_set_nonblock(fds[i], true);
	if (start->size)
		resize(session, start->size->rows, start->size->columns);
	return running ? send_started(session, session->container->id, (int)session->container->pid,
				      session->container->config->tty)
		       : 0;
}

static int await_container(struct session *session)
{
	int r = 0;
	while (r == 0 && !session->detached && session->container->phase != CONTAINER_EXITED && !session->container->gone)
		r = fiber_signal_wait(session->container->node->fibers, &session->container->changed);
	return r;
}

static int run_attached(struct session *session, const Axle__AttachStart *start, struct err *err)
{
	int r = open_attachment(session, start, err);
	if (r == 0)
		r = stream_fork(session->stream, read_input, session);
	if (r == 0)
		r = start_pumps(session);
	if (r == 0)
		r = await_container(session);
	if (r < 0 || session->detached)
		return r;
	stream_join_output(session->stream, read_input, false); /* the pipes are closed behind the last output */
	return send_exit(session, axle_make_exit_status(stream_rpc(session->stream), session->container));
}

static int run_attach(struct stream *stream, struct err *err)
{
	struct rpc *rpc = stream_rpc(stream);
	const ProtobufCMessage *message = NULL;
	int r = receive_first(stream, &message);
	if (r < 0)
		return r;
	const Axle__AttachRequest *request = (const Axle__AttachRequest *)message;
	if (request->what_case != AXLE__ATTACH_REQUEST__WHAT_START)
		return err_set(err, -EINVAL, "attach.start", "expected a start message first");
	struct session session = {
		.stream = stream,
		.stdin_fd = -1,
		.stdout_fd = -1,
		.stderr_fd = -1,
		.pty = -1,
		.main = fiber_self(rpc->node->fibers),
		.read_wish = read_attach_wish,
	};
	r = container_find_by_name(rpc->node, rpc->owner, true, request->start->container, &session.container, err);
	if (r < 0)
		return r;
	r = run_attached(&session, request->start, err);
	stream_join(stream, true);
	session_done(&session);
	return r;
}

void axle_attach(struct grpc_call *call, const ProtobufCMessage *request, void *context)
{
	(void)request;
	stream_open(call, NULL, &axle__attach_request__descriptor, context, run_attach);
}

/* --- Exec --- */

static struct wish read_exec_wish(const ProtobufCMessage *message)
{
	const Axle__ExecRequest *request = (const Axle__ExecRequest *)message;
	switch (request->what_case) {
	case AXLE__EXEC_REQUEST__WHAT_STDIN:
		return (struct wish){.kind = WISH_STDIN, .bytes = request->stdin};
	case AXLE__EXEC_REQUEST__WHAT_STDIN_CLOSED:
		return (struct wish){.kind = WISH_STDIN_CLOSED};
	case AXLE__EXEC_REQUEST__WHAT_RESIZE:
		return (struct wish){.kind = WISH_RESIZE, .rows = request->resize->rows, .columns = request->resize->columns};
	case AXLE__EXEC_REQUEST__WHAT_SIGNAL:
		return (struct wish){.kind = WISH_SIGNAL, .signal = request->signal};
	case AXLE__EXEC_REQUEST__WHAT_DETACH:
		return (struct wish){.kind = WISH_DETACH};
	default:
		return (struct wish){.kind = WISH_NONE};
	}
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

static int make_pipes(struct session *session, bool with_stdin, struct ends *ret_ends)
{
	int *ours[] = {&session->stdin_fd, &session->stdout_fd, &session->stderr_fd};
	for (size_t i = with_stdin ? 0 : 1; i < 3; i++) {
		int pair[2];
		if (pipe2(pair, O_CLOEXEC) < 0)
			return -errno;
		*ours[i] = pair[i == 0 ? 1 : 0];
		ret_ends->fds[i] = pair[i == 0 ? 0 : 1];
		(void)fd_set_nonblock(*ours[i], true);
	}
	return 0;
}

/* Two descriptors of the terminal's master: one to be closed with the input, one to read. */
static int take_pty(struct session *session, int pty, bool with_stdin)
{
	if (pty < 0)
		return 0;
	(void)fd_set_nonblock(pty, true);
	session->pty = pty;
	session->stdout_fd = fcntl(pty, F_DUPFD_CLOEXEC, 0);
	session->stdin_fd = with_stdin ? fcntl(pty, F_DUPFD_CLOEXEC, 0) : -1;
	return session->stdout_fd < 0 ? -errno : 0;
}

static int start_exec(struct session *session, struct exec_session *exec, const Axle__ExecStart *start, struct err *err)
{
	scoped_done(ends_done) struct ends ends = {{-1, -1, -1}};
	struct rpc *rpc = stream_rpc(session->stream);
	const char **command = rpc_array(rpc, start->n_command + 1);
	const char **environment = rpc_array(rpc, start->n_environment + 1);
	if (!command || !environment)
		return -ENOMEM;
	memcpy(command, start->command, start->n_command * sizeof *command);
	memcpy(environment, start->environment, start->n_environment * sizeof *environment);
	int r = start->tty || start->detach ? 0 : make_pipes(session, start->stdin, &ends);
	if (r < 0)
		return r;
	const struct spec_exec process = {
		.command = command,
		.environment = environment,
		.working_directory = start->working_directory,
		.user = start->user,
		.tty = start->tty && !start->detach,
		.privileged = start->privileged,
	};
	const struct exec_options options = {
		.process = &process,
		.streams = {ends.fds[0], ends.fds[1], ends.fds[2]},
		.rows = start->size ? start->size->rows : 0,
		.columns = start->size ? start->size->columns : 0,
		.end_with_axled = !start->detach,
	};
	int pty = -1;
	r = exec_start(session->container, &options, exec, &pty, err);
	return r < 0 ? r : take_pty(session, pty, start->stdin);
}

static Axle__ExitStatus *make_exec_exit(struct rpc *rpc, const struct exec_session *exec)
{
	Axle__ExitStatus *exit = rpc_new(rpc, &axle__exit_status__descriptor);
	if (!exit)
		return NULL;
	exit->code = exec->exit_code;
	exit->signal = (uint32_t)exec->signal;
	exit->reason = exec->lost ? "monitor-lost" : exec->exit_code == 0 ? "Completed" : "Error";
	exit->finished_at = node_now_ns();
	return exit;
}

static int await_exec(struct session *session)
{
	int r = 0;
	while (r == 0 && !session->detached && !session->exec->has_ended)
		r = fiber_signal_wait(session->container->node->fibers, &session->exec->ended);
	return r;
}

/* A client that vanishes ends its process: by SIGHUP on a terminal, by the end of its input without. */
static void end_abandoned(struct session *session)
{
	if (session->exec->has_ended)
		return;
	fiber_shield(session->container->node->fibers);
	if (session->pty >= 0)
		(void)exec_signal(session->exec, SIGHUP, NULL);
	fiber_unshield(session->container->node->fibers);
}

static int run_session(struct session *session, const Axle__ExecStart *start, struct err *err)
{
	struct exec_session exec;
	int r = start_exec(session, &exec, start, err);
	if (r < 0)
		return r;
	session->exec = &exec;
	const char *name = arena_strdup(stream_rpc(session->stream)->arena, exec.name);
	r = name ? send_started(session, name, exec.pid, start->tty) : -ENOMEM;
	if (r == 0 && !start->detach) {
		r = stream_fork(session->stream, read_input, session);
		if (r == 0)
			r = start_pumps(session);
		if (r == 0)
			r = await_exec(session);
		if (r == 0 && !session->detached) {
			stream_join_output(session->stream, read_input, true);
			r = send_exit(session, make_exec_exit(stream_rpc(session->stream), &exec));
		}
		if (r < 0)
			end_abandoned(session);
	}
	stream_join(session->stream, true);
	exec_forget(&exec);
	session->exec = NULL;
	return r;
}

static int run_exec(struct stream *stream, struct err *err)
{
	struct rpc *rpc = stream_rpc(stream);
	const ProtobufCMessage *message = NULL;
	int r = receive_first(stream, &message);
	if (r < 0)
		return r;
	const Axle__ExecRequest *request = (const Axle__ExecRequest *)message;
	if (request->what_case != AXLE__EXEC_REQUEST__WHAT_START)
		return err_set(err, -EINVAL, "exec.start", "expected a start message first");
	struct session session = {
		.stream = stream,
		.stdin_fd = -1,
		.stdout_fd = -1,
		.stderr_fd = -1,
		.pty = -1,
		.main = fiber_self(rpc->node->fibers),
		.read_wish = read_exec_wish,
	};
	r = container_find_by_name(rpc->node, rpc->owner, true, request->start->container, &session.container, err);
	if (r < 0)
		return r;
	r = run_session(&session, request->start, err);
	session_done(&session);
	return r;
}

void axle_exec(struct grpc_call *call, const ProtobufCMessage *request, void *context)
{
	(void)request;
	stream_open(call, NULL, &axle__exec_request__descriptor, context, run_exec);
}
