#include "cli/src/session.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/src/input.h"
#include "cli/src/terminal.h"
#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/sys/fd.h"

#define DETACH_KEYS_DEFAULT "ctrl-p,ctrl-q"
#define INPUT_BYTES_MAX (32 * 1024 + DETACH_KEYS_MAX)

/* Watched while a session runs. Those that would end this program are passed on, or end it in good order. */
static const int SIGNALS[] = {SIGWINCH, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

struct session {
	struct cli *cli;
	const struct session_options *options;
	struct grpc_call *call; /* NULL: over */
	bool is_exec;
	struct input *input;
	struct detach_keys keys;
	struct terminal terminal;
	uv_signal_t signals[ARRAY_COUNT(SIGNALS)];
	unsigned signals_open;
	struct err err; /* of result */
	bool started; /* the stream is open */
	bool running; /* the process is */
	int kept_signal;
	bool exited;
	int exit_code;
	bool detached;
	bool interrupted;
	bool done;
	int result;
};

/* ---- To the process ---- */

static int send_message(struct session *session, const ProtobufCMessage *message)
{
	if (!session->call)
		return -ECANCELED;
	int r = grpc_call_send(session->call, message);
	if (r == GRPC_PAUSE && session->input)
		input_pause(session->input); /* until on_writable() */
	return r;
}

/* Attach and Exec take the same messages under two names. */
#define SEND(session_, CASE, member, value)                                                                            \
	({                                                                                                             \
		Axle__AttachRequest attach_ = AXLE__ATTACH_REQUEST__INIT;                                              \
		Axle__ExecRequest exec_ = AXLE__EXEC_REQUEST__INIT;                                                    \
		attach_.what_case = AXLE__ATTACH_REQUEST__WHAT_##CASE;                                                 \
		exec_.what_case = AXLE__EXEC_REQUEST__WHAT_##CASE;                                                     \
		attach_.member = (value);                                                                              \
		exec_.member = (value);                                                                                \
		send_message(session_, (session_)->is_exec ? &exec_.base : &attach_.base);                             \
	})

static void send_empty_detach(struct session *session)
{
	Axle__Empty empty = AXLE__EMPTY__INIT;
	(void)SEND(session, DETACH, detach, &empty); /* the stream's end says whether it came */
}

static void on_input(const uint8_t *bytes, size_t size, void *data)
{
	struct session *session = data;
	Axle__Empty empty = AXLE__EMPTY__INIT;
	if (size == 0) {
		(void)SEND(session, STDIN_CLOSED, stdin_closed, &empty);
		return;
	}
	uint8_t passed[INPUT_BYTES_MAX];
	size_t passed_size = 0;
	bool detach = detach_keys_filter(&session->keys, bytes, size, passed, &passed_size);
	ProtobufCBinaryData input = {passed_size, passed};
	if (passed_size > 0)
		(void)SEND(session, STDIN, stdin, input);
	if (!detach)
		return;
	session->detached = true;
	input_pause(session->input);
	send_empty_detach(session);
}

Axle__TerminalSize *session_terminal_size(Axle__TerminalSize *size)
{
	return terminal_size(STDOUT_FILENO, &size->rows, &size->columns) ||
			       terminal_size(STDIN_FILENO, &size->rows, &size->columns) ?
		       size :
		       NULL;
}

static void send_size(struct session *session)
{
	Axle__TerminalSize size = AXLE__TERMINAL_SIZE__INIT;
	if (session->options->tty && session_terminal_size(&size))
		(void)SEND(session, RESIZE, resize, &size);
}

static void send_signal(struct session *session, int number)
{
	char text[8];
	(void)snprintf(text, sizeof text, "%d", number);
	(void)SEND(session, SIGNAL, signal, text);
}

/* ---- Signals to this program ---- */

static void give_up(struct session *session, int result)
{
	session->result = result;
	session->done = true;
}

/* While the process is being started there is nobody to signal: the last one is kept until then. */
static void pass_on(struct session *session, int number)
{
	if (session->running)
		send_signal(session, number);
	else
		session->kept_signal = number;
}

static void interrupt(struct session *session, int number)
{
	session->interrupted = true;
	session->exit_code = 128 + number;
	session->done = true;
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct session *session = handle->data;
	if (number == SIGWINCH)
		send_size(session);
	else if (session->options->proxy_signals && !session->options->tty)
		pass_on(session, number);
	else if (number != SIGUSR1 && number != SIGUSR2)
		interrupt(session, number);
}

static void watch_signals(struct session *session)
{
	for (size_t i = 0; i < ARRAY_COUNT(SIGNALS); i++) {
		(void)uv_signal_init(&session->cli->loop, &session->signals[i]);
		session->signals[i].data = session;
		session->signals_open++;
		(void)uv_signal_start(&session->signals[i], on_signal, SIGNALS[i]);
	}
}

/* ---- From the process ---- */

/* Standard output may be somebody who does not read: then this program waits, and with it the stream. */
static void print(struct session *session, int fd, ProtobufCBinaryData bytes)
{
	int r = fd_write_all(fd, bytes.data, bytes.len);
	if (r == -EPIPE)
		interrupt(session, SIGPIPE);
	else if (r < 0 && !session->done)
		give_up(session, err_sys(&session->err, r, "cli.output", "write to standard %s",
					 fd == STDOUT_FILENO ? "output" : "error"));
}

/* Before the process runs: what it writes first may need a raw terminal already. */
static int prepare_terminal(struct session *session, struct err *err)
{
	if (session->options->stdin_open && session->options->tty && isatty(STDIN_FILENO))
		return terminal_make_raw(&session->terminal, STDIN_FILENO, err);
	session->keys.count = 0; /* bytes that nobody types */
	return 0;
}

static void begin_input(struct session *session)
{
	if (!session->options->stdin_open || session->done)
		return;
	session->input = input_new(&session->cli->loop, STDIN_FILENO, on_input, session);
	if (!session->input)
		on_input(NULL, 0, session);
}

static void on_message(struct grpc_call *call, const ProtobufCMessage *message, void *data)
{
	struct session *session = data;
	const Axle__SessionResponse *response = (const void *)message;
	(void)call;
	switch (response->what_case) {
	case AXLE__SESSION_RESPONSE__WHAT_STARTED:
		session->started = true;
		break;
	case AXLE__SESSION_RESPONSE__WHAT_STDOUT:
		print(session, STDOUT_FILENO, response->stdout);
		break;
	case AXLE__SESSION_RESPONSE__WHAT_STDERR:
		print(session, STDERR_FILENO, response->stderr);
		break;
	case AXLE__SESSION_RESPONSE__WHAT_EXIT:
		session->exited = true;
		session->exit_code = response->exit->code;
		break;
	default:
		break; /* a newer server says more than we know */
	}
}

static void on_writable(struct grpc_call *call, void *data)
{
	struct session *session = data;
	(void)call;
	if (session->input && !session->detached)
		input_resume(session->input);
}

static void on_done(struct grpc_call *call, enum grpc_status status, const struct err *err, void *data)
{
	struct session *session = data;
	(void)call;
	session->call = NULL;
	if (session->done)
		return; /* it has a result already */
	session->done = true;
	bool lost = str_equal(err->reason, "grpc.connection-lost");
	if (status != GRPC_OK && !session->exited && !session->detached)
		session->result = err_set(&session->err, err->code, err->reason, "%s",
					  lost ? "the connection to axled was lost: the container goes on" : err->message);
}

/* ---- The whole ---- */

static int begin_call(struct session *session, const ProtobufCMessage *start, struct err *err)
{
	static const struct grpc_events EVENTS = {
		.on_message = on_message, .on_writable = on_writable, .on_done = on_done};
	Axle__AttachRequest attach = AXLE__ATTACH_REQUEST__INIT;
	Axle__ExecRequest exec = AXLE__EXEC_REQUEST__INIT;
	attach.what_case = AXLE__ATTACH_REQUEST__WHAT_START;
	attach.start = (Axle__AttachStart *)(uintptr_t)start;
	exec.what_case = AXLE__EXEC_REQUEST__WHAT_START;
	exec.start = (Axle__ExecStart *)(uintptr_t)start;
	const struct grpc_request request = {.service = &axle__containers__descriptor,
					     .method = session->is_exec ? "Exec" : "Attach",
					     .message = session->is_exec ? &exec.base : &attach.base,
					     .stream = true};
	return grpc_client_call(session->cli->client, &request, &EVENTS, session, &session->call, err);
}

static void run_until(struct session *session, const bool *flag)
{
	while (!*flag && !session->done)
		(void)uv_run(&session->cli->loop, UV_RUN_ONCE);
}

static void on_signal_closed(uv_handle_t *handle)
{
	struct session *session = handle->data;
	session->signals_open--;
}

static void session_end(struct session *session)
{
	terminal_restore(&session->terminal);
	session->done = true;
	if (session->call)
		grpc_call_cancel(session->call);
	input_free(session->input);
	for (size_t i = 0; i < ARRAY_COUNT(SIGNALS); i++)
		uv_close((uv_handle_t *)&session->signals[i], on_signal_closed);
	while (session->signals_open > 0) /* the handles lie on the stack */
		(void)uv_run(&session->cli->loop, UV_RUN_NOWAIT);
}

/* Where the start failed, that is what a person must hear of, and not what the stream says of it. */
static int talk(struct session *session, struct err *err)
{
	const struct session_options *options = session->options;
	run_until(session, &session->started);
	int r = session->done ? 0 : prepare_terminal(session, err);
	if (r < 0)
		return r;
	if (!session->done && options->on_started) {
		r = options->on_started(session->cli, options->data, err);
		if (r < 0)
			return r;
	}
	session->running = true;
	if (session->kept_signal != 0)
		send_signal(session, session->kept_signal);
	begin_input(session);
	send_size(session);
	run_until(session, &session->done);
	if (session->result < 0)
		*err = session->err;
	return session->result;
}

int session_run(struct cli *cli, const ProtobufCMessage *start, const struct session_options *options,
		int *ret_exit_code, struct err *err)
{
	struct session session = {.cli = cli,
				  .options = options,
				  .is_exec = start->descriptor == &axle__exec_start__descriptor};
	const char *keys = options->detach_keys ? options->detach_keys : DETACH_KEYS_DEFAULT;
	int r = detach_keys_parse(keys, &session.keys, err);
	if (r == 0)
		r = cli_connect(cli, err);
	if (r == 0)
		r = begin_call(&session, start, err);
	if (r < 0)
		return r;
	watch_signals(&session);
	r = talk(&session, err);
	session_end(&session);
	if (r < 0)
		return r;
	*ret_exit_code = session.exit_code;
	if (session.interrupted)
		return SESSION_INTERRUPTED;
	if (!session.exited && !session.detached && !options->detach)
		return err_set(err, -EPROTO, "cli.session", "the daemon ended the session without an exit status");
	return session.exited ? SESSION_EXITED : SESSION_DETACHED;
}
