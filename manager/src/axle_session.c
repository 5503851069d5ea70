/* axle.v1 Containers: Attach and Exec, one bidirectional stream each. */
#include <errno.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "manager/src/attachment.h"
#include "manager/src/axle.h"
#include "manager/src/container_life.h"
#include "manager/src/session.h"
#include "manager/src/signals.h"
#include "manager/src/spec.h"
#include "manager/src/stream.h"

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

/* One call: a stream joined to a session. */
struct call {
	struct stream *stream;
	struct session session;
	struct wish (*read_wish)(const ProtobufCMessage *message);
};

/* --- output --- */

static int send_output(struct call *call, bool is_stderr, const char *bytes, size_t size)
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
	return stream_send(call->stream, &response);
}

static void pump(struct call *call, int fd, bool is_stderr)
{
	char bytes[READ_STEP];
	ssize_t count = 0;
	do
		count = session_read(&call->session, fd, bytes, sizeof bytes);
	while (count > 0 && send_output(call, is_stderr, bytes, (size_t)count) == 0);
}

static void pump_stdout(void *data)
{
	struct call *call = data;
	pump(call, call->session.stdout_fd, false);
}

static void pump_stderr(void *data)
{
	struct call *call = data;
	pump(call, call->session.stderr_fd, true);
}

/* --- input --- */

static void send_signal(struct call *call, const char *name)
{
	int number = signal_parse(name);
	if (number)
		session_signal(&call->session, number);
}

/* Returns < 0 where there is no more to do. */
static int act(struct call *call, const struct wish *wish)
{
	switch (wish->kind) {
	case WISH_STDIN:
		return session_write(&call->session, wish->bytes.data, wish->bytes.len);
	case WISH_STDIN_CLOSED:
		session_close_stdin(&call->session);
		return 0;
	case WISH_RESIZE:
		session_resize(&call->session, wish->rows, wish->columns);
		return 0;
	case WISH_SIGNAL:
		send_signal(call, wish->signal);
		return 0;
	case WISH_DETACH:
		session_leave(&call->session);
		return -ECANCELED;
	default:
		return 0;
	}
}

static void read_input(void *data)
{
	struct call *call = data;
	int r = 1;
	while (r > 0) {
		scoped_done(arena_done) struct arena arena = {.max = MESSAGE_ARENA_MAX};
		const ProtobufCMessage *message = NULL;
		r = stream_receive(call->stream, &arena, &message);
		if (r <= 0)
			break;
		struct wish wish = call->read_wish(message);
		if (act(call, &wish) < 0)
			return;
	}
	if (r == 0) /* the client has closed its side: there is no more input */
		session_close_stdin(&call->session);
}

/* --- both --- */

static int send_started(struct call *call, const char *id, int pid, bool tty)
{
	Axle__SessionResponse response = AXLE__SESSION_RESPONSE__INIT;
	Axle__Started started = AXLE__STARTED__INIT;
	started.id = id;
	started.pid = (uint32_t)pid;
	started.tty = tty;
	response.what_case = AXLE__SESSION_RESPONSE__WHAT_STARTED;
	response.started = &started;
	return stream_send(call->stream, &response);
}

static int send_exit(struct call *call, Axle__ExitStatus *exit)
{
	Axle__SessionResponse response = AXLE__SESSION_RESPONSE__INIT;
	if (!exit)
		return err_memory(NULL, "exit status");
	response.what_case = AXLE__SESSION_RESPONSE__WHAT_EXIT;
	response.exit = exit;
	return stream_send(call->stream, &response);
}

/* Input and output flow; returns when the process has ended or the client has left. */
static int flow(struct call *call)
{
	int r = stream_fork(call->stream, read_input, call);
	if (r == 0 && call->session.stdout_fd >= 0)
		r = stream_fork(call->stream, pump_stdout, call);
	if (r == 0 && call->session.stderr_fd >= 0)
		r = stream_fork(call->stream, pump_stderr, call);
	return r == 0 ? session_wait(&call->session) : r;
}

/* The call's first message says what to start. */
static int receive_start(struct stream *stream, const ProtobufCMessage **ret_message)
{
	int r = stream_receive(stream, stream_rpc(stream)->arena, ret_message);
	return r == 0 ? -ECANCELED : r < 0 ? r : 0;
}

/* On success the caller ends it with call_close(). */
static int call_open(struct call *call, struct stream *stream, const char *container, struct err *err)
{
	struct rpc *rpc = stream_rpc(stream);
	struct container *found = NULL;
	int r = container_find_by_name(rpc->node, rpc->owner, true, container, &found, err);
	if (r < 0)
		return r;
	call->stream = stream;
	session_init(&call->session, found);
	return 0;
}

static void call_close(struct call *call)
{
	stream_join(call->stream, true);
	session_done(&call->session);
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
	struct call *call = data;
	const struct container *container = call->session.container;
	/* it is queued at once; a peer that does not read yet has nothing else in its queue */
	(void)send_started(call, container->id, 0, container->config->tty);
}

static int open_attachment(struct call *call, const Axle__AttachStart *start, struct err *err)
{
	struct session *session = &call->session;
	const struct container *container = session->container;
	bool running = container->running;
	const struct attachment_wish wish = {
		.with_stdin = start->stdin,
		.with_stdout = start->stdout,
		.with_stderr = start->stderr,
		.on_waiting = on_waiting,
		.data = call,
	};
	int r = session_attach(session, &wish, err);
	if (r < 0)
		return r;
	if (start->size)
		session_resize(session, start->size->rows, start->size->columns);
	return running ? send_started(call, container->id, (int)container->pid, container->config->tty) : 0;
}

static int attach(struct call *call, const Axle__AttachStart *start, struct err *err)
{
	int r = open_attachment(call, start, err);
	if (r == 0)
		r = flow(call);
	if (r < 0 || call->session.left)
		return r;
	stream_join_output(call->stream, read_input, false); /* the pipes are closed behind the last output */
	return send_exit(call, axle_make_exit_status(stream_rpc(call->stream), call->session.container));
}

static int run_attach(struct stream *stream, struct err *err)
{
	const ProtobufCMessage *message = NULL;
	int r = receive_start(stream, &message);
	if (r < 0)
		return r;
	const Axle__AttachRequest *request = (const Axle__AttachRequest *)message;
	if (request->what_case != AXLE__ATTACH_REQUEST__WHAT_START)
		return err_set(err, -EINVAL, "attach.start", "expected a start message first");
	struct call call = {.read_wish = read_attach_wish};
	r = call_open(&call, stream, request->start->container, err);
	if (r < 0)
		return r;
	r = attach(&call, request->start, err);
	call_close(&call);
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

static int start_exec(struct call *call, const Axle__ExecStart *start, struct err *err)
{
	struct rpc *rpc = stream_rpc(call->stream);
	const char **command = rpc_array(rpc, start->n_command + 1);
	const char **environment = rpc_array(rpc, start->n_environment + 1);
	if (!command || !environment)
		return err_memory(err, "command");
	memcpy(command, start->command, start->n_command * sizeof *command);
	memcpy(environment, start->environment, start->n_environment * sizeof *environment);
	const struct spec_exec process = {
		.command = command,
		.environment = environment,
		.working_directory = start->working_directory,
		.user = start->user,
		.tty = start->tty && !start->detach,
		.privileged = start->privileged,
	};
	const struct session_exec wish = {
		.process = &process,
		.with_stdin = start->stdin,
		.with_stdout = true,
		.with_stderr = true,
		.detached = start->detach,
		.rows = start->size ? start->size->rows : 0,
		.columns = start->size ? start->size->columns : 0,
	};
	return session_start_exec(&call->session, &wish, err);
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

static int exec(struct call *call, const Axle__ExecStart *start, struct err *err)
{
	struct session *session = &call->session;
	struct rpc *rpc = stream_rpc(call->stream);
	int r = start_exec(call, start, err);
	if (r < 0)
		return r;
	const char *name = arena_strdup(rpc->arena, session->exec.name);
	r = name ? send_started(call, name, session->exec.pid, start->tty) : err_memory(err, "reply");
	if (start->detach)
		return r;
	if (r == 0)
		r = flow(call);
	if (r == 0 && !session->left) {
		stream_join_output(call->stream, read_input, true);
		r = send_exit(call, make_exec_exit(rpc, &session->exec));
	}
	if (r < 0)
		session_abandon(session);
	return r;
}

static int run_exec(struct stream *stream, struct err *err)
{
	const ProtobufCMessage *message = NULL;
	int r = receive_start(stream, &message);
	if (r < 0)
		return r;
	const Axle__ExecRequest *request = (const Axle__ExecRequest *)message;
	if (request->what_case != AXLE__EXEC_REQUEST__WHAT_START)
		return err_set(err, -EINVAL, "exec.start", "expected a start message first");
	struct call call = {.read_wish = read_exec_wish};
	r = call_open(&call, stream, request->start->container, err);
	if (r < 0)
		return r;
	r = exec(&call, request->start, err);
	call_close(&call);
	return r;
}

void axle_exec(struct grpc_call *call, const ProtobufCMessage *request, void *context)
{
	(void)request;
	stream_open(call, NULL, &axle__exec_request__descriptor, context, run_exec);
}
