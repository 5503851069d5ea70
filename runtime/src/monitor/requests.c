#include "runtime/src/monitor/requests.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/scoped.h"
#include "runtime/src/monitor/privileges.h"

/* ---- replies ---- */

static const struct monitor_message NOTHING_TO_SAY;

static void fill_state(const struct monitor *monitor, struct monitor_session sessions[EXEC_SESSIONS_MAX],
		       struct monitor_state *ret_state)
{
	const struct container *container = &monitor->container;
	*ret_state = (struct monitor_state){
		.id = container->config.id,
		.phase = monitor_phase_name(container->phase),
		.pid = container->ended ? 0 : container->pid,
		.monitor_pid = getpid(),
		.created_ns = container->created_ns,
		.started_ns = container->phase == MONITOR_CREATED ? 0 : container->started_ns,
		.log_dropped_bytes = container_log_dropped(container),
		.attached = monitor->attached.count,
		.sessions = sessions,
		.sessions_count = exec_list(&monitor->execs, sessions),
		.exit = container->phase == MONITOR_STOPPED ? &container->exit : NULL,
	};
}

/* With what a client may keep, where it has just been made. */
static void reply_state(struct monitor *monitor, const struct requester *requester, bool with_descriptors)
{
	struct monitor_session sessions[EXEC_SESSIONS_MAX];
	struct monitor_state state;
	const char *names[MONITOR_FDS_MAX + 1];
	int fds[MONITOR_FDS_MAX];
	fill_state(monitor, sessions, &state);
	struct monitor_message message = {.state = &state};
	if (with_descriptors && container_descriptors(&monitor->container, names, fds) > 0)
		message.descriptors = names;
	server_reply(&monitor->server, requester, &message, fds);
}

static void broadcast_state(struct monitor *monitor, enum monitor_op op)
{
	struct monitor_session sessions[EXEC_SESSIONS_MAX];
	struct monitor_state state;
	fill_state(monitor, sessions, &state);
	server_broadcast(&monitor->server, &(struct monitor_message){.op = op, .state = &state});
}

/* ---- what happens by itself ---- */

/* A monitor without container and client has nothing left to do. */
static void leave_if_done(struct monitor *monitor)
{
	const struct container *container = &monitor->container;
	bool is_over = container->phase == MONITOR_IDLE || container_is_settled(container);
	if (monitor->quitting || (is_over && monitor->server.count == 0))
		monitor->loop.stop = true;
}

static void on_created(void *owner, const struct failure *failure)
{
	struct monitor *monitor = owner;
	if (failure)
		server_reply_failure(&monitor->server, &monitor->create, failure);
	else
		reply_state(monitor, &monitor->create, true);
	leave_if_done(monitor);
}

static void on_started(void *owner, const struct failure *failure)
{
	struct monitor *monitor = owner;
	if (failure) {
		server_reply_failure(&monitor->server, &monitor->start, failure);
		return;
	}
	reply_state(monitor, &monitor->start, false);
	broadcast_state(monitor, MONITOR_STARTED);
}

static void on_exited(void *owner)
{
	struct monitor *monitor = owner;
	server_broadcast(&monitor->server,
			 &(struct monitor_message){.op = MONITOR_EXITED, .exit = &monitor->container.exit});
	leave_if_done(monitor);
}

static void on_settled(void *owner)
{
	leave_if_done(owner);
}

static void on_stdin_closed(void *owner)
{
	struct monitor *monitor = owner;
	server_broadcast(&monitor->server, &(struct monitor_message){.op = MONITOR_STDIN_CLOSED});
}

static void on_log_reopened(void *owner, int code, const struct err *err)
{
	struct monitor *monitor = owner;
	if (code < 0)
		server_reply_error(&monitor->server, &monitor->reopen, err);
	else
		server_reply(&monitor->server, &monitor->reopen, &NOTHING_TO_SAY, NULL);
}

static void on_exec_begun(void *owner, const struct requester *requester, const struct monitor_session *session,
			  int pty, const struct failure *failure)
{
	struct monitor *monitor = owner;
	if (failure) {
		server_reply_failure(&monitor->server, requester, failure);
		return;
	}
	const char *const names[] = {"pty", NULL};
	const struct monitor_message message = {.exec_session = session, .descriptors = pty >= 0 ? names : NULL};
	server_reply(&monitor->server, requester, &message, &pty);
}

static void on_exec_exited(void *owner, const struct monitor_exec_exit *exit)
{
	struct monitor *monitor = owner;
	server_broadcast(&monitor->server, &(struct monitor_message){.op = MONITOR_EXEC_EXITED, .exec_exit = exit});
}

static void on_client_gone(void *owner, client_id client)
{
	struct monitor *monitor = owner;
	exec_client_gone(&monitor->execs, client);
	leave_if_done(monitor);
}

/* ---- requests ---- */

static int check_idle(const struct monitor *monitor, struct err *err)
{
	if (monitor->container.phase == MONITOR_IDLE && monitor->container.record_dir_fd < 0)
		return 0;
	return err_set(err, -EBUSY, "monitor.phase", "this monitor has its container already");
}

static int configure(struct monitor *monitor, struct monitor_received *received, struct err *err)
{
	int r = check_idle(monitor, err);
	const struct monitor_config *config = received->message.config;
	if (r == 0)
		r = container_configure(&monitor->container, &received->arena, config, err);
	if (r == 0)
		r = server_listen(&monitor->server, monitor->container.config.socket, err);
	return r;
}

static int do_create(struct monitor *monitor, const struct requester *requester, struct monitor_received *received,
		     struct err *err)
{
	scoped_fd int rootfs = monitor_received_take(received, "rootfs");
	int r = configure(monitor, received, err);
	if (r < 0)
		return r;
	privileges_keep(1U << PRIVILEGE_SIGNAL); /* its init will be our child: nothing to adopt */
	monitor->create = *requester;
	return container_create(&monitor->container, rootfs, err);
}

static int do_adopt(struct monitor *monitor, const struct requester *requester, struct monitor_received *received,
		    struct err *err)
{
	struct container_kept kept = {
		.pidfd = monitor_received_take(received, "pidfd"),
		.input = monitor_received_take(received, "stdin"),
		.output = monitor_received_take(received, "stdout"),
		.error = monitor_received_take(received, "stderr"),
		.pty = monitor_received_take(received, "pty"),
	};
	int r = configure(monitor, received, err);
	if (r == 0)
		r = container_adopt(&monitor->container, &kept, err);
	privileges_keep(1U << PRIVILEGE_SIGNAL | 1U << PRIVILEGE_INSPECT);
	int *const left[] = {&kept.pidfd, &kept.input, &kept.output, &kept.error, &kept.pty};
	for (size_t i = 0; i < sizeof left / sizeof *left; i++)
		if (*left[i] >= 0)
			(void)close(*left[i]); /* not needed after all */
	if (r == 0)
		reply_state(monitor, requester, true);
	return r;
}

static int do_start(struct monitor *monitor, const struct requester *requester, struct monitor_received *received,
		    struct err *err)
{
	(void)received;
	int r = container_start(&monitor->container, err);
	if (r == 0)
		monitor->start = *requester;
	return r;
}

static int do_state(struct monitor *monitor, const struct requester *requester, struct monitor_received *received,
		    struct err *err)
{
	(void)received;
	(void)err;
	reply_state(monitor, requester, false);
	return 0;
}

static int do_signal(struct monitor *monitor, const struct requester *requester, struct monitor_received *received,
		     struct err *err)
{
	const struct monitor_signal *wish = received->message.signal;
	if (wish->signal < 1 || wish->signal > SIGRTMAX)
		return err_set(err, -EINVAL, "monitor.malformed", "signal %d: expected 1 to %d", wish->signal,
			       SIGRTMAX);
	int r = wish->session ? exec_signal(&monitor->execs, wish, err)
			      : container_signal(&monitor->container, wish->signal, err);
	if (r == 0)
		server_reply(&monitor->server, requester, &NOTHING_TO_SAY, NULL);
	return r;
}

static int do_exec(struct monitor *monitor, const struct requester *requester, struct monitor_received *received,
		   struct err *err)
{
	return exec_start(&monitor->execs, requester, received, err);
}

static int do_attach(struct monitor *monitor, const struct requester *requester, struct monitor_received *received,
		     struct err *err)
{
	struct attach_ends ends;
	int r = attach_add(&monitor->attached, received->message.attach, &ends, err);
	if (r < 0)
		return r;
	const struct monitor_message message = {.descriptors = ends.count > 0 ? ends.names : NULL};
	server_reply(&monitor->server, requester, &message, ends.fds);
	attach_ends_done(&ends);
	return 0;
}

static int do_resize(struct monitor *monitor, const struct requester *requester, struct monitor_received *received,
		     struct err *err)
{
	const struct monitor_resize *wish = received->message.resize;
	int r = container_resize(&monitor->container, wish->rows, wish->columns, err);
	if (r == 0)
		server_reply(&monitor->server, requester, &NOTHING_TO_SAY, NULL);
	return r;
}

static int do_reopen_log(struct monitor *monitor, const struct requester *requester, struct monitor_received *received,
			 struct err *err)
{
	(void)received;
	if (!monitor->container.log)
		return err_set(err, -ESRCH, "monitor.phase", "there is no container yet");
	int r = container_reopen_log(&monitor->container, err);
	if (r == 0)
		monitor->reopen = *requester;
	return r;
}

static int do_close_stdin(struct monitor *monitor, const struct requester *requester, struct monitor_received *received,
			  struct err *err)
{
	(void)received;
	(void)err;
	input_close(&monitor->container.input);
	server_reply(&monitor->server, requester, &NOTHING_TO_SAY, NULL);
	return 0;
}

static int do_descriptors(struct monitor *monitor, const struct requester *requester, struct monitor_received *received,
			  struct err *err)
{
	(void)received;
	(void)err;
	const char *names[MONITOR_FDS_MAX + 1];
	int fds[MONITOR_FDS_MAX];
	size_t count = container_descriptors(&monitor->container, names, fds);
	server_reply(&monitor->server, requester, &(struct monitor_message){.descriptors = count > 0 ? names : NULL},
		     fds);
	return 0;
}

static int do_quit(struct monitor *monitor, const struct requester *requester, struct monitor_received *received,
		   struct err *err)
{
	(void)received;
	enum monitor_phase phase = monitor->container.phase;
	if (phase != MONITOR_IDLE && phase != MONITOR_FAILED && phase != MONITOR_STOPPED)
		return err_set(err, -EBUSY, "monitor.phase", "the container is %s: its monitor stays",
			       monitor_phase_name(phase));
	server_reply(&monitor->server, requester, &NOTHING_TO_SAY, NULL);
	monitor->quitting = true;
	leave_if_done(monitor);
	return 0;
}

/* Each answers by itself, now or later, unless it returns an error. */
typedef int handler(struct monitor *monitor, const struct requester *requester, struct monitor_received *received,
		    struct err *err);

static handler *const HANDLERS[MONITOR_OP_COUNT] = {
	[MONITOR_CREATE] = do_create,
	[MONITOR_ADOPT] = do_adopt,
	[MONITOR_START] = do_start,
	[MONITOR_STATE] = do_state,
	[MONITOR_SIGNAL] = do_signal,
	[MONITOR_EXEC] = do_exec,
	[MONITOR_ATTACH] = do_attach,
	[MONITOR_RESIZE] = do_resize,
	[MONITOR_REOPEN_LOG] = do_reopen_log,
	[MONITOR_CLOSE_STDIN] = do_close_stdin,
	[MONITOR_DESCRIPTORS] = do_descriptors,
	[MONITOR_QUIT] = do_quit,
};

static void on_request(void *owner, const struct requester *requester, struct monitor_received *received)
{
	struct monitor *monitor = owner;
	struct err err = {0};
	/* hello is the server's; decoding lets no event through */
	int r = HANDLERS[requester->op](monitor, requester, received, &err);
	if (r < 0 && !err.reason)
		(void)err_sys(&err, r, "monitor.failed", "the request failed");
	if (r < 0)
		server_reply_error(&monitor->server, requester, &err);
}

int monitor_init(struct monitor *monitor, int control_fd, struct err *err)
{
	int r = loop_init(&monitor->loop, err);
	if (r == 0)
		r = reaper_init(&monitor->reaper, &monitor->loop, err);
	if (r < 0)
		return r;
	server_init(&monitor->server, &monitor->loop);
	monitor->server.request = on_request;
	monitor->server.client_gone = on_client_gone;
	monitor->server.owner = monitor;
	container_init(&monitor->container, &monitor->loop, &monitor->reaper,
		       &(struct container_events){.created = on_created,
						  .started = on_started,
						  .exited = on_exited,
						  .settled = on_settled,
						  .stdin_closed = on_stdin_closed,
						  .log_reopened = on_log_reopened,
						  .owner = monitor});
	monitor->attached.container = &monitor->container;
	monitor->execs = (struct exec_set){
		.container = &monitor->container, .begun = on_exec_begun, .exited = on_exec_exited, .owner = monitor};
	return server_add(&monitor->server, control_fd, err);
}

void monitor_done(struct monitor *monitor)
{
	server_done(&monitor->server); /* first: from here on nobody is told */
	exec_set_done(&monitor->execs);
	attach_set_done(&monitor->attached);
	container_done(&monitor->container);
	reaper_done(&monitor->reaper);
	loop_done(&monitor->loop);
}

int monitor_run(struct monitor *monitor)
{
	return loop_run(&monitor->loop);
}
