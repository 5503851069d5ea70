#include "runtime/src/axrun/lifecycle.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/log.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/codec/oci_runtime.h"
#include "core/sys/cgroup.h"
#include "core/sys/fd.h"
#include "core/sys/pidfd.h"
#include "runtime/src/axrun/commands.h"
#include "runtime/src/axrun/config.h"
#include "runtime/src/axrun/foreground.h"
#include "runtime/src/axrun/hooks.h"
#include "runtime/src/axrun/launch.h"
#include "runtime/src/axrun/launcher.h"
#include "runtime/src/axrun/limits.h"
#include "runtime/src/axrun/state.h"
#include "runtime/src/axrun/sync.h"
#include "runtime/src/axrun/timestamp.h"

#define REMOVE_WAIT_MS 5000

/* All that `create` holds. */
struct creation {
	const struct globals *globals;
	const struct launch_options *options;
	struct arena arena;
	struct oci_spec spec;
	struct buf config_text;
	struct container *container;
	struct cgroup_layout layout;
	struct cgroup group;
	struct launch launch;
	char *bundle;
	char *rootfs;
	char created[TIMESTAMP_MAX];
};

static void creation_done(struct creation *creation)
{
	launcher_done(&creation->launch);
	cgroup_done(&creation->group);
	cgroup_layout_done(&creation->layout);
	container_free(creation->container);
	buf_done(&creation->config_text);
	arena_done(&creation->arena);
	free(creation->bundle);
	free(creation->rootfs);
}

static int load_bundle(struct creation *creation, struct err *err)
{
	const char *name = creation->options->bundle;
	creation->bundle = realpath(name, NULL);
	if (!creation->bundle)
		return err_sys(err, -errno, "bundle.open", "bundle %s", name);
	scoped_fd int fd = open(creation->bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, -errno, "bundle.open", "bundle %s", name);
	int r = config_load(fd, creation->options->config, &creation->arena, &creation->spec, &creation->config_text, err);
	if (r < 0)
		return err_add(err, r, "bundle %s", creation->bundle);
	if (!creation->spec.process)
		return err_set(err, -EINVAL, "config.invalid", "%s/%s: process: expected a process, found nothing",
			       creation->bundle, creation->options->config);
	const char *root = creation->spec.root->path;
	creation->rootfs = root[0] == '/' ? strdup(root) : str_printf("%s/%s", creation->bundle, root);
	return creation->rootfs ? 0 : err_sys(err, -ENOMEM, "bundle.open", "bundle %s", name);
}

static const char *cgroup_path(struct creation *creation)
{
	const char *configured = creation->spec.linux_ ? creation->spec.linux_->cgroups_path : NULL;
	if (creation->options->no_cgroups)
		return NULL;
	if (!str_empty(configured))
		return configured;
	return arena_printf(&creation->arena, "axrun-%s", creation->container->id);
}

/* The first record names everything that will be made, so that whoever finds it half-made can remove it. */
static int record(struct creation *creation, struct err *err)
{
	struct container *container = creation->container;
	timestamp_now(creation->created);
	container->state = (struct state){
		.version = STATE_VERSION,
		.id = container->id,
		.bundle = creation->bundle,
		.rootfs = creation->rootfs,
		.created = creation->created,
		.owner = getuid(),
		.cgroup = cgroup_path(creation),
	};
	int r = container_save(container, err);
	if (r < 0)
		return r;
	scoped_fd int fd = openat(container->dir_fd, "config.json", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	r = fd < 0 ? -errno : fd_write_all(fd, creation->config_text.data, creation->config_text.size);
	return r < 0 ? err_sys(err, r, "container.save", "keep the configuration of container %s", container->id) : 0;
}

static int make_cgroup(struct creation *creation, struct err *err)
{
	if (!creation->container->state.cgroup)
		return 0;
	int r = cgroup_layout_open(CGROUP_ROOT, &creation->layout, err);
	if (r < 0 || creation->layout.count == 0)
		return r;
	r = cgroup_make(&creation->layout, creation->container->state.cgroup, &creation->group, err);
	if (r < 0)
		return r;
	return limits_apply(&creation->group, creation->spec.linux_ ? creation->spec.linux_->resources : NULL, false, err);
}

/* Paths of UNIX sockets are short, so the directory is named by its descriptor. */
static int socket_address(const struct container *container, struct sockaddr_un *ret_address)
{
	*ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
	return snprintf(ret_address->sun_path, sizeof ret_address->sun_path, "/proc/self/fd/%d/%s", container->dir_fd,
			START_SOCKET);
}

static int open_start_socket(struct creation *creation, struct err *err)
{
	if (creation->options->run)
		return 0;
	struct sockaddr_un address;
	(void)socket_address(creation->container, &address);
	scoped_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 4) < 0)
		return err_sys(err, -errno, "start.listen", "make the start socket of container %s", creation->container->id);
	creation->launch.start_socket = TAKE_FD(fd);
	return 0;
}

static int prepare(struct creation *creation, struct err *err)
{
	struct launch *launch = &creation->launch;
	launch->options = creation->options;
	launch->log = creation->globals->log;
	launch->id = creation->container->id;
	launch->bundle = creation->bundle;
	launch->spec = &creation->spec;
	launch->process = creation->spec.process;
	launch->group = &creation->group;
	launch->callers_lock = creation->container->lock_fd;
	/* the root's path is relative to the bundle */
	struct oci_root *root = arena_alloc(&creation->arena, sizeof *root);
	if (!root)
		return err_sys(err, -ENOMEM, "launch.prepare", "container %s", launch->id);
	*root = (struct oci_root){.path = creation->rootfs, .readonly = creation->spec.root->readonly};
	creation->spec.root = root;
	int r = open_start_socket(creation, err);
	return r < 0 ? r : launcher_prepare(launch, creation->container->root_fd, err);
}

static int record_process(struct creation *creation, const struct launched *launched, struct err *err)
{
	struct state *state = &creation->container->state;
	int r = process_start_time(launched->pid, &state->pid_start, NULL);
	if (r < 0)
		return err_sys(err, r, "container.save", "the container's first process ended at once");
	state->pid = launched->pid;
	for (size_t i = 0; i < NS_KINDS; i++)
		if (creation->launch.joined[i] >= 0)
			state->namespaces |= NS_KIND[i].flag;
	state->namespaces |= creation->launch.new_namespaces;
	return container_save(creation->container, err);
}

static int write_pid_file(const char *path, pid_t pid, struct err *err)
{
	if (!path)
		return 0;
	char text[16];
	int length = snprintf(text, sizeof text, "%d", pid);
	return file_replace_at(AT_FDCWD, path, text, (size_t)length, 0644, FILE_VOLATILE, err);
}

/* Removes what a failed creation has made; its error is the one to tell. */
static void undo(struct creation *creation)
{
	struct container *container = creation->container;
	if (!container)
		return;
	launcher_done(&creation->launch);
	if (container->state.cgroup && creation->layout.count > 0) {
		if (cgroup_v2_fd(&creation->group) >= 0 || creation->group.layout)
			(void)cgroup_kill(&creation->group);
		cgroup_done(&creation->group);
		(void)cgroup_remove(&creation->layout, container->state.cgroup, REMOVE_WAIT_MS, NULL);
	}
	(void)container_remove(container, NULL);
}

/* The record comes first, for whoever looks for the container as soon as its program runs. */
static int record_and_go(struct creation *creation, struct launched *launched, struct err *err)
{
	int r = record_process(creation, launched, err);
	bool early = creation->options->run && !launcher_needs_turn(&creation->launch);
	if (r < 0 || !early)
		return r;
	r = write_pid_file(creation->options->pid_file, launched->pid, err);
	return r < 0 ? r : launcher_go_early(launched, err);
}

static int launch_process(struct creation *creation, struct launched *ret_launched, struct err *err)
{
	int r = launcher_clone(&creation->launch, ret_launched, err);
	if (r < 0)
		return r;
	r = record_and_go(creation, ret_launched, err);
	if (r < 0) {
		launched_kill(ret_launched);
		return r;
	}
	r = launcher_await_ready(&creation->launch, ret_launched, err);
	if (r == 0 && !ret_launched->gone) {
		r = write_pid_file(creation->options->pid_file, ret_launched->pid, err);
		if (r < 0)
			launched_kill(ret_launched);
	}
	return r;
}

static int run_poststart(struct creation *creation, struct err *err)
{
	const struct oci_hooks *hooks = creation->spec.hooks;
	if (!hooks || hooks->poststart_count == 0)
		return 0;
	scoped_done(buf_done) struct buf state = {.max = STATE_BYTES_MAX};
	int r = hooks_state(creation->container->id, "running", creation->container->state.pid, creation->bundle,
			    &creation->spec, &state);
	return r < 0 ? err_sys(err, r, "hook.state", "state of the container")
		     : hooks_run(hooks->poststart, hooks->poststart_count, "poststart", state.data,
			       creation->bundle, err);
}

/* The container's own lock is not held while it runs in the foreground: others may stop, exec, or even delete it. */
static void release_lock(struct container *container)
{
	if (container->lock_fd >= 0)
		(void)close(container->lock_fd); /* nothing was written to it */
	container->lock_fd = -1;
}

/* Removes a container that ran in the foreground, unless somebody else has already. */
static int delete_finished(const struct globals *globals, const char *id, struct err *err)
{
	scoped(container_free) struct container *container = NULL;
	int r = container_open(globals->root, id, LOCK_WAIT, true, &container, err);
	if (r == -ENOENT)
		return 0;
	struct err warning = {0};
	if (r == 0)
		r = lifecycle_delete(container, true, &warning, err);
	if (warning.reason)
		log_warning(globals->log, warning.reason, "%s", warning.message);
	return r;
}

static int run_to_end(struct creation *creation, struct launched *launched, int signal_fd, int *ret_status,
		      struct err *err)
{
	int r = launcher_go(launched, err);
	if (r < 0) {
		launched_kill(launched);
		return r;
	}
	r = run_poststart(creation, err);
	if (r < 0) {
		launched_kill(launched);
		return r;
	}
	launcher_done(&creation->launch);
	release_lock(creation->container);
	if (creation->options->detach) {
		*ret_status = 0;
		return 0;
	}
	struct err wait_err = {0};
	r = foreground_wait(launched, signal_fd, ret_status, &wait_err);
	if (r < 0)
		return err ? (*err = wait_err).code : r;
	return creation->options->keep ? 0 : delete_finished(creation->globals, creation->container->id, err);
}

static int create(struct creation *creation, const char *id, int *ret_status, struct err *err)
{
	int r = load_bundle(creation, err);
	if (r < 0)
		return r;
	const struct launch_options *options = creation->options;
	bool terminal = creation->spec.process->terminal;
	if (terminal && !options->console_socket && (!options->run || options->detach))
		return err_set(err, -EINVAL, "console.socket", "process.terminal: a detached container needs --console-socket");
	if (!terminal && options->console_socket)
		return err_set(err, -EINVAL, "console.socket", "--console-socket: the configuration asks for no terminal");
	r = container_reserve(creation->globals->root, id, &creation->container, err);
	if (r < 0)
		return r;
	r = record(creation, err);
	if (r == 0)
		r = make_cgroup(creation, err);
	if (r == 0)
		r = prepare(creation, err);
	scoped_fd int signal_fd = -1;
	if (r == 0 && options->run && !options->detach)
		r = foreground_begin(&signal_fd, err);
	struct launched launched = {.pidfd = -1, .sync_socket = -1, .console = -1};
	if (r == 0)
		r = launch_process(creation, &launched, err);
	if (r == 0 && options->run)
		r = run_to_end(creation, &launched, signal_fd, ret_status, err);
	launched_done(&launched);
	if (r < 0)
		undo(creation);
	return r;
}

int lifecycle_create(const struct globals *globals, const char *id, const struct launch_options *options,
		     int *ret_status, struct err *err)
{
	struct creation creation = {.globals = globals, .options = options};
	creation.arena.max = CONFIG_ARENA_MAX;
	creation.config_text.max = CONFIG_BYTES_MAX;
	launcher_init(&creation.launch);
	int r = create(&creation, id, ret_status, err);
	creation_done(&creation);
	return r;
}

/* The configuration that the container was created with. */
static int load_config(const struct container *container, struct arena *arena, struct oci_spec *ret_spec,
		       struct err *err)
{
	return config_load(container->dir_fd, "config.json", arena, ret_spec, NULL, err);
}

static int run_hooks_of(const struct container *container, const char *status, bool poststop, struct err *err)
{
	scoped_done(arena_done) struct arena arena = {.max = CONFIG_ARENA_MAX};
	struct oci_spec spec = {0};
	int r = load_config(container, &arena, &spec, err);
	if (r < 0 || !spec.hooks)
		return r;
	const struct oci_hook *hooks = poststop ? spec.hooks->poststop : spec.hooks->poststart;
	size_t count = poststop ? spec.hooks->poststop_count : spec.hooks->poststart_count;
	if (count == 0)
		return 0;
	scoped_done(buf_done) struct buf state = {.max = STATE_BYTES_MAX};
	r = hooks_state(container->id, status, poststop ? 0 : container->state.pid, container->state.bundle, &spec, &state);
	if (r < 0)
		return err_sys(err, r, "hook.state", "state of container %s", container->id);
	/* a poststop hook that fails keeps none of the others from running (runtime.md, "Lifecycle", 13) */
	size_t step = poststop ? 1 : count;
	for (size_t i = 0; i < count; i += step) {
		int own = hooks_run(&hooks[i], step, poststop ? "poststop" : "poststart", state.data, container->state.bundle, err);
		if (own < 0)
			r = own;
	}
	return r;
}

static int connect_start(const struct container *container, int *ret_fd, struct err *err)
{
	struct sockaddr_un address;
	(void)socket_address(container, &address);
	scoped_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
		int code = -errno;
		if (code == -ECONNREFUSED) /* started by one that was killed before it could remove the name */
			(void)unlinkat(container->dir_fd, START_SOCKET, 0);
		return err_sys(err, code, "start.connect", "start container %s", container->id);
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int lifecycle_start(struct container *container, struct err *err)
{
	enum container_status status = container_status(container);
	if (status != CONTAINER_CREATED)
		return err_set(err, -EINVAL, "container.status", "start container %s: expected a created one, it is %s",
			       container->id, container_status_name(status));
	scoped_fd int fd = -1;
	int r = connect_start(container, &fd, err);
	if (r == 0) {
		r = sync_send(fd, SYNC_GO, NULL, -1);
		if (r < 0)
			return err_sys(err, r, "start.go", "start container %s", container->id);
	}
	if (r < 0)
		return r;
	struct sync_message message = {0};
	r = sync_receive(fd, &message, err);
	(void)unlinkat(container->dir_fd, START_SOCKET, 0); /* from now on it is running, or stopped */
	if (r < 0)
		return r;
	r = run_hooks_of(container, "running", false, err);
	if (r < 0)
		(void)lifecycle_delete(container, true, NULL, NULL); /* runtime.md, "Lifecycle", 9: the hook's error counts */
	return r;
}

static int kill_all(const struct container *container, const struct cgroup *group, struct err *err)
{
	scoped_fd int pidfd = -1;
	int alive = container_open_process(container, &pidfd);
	if (alive == 0)
		(void)pidfd_signal(pidfd, SIGKILL); /* also where there is no cgroup */
	if (group)
		(void)cgroup_kill(group); /* the last act on this group; rmdir tells whether it worked */
	if (alive == 0 && pidfd_await_end(pidfd, REMOVE_WAIT_MS) < 0)
		return err_set(err, -ETIMEDOUT, "container.kill", "container %s: pid %d does not end on SIGKILL", container->id,
			       container->state.pid);
	return 0;
}

/* Ends whatever still runs in the container, and removes its group. */
static int end_and_remove(const struct container *container, bool stopped, struct err *err)
{
	const char *path = container->state.cgroup;
	if (!path)
		return kill_all(container, NULL, err);
	struct cgroup_layout layout = {0};
	int r = cgroup_layout_open(CGROUP_ROOT, &layout, err);
	if (r < 0)
		return r;
	/* mostly nobody is left, and then the group simply goes */
	r = stopped ? cgroup_remove(&layout, path, 0, NULL) : -EBUSY;
	if (r < 0) {
		struct cgroup group = {0};
		bool exists = cgroup_open(&layout, path, &group) == 0;
		r = kill_all(container, exists ? &group : NULL, err);
		cgroup_done(&group);
		if (r == 0)
			r = cgroup_remove(&layout, path, REMOVE_WAIT_MS, err);
	}
	cgroup_layout_done(&layout);
	return r;
}

int lifecycle_delete(struct container *container, bool force, struct err *warning, struct err *err)
{
	enum container_status status = container_status(container);
	bool removable = status == CONTAINER_STOPPED || status == CONTAINER_CREATED;
	if (!removable && !force)
		return err_set(err, -EBUSY, "container.status",
			       "delete container %s: it is %s, expected a stopped one (or --force)", container->id,
			       container_status_name(status));
	int r = end_and_remove(container, status == CONTAINER_STOPPED, err);
	if (r < 0)
		return r;
	if (status != CONTAINER_CREATING)
		(void)run_hooks_of(container, "stopped", true, warning);
	return container_remove(container, err);
}
