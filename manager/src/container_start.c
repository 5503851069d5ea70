/* StartContainer: the bundle, the mount, a monitor, the runtime's create and start. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/sys/path.h"
#include "manager/src/attachment.h"
#include "manager/src/container_bundle.h"
#include "manager/src/container_life.h"
#include "manager/src/container_volumes.h"
#include "manager/src/container_namespaces.h"
#include "manager/src/monitor_link.h"
#include "manager/src/monitors.h"
#include "manager/src/rootfs.h"
#include "manager/src/runtimes.h"

#define START_EXIT_CODE 128 /* as containerd counts a start that failed */

/* --- what the runtime says when the command itself is at fault --- */

static const struct {
	const char *all[3]; /* phrases that must all be there */
	int code;
	const char *reason;
	int exit_code;
} COMMAND_FAULTS[] = {
	{{"executable file", "not found"}, -ENOENT, "runtime.executable-not-found", 127},
	{{"exec", "no such file or directory"}, -ENOENT, "runtime.executable-not-found", 127},
	{{"exec", "permission denied"}, -EACCES, "runtime.executable-denied", 126},
	{{"exec", "is a directory"}, -EACCES, "runtime.executable-denied", 126},
	{{"exec", "exec format error"}, -EACCES, "runtime.executable-denied", 126},
};

static bool says_all(const char *message, const char *const *phrases, size_t count)
{
	for (size_t i = 0; i < count && phrases[i]; i++)
		if (!strcasestr(message, phrases[i]))
			return false;
	return true;
}

/* Turns the runtime's words into the error that tells callers whose fault it is. Returns the exit code for the record. */
static int classify(struct err *err, int *code)
{
	for (size_t i = 0; i < ARRAY_COUNT(COMMAND_FAULTS); i++)
		if (says_all(err->message, COMMAND_FAULTS[i].all, ARRAY_COUNT(COMMAND_FAULTS[i].all))) {
			err->reason = COMMAND_FAULTS[i].reason;
			err->code = COMMAND_FAULTS[i].code;
			*code = err->code;
			return COMMAND_FAULTS[i].exit_code;
		}
	return START_EXIT_CODE;
}

int container_classify(struct err *err, int code)
{
	(void)classify(err, &code);
	return code;
}

/* --- steps --- */

int container_describe(const struct container *container, struct arena *arena, struct monitor_config *ret_config,
		       struct err *err)
{
	const struct node *node = container->node;
	struct runtime runtime = {0};
	int r = runtime_find(container->node, container->record.runtime_handler, arena, &runtime, err);
	if (r < 0)
		return r;
	struct monitor_runtime *how = arena_alloc(arena, sizeof *how);
	struct monitor_log *log = arena_alloc(arena, sizeof *log);
	const char *folder = arena_printf(arena, "%s/%s", node->places.containers, container->id);
	const char *socket = arena_printf(arena, "%s/%s/monitor.sock", node->places.containers, container->id);
	if (!how || !log || !folder || !socket)
		return -ENOMEM;
	*how = (struct monitor_runtime){.path = runtime.path, .args = runtime.args};
	*log = (struct monitor_log){.path = container->record.log_path};
	if (container->record.log_is_ours) {
		log->max_bytes = node->config.container_logs.max_bytes;
		log->files = node->config.container_logs.files;
	}
	*ret_config = (struct monitor_config){
		.id = container->id,
		.bundle = folder,
		.record_dir = folder,
		.socket = socket,
		.runtime = how,
		.log = str_empty(log->path) ? NULL : log,
		.tty = container->config->tty,
		.open_stdin = container->config->stdin,
		.stdin_once = container->config->stdin_once,
		.pid = container->pid,
	};
	return 0;
}

static void keep_fd(int *slot, int fd)
{
	if (fd < 0)
		return;
	if (*slot >= 0)
		(void)close(*slot);
	*slot = fd;
}

void container_take_descriptors(struct container *container, struct monitor_received *received)
{
	static const char *const NAMES[CONTAINER_STDIO] = {"stdin", "stdout", "stderr", "pty"};
	keep_fd(&container->pidfd, monitor_received_take(received, "pidfd"));
	for (size_t i = 0; i < CONTAINER_STDIO; i++)
		keep_fd(&container->stdio[i], monitor_received_take(received, NAMES[i]));
	if (received->message.state && received->message.state->pid > 0)
		container->pid = received->message.state->pid;
}

static int make_log_folder(const struct container *container, struct err *err)
{
	scoped_free char *folder = strdup(container->record.log_path);
	char *slash = folder ? strrchr(folder, '/') : NULL;
	if (!slash || slash == folder)
		return folder ? 0 : -ENOMEM;
	*slash = '\0';
	return path_make_directories(folder, container->record.log_is_ours ? 0700 : 0755, err);
}

/* A runtime without --rootfs-fd finds its root mounted at root.path. */
static int mount_root(struct container *container, struct err *err)
{
	scoped_done(arena_done) struct arena arena = {.max = 1 << 20};
	struct runtime runtime = {0};
	int r = runtime_find(container->node, container->record.runtime_handler, &arena, &runtime, err);
	if (r < 0)
		return r;
	scoped_free char *target = runtime.takes_rootfs_fd ? NULL : container_state_path(container, "rootfs");
	if (!runtime.takes_rootfs_fd && !target)
		return -ENOMEM;
	return rootfs_mount(container, target, err);
}

static int ask_create(struct container *container, struct err *err)
{
	scoped_done(arena_done) struct arena arena = {.max = 1 << 20};
	scoped_done(monitor_received_done) struct monitor_received received = {0};
	struct monitor_config config = {0};
	int r = container_describe(container, &arena, &config, err);
	if (r < 0)
		return r;
	const char *const names[] = {"rootfs", NULL};
	struct monitor_message request = {
		.op = MONITOR_CREATE,
		.config = &config,
		.descriptors = container->rootfs_fd >= 0 ? names : NULL,
	};
	r = monitor_link_call(container->monitor, &request, &container->rootfs_fd, &received, err);
	container_close_namespaces(container);
	if (container->rootfs_fd >= 0) {
		(void)close(container->rootfs_fd); /* a holder would keep the mount alive after the container */
		container->rootfs_fd = -1;
	}
	if (r == 0)
		container_take_descriptors(container, &received);
	return r;
}

/* The process may run, and have printed something, before the answer is here: a client that goes away meanwhile (a killed
 * `axle run`) ends the call, not the container. The call's deadline counts. */
static int ask_start(struct container *container, struct err *err)
{
	scoped_done(monitor_received_done) struct monitor_received received = {0};
	struct monitor_message request = {.op = MONITOR_START};
	struct fibers *fibers = container->node->fibers;
	uint64_t deadline_ns = fiber_set_deadline(fibers, UINT64_MAX);
	fiber_shield(fibers);
	(void)fiber_set_deadline(fibers, deadline_ns);
	int r = monitor_link_call(container->monitor, &request, NULL, &received, err);
	fiber_unshield(fibers);
	(void)fiber_set_deadline(fibers, deadline_ns);
	if (r < 0)
		return r;
	if (received.message.state->started_ns)
		container->record.started_ns = received.message.state->started_ns;
	return 0;
}

static int spawn_monitor(struct container *container, struct err *err)
{
	scoped(monitor_client_free) struct monitor_client *client = NULL;
	int r = monitors_spawn(container->node, &client, &container->monitor_pid, err);
	if (r == 0)
		r = container_watch(container, TAKE(client), err);
	return r < 0 ? r : monitor_link_hello(container->monitor, err);
}

/* --- all of it --- */

static int note_start(struct container *container, struct err *err)
{
	container->record.started_ns = node_now_ns();
	container->cleaned = false;
	return container_save(container, CONTAINER_STARTED, err);
}

static int write_bundle(struct container *container, struct err *err)
{
	int r = container_open_namespaces(container, err);
	return r < 0 ? r : container_write_bundle(container, err);
}

static int prepare_log(struct container *container, struct err *err)
{
	return str_empty(container->record.log_path) ? 0 : make_log_folder(container, err);
}

static int connect_attachments(struct container *container, struct err *err)
{
	(void)err; /* who cannot be attached is told on its own stream */
	attachments_connect(container);
	return 0;
}

/* A restart may find the container between any two of these. */
static const struct {
	const char *name;
	int (*run)(struct container *container, struct err *err);
} STEPS[] = {
	{"start.record", note_start},
	{"start.bundle", write_bundle},
	{"start.log", prepare_log},
	{"start.rootfs", mount_root},
	{"start.volumes", container_volumes_mount},
	{"start.labels", container_volumes_relabel},
	{"start.monitor", spawn_monitor},
	{"start.create", ask_create},
	{"start.attach", connect_attachments},
	{"start.start", ask_start},
};

/* The container has ended without having run; why is kept. */
static void fail(struct container *container, const char *step, struct err *err, int *code)
{
	struct node *node = container->node;
	scoped_free char *words = str_equal(err->reason, "runtime.failed") ? strdup(err->message) : NULL;
	fiber_shield(node->fibers);
	int exit_code = words ? classify(err, code) : START_EXIT_CODE;
	container_set_last_error(container, step, words, err, *code);
	const struct exit_record exit = {.code = exit_code, .reason = "StartError", .message = err->message};
	struct err undo_err = {0};
	int r = container_clean(container, &undo_err);
	if (r == 0)
		r = container_set_exit(container, &exit, node_now_ns());
	if (r == 0)
		r = container_save(container, CONTAINER_EXITED, &undo_err);
	if (r < 0)
		log_err(&node->log, &undo_err, r, "undo the start of container %s", container->id);
	fiber_unshield(node->fibers);
	log_err(&node->log, err, *code, "container %.12s: %s", container->id, step);
	container_event(container, "start-failed");
	(void)err_add(err, *code, "container %s", container->config->metadata->name);
}

static int start_locked(struct container *container, struct err *err)
{
	if (container->phase != CONTAINER_CREATED)
		return err_set(err, -EBUSY, "container.state", "container %s is %s: expected one that was not started yet",
			       container->id, container_phase_name(container->phase));
	if (container->pod->phase != POD_READY)
		return err_set(err, -EBUSY, "pod.not-ready", "pod %s is %s: expected one that is ready",
			       container->pod->id, pod_phase_name(container->pod->phase));
	struct err local = {0};
	for (size_t i = 0; i < ARRAY_COUNT(STEPS); i++) {
		int r = STEPS[i].run(container, &local);
		if (r == 0)
			continue;
		if (!local.reason)
			(void)err_sys(&local, r, "start.failed", "%s", STEPS[i].name);
		fail(container, STEPS[i].name, &local, &r);
		if (err)
			*err = local;
		return r;
	}
	container->running = true;
	container->monitor_ready = true;
	fiber_signal_all(&container->changed);
	container_event(container, "started");
	log_info(&container->node->log, "container.started", "container %s, process %d", container->id,
		 (int)container->pid);
	return 0;
}

int container_start(struct container *container, struct err *ret_err)
{
	struct err local = {0};
	struct err *err = &local; /* those who wait to attach are told as well */
	struct fibers *fibers = container->node->fibers;
	struct pod *pod = container->pod;
	int r = fiber_lock(fibers, &pod->lock);
	if (r < 0)
		return err_set(err, r, "pod.busy", "pod %s: another call is not done with it", pod->id);
	r = fiber_lock(fibers, &container->lock);
	if (r == 0) {
		r = start_locked(container, err);
		fiber_unlock(fibers, &container->lock);
	} else {
		(void)err_set(err, r, "container.busy", "container %s: another call is not done with it", container->id);
	}
	fiber_unlock(fibers, &pod->lock);
	if (r < 0)
		attachments_fail(container, err, r);
	if (r < 0 && ret_err)
		*ret_err = local;
	return r;
}
