/* The container monitor, axmon, as its clients see it: how to start one, talk to it, and read what it leaves behind.
 *
 * One axmon looks after one container: it runs the OCI runtime, owns the container's stdio or pty, writes its log, runs
 * exec sessions, and records how it ended. It outlives its client. This library has no event loop and no thread: every
 * call returns at once; the caller watches monitor_client_fd() for reading.
 *
 * A typical life (requests; each is answered by a reply of the same id, or by an error):
 *
 *	monitor_spawn()                      a new axmon, connected
 *	hello                                versions are agreed
 *	create  (+ rootfs)                   the runtime's "create"; the reply brings pidfd and duplicates of the stdio
 *	attach                               pipes, so that no byte is missed
 *	start                                the runtime's "start"
 *	exec    (+ process, stdio)           any number of times
 *	event "exited"                       how it ended; also in DIR/exit.json
 *	quit
 *
 * After a restart of the client: monitor_connect(), hello, state, descriptors. Where nobody answers on the socket:
 * monitor_exit_read(); and if there is no exit record, monitor_spawn(), hello, adopt.
 *
 * The wire format is specified in docs/formats/monitor-protocol.md, the files in docs/formats/exit-record.md. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/arena.h"
#include "core/base/scoped.h"

struct buf;
struct err;

#define MONITOR_PROTOCOL_VERSION 1 /* what this library speaks */
#define MONITOR_PROTOCOL_OLDEST 1  /* the oldest it still understands */
#define MONITOR_MESSAGE_MAX 65536  /* bytes of one message */
#define MONITOR_FDS_MAX 8	   /* descriptors with one message */
#define MONITOR_SESSION_MAX 64	   /* bytes of an exec session's name */

/* What a message is about. Requests and their replies share the op. */
enum monitor_op {
	MONITOR_HELLO,
	MONITOR_CREATE,
	MONITOR_ADOPT,
	MONITOR_START,
	MONITOR_STATE,
	MONITOR_SIGNAL,
	MONITOR_EXEC,
	MONITOR_ATTACH,
	MONITOR_RESIZE,
	MONITOR_REOPEN_LOG,
	MONITOR_CLOSE_STDIN,
	MONITOR_DESCRIPTORS,
	MONITOR_QUIT,
	/* Events: they have id 0 and go to every client that said hello. */
	MONITOR_STARTED,      /* state */
	MONITOR_EXITED,	      /* exit */
	MONITOR_EXEC_EXITED,  /* exec_exit */
	MONITOR_STDIN_CLOSED, /* close your duplicate of the container's stdin, or it never sees the end of file */
	MONITOR_OP_COUNT,
};

struct monitor_hello {
	uint32_t version; /* the newest the sender speaks; in the reply: the one agreed on */
	uint32_t oldest;  /* the oldest the sender understands */
	const char *program; /* for messages: "axled 0.1.0" */
};

/* How to run the runtime. create is: PATH ARGS... --log F --log-format json create CREATE_ARGS... --bundle B --pid-file P ID */
struct monitor_runtime {
	const char *path;		/* absolute */
	const char *const *args;	/* global options: "--root", DIR */
	const char *const *create_args; /* options of create */
	uint32_t timeout_ms;		/* for each of its commands; 0: 60 s. Then it is killed and the request fails */
};

enum monitor_log_limits {
	MONITOR_LOG_LINE_MAX = 16384,	 /* bytes of content in one log record; a longer line is cut into "P" records */
	MONITOR_LOG_FILES_MAX = 1000,	 /* most rotated files kept */
};

struct monitor_log {
	const char *path;   /* absolute; NULL: no log is written */
	uint64_t max_bytes; /* 0: no limit */
	uint32_t files;	    /* at max_bytes: 0 drops what comes until the next reopen-log (the kubelet rotates);
			     * N rotates, with N older files kept as PATH.1 ... PATH.N (logs that axle owns) */
};

/* Of create and adopt: everything the monitor must know about its container. */
struct monitor_config {
	const char *id;
	const char *bundle;	/* absolute directory with config.json */
	const char *record_dir; /* absolute, existing, private to this container: records, pid file, console socket */
	const char *socket;	/* absolute path of the socket to listen on (of any length) */
	const struct monitor_runtime *runtime;
	const struct monitor_log *log; /* NULL: no log is written */
	bool tty;
	bool open_stdin; /* CRI: stdin; else the container reads /dev/null */
	bool stdin_once; /* close it when the first attached client that writes leaves */
	uint32_t rows, columns; /* initial size of the terminal, 0: left alone */
	int32_t pid; /* adopt: the container's init, where the caller knows better than the record; 0 otherwise */
};

enum monitor_phase {
	MONITOR_IDLE,	  /* "idle": no create or adopt yet */
	MONITOR_CREATING, /* "creating" */
	MONITOR_CREATED,  /* "created" */
	MONITOR_RUNNING,  /* "running" */
	MONITOR_STOPPED,  /* "stopped": there is an exit */
	MONITOR_FAILED,	  /* "failed": create did not succeed, there is no container */
	MONITOR_PHASE_COUNT,
};

const char *monitor_phase_name(enum monitor_phase phase);

/* How a container ended; also the content of exit.json. */
struct monitor_exit {
	uint32_t version; /* MONITOR_RECORD_VERSION */
	const char *id;
	int32_t pid;
	int32_t exit_code;   /* 0..255; 128 + signal where a signal ended it */
	int32_t signal;	     /* 0: none */
	bool oom_killed;     /* the kernel killed something of it for lack of memory, and it did not end with 0 */
	uint64_t oom_kills;  /* how often, over its life */
	int64_t created_ns;  /* since the epoch, UTC; 0: unknown or never */
	int64_t started_ns;  /* 0: it was never started */
	int64_t finished_ns; /* when the monitor saw the end */
	const char *reason;  /* "exited", "signaled", "oom-killed", "start-failed", "monitor-lost" (status unknown: 255) */
	const char *message; /* of a failed start: the runtime's own words; else NULL */
};

struct monitor_session {
	const char *session;
	int32_t pid;
};

struct monitor_state {
	const char *id;
	const char *phase; /* monitor_phase_name() */
	int32_t pid;	   /* of the container's init; 0: none */
	int32_t monitor_pid;
	int64_t created_ns;
	int64_t started_ns;
	uint64_t log_dropped_bytes; /* since create: disk too slow, full, or max_bytes reached */
	uint64_t attached;	    /* attached clients now */
	const struct monitor_session *sessions;
	size_t sessions_count;
	const struct monitor_exit *exit; /* in phase "stopped" */
};

/* A session dies with its monitor, though not its process: the client sees -EPIPE and counts its status as lost.
 *
 * With descriptor "process" (a file with the process object of the OCI runtime-spec, as for --process; a memfd will do),
 * and, where tty is false, "stdin", "stdout", "stderr": the process's own ends, each optional (else /dev/null). The reply
 * says exec_session, and for a tty brings "pty", the master: the client reads, writes and resizes it itself. */
struct monitor_exec {
	const char *session; /* a name, unique among this container's running sessions */
	bool tty;
	uint32_t rows, columns;
	uint64_t timeout_ms; /* then the process and all that descends from it is killed; 0: none */
	bool end_with_client; /* likewise when the connection of the request goes */
};

struct monitor_exec_exit {
	const char *session;
	int32_t exit_code;
	int32_t signal;
	const char *reason; /* "exited", "signaled", "timeout", "client-gone" */
};

/* The reply brings "stdin" (write end), "stdout", "stderr" (read ends; with a tty no "stderr"), each as asked for and as
 * the container has it. Closing all of them detaches. What the client does not read in time fills its pipe (64 KiB); then
 * the container's output waits for patience_ms, then the client loses output and finds a line that says how much. */
struct monitor_attach {
	bool with_stdin, with_stdout, with_stderr;
	uint32_t patience_ms; /* at most 60000; 0: lose at once. A foreground "run" wants seconds, others 100 */
};

struct monitor_signal {
	int32_t signal;
	const char *session; /* NULL: the container's init */
	bool descendants;    /* of a session: to all that it started, too */
};

struct monitor_resize {
	uint32_t rows, columns;
};

struct monitor_error {
	int32_t code;	     /* -errno */
	const char *reason;  /* stable: "runtime.failed", "runtime.timeout", "monitor.version", "monitor.phase" ... */
	const char *message; /* for a person */
	const char *step;    /* "create", "start", "exec": which of the runtime's commands; else NULL */
	const char *runtime; /* the runtime's own message, unchanged; else NULL */
	int32_t status;	     /* the runtime's exit status; 0 where that is not the cause */
};

/* One message: the op, and the members that this op has (protocol.c holds the table). */
struct monitor_message {
	uint64_t id; /* of the request; 0: an event */
	enum monitor_op op;
	const char *const *descriptors; /* names, in the order of the descriptors; NULL: none */
	const struct monitor_error *error; /* a reply that says no has this and nothing else */
	const struct monitor_hello *hello;
	const struct monitor_config *config; /* create, adopt */
	const struct monitor_state *state;   /* replies of create, adopt, start, state; event started */
	const struct monitor_exit *exit;     /* exited */
	const struct monitor_exec *exec;
	const struct monitor_session *exec_session; /* reply of exec */
	const struct monitor_exec_exit *exec_exit;  /* exec-exited */
	const struct monitor_attach *attach;
	const struct monitor_signal *signal;
	const struct monitor_resize *resize;
};

enum monitor_sender {
	MONITOR_FROM_CLIENT, /* requests */
	MONITOR_FROM_MONITOR, /* replies, errors, events */
};

/* Bytes <-> message, without I/O. A message that lacks a member its op needs from this sender is refused; a request of an
 * unknown op gives -EOPNOTSUPP ("monitor.unknown-op") with id set, so that it can be answered.
 * Errors: -EINVAL ("monitor.malformed"), -EMSGSIZE, -ENOMEM. */
int monitor_message_encode(const struct monitor_message *message, struct buf *ret_bytes);
int monitor_message_decode(enum monitor_sender sender, const char *bytes, size_t size, struct arena *arena,
			   struct monitor_message *ret_message, struct err *err);

/* A message with what it brought. Descriptors that nobody took are closed by monitor_received_done(). */
struct monitor_received {
	struct arena arena; /* holds everything message points to */
	struct monitor_message message;
	int fds[MONITOR_FDS_MAX];
	size_t fds_count;
};

void monitor_received_done(struct monitor_received *received);

/* Hands over the descriptor called @name (FD_CLOEXEC is set); -1 where there is none. */
int monitor_received_take(struct monitor_received *received, const char *name);

/* One connection. */
struct monitor_client;

void monitor_client_free(struct monitor_client *client);
SCOPED_DEFINE(struct monitor_client, monitor_client_free)

/* Connects to the socket of a running axmon (a path of any length). Does not block.
 * Errors: -ENOENT, -ECONNREFUSED (no axmon serves it), -EAGAIN (its queue of connections is full), those of connect(2). */
int monitor_connect(const char *socket, struct monitor_client **ret_client, struct err *err);

struct monitor_spawn {
	const char *program; /* path of axmon; NULL: the sibling of the running program */
	const char *cgroup;  /* where axmon puts itself ("/NODE/monitors"), made where missing; NULL: stays */
};

/* Starts an axmon, connected by a socket pair. It makes itself a session and a subreaper of its own and outlives the
 * caller; the caller reaps it (*ret_pid) while both live.
 * Errors: those of socketpair(2), clone3(2) and execve(2); @err names the program. */
int monitor_spawn(const struct monitor_spawn *options, struct monitor_client **ret_client, pid_t *ret_pid,
		  struct err *err);

/* The descriptor to watch for reading; it belongs to the client. */
int monitor_client_fd(const struct monitor_client *client);

/* Sends a request with descriptors (they stay the caller's); @request->descriptors names them. Sets *ret_id, the id of the
 * reply to come; @request->id is not read.
 * Errors: -EAGAIN (watch for writing, try again), -EPIPE (axmon is gone), -EMSGSIZE, -ENOMEM. */
int monitor_request(struct monitor_client *client, const struct monitor_message *request, const int *fds,
		    uint64_t *ret_id, struct err *err);

enum monitor_receive_outcome {
	MONITOR_NOTHING = 0, /* no message now */
	MONITOR_RECEIVED = 1,
};

/* Takes the next message, if there is one, into @ret_received (monitor_received_done() it in every case).
 * Errors: -EPIPE (axmon is gone: read the exit record, or adopt), -EINVAL (not our protocol: close the connection). */
int monitor_receive(struct monitor_client *client, struct monitor_received *ret_received, struct err *err);

/* The request {version, oldest} of this library, for the first message. */
struct monitor_hello monitor_hello(const char *program);

/* Files in the record directory (docs/formats/exit-record.md). All are volatile: gone after a reboot. */
#define MONITOR_RECORD_VERSION 1
#define MONITOR_EXIT_FILE "exit.json"
#define MONITOR_STATE_FILE "monitor.json"

/* Reads exit.json below @record_dir_fd. Errors: -ENOENT (it did not end, or nobody saw it), -EINVAL ("record.malformed"),
 * -ENOTSUP ("record.version": written by a newer axle, left untouched), those of open(2) and read(2). */
int monitor_exit_read(int record_dir_fd, struct arena *arena, struct monitor_exit *ret_exit, struct err *err);

/* Does an axmon look after this record directory now? (It holds a lock there.) Returns 0, 1, or an error of open(2). */
int monitor_is_alive(int record_dir_fd);
