/* The messages of docs/formats/monitor-protocol.md as tables: bytes in, structs out. */
#include <errno.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/codec/json.h"
#include "runtime/include/axle/monitor.h"
#include "runtime/src/monitor/record.h"

/* A message as it is on the wire, where the op is a word. */
struct wire {
	const char *op;
	struct monitor_message m;
};

static const struct json_field HELLO_FIELDS[] = {
	JSON_FIELD(struct monitor_hello, version, "version", JSON_U32, JSON_REQUIRED),
	JSON_FIELD(struct monitor_hello, oldest, "oldest", JSON_U32, JSON_REQUIRED),
	JSON_FIELD(struct monitor_hello, program, "program", JSON_STRING_T, 0),
};
static const struct json_table HELLO = JSON_TABLE(struct monitor_hello, HELLO_FIELDS);

static const struct json_field RUNTIME_FIELDS[] = {
	JSON_FIELD(struct monitor_runtime, path, "path", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct monitor_runtime, args, "args", JSON_STRINGS, 0),
	JSON_FIELD(struct monitor_runtime, create_args, "create_args", JSON_STRINGS, 0),
	JSON_FIELD(struct monitor_runtime, timeout_ms, "timeout_ms", JSON_U32, 0),
};
static const struct json_table RUNTIME = JSON_TABLE(struct monitor_runtime, RUNTIME_FIELDS);

static const struct json_field LOG_FIELDS[] = {
	JSON_FIELD(struct monitor_log, path, "path", JSON_STRING_T, 0),
	JSON_FIELD(struct monitor_log, max_bytes, "max_bytes", JSON_U64, 0),
	JSON_FIELD(struct monitor_log, files, "files", JSON_U32, 0),
};
static const struct json_table LOG = JSON_TABLE(struct monitor_log, LOG_FIELDS);

static const struct json_field CONFIG_FIELDS[] = {
	JSON_FIELD(struct monitor_config, id, "id", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct monitor_config, bundle, "bundle", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct monitor_config, record_dir, "record_dir", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct monitor_config, socket, "socket", JSON_STRING_T, JSON_REQUIRED),
	JSON_NESTED(struct monitor_config, runtime, "runtime", JSON_STRUCT_OPT, &RUNTIME, JSON_REQUIRED),
	JSON_NESTED(struct monitor_config, log, "log", JSON_STRUCT_OPT, &LOG, 0),
	JSON_FIELD(struct monitor_config, tty, "tty", JSON_BOOL_T, 0),
	JSON_FIELD(struct monitor_config, open_stdin, "open_stdin", JSON_BOOL_T, 0),
	JSON_FIELD(struct monitor_config, stdin_once, "stdin_once", JSON_BOOL_T, 0),
	JSON_FIELD(struct monitor_config, rows, "rows", JSON_U32, 0),
	JSON_FIELD(struct monitor_config, columns, "columns", JSON_U32, 0),
	JSON_FIELD(struct monitor_config, pid, "pid", JSON_I32, 0),
};
static const struct json_table CONFIG = JSON_TABLE(struct monitor_config, CONFIG_FIELDS);

static const struct json_field SESSION_FIELDS[] = {
	JSON_FIELD(struct monitor_session, session, "session", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct monitor_session, pid, "pid", JSON_I32, JSON_KEEP),
};
static const struct json_table SESSION = JSON_TABLE(struct monitor_session, SESSION_FIELDS);

static const struct json_field STATE_FIELDS[] = {
	JSON_FIELD(struct monitor_state, id, "id", JSON_STRING_T, 0),
	JSON_FIELD(struct monitor_state, phase, "phase", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct monitor_state, pid, "pid", JSON_I32, JSON_KEEP),
	JSON_FIELD(struct monitor_state, monitor_pid, "monitor_pid", JSON_I32, JSON_KEEP),
	JSON_FIELD(struct monitor_state, created_ns, "created_ns", JSON_I64, JSON_KEEP),
	JSON_FIELD(struct monitor_state, started_ns, "started_ns", JSON_I64, JSON_KEEP),
	JSON_FIELD(struct monitor_state, log_dropped_bytes, "log_dropped_bytes", JSON_U64, JSON_KEEP),
	JSON_FIELD(struct monitor_state, attached, "attached", JSON_U64, JSON_KEEP),
	JSON_NESTED_COUNTED(struct monitor_state, sessions, "sessions", JSON_STRUCTS, &SESSION, 0),
	JSON_NESTED(struct monitor_state, exit, "exit", JSON_STRUCT_OPT, &MONITOR_EXIT_TABLE, 0),
};
static const struct json_table STATE = JSON_TABLE(struct monitor_state, STATE_FIELDS);

static const struct json_field EXEC_FIELDS[] = {
	JSON_FIELD(struct monitor_exec, session, "session", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct monitor_exec, tty, "tty", JSON_BOOL_T, 0),
	JSON_FIELD(struct monitor_exec, rows, "rows", JSON_U32, 0),
	JSON_FIELD(struct monitor_exec, columns, "columns", JSON_U32, 0),
	JSON_FIELD(struct monitor_exec, timeout_ms, "timeout_ms", JSON_U64, 0),
	JSON_FIELD(struct monitor_exec, end_with_client, "end_with_client", JSON_BOOL_T, 0),
};
static const struct json_table EXEC = JSON_TABLE(struct monitor_exec, EXEC_FIELDS);

static const struct json_field EXEC_EXIT_FIELDS[] = {
	JSON_FIELD(struct monitor_exec_exit, session, "session", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct monitor_exec_exit, exit_code, "exit_code", JSON_I32, JSON_REQUIRED | JSON_KEEP),
	JSON_FIELD(struct monitor_exec_exit, signal, "signal", JSON_I32, JSON_KEEP),
	JSON_FIELD(struct monitor_exec_exit, reason, "reason", JSON_STRING_T, JSON_REQUIRED),
};
static const struct json_table EXEC_EXIT = JSON_TABLE(struct monitor_exec_exit, EXEC_EXIT_FIELDS);

static const struct json_field ATTACH_FIELDS[] = {
	JSON_FIELD(struct monitor_attach, with_stdin, "with_stdin", JSON_BOOL_T, 0),
	JSON_FIELD(struct monitor_attach, with_stdout, "with_stdout", JSON_BOOL_T, 0),
	JSON_FIELD(struct monitor_attach, with_stderr, "with_stderr", JSON_BOOL_T, 0),
	JSON_FIELD(struct monitor_attach, patience_ms, "patience_ms", JSON_U32, 0),
};
static const struct json_table ATTACH = JSON_TABLE(struct monitor_attach, ATTACH_FIELDS);

static const struct json_field SIGNAL_FIELDS[] = {
	JSON_FIELD(struct monitor_signal, signal, "signal", JSON_I32, JSON_REQUIRED),
	JSON_FIELD(struct monitor_signal, session, "session", JSON_STRING_T, 0),
	JSON_FIELD(struct monitor_signal, descendants, "descendants", JSON_BOOL_T, 0),
};
static const struct json_table SIGNAL = JSON_TABLE(struct monitor_signal, SIGNAL_FIELDS);

static const struct json_field RESIZE_FIELDS[] = {
	JSON_FIELD(struct monitor_resize, rows, "rows", JSON_U32, JSON_REQUIRED | JSON_KEEP),
	JSON_FIELD(struct monitor_resize, columns, "columns", JSON_U32, JSON_REQUIRED | JSON_KEEP),
};
static const struct json_table RESIZE = JSON_TABLE(struct monitor_resize, RESIZE_FIELDS);

static const struct json_field ERROR_FIELDS[] = {
	JSON_FIELD(struct monitor_error, code, "code", JSON_I32, JSON_REQUIRED),
	JSON_FIELD(struct monitor_error, reason, "reason", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct monitor_error, message, "message", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct monitor_error, step, "step", JSON_STRING_T, 0),
	JSON_FIELD(struct monitor_error, runtime, "runtime", JSON_STRING_T, 0),
	JSON_FIELD(struct monitor_error, status, "status", JSON_I32, 0),
};
static const struct json_table ERROR = JSON_TABLE(struct monitor_error, ERROR_FIELDS);

static const struct json_field WIRE_FIELDS[] = {
	JSON_FIELD(struct wire, m.id, "id", JSON_U64, 0),
	JSON_FIELD(struct wire, op, "op", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct wire, m.descriptors, "descriptors", JSON_STRINGS, 0),
	JSON_NESTED(struct wire, m.error, "error", JSON_STRUCT_OPT, &ERROR, 0),
	JSON_NESTED(struct wire, m.hello, "hello", JSON_STRUCT_OPT, &HELLO, 0),
	JSON_NESTED(struct wire, m.config, "config", JSON_STRUCT_OPT, &CONFIG, 0),
	JSON_NESTED(struct wire, m.state, "state", JSON_STRUCT_OPT, &STATE, 0),
	JSON_NESTED(struct wire, m.exit, "exit", JSON_STRUCT_OPT, &MONITOR_EXIT_TABLE, 0),
	JSON_NESTED(struct wire, m.exec, "exec", JSON_STRUCT_OPT, &EXEC, 0),
	JSON_NESTED(struct wire, m.exec_session, "exec_session", JSON_STRUCT_OPT, &SESSION, 0),
	JSON_NESTED(struct wire, m.exec_exit, "exec_exit", JSON_STRUCT_OPT, &EXEC_EXIT, 0),
	JSON_NESTED(struct wire, m.attach, "attach", JSON_STRUCT_OPT, &ATTACH, 0),
	JSON_NESTED(struct wire, m.signal, "signal", JSON_STRUCT_OPT, &SIGNAL, 0),
	JSON_NESTED(struct wire, m.resize, "resize", JSON_STRUCT_OPT, &RESIZE, 0),
};
static const struct json_table WIRE = JSON_TABLE(struct wire, WIRE_FIELDS);

#define MEMBER(member) offsetof(struct monitor_message, member)
#define NOTHING SIZE_MAX     /* no member is needed */
#define NEVER (SIZE_MAX - 1) /* this sender does not send it */

/* What each op is called, and the member that it needs in each direction. */
static const struct {
	const char *name;
	size_t needs[2]; /* by enum monitor_sender */
} OPS[MONITOR_OP_COUNT] = {
	[MONITOR_HELLO] = {"hello", {MEMBER(hello), MEMBER(hello)}},
	[MONITOR_CREATE] = {"create", {MEMBER(config), MEMBER(state)}},
	[MONITOR_ADOPT] = {"adopt", {MEMBER(config), MEMBER(state)}},
	[MONITOR_START] = {"start", {NOTHING, MEMBER(state)}},
	[MONITOR_STATE] = {"state", {NOTHING, MEMBER(state)}},
	[MONITOR_SIGNAL] = {"signal", {MEMBER(signal), NOTHING}},
	[MONITOR_EXEC] = {"exec", {MEMBER(exec), MEMBER(exec_session)}},
	[MONITOR_ATTACH] = {"attach", {MEMBER(attach), NOTHING}},
	[MONITOR_RESIZE] = {"resize", {MEMBER(resize), NOTHING}},
	[MONITOR_REOPEN_LOG] = {"reopen-log", {NOTHING, NOTHING}},
	[MONITOR_CLOSE_STDIN] = {"close-stdin", {NOTHING, NOTHING}},
	[MONITOR_DESCRIPTORS] = {"descriptors", {NOTHING, NOTHING}},
	[MONITOR_QUIT] = {"quit", {NOTHING, NOTHING}},
	[MONITOR_STARTED] = {"started", {NEVER, MEMBER(state)}},
	[MONITOR_EXITED] = {"exited", {NEVER, MEMBER(exit)}},
	[MONITOR_EXEC_EXITED] = {"exec-exited", {NEVER, MEMBER(exec_exit)}},
	[MONITOR_STDIN_CLOSED] = {"stdin-closed", {NEVER, NOTHING}},
};

static const char *const PHASES[MONITOR_PHASE_COUNT] = {
	[MONITOR_IDLE] = "idle",       [MONITOR_CREATING] = "creating", [MONITOR_CREATED] = "created",
	[MONITOR_RUNNING] = "running", [MONITOR_STOPPED] = "stopped",   [MONITOR_FAILED] = "failed",
};

const char *monitor_phase_name(enum monitor_phase phase)
{
	return phase >= 0 && phase < MONITOR_PHASE_COUNT ? PHASES[phase] : "unknown";
}

struct monitor_hello monitor_hello(const char *program)
{
	return (struct monitor_hello){
		.version = MONITOR_PROTOCOL_VERSION, .oldest = MONITOR_PROTOCOL_OLDEST, .program = program};
}

int monitor_message_encode(const struct monitor_message *message, struct buf *ret_bytes)
{
	struct wire wire = {.op = OPS[message->op].name, .m = *message};
	size_t before = ret_bytes->size;
	int r = json_encode(&WIRE, &wire, ret_bytes);
	if (r == 0 && ret_bytes->size - before > MONITOR_MESSAGE_MAX)
		r = -EMSGSIZE;
	return r;
}

static int find_op(const char *name, enum monitor_op *ret_op)
{
	for (size_t i = 0; i < ARRAY_COUNT(OPS); i++) {
		if (!str_equal(OPS[i].name, name))
			continue;
		*ret_op = (enum monitor_op)i;
		return 0;
	}
	return -ENOENT;
}

static bool has_member(const struct monitor_message *message, size_t offset)
{
	const void *pointer = NULL;
	memcpy(&pointer, (const char *)message + offset, sizeof pointer);
	return pointer != NULL;
}

/* The rules that tables do not say: who sends what, and with which member. */
static int check_members(enum monitor_sender sender, const struct monitor_message *message, struct err *err)
{
	const char *name = OPS[message->op].name;
	size_t needs = OPS[message->op].needs[sender];
	bool is_event = OPS[message->op].needs[MONITOR_FROM_CLIENT] == NEVER;
	if (needs == NEVER)
		return err_set(err, -EOPNOTSUPP, "monitor.unknown-op", "op \"%s\" is no request", name);
	if (sender == MONITOR_FROM_CLIENT && message->id == 0)
		return err_set(err, -EINVAL, "monitor.malformed", "request \"%s\": expected an id above 0", name);
	if (sender == MONITOR_FROM_MONITOR && !message->error && is_event != (message->id == 0))
		return err_set(err, -EINVAL, "monitor.malformed", "\"%s\" with the id of another kind of message",
			       name);
	if (sender == MONITOR_FROM_MONITOR && message->error)
		return 0;
	if (needs != NOTHING && !has_member(message, needs))
		return err_set(err, -EINVAL, "monitor.malformed", "\"%s\" without the member that goes with it", name);
	return 0;
}

int monitor_message_decode(enum monitor_sender sender, const char *bytes, size_t size, struct arena *arena,
			   struct monitor_message *ret_message, struct err *err)
{
	if (size > MONITOR_MESSAGE_MAX)
		return err_set(err, -EMSGSIZE, "monitor.malformed", "message of %zu bytes: expected at most %d", size,
			       MONITOR_MESSAGE_MAX);
	struct wire wire = {0};
	int r = json_decode("message", bytes, size, &WIRE, arena, &wire, err);
	if (r < 0) {
		if (err && r == -EINVAL)
			err->reason = "monitor.malformed";
		return r;
	}
	if (find_op(wire.op, &wire.m.op) < 0) {
		ret_message->id = wire.m.id;
		return err_set(err, -EOPNOTSUPP, "monitor.unknown-op", "unknown op \"%.64s\"", wire.op);
	}
	r = check_members(sender, &wire.m, err);
	if (r < 0) {
		ret_message->id = wire.m.id;
		return r;
	}
	*ret_message = wire.m;
	return 0;
}
