/* Going on with a container whose monitor died: it runs, may have ended since, or was recorded already. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/sys/pidfd.h"
#include "runtime/src/monitor/container.h"
#include "runtime/src/monitor/proc_status.h"

#define STATUS_RETRY_MS 20
#define STATUS_RETRIES 250 /* 5 s for its parent to reap it */

static int read_exit(struct container *container)
{
	struct monitor_exit exit = {0};
	int r = monitor_exit_read(container->record_dir_fd, &container->arena, &exit, NULL);
	if (r < 0)
		return r;
	container->exit = exit;
	container->pid = exit.pid;
	container->created_ns = exit.created_ns;
	container->started_ns = exit.started_ns;
	container->phase = MONITOR_STOPPED;
	container->recorded = true;
	return 0;
}

/* What the former monitor wrote down, corrected by what the client knows. */
static int read_state(struct container *container, struct err *err)
{
	struct record_state state = {0};
	int r = record_state_read(container->record_dir_fd, &container->arena, &state, err);
	if (r < 0 && (r != -ENOENT || container->config.pid <= 0))
		return r;
	container->pid = state.pid > 0 ? state.pid : container->config.pid;
	container->pid_start = state.pid_start;
	container->created_ns = state.created_ns;
	container->started_ns = state.started_ns;
	container->pipes = state.pipes;
	if (container->pid <= 0)
		return err_set(err, -ENOENT, "monitor.nothing",
			       "container %s: its creation was not completed, there is nothing to adopt",
			       container->config.id);
	bool created_only = str_equal(state.phase, monitor_phase_name(MONITOR_CREATED));
	container->phase = created_only ? MONITOR_CREATED : MONITOR_RUNNING;
	return 0;
}

static void status_is_known(struct container *container, const struct child_status *status)
{
	loop_unwatch(container->loop, &container->init_watch);
	loop_timer_cancel(container->loop, &container->status_timer);
	container->ended = true;
	container->status_lost = !status;
	if (status)
		container->status = *status;
	container_end(container);
}

/* Init has ended; its parent, whoever that is now, reaps it sooner or later. */
static void ask_status(struct container *container)
{
	struct child_status status = {0};
	enum proc_status_outcome outcome =
		proc_status_of_ended(container->pidfd, container->pid, container->pid_start, &status);
	if (outcome == PROC_STATUS_LATER && container->status_retries++ < STATUS_RETRIES) {
		loop_unwatch(container->loop, &container->init_watch);
		loop_timer_set(container->loop, &container->status_timer, STATUS_RETRY_MS);
		return;
	}
	status_is_known(container, outcome == PROC_STATUS_KNOWN ? &status : NULL);
}

static void on_status_timer(struct timer *timer)
{
	ask_status(timer->owner);
}

static void on_init_pidfd(struct watch *watch, uint32_t events)
{
	(void)events;
	ask_status(watch->owner);
}

/* A pidfd for init: the kept one, or a new one if the number still means the same process. */
static void find_init(struct container *container, struct container_kept *kept)
{
	container->init_watch = (struct watch){.fd = -1, .ready = on_init_pidfd, .owner = container};
	container->status_timer = (struct timer){.expired = on_status_timer, .owner = container};
	container->pidfd = TAKE_FD(kept->pidfd);
	if (container->pidfd < 0) {
		uint64_t start = 0;
		bool same = pidfd_open_process(container->pid, &container->pidfd) == 0 &&
			    process_start_time(container->pid, &start, NULL) == 0 &&
			    (container->pid_start == 0 || start == container->pid_start);
		if (!same && container->pidfd >= 0)
			(void)close(TAKE_FD(container->pidfd));
	}
	int r = container->pidfd < 0 ? -ESRCH
				     : loop_watch(container->loop, &container->init_watch, container->pidfd, EPOLLIN);
	if (r < 0) {
		container->ended = true;
		container->status_lost = true;
	}
}

static void adopt_output(struct container *container, size_t index, int *kept, uint64_t inode)
{
	scoped_fd int fd = TAKE_FD(*kept);
	if (fd < 0 && !container->ended)
		fd = proc_reopen_pipe(container->pid, index == 0 ? STDOUT_FILENO : STDERR_FILENO, inode, O_RDONLY);
	if (fd >= 0 && output_open(&container->outputs[index], fd) == 0)
		(void)TAKE_FD(fd); /* else its output is lost, the container itself is not */
}

static void adopt_input(struct container *container, struct container_kept *kept)
{
	bool tty = container->config.tty;
	if (!container->config.open_stdin)
		return;
	scoped_fd int fd = tty ? fcntl(container->outputs[0].fd, F_DUPFD_CLOEXEC, 3) : TAKE_FD(kept->input);
	if (fd < 0 && !tty && !container->ended)
		fd = proc_reopen_pipe(container->pid, STDIN_FILENO, container->pipes.input, O_WRONLY);
	if (fd >= 0 && input_open(&container->input, fd, container->config.stdin_once && !tty) == 0)
		(void)TAKE_FD(fd);
}

int container_adopt(struct container *container, struct container_kept *kept, struct err *err)
{
	if (read_exit(container) == 0)
		return 0;
	int r = read_state(container, err);
	if (r < 0)
		return r;
	find_init(container, kept);
	if (container->config.tty) {
		adopt_output(container, 0, &kept->pty, 0);
	} else {
		adopt_output(container, 0, &kept->output, container->pipes.output);
		adopt_output(container, 1, &kept->error, container->pipes.error);
	}
	adopt_input(container, kept);
	r = container_write_state(container, err);
	if (r < 0)
		return r;
	container_begin(container);
	container_end(container);
	return 0;
}
