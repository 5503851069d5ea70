#include "runtime/src/monitor/container.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/parse.h"
#include "core/base/str.h"
#include "core/sys/fd.h"
#include "core/sys/pidfd.h"
#include "runtime/src/monitor/log_queue.h"
#include "runtime/src/monitor/privileges.h"

#define PID_FILE "pid"
#define CONSOLE_SOCKET "console.sock"
#define ID_MAX 1024

/* ---- set up ---- */

static void on_sink_resume(void *owner)
{
	struct container *container = owner;
	for (size_t i = 0; i < 2; i++)
		output_resume(&container->outputs[i]);
}

static void on_sink_progress(void *owner)
{
	struct container *container = owner;
	if (container->reopening) {
		struct err err = {0};
		int r = log_queue_reopened(container->log, &err);
		if (r != -EINPROGRESS) {
			container->reopening = false;
			container->events.log_reopened(container->events.owner, r, &err);
		}
	}
	container_end(container);
}

static void on_output_changed(void *owner)
{
	container_end(owner);
}

static void on_input_closed(void *owner)
{
	struct container *container = owner;
	container->events.stdin_closed(container->events.owner);
}

void container_init(struct container *container, struct loop *loop, struct reaper *reaper,
		    const struct container_events *events)
{
	*container = (struct container){
		.loop = loop, .reaper = reaper, .events = *events, .record_dir_fd = -1, .lock_fd = -1, .pidfd = -1};
	container->command = (struct runtime_command){
		.loop = loop, .reaper = reaper, .pidfd = -1, .log_fd = -1, .error_fd = -1, .error_pipe = -1};
	container->console.listen_fd = -1;
	output_init(&container->outputs[0], loop, &container->sink, "stdout");
	output_init(&container->outputs[1], loop, &container->sink, "stderr");
	for (size_t i = 0; i < 2; i++) {
		container->outputs[i].changed = on_output_changed;
		container->outputs[i].owner = container;
	}
	input_init(&container->input, loop);
	container->input.closed = on_input_closed;
	container->input.owner = container;
	oom_init(&container->oom, loop);
	container->init_watch.fd = -1;
	container_end_init(container);
}

void container_done(struct container *container)
{
	runtime_command_done(&container->command);
	console_close(&container->console);
	output_done(&container->outputs[0]);
	output_done(&container->outputs[1]);
	input_done(&container->input);
	oom_done(&container->oom);
	loop_timer_cancel(container->loop, &container->end_timer);
	loop_timer_cancel(container->loop, &container->status_timer);
	loop_unwatch(container->loop, &container->init_watch);
	log_sink_done(&container->sink);
	log_queue_free(container->log);
	int *const fds[] = {&container->pidfd, &container->lock_fd, &container->record_dir_fd};
	for (size_t i = 0; i < 3; i++)
		if (*fds[i] >= 0)
			(void)close(TAKE_FD(*fds[i]));
	arena_done(&container->arena);
}

static int check_config(const struct monitor_config *config, struct err *err)
{
	const struct {
		const char *name, *path;
	} paths[] = {
		{"bundle", config->bundle},
		{"record_dir", config->record_dir},
		{"socket", config->socket},
		{"runtime.path", config->runtime->path},
		{"log.path", config->log && !str_empty(config->log->path) ? config->log->path : "/"},
	};
	if (str_empty(config->id) || strlen(config->id) > ID_MAX || strchr(config->id, '/') || config->id[0] == '-')
		return err_set(err, -EINVAL, "monitor.config", "id \"%.64s\": expected a name without '/'", config->id);
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
		if (paths[i].path[0] != '/')
			return err_set(err, -EINVAL, "monitor.config", "%s \"%s\": expected an absolute path",
				       paths[i].name, paths[i].path);
	if (config->log && config->log->files > MONITOR_LOG_FILES_MAX)
		return err_set(err, -EINVAL, "monitor.config", "log.files %u: expected at most %d", config->log->files,
			       MONITOR_LOG_FILES_MAX);
	return 0;
}

static int open_record_dir(struct container *container, const char *path, struct err *err)
{
	scoped_fd int dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return err_sys(err, -errno, "monitor.config", "open the record directory %s", path);
	scoped_fd int lock_fd = record_lock(dir_fd);
	if (lock_fd == -EBUSY)
		return err_set(err, -EBUSY, "monitor.alive", "%s: another monitor looks after this container", path);
	if (lock_fd < 0)
		return err_sys(err, lock_fd, "monitor.config", "lock the record directory %s", path);
	container->record_dir_fd = TAKE_FD(dir_fd);
	container->lock_fd = TAKE_FD(lock_fd);
	return 0;
}

int container_configure(struct container *container, struct arena *arena, const struct monitor_config *config,
			struct err *err)
{
	int r = check_config(config, err);
	if (r == 0)
		r = open_record_dir(container, config->record_dir, err);
	if (r == 0)
		r = log_queue_new(config->log, &container->log, err);
	if (r < 0)
		return r;
	container->config = *config;
	container->arena = *arena;
	*arena = (struct arena){.max = 1};
	container->sink = (struct log_sink){.loop = container->loop,
					    .queue = container->log,
					    .resume = on_sink_resume,
					    .progress = on_sink_progress,
					    .owner = container};
	r = log_sink_init(&container->sink);
	return r < 0 ? err_sys(err, r, "log.open", "watch the log's queue") : 0;
}

int container_write_state(struct container *container, struct err *err)
{
	struct record_state state = {
		.version = MONITOR_RECORD_VERSION,
		.id = container->config.id,
		.phase = monitor_phase_name(container->phase),
		.pid = container->pid,
		.pid_start = container->pid_start,
		.created_ns = container->created_ns,
		.started_ns = container->started_ns,
		.pipes = container->pipes,
	};
	return record_state_write(container->record_dir_fd, &state, err);
}

/* ---- create ---- */

static int make_pipe(struct output *output, uint64_t *ret_inode, int *ret_child)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	*ret_child = ends[1];
	int r = output_open(output, ends[0]);
	if (r < 0) {
		(void)close(ends[0]);
		return r;
	}
	struct stat st = {0};
	(void)fstat(ends[0], &st); /* 0: it is not found again after our death, no worse */
	*ret_inode = st.st_ino;
	return 0;
}

static int make_input(struct container *container, int *ret_child)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	*ret_child = ends[0];
	int r = input_open(&container->input, ends[1], container->config.stdin_once);
	if (r < 0) {
		(void)close(ends[1]);
		return r;
	}
	struct stat st = {0};
	(void)fstat(ends[1], &st);
	container->pipes.input = st.st_ino;
	return 0;
}

/* The container's own ends go to @ret_child; -1: /dev/null. */
static int make_stdio(struct container *container, int ret_child[3], struct err *err)
{
	const struct monitor_config *config = &container->config;
	if (config->tty)
		return console_open(&container->console, container->record_dir_fd, CONSOLE_SOCKET, err);
	int r = make_pipe(&container->outputs[0], &container->pipes.output, &ret_child[1]);
	if (r == 0)
		r = make_pipe(&container->outputs[1], &container->pipes.error, &ret_child[2]);
	if (r == 0 && config->open_stdin)
		r = make_input(container, &ret_child[0]);
	container->command.error_pipe = container->outputs[1].fd;
	return r < 0 ? err_sys(err, r, "monitor.stdio", "make the container's pipes") : 0;
}

/* The console socket's path as the runtime is told it: connect(2) takes 107 bytes, our directory may be deeper; then it is
 * reached through the directory's descriptor. */
static int add_console_option(const struct container *container, char ***args, bool *ret_by_fd)
{
	char path[108];
	int length = snprintf(path, sizeof path, "%s/%s", container->config.record_dir, CONSOLE_SOCKET);
	*ret_by_fd = (size_t)length >= sizeof path;
	int r = strv_add(args, "--console-socket");
	if (r < 0)
		return r;
	return *ret_by_fd ? strv_printf(args, "/proc/self/fd/%d/%s", RUNTIME_FIRST_FD, CONSOLE_SOCKET)
			  : strv_add(args, path);
}

/* create CREATE_ARGS... --bundle B --pid-file P [--console-socket S] [--rootfs-fd N] ID */
static int make_create_args(const struct container *container, bool with_rootfs, char ***ret_args, bool *ret_by_fd)
{
	const struct monitor_config *config = &container->config;
	scoped(strv_free) char **args = NULL;
	int r = strv_add(&args, "create");
	for (const char *const *arg = config->runtime->create_args; r == 0 && arg && *arg; arg++)
		r = strv_add(&args, *arg);
	const char *const fixed[] = {"--bundle", config->bundle, "--pid-file"};
	for (size_t i = 0; r == 0 && i < 3; i++)
		r = strv_add(&args, fixed[i]);
	if (r == 0)
		r = strv_printf(&args, "%s/%s", config->record_dir, PID_FILE);
	*ret_by_fd = false;
	if (r == 0 && config->tty)
		r = add_console_option(container, &args, ret_by_fd);
	if (r == 0 && with_rootfs)
		r = strv_printf(&args, "--rootfs-fd=%d", RUNTIME_FIRST_FD + (*ret_by_fd ? 1 : 0));
	if (r == 0)
		r = strv_add(&args, config->id);
	if (r < 0)
		return r;
	*ret_args = TAKE(args);
	return 0;
}

static int run_create(struct container *container, const int stdio[3], int rootfs_fd, struct err *err)
{
	scoped(strv_free) char **args = NULL;
	bool by_fd = false;
	int r = make_create_args(container, rootfs_fd >= 0, &args, &by_fd);
	if (r < 0)
		return err_sys(err, r, "monitor.create", "make the runtime's arguments");
	int fds[2];
	size_t count = 0;
	if (by_fd)
		fds[count++] = container->record_dir_fd;
	if (rootfs_fd >= 0)
		fds[count++] = rootfs_fd;
	struct runtime_call call = {
		.runtime = container->config.runtime,
		.args = (const char *const *)args,
		.stdio = {stdio[0], stdio[1], stdio[2]},
		.fds = fds,
		.fds_count = count,
	};
	return runtime_command_start(&container->command, &call, err);
}

static int read_pid(struct container *container, struct err *err)
{
	scoped_done(buf_done) struct buf text = {.max = 64};
	int r = file_read_at(container->record_dir_fd, PID_FILE, &text, err);
	if (r < 0)
		return r;
	int64_t pid = 0;
	if (text.size > 0 && text.data[text.size - 1] == '\n')
		text.data[--text.size] = '\0';
	if (parse_i64(text.data ? text.data : "", 1, INT32_MAX, &pid) < 0)
		return err_set(err, -EPROTO, "runtime.pid-file", "the runtime's pid file holds \"%.20s\"",
			       text.data ? text.data : "");
	(void)unlinkat(container->record_dir_fd, PID_FILE, 0);
	container->pid = (pid_t)pid;
	return 0;
}

static void on_init_end(struct child *child, const struct child_status *status)
{
	struct container *container = child->owner;
	container->ended = true;
	container->status = *status;
	container_end(container);
}

/* As its subreaper we are init's parent now. */
static void claim_init(struct container *container)
{
	container->init = (struct child){.pid = container->pid, .ended = on_init_end, .owner = container};
	struct child_status status = {0};
	if (reaper_claim(container->reaper, &container->init, &status) == 1) {
		container->ended = true;
		container->status = status;
		return;
	}
	(void)process_start_time(container->pid, &container->pid_start, NULL);
	(void)pidfd_open_process(container->pid, &container->pidfd); /* -1 is answered where one is needed */
}

static int take_terminal(struct container *container, struct err *err)
{
	int master = console_receive(&container->console, container->config.rows, container->config.columns, err);
	if (master < 0)
		return master;
	scoped_fd int owned = master;
	int r = output_open(&container->outputs[0], owned);
	if (r < 0)
		return err_sys(err, r, "monitor.stdio", "take the container's terminal");
	master = TAKE_FD(owned);
	if (!container->config.open_stdin)
		return 0;
	scoped_fd int copy =
		fcntl(master, F_DUPFD_CLOEXEC, 3); /* one descriptor for each direction: epoll knows them apart */
	r = copy < 0 ? -errno : input_open(&container->input, copy, false);
	if (r < 0)
		return err_sys(err, r, "monitor.stdio", "take the container's terminal");
	(void)TAKE_FD(copy);
	return 0;
}

void container_begin(struct container *container)
{
	if (container->pid > 0 && !container->ended)
		(void)oom_watch(&container->oom, container->pid); /* without a memory controller nothing is counted */
	for (size_t i = 0; i < 2; i++)
		output_resume(&container->outputs[i]);
}

static void on_created(struct runtime_command *command, const struct runtime_result *result)
{
	struct container *container = command->owner;
	struct failure failure = {0};
	int r = result->status == 0 ? 0 : failure_of_runtime(&failure, "create", result);
	command->error_pipe = -1;
	if (r == 0)
		r = read_pid(container, &failure.err);
	if (r == 0) {
		container->created_ns = wall_now_ns();
		claim_init(container);
	}
	if (r == 0 && container->config.tty)
		r = take_terminal(container, &failure.err);
	console_close(&container->console);
	container->phase = r < 0 ? MONITOR_FAILED : MONITOR_CREATED;
	if (r == 0)
		r = container_write_state(container, &failure.err);
	if (r < 0 && !failure.step)
		failure.step = "create";
	if (r == 0)
		container_begin(container);
	container->events.created(container->events.owner, r < 0 ? &failure : NULL);
	container_end(container);
}

int container_create(struct container *container, int rootfs_fd, struct err *err)
{
	(void)unlinkat(container->record_dir_fd, PID_FILE, 0);
	int stdio[3] = {-1, -1, -1};
	container->phase = MONITOR_CREATING;
	int r = make_stdio(container, stdio, err);
	if (r == 0)
		r = container_write_state(container, err);
	container->command.done = on_created;
	container->command.owner = container;
	if (r == 0)
		r = run_create(container, stdio, rootfs_fd, err);
	for (size_t i = 0; i < 3; i++)
		if (stdio[i] >= 0)
			(void)close(stdio[i]); /* the runtime has them: our copies would hide the end of the output */
	if (r < 0)
		container->phase = MONITOR_FAILED;
	return r;
}

/* ---- start ---- */

static void on_started(struct runtime_command *command, const struct runtime_result *result)
{
	struct container *container = command->owner;
	struct failure failure = {0};
	if (result->status != 0) {
		(void)failure_of_runtime(&failure, "start", result);
		(void)snprintf(container->start_failure, sizeof container->start_failure, "%s",
			       result->message[0] ? result->message : failure.err.message);
		container->started_ns = 0;
	} else {
		container->phase = MONITOR_RUNNING;
		(void)container_write_state(container,
					    NULL); /* adoption would miss started_ns: no reason to fail the start */
	}
	container->events.started(container->events.owner, result->status != 0 ? &failure : NULL);
	container_end(container);
}

int container_start(struct container *container, struct err *err)
{
	if (container->phase != MONITOR_CREATED || container->ended || container->command.running)
		return err_set(err, -EBUSY, "monitor.phase", "the container is %s%s, expected created",
			       monitor_phase_name(container->phase),
			       container->ended             ? " and has ended"
			       : container->command.running ? " and being started"
							    : "");
	const char *const args[] = {"start", container->config.id, NULL};
	struct runtime_call call = {.runtime = container->config.runtime, .args = args, .stdio = {-1, -1, -1}};
	container->command.done = on_started;
	container->command.owner = container;
	int r = runtime_command_start(&container->command, &call, err);
	if (r == 0)
		container->started_ns = wall_now_ns();
	return r;
}

/* ---- what clients ask for ---- */

int container_signal(struct container *container, int signal, struct err *err)
{
	if (container->pidfd < 0 || container->ended)
		return err_set(err, -ESRCH, "monitor.phase", "the container is %s: nothing to signal",
			       monitor_phase_name(container->phase));
	privileges_raise(PRIVILEGE_SIGNAL);
	int r = pidfd_signal(container->pidfd, signal);
	privileges_lower();
	return r < 0 ? err_sys(err, r, "monitor.signal", "send signal %d to the container", signal) : 0;
}

int container_resize(struct container *container, unsigned rows, unsigned columns, struct err *err)
{
	int r = container->config.tty ? console_resize(container->outputs[0].fd, rows, columns) : -ENOTTY;
	return r < 0 ? err_sys(err, r, "monitor.no-tty", "resize the container's terminal") : 0;
}

int container_reopen_log(struct container *container, struct err *err)
{
	int r = log_queue_reopen(container->log);
	if (r < 0)
		return err_sys(err, r, "log.reopen", "reopen the log");
	container->reopening = true;
	return 0;
}

size_t container_descriptors(const struct container *container, const char *ret_names[MONITOR_FDS_MAX + 1],
			     int ret_fds[MONITOR_FDS_MAX])
{
	bool tty = container->config.tty;
	const struct {
		const char *name;
		int fd;
	} all[] = {
		{"pidfd", container->pidfd},
		{"stdin", tty ? -1 : container->input.fd},
		{tty ? "pty" : "stdout", container->outputs[0].fd},
		{"stderr", container->outputs[1].fd},
	};
	size_t count = 0;
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		if (all[i].fd < 0)
			continue;
		ret_names[count] = all[i].name;
		ret_fds[count++] = all[i].fd;
	}
	ret_names[count] = NULL;
	return count;
}

uint64_t container_log_dropped(const struct container *container)
{
	return container->sink.dropped + (container->log ? log_queue_lost(container->log) : 0);
}
