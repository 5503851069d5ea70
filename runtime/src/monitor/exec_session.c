#include "runtime/src/monitor/exec_session.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/parse.h"
#include "core/base/str.h"
#include "core/sys/fd.h"
#include "core/sys/pidfd.h"
#include "runtime/src/monitor/container.h"
#include "runtime/src/monitor/privileges.h"
#include "runtime/src/monitor/process_tree.h"

struct exec_session {
	struct exec_set *set;
	char name[MONITOR_SESSION_MAX + 1];
	unsigned long number;
	struct requester requester;
	bool tty;
	bool end_with_client;
	uint32_t rows, columns;
	struct console console;
	struct runtime_command command;
	struct child process;
	pid_t pid; /* 0: not known yet */
	int pidfd;
	struct timer timeout;
	const char *killed; /* why we ended it: "timeout", "client-gone"; NULL: we did not */
	struct exec_session *next;
};

static void pid_file_name(const struct exec_session *session, char ret_name[static 48])
{
	(void)snprintf(ret_name, 48, "exec-%lu.pid", session->number);
}

static void session_free(struct exec_session *session)
{
	struct exec_set *set = session->set;
	for (struct exec_session **link = &set->sessions; *link; link = &(*link)->next) {
		if (*link != session)
			continue;
		*link = session->next;
		set->count--;
		break;
	}
	runtime_command_done(&session->command);
	console_close(&session->console);
	loop_timer_cancel(set->container->loop, &session->timeout);
	if (session->pid > 0)
		reaper_remove(set->container->reaper, &session->process);
	if (session->pidfd >= 0)
		(void)close(session->pidfd);
	free(session);
}

static void report_exit(struct exec_session *session, const struct child_status *status)
{
	const struct monitor_exec_exit exit = {
		.session = session->name,
		.exit_code = status->exit_code,
		.signal = status->signal,
		.reason = session->killed  ? session->killed
			  : status->signal ? "signaled"
					   : "exited",
	};
	session->set->exited(session->set->owner, &exit);
	session_free(session);
}

static void on_process_end(struct child *child, const struct child_status *status)
{
	report_exit(child->owner, status);
}

/* Ends it with all that it started; while the runtime still works on it, that first. */
static void session_kill(struct exec_session *session, const char *why)
{
	session->killed = session->killed ? session->killed : why;
	if (session->command.running)
		runtime_command_kill(&session->command);
	else if (session->pid > 0)
		(void)process_tree_signal(session->pid, SIGKILL);
}

static void on_timeout(struct timer *timer)
{
	session_kill(timer->owner, "timeout");
}

static int read_pid(struct exec_session *session, struct err *err)
{
	char name[48];
	pid_file_name(session, name);
	scoped_done(buf_done) struct buf text = {.max = 64};
	int dir_fd = session->set->container->record_dir_fd;
	int r = file_read_at(dir_fd, name, &text, err);
	(void)unlinkat(dir_fd, name, 0);
	if (r < 0)
		return r;
	int64_t pid = 0;
	if (text.size > 0 && text.data[text.size - 1] == '\n')
		text.data[--text.size] = '\0';
	if (parse_i64(text.data ? text.data : "", 1, INT32_MAX, &pid) < 0)
		return err_set(err, -EPROTO, "runtime.pid-file", "the runtime's pid file holds \"%.20s\"",
			       text.data ? text.data : "");
	session->pid = (pid_t)pid;
	return 0;
}

/* The exec'd process is ours to wait for. */
static void watch_process(struct exec_session *session)
{
	struct container *container = session->set->container;
	struct child_status status = {0};
	session->process = (struct child){.pid = session->pid, .ended = on_process_end, .owner = session};
	if (reaper_claim(container->reaper, &session->process, &status) == 1) {
		session->pid = 0;
		report_exit(session, &status);
		return;
	}
	(void)pidfd_open_process(session->pid, &session->pidfd); /* -1 is answered where one is needed */
	if (session->killed) /* the client went, or time ran out, while the runtime worked */
		(void)process_tree_signal(session->pid, SIGKILL);
}

static void on_runtime_done(struct runtime_command *command, const struct runtime_result *result)
{
	struct exec_session *session = command->owner;
	struct exec_set *set = session->set;
	struct failure failure = {0};
	int r = result->status == 0 ? 0 : failure_of_runtime(&failure, "exec", result);
	if (r == 0)
		r = read_pid(session, &failure.err);
	scoped_fd int pty = -1;
	if (r == 0 && session->tty) {
		int master = console_receive(&session->console, session->rows, session->columns, &failure.err);
		pty = master;
		r = master < 0 ? master : 0;
	}
	failure.step = "exec";
	console_close(&session->console); /* before anybody is told: nothing of a session is left when it has ended */
	const struct monitor_session begun = {.session = session->name, .pid = session->pid};
	set->begun(set->owner, &session->requester, &begun, pty, r < 0 ? &failure : NULL);
	if (r < 0) {
		if (session->pid > 0)
			(void)process_tree_signal(session->pid, SIGKILL);
		session->pid = 0; /* not claimed */
		session_free(session);
		return;
	}
	watch_process(session);
}

/* exec --process F --pid-file P --detach [--console-socket S] [--tty] ID. Descriptors: 4 the process object, 5 the record
 * directory where the console's path needs it. */
static int make_args(const struct exec_session *session, char ***ret_args, bool *ret_by_fd)
{
	const struct monitor_config *config = &session->set->container->config;
	char pid_file[48];
	pid_file_name(session, pid_file);
	scoped(strv_free) char **args = NULL;
	int r = strv_printf(&args, "exec");
	if (r == 0)
		r = strv_printf(&args, "--process=/proc/self/fd/%d", RUNTIME_FIRST_FD);
	if (r == 0)
		r = strv_printf(&args, "--pid-file=%s/%s", config->record_dir, pid_file);
	if (r == 0)
		r = strv_add(&args, "--detach");
	*ret_by_fd = false;
	if (r == 0 && session->tty) {
		size_t length = strlen(config->record_dir) + 1 + strlen(session->console.name);
		*ret_by_fd = length > 107; /* what connect(2) takes */
		r = *ret_by_fd
			    ? strv_printf(&args, "--console-socket=/proc/self/fd/%d/%s", RUNTIME_FIRST_FD + 1,
					  session->console.name)
			    : strv_printf(&args, "--console-socket=%s/%s", config->record_dir, session->console.name);
	}
	if (r == 0)
		r = strv_add(&args, config->id);
	if (r < 0)
		return r;
	*ret_args = TAKE(args);
	return 0;
}

static int run_exec(struct exec_session *session, int process_fd, const int stdio[3], struct err *err)
{
	struct container *container = session->set->container;
	if (session->tty) {
		char name[32];
		(void)snprintf(name, sizeof name, "console-%lu.sock", session->number);
		int r = console_open(&session->console, container->record_dir_fd, name, err);
		if (r < 0)
			return r;
	}
	scoped(strv_free) char **args = NULL;
	bool by_fd = false;
	int r = make_args(session, &args, &by_fd);
	if (r < 0)
		return err_sys(err, r, "monitor.exec", "make the runtime's arguments");
	const int fds[] = {process_fd, container->record_dir_fd};
	const struct runtime_call call = {
		.runtime = container->config.runtime,
		.args = (const char *const *)args,
		.stdio = {stdio[0], stdio[1], stdio[2]},
		.fds = fds,
		.fds_count = by_fd ? 2 : 1,
	};
	session->command = (struct runtime_command){.loop = container->loop,
						    .reaper = container->reaper,
						    .error_pipe = -1,
						    .done = on_runtime_done,
						    .owner = session};
	return runtime_command_start(&session->command, &call, err);
}

static int check(const struct exec_set *set, const struct monitor_exec *wish, struct err *err)
{
	const struct container *container = set->container;
	if (container->phase != MONITOR_RUNNING || container->ended)
		return err_set(err, -ESRCH, "monitor.phase", "the container is %s, expected running",
			       container->ended ? "stopped" : monitor_phase_name(container->phase));
	if (str_empty(wish->session) || strlen(wish->session) > MONITOR_SESSION_MAX)
		return err_set(err, -EINVAL, "monitor.malformed", "exec: expected a session name of 1 to %d bytes",
			       MONITOR_SESSION_MAX);
	if (set->count >= EXEC_SESSIONS_MAX)
		return err_set(err, -EBUSY, "monitor.limit", "%d exec sessions run already, the most there may be",
			       EXEC_SESSIONS_MAX);
	for (const struct exec_session *session = set->sessions; session; session = session->next)
		if (str_equal(session->name, wish->session))
			return err_set(err, -EEXIST, "monitor.session-exists", "exec session %s exists already",
				       wish->session);
	return 0;
}

static int session_new(struct exec_set *set, const struct requester *requester, const struct monitor_exec *wish,
		       struct exec_session **ret_session)
{
	struct exec_session *session = calloc(1, sizeof *session);
	if (!session)
		return -ENOMEM;
	*session = (struct exec_session){
		.set = set,
		.number = ++set->last_number,
		.requester = *requester,
		.tty = wish->tty,
		.end_with_client = wish->end_with_client,
		.rows = wish->rows,
		.columns = wish->columns,
		.console.listen_fd = -1,
		.pidfd = -1,
		.timeout = {.expired = on_timeout, .owner = session},
	};
	(void)snprintf(session->name, sizeof session->name, "%s", wish->session);
	session->next = set->sessions;
	set->sessions = session;
	set->count++;
	*ret_session = session;
	return 0;
}

int exec_start(struct exec_set *set, const struct requester *requester, struct monitor_received *received,
	       struct err *err)
{
	const struct monitor_exec *wish = received->message.exec;
	int r = check(set, wish, err);
	if (r < 0)
		return r;
	scoped_fd int process_fd = monitor_received_take(received, "process");
	if (process_fd < 0)
		return err_set(err, -EINVAL, "monitor.malformed", "exec: expected the descriptor \"process\"");
	scoped_fd int input = monitor_received_take(received, "stdin");
	scoped_fd int output = monitor_received_take(received, "stdout");
	scoped_fd int error = monitor_received_take(received, "stderr");
	struct exec_session *session = NULL;
	r = session_new(set, requester, wish, &session);
	if (r < 0)
		return err_sys(err, r, "monitor.exec", "make a session");
	const int stdio[3] = {input, output, error};
	const int none[3] = {-1, -1, -1};
	r = run_exec(session, process_fd, wish->tty ? none : stdio, err);
	if (r < 0) {
		session_free(session);
		return r;
	}
	if (wish->timeout_ms > 0)
		loop_timer_set(set->container->loop, &session->timeout, wish->timeout_ms);
	return 0;
}

int exec_signal(struct exec_set *set, const struct monitor_signal *wish, struct err *err)
{
	struct exec_session *session = set->sessions;
	while (session && !str_equal(session->name, wish->session))
		session = session->next;
	if (!session || session->pidfd < 0)
		return err_set(err, -ESRCH, "monitor.no-session", "no running exec session %.64s", wish->session);
	if (wish->descendants) {
		(void)process_tree_signal(session->pid, wish->signal);
		return 0;
	}
	privileges_raise(PRIVILEGE_SIGNAL);
	int r = pidfd_signal(session->pidfd, wish->signal);
	privileges_lower();
	return r < 0 ? err_sys(err, r, "monitor.signal", "send signal %d to exec session %s", wish->signal, wish->session)
		     : 0;
}

void exec_client_gone(struct exec_set *set, client_id client)
{
	for (struct exec_session *session = set->sessions; session; session = session->next)
		if (session->end_with_client && session->requester.client == client)
			session_kill(session, "client-gone");
}

size_t exec_list(const struct exec_set *set, struct monitor_session ret_sessions[EXEC_SESSIONS_MAX])
{
	size_t count = 0;
	for (const struct exec_session *session = set->sessions; session && count < EXEC_SESSIONS_MAX;
	     session = session->next)
		ret_sessions[count++] = (struct monitor_session){.session = session->name, .pid = session->pid};
	return count;
}

void exec_set_done(struct exec_set *set)
{
	while (set->sessions)
		session_free(set->sessions);
}
