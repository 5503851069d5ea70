/* A container and its monitor: events as they come, and finding each other again. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/str.h"
#include "manager/src/container_life.h"
#include "manager/src/exec.h"
#include "manager/src/monitor_link.h"
#include "manager/src/monitors.h"

#define MONITOR_FILE "monitor.json" /* what a monitor notes before it creates anything (docs/formats/exit-record.md) */
#define ANSWER_MS 10000

/* --- events: they come in the loop, and what follows needs a fiber --- */

struct ended_job {
	struct container *container;
	struct monitor_exit exit;
	char *reason;
	char *message;
};

static void ended_job_free(struct ended_job *job)
{
	container_unref(job->container);
	free(job->reason);
	free(job->message);
	free(job);
}

static void run_ended(void *data)
{
	struct ended_job *job = data;
	container_ended(job->container, &job->exit);
	container_finish_policy(job->container);
	ended_job_free(job);
}

static void on_exited(struct container *container, const struct monitor_exit *exit)
{
	struct ended_job *job = calloc(1, sizeof *job);
	if (!job)
		return; /* the record tells it after the next restart */
	job->container = container_ref(container);
	job->exit = *exit;
	job->reason = strdup(exit->reason ? exit->reason : "");
	job->message = exit->message ? strdup(exit->message) : NULL;
	job->exit.reason = job->reason;
	job->exit.message = job->message;
	if (!job->reason || fiber_start(container->node->fibers, run_ended, job, NULL) < 0)
		ended_job_free(job);
}

static void on_event(struct monitor_received *received, void *data)
{
	struct container *container = data;
	const struct monitor_message *message = &received->message;
	switch (message->op) {
	case MONITOR_EXITED:
		on_exited(container, message->exit);
		break;
	case MONITOR_EXEC_EXITED:
		exec_ended(container, message->exec_exit);
		break;
	case MONITOR_STDIN_CLOSED: /* our duplicate would keep the container from seeing the end */
		if (container->stdio[0] >= 0)
			(void)close(container->stdio[0]);
		container->stdio[0] = -1;
		break;
	default:
		break;
	}
}

static void run_resume(void *data)
{
	struct container *container = data;
	container_resume(container);
	container_finish_policy(container);
	container_unref(container);
}

static void on_gone(void *data)
{
	struct container *container = data;
	container->monitor_ready = false;
	if (!container->running || container->node->stopping)
		return; /* its start sees it by itself */
	log_warning(&container->node->log, "monitor.gone", "container %s: its monitor has gone; a new one adopts it",
		    container->id);
	if (fiber_start(container->node->fibers, run_resume, container_ref(container), NULL) < 0)
		container_unref(container);
}

int container_ask(struct container *container, const struct monitor_message *request, const int *fds,
		  struct monitor_received *ret_received, struct err *err)
{
	int r = 0;
	while (r == 0 && container->running && !container->monitor_ready)
		r = fiber_signal_wait(container->node->fibers, &container->changed);
	if (r < 0)
		return err_set(err, r, "monitor.away", "container %s: its monitor did not come back in time", container->id);
	if (!container->running || !container->monitor)
		return err_set(err, -EBUSY, "container.state", "container %s is %s: expected one that runs", container->id,
			       container_phase_name(container->phase));
	return monitor_link_call(container->monitor, request, fds, ret_received, err);
}

int container_watch(struct container *container, struct monitor_client *client, struct err *err)
{
	static const struct monitor_link_events EVENTS = {on_event, on_gone};
	monitor_link_close(container->monitor);
	container->monitor = NULL;
	int r = monitor_link_open(container->node->fibers, client, &EVENTS, container, &container->monitor);
	return r < 0 ? err_sys(err, r, "monitor.connect", "watch the monitor of container %s", container->id) : 0;
}

/* --- finding each other again --- */

enum resumed {
	RESUMED_RUNNING,
	RESUMED_ENDED,	    /* *ret_exit says how */
	RESUMED_NOT_STARTED /* it was created, but the start was cut off */
};

/* What resume steps pass on: the exit's strings lie in the arena. */
struct resume {
	struct arena arena;
	struct monitor_exit exit;
	enum resumed outcome;
};

static void resume_done(struct resume *resume)
{
	arena_done(&resume->arena);
}

static int copy_exit(struct resume *resume, const struct monitor_exit *exit)
{
	resume->exit = *exit;
	resume->exit.reason = arena_strdup(&resume->arena, exit->reason ? exit->reason : "");
	resume->exit.message = exit->message ? arena_strdup(&resume->arena, exit->message) : NULL;
	resume->outcome = RESUMED_ENDED;
	return resume->exit.reason ? 0 : -ENOMEM;
}

static int take_state(struct container *container, struct monitor_received *received, struct resume *resume)
{
	const struct monitor_state *state = received->message.state;
	container_take_descriptors(container, received);
	if (state->exit)
		return copy_exit(resume, state->exit);
	if (state->started_ns)
		container->record.started_ns = state->started_ns;
	resume->outcome = str_equal(state->phase, monitor_phase_name(MONITOR_RUNNING)) ? RESUMED_RUNNING
										       : RESUMED_NOT_STARTED;
	return 0;
}

static int ask(struct container *container, const struct monitor_message *request, const int *fds,
	       struct resume *resume, struct err *err)
{
	scoped_done(monitor_received_done) struct monitor_received received = {0};
	int r = monitor_link_call(container->monitor, request, fds, &received, err);
	if (r < 0)
		return r;
	if (!received.message.state) {
		container_take_descriptors(container, &received);
		return 0;
	}
	return take_state(container, &received, resume);
}

/* Who listens at the other end of a socket; 0: unknown. */
static pid_t peer_of(int fd)
{
	struct ucred peer = {0};
	socklen_t size = sizeof peer;
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ? 0 : peer.pid;
}

static int connect_again(struct container *container, struct err *err)
{
	scoped_free char *socket = container_state_path(container, "monitor.sock");
	struct monitor_client *client = NULL;
	int r = socket ? monitor_connect(socket, &client, err) : -ENOMEM;
	if (r < 0)
		return r;
	container->monitor_pid = peer_of(monitor_client_fd(client));
	return container_watch(container, client, err);
}

/* Its monitor lives: 0. -ECONNREFUSED and -ENOENT: it does not. -ETIMEDOUT: it does not answer. */
static int reconnect(struct container *container, struct resume *resume, struct err *err)
{
	struct fibers *fibers = container->node->fibers;
	int r = connect_again(container, err);
	uint64_t outer = fiber_set_deadline(fibers, uv_hrtime() + ANSWER_MS * UINT64_C(1000000));
	if (r == 0)
		r = monitor_link_hello(container->monitor, err);
	if (r == 0)
		r = ask(container, &(struct monitor_message){.op = MONITOR_STATE}, NULL, resume, err);
	if (r == 0 && resume->outcome == RESUMED_RUNNING)
		r = ask(container, &(struct monitor_message){.op = MONITOR_DESCRIPTORS}, NULL, resume, err);
	(void)fiber_set_deadline(fibers, outer);
	return r;
}

/* A monitor that hangs keeps nobody else waiting: another one takes its place. */
static void end_deaf_monitor(struct container *container)
{
	log_warning(&container->node->log, "monitor.deaf", "container %s: its monitor (process %d) does not answer; a new one adopts it",
		    container->id, (int)container->monitor_pid);
	monitor_link_close(container->monitor);
	container->monitor = NULL;
	if (container->monitor_pid > 0)
		(void)kill(container->monitor_pid, SIGKILL);
}

static int adopt(struct container *container, struct resume *resume, struct err *err)
{
	static const char *const NAMES[] = {"pidfd", "stdin", "stdout", "stderr", "pty"};
	const int held[] = {container->pidfd, container->stdio[0], container->stdio[1], container->stdio[2],
			    container->stdio[3]};
	const char *names[6] = {0};
	int fds[5];
	size_t count = 0;
	for (size_t i = 0; i < 5; i++)
		if (held[i] >= 0) {
			names[count] = NAMES[i];
			fds[count++] = held[i];
		}
	struct monitor_client *client = NULL;
	struct monitor_config config = {0};
	int r = container_describe(container, &resume->arena, &config, err);
	if (r == 0)
		r = monitors_spawn(container->node, &client, &container->monitor_pid, err);
	if (r == 0)
		r = container_watch(container, client, err);
	if (r == 0)
		r = monitor_link_hello(container->monitor, err);
	if (r < 0)
		return r;
	struct monitor_message request = {.op = MONITOR_ADOPT, .config = &config, .descriptors = names};
	return ask(container, &request, fds, resume, err);
}

static int read_exit(const struct container *container, struct resume *resume)
{
	scoped_fd int dir_fd = openat(container->node->places.containers_fd, container->id,
				      O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return -errno;
	struct monitor_exit exit = {0};
	int r = monitor_exit_read(dir_fd, &resume->arena, &exit, NULL);
	return r < 0 ? r : copy_exit(resume, &exit);
}

static bool has_file(const struct container *container, const char *name)
{
	scoped_free char *path = container_state_path(container, name);
	return path && access(path, F_OK) == 0;
}

static int find_again(struct container *container, struct resume *resume, struct err *err)
{
	int r = read_exit(container, resume);
	if (r == 0)
		return 0;
	if (faccessat(container->node->places.containers_fd, container->id, F_OK, 0) < 0)
		return err_set(err, -ENOENT, "monitor.lost", "its folder below %s is gone, and with it all that was known",
			       container->node->places.containers);
	r = reconnect(container, resume, err);
	if (r == -ETIMEDOUT)
		end_deaf_monitor(container);
	else if (r != -ENOENT && r != -ECONNREFUSED && r != -EPIPE)
		return r;
	if (read_exit(container, resume) == 0)
		return 0;
	if (!has_file(container, MONITOR_FILE)) { /* its monitor was never told to create it */
		resume->outcome = RESUMED_NOT_STARTED;
		return 0;
	}
	return adopt(container, resume, err);
}

/* A start that was cut off has not happened: the container may be started once more. */
static void undo_start(struct container *container)
{
	struct err err = {0};
	int r = container_clean(container, &err);
	container->record.started_ns = 0;
	if (r == 0)
		r = container_save(container, CONTAINER_CREATED, &err);
	if (r < 0)
		log_err(&container->node->log, &err, r, "undo the start of container %s", container->id);
}

static void resume_locked(struct container *container, struct resume *resume)
{
	struct node *node = container->node;
	struct err err = {0};
	int r = find_again(container, resume, &err);
	if (r < 0) {
		log_err(&node->log, &err, r, "container %s", container->id);
		r = container_declare_lost(container, "monitor-lost", err_text(&err, r), &err);
		if (r < 0)
			log_err(&node->log, &err, r, "container %s: clean up", container->id);
		return;
	}
	if (resume->outcome == RESUMED_RUNNING) {
		container->running = true;
		container->monitor_ready = true;
		fiber_signal_all(&container->changed);
		log_info(&node->log, "container.resumed", "container %s, process %d", container->id, (int)container->pid);
	}
	if (resume->outcome == RESUMED_NOT_STARTED)
		undo_start(container);
}

void container_resume(struct container *container)
{
	struct fibers *fibers = container->node->fibers;
	scoped_done(resume_done) struct resume resume = {.arena = {.max = 1 << 20}, .outcome = RESUMED_RUNNING};
	fiber_shield(fibers);
	(void)fiber_lock(fibers, &container->lock);
	bool wanted = container->phase == CONTAINER_STARTED && !container->gone;
	if (wanted)
		resume_locked(container, &resume);
	fiber_unlock(fibers, &container->lock);
	if (wanted && resume.outcome == RESUMED_ENDED && container->phase == CONTAINER_STARTED)
		container_ended(container, &resume.exit);
	fiber_unshield(fibers);
}
