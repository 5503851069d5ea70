#include "runtime/src/axrun/launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/codec/oci_runtime.h"
#include "core/sys/mount.h"
#include "core/sys/pidfd.h"
#include "runtime/src/axrun/console.h"
#include "runtime/src/axrun/hooks.h"
#include "runtime/src/axrun/idmap.h"
#include "runtime/src/axrun/init.h"
#include "runtime/src/axrun/launch.h"
#include "runtime/src/axrun/mounts.h"
#include "runtime/src/axrun/process_limits.h"
#include "runtime/src/axrun/seccomp.h"
#include "runtime/src/axrun/seccomp_notify.h"
#include "runtime/src/axrun/stdio.h"
#include "runtime/src/axrun/sync.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

void launcher_init(struct launch *launch)
{
	*launch = (struct launch){.proc_fd = -1, .rootfs_tree = -1, .seccomp_socket = -1, .start_socket = -1, .sync_socket = -1,
				  .callers_socket = -1, .callers_lock = -1};
	for (size_t i = 0; i < NS_KINDS; i++)
		launch->joined[i] = -1;
	for (size_t i = 0; i < CGROUP_HIERARCHIES_MAX; i++)
		launch->entries[i] = -1;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd); /* nothing was written through it */
	*fd = -1;
}

void launcher_done(struct launch *launch)
{
	close_fd(&launch->proc_fd);
	close_fd(&launch->rootfs_tree);
	close_fd(&launch->seccomp_socket);
	close_fd(&launch->start_socket);
	close_fd(&launch->sync_socket);
	for (size_t i = 0; i < NS_KINDS; i++)
		close_fd(&launch->joined[i]);
	for (size_t i = 0; i < CGROUP_HIERARCHIES_MAX; i++)
		close_fd(&launch->entries[i]);
	for (size_t i = 0; launch->mount_trees && i < launch->spec->mounts_count; i++)
		close_fd(&launch->mount_trees[i]);
	free(launch->mount_trees);
	launch->mount_trees = NULL;
	seccomp_program_done(&launch->seccomp);
	free(launch->hook_state);
	launch->hook_state = NULL;
}

static int open_namespaces(struct launch *launch, struct err *err)
{
	const struct oci_linux *config = launch->spec->linux_;
	for (size_t i = 0; config && i < config->namespaces_count; i++) {
		const struct oci_namespace *namespace = &config->namespaces[i];
		const struct ns_kind *kind = ns_kind_find(namespace->type); /* checked: config.c */
		if (str_empty(namespace->path)) {
			launch->new_namespaces |= kind->flag;
			continue;
		}
		int r = ns_open(namespace->path, kind, &launch->joined[kind - NS_KIND], err);
		if (r < 0)
			return r;
		if (kind->flag == CLONE_NEWUSER)
			launch->any_user = true;
	}
	launch->new_user = launch->new_namespaces & CLONE_NEWUSER;
	launch->any_user |= launch->new_user;
	return 0;
}

static int check_names(const struct launch *launch, struct err *err)
{
	const struct ns_kind *uts = ns_kind_find("uts");
	bool own = launch->new_namespaces & CLONE_NEWUTS || launch->joined[uts - NS_KIND] >= 0;
	if (!own && (!str_empty(launch->spec->hostname) || !str_empty(launch->spec->domainname)))
		return err_set(err, -EINVAL, "config.invalid", "hostname: needs a uts namespace");
	if (launch->new_user && launch->spec->linux_->uid_mappings_count == 0)
		return err_set(err, -EINVAL, "config.invalid", "linux.uidMappings: expected for a new user namespace");
	return 0;
}

/* The root, with all mounts below it, as a detached copy; or the one that was handed over. */
static int open_root(struct launch *launch, struct err *err)
{
	const char *name = launch->spec->root->path;
	if (!(launch->new_namespaces & CLONE_NEWNS)) {
		launch->rootfs_tree = launch->options->rootfs_fd >= 0
					      ? fcntl(launch->options->rootfs_fd, F_DUPFD_CLOEXEC, 0)
					      : open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		return launch->rootfs_tree < 0 ? err_sys(err, -errno, "root.open", "root file system %s", name) : 0;
	}
	int r = 0;
	if (launch->options->rootfs_fd >= 0)
		launch->rootfs_tree = fcntl(launch->options->rootfs_fd, F_DUPFD_CLOEXEC, 0);
	else
		r = mount_tree_open(AT_FDCWD, name, true, &launch->rootfs_tree);
	struct stat st = {0};
	if (r == 0 && (launch->rootfs_tree < 0 || fstat(launch->rootfs_tree, &st) < 0))
		r = -errno;
	if (r == 0 && !S_ISDIR(st.st_mode))
		r = -ENOTDIR;
	if (r < 0)
		return err_sys(err, r, "root.open", "root file system %s", name);
	const char *wanted = launch->spec->linux_ ? launch->spec->linux_->rootfs_propagation : NULL;
	if (wanted && str_ends_with(wanted, "shared"))
		return 0;
	r = mount_change(launch->rootfs_tree, true, &(struct mount_change){.propagation = MS_SLAVE});
	return r < 0 ? err_sys(err, r, "root.open", "root file system %s: keep its mounts from the host", name) : 0;
}

static int open_proc(struct launch *launch, struct err *err)
{
	launch->proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (launch->proc_fd < 0)
		return err_sys(err, -errno, "proc.open", "open /proc");
	if (!mount_is_filesystem(launch->proc_fd, MOUNT_MAGIC_PROC))
		return err_set(err, -ENODEV, "proc.open", "/proc: expected a proc file system");
	return 0;
}

static int make_state_text(const struct launch *launch, const char *status, pid_t pid, char **ret_text, struct err *err)
{
	scoped_done(buf_done) struct buf text = {.max = 1 << 20};
	int r = hooks_state(launch->id, status, pid, launch->bundle, launch->spec, &text);
	char *taken = r < 0 ? NULL : buf_take(&text);
	if (!taken)
		return err_sys(err, r < 0 ? r : -ENOMEM, "hook.state", "state of container %s", launch->id);
	free(*ret_text);
	*ret_text = taken;
	return 0;
}

/* Compiled programs are kept in a hidden directory of the state root: no container can have its name. */
int launcher_prepare_seccomp(struct launch *launch, int state_root_fd, struct err *err)
{
	const struct oci_linux *config = launch->spec->linux_;
	if (!config || !config->seccomp)
		return 0;
	scoped_fd int cache = -1;
	if (mkdirat(state_root_fd, ".cache", 0700) == 0 || errno == EEXIST)
		cache = openat(state_root_fd, ".cache", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r = seccomp_program_compile(config->seccomp, cache, &launch->seccomp, err);
	if (r < 0 || !launch->seccomp.notifies)
		return r;
	return seccomp_notify_connect(launch, err);
}

/* In a user namespace of its own a process may have every capability there; else only what the caller can give. */
static void prepare_capabilities(struct launch *launch)
{
	uint64_t available = launch->any_user ? ~(uint64_t)0 : capability_bounding_set();
	capability_sets_from_oci(launch->process ? launch->process->capabilities : NULL, available, &launch->capabilities);
}

int launcher_prepare(struct launch *launch, int state_root_fd, struct err *err)
{
	int r = open_proc(launch, err);
	if (r == 0)
		r = open_namespaces(launch, err);
	if (r == 0)
		r = check_names(launch, err);
	if (r == 0)
		r = open_root(launch, err);
	if (r == 0)
		r = mounts_open_sources(launch, err);
	if (r == 0)
		r = launcher_prepare_seccomp(launch, state_root_fd, err);
	if (r == 0)
		r = make_state_text(launch, "creating", 0, &launch->hook_state, err);
	/* a helper's child is not born in the group (init.c), so it enters v2 as it enters v1 */
	bool by_helper = launch->any_user && !launch->new_user;
	if (r == 0 && launch->group)
		r = cgroup_open_entries(launch->group, by_helper, launch->entries, err);
	prepare_capabilities(launch);
	return r;
}

static int make_sync(struct launch *launch, struct launched *launched, struct err *err)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, -errno, "launch.sync", "make a socket pair");
	*launched = (struct launched){.pidfd = -1, .sync_socket = pair[0], .console = -1};
	launch->sync_socket = pair[1];
	launch->callers_socket = pair[0];
	return 0;
}

/* The helper ends at once, having told whom it made; its descriptor table is ours, so ours has that pidfd. */
static int take_helpers_child(struct launch *launch, struct launched *launched, int helper, struct err *err)
{
	int status = 0;
	int r = pidfd_wait(helper, &status);
	close_fd(&launch->sync_socket);
	if (r < 0)
		return err_sys(err, r, "launch.helper", "wait for the helper");
	struct sync_message message = {0};
	r = sync_receive(launched->sync_socket, &message, err);
	if (r == 0 && message.kind == SYNC_PID) {
		launched->pid = message.numbers[0];
		launched->pidfd = message.numbers[1];
		r = sync_send(launched->sync_socket, SYNC_GO, NULL, -1);
		return r < 0 ? err_sys(err, r, "launch.helper", "speak to the first process") : 0;
	}
	return r < 0 ? r : err_set(err, -EPROTO, "launch.helper", "the helper ended with status %d", status);
}

static int clone_by_helper(struct launch *launch, struct launched *launched, struct err *err)
{
	scoped_fd int helper = -1;
	pid_t pid = process_clone(&(struct process_clone){.flags = CLONE_FILES, .cgroup_fd = -1}, &helper);
	if (pid == 0)
		init_run(launch);
	if (pid < 0)
		return err_sys(err, pid, "launch.clone", "clone the helper");
	return take_helpers_child(launch, launched, helper, err);
}

static int clone_directly(struct launch *launch, struct launched *launched, struct err *err)
{
	/* cgroup and time namespaces are made by the process itself, once it is where they begin */
	struct process_clone how = {
		.flags = launch->new_namespaces & ~(uint64_t)(CLONE_NEWCGROUP | CLONE_NEWTIME),
		.cgroup_fd = launch->group ? cgroup_v2_fd(launch->group) : -1,
	};
	launched->pid = process_clone(&how, &launched->pidfd);
	if (launched->pid == 0)
		init_run(launch);
	close_fd(&launch->sync_socket);
	if (launched->pid < 0)
		return err_sys(err, launched->pid, "launch.clone", "clone the container's first process");
	return 0;
}

int launcher_clone(struct launch *launch, struct launched *ret_launched, struct err *err)
{
	struct launched launched = {0};
	stdio_give_to_user(launch);
	int r = make_sync(launch, &launched, err);
	if (r < 0)
		return r;
	bool by_helper = launch->any_user && !launch->new_user; /* which joins by itself: it tells the pid that we know */
	if (!by_helper)
		r = init_join_pid_namespace(launch, err);
	if (r == 0)
		r = by_helper ? clone_by_helper(launch, &launched, err) : clone_directly(launch, &launched, err);
	if (r < 0) {
		launched_done(&launched);
		return r;
	}
	*ret_launched = launched;
	return 0;
}

int launcher_clone_exec(struct launch *launch, int container_pidfd, struct launched *ret_launched, struct err *err)
{
	struct launched launched = {0};
	stdio_give_to_user(launch);
	int r = make_sync(launch, &launched, err);
	if (r < 0)
		return r;
	if (launch->new_namespaces & CLONE_NEWPID && setns(container_pidfd, CLONE_NEWPID) < 0)
		r = err_sys(err, -errno, "ns.join", "enter the container's pid namespace");
	struct process_clone how = {.cgroup_fd = launch->group ? cgroup_v2_fd(launch->group) : -1};
	if (r == 0)
		launched.pid = process_clone(&how, &launched.pidfd);
	if (r == 0 && launched.pid == 0)
		init_run_exec(launch, container_pidfd);
	close_fd(&launch->sync_socket);
	if (r == 0 && launched.pid < 0)
		r = err_sys(err, launched.pid, "launch.clone", "clone a process into the container");
	if (r < 0) {
		launched_done(&launched);
		return r;
	}
	*ret_launched = launched;
	return 0;
}

static int serve_maps(const struct launch *launch, const struct launched *launched, struct err *err)
{
	const struct oci_linux *config = launch->spec->linux_;
	return idmap_write(launch->proc_fd, launched->pid, config->uid_mappings, config->uid_mappings_count,
			   config->gid_mappings, config->gid_mappings_count, err);
}

static int serve_hooks(const struct launch *launch, const struct launched *launched, struct err *err)
{
	const struct oci_hooks *hooks = launch->spec->hooks;
	scoped_free char *state = NULL;
	int r = make_state_text(launch, "creating", launched->pid, &state, err);
	if (r == 0)
		r = hooks_run(hooks->prestart, hooks->prestart_count, "prestart", state, launch->bundle, err);
	if (r == 0)
		r = hooks_run(hooks->create_runtime, hooks->create_runtime_count, "createRuntime", state, launch->bundle,
			      err);
	return r;
}

static int serve_console(const struct launch *launch, struct launched *launched, int master, struct err *err)
{
	if (master < 0)
		return err_set(err, -EPROTO, "console.receive", "no terminal came");
	if (!launch->options->console_socket) {
		launched->console = master;
		return 0;
	}
	int r = console_send(launch->options->console_socket, master, err);
	(void)close(master); /* the other side has its own */
	return r;
}

/* The group holds the process from its birth: what it needs until it is the container's own counts as well. */
#define STARTING_BYTES (256 << 10)

static int ended_early(const struct launch *launch, struct err *err)
{
	const struct oci_linux *config = launch->spec->linux_;
	const struct oci_memory *memory = config && config->resources ? config->resources->memory : NULL;
	if (memory && memory->limit && *memory->limit > 0 && *memory->limit < STARTING_BYTES)
		return err_set(err, -EPROTO, "launch.ended",
			       "the container's first process was killed before it was ready: its memory limit of %lld "
			       "bytes is too low, expected %d at least",
			       (long long)*memory->limit, STARTING_BYTES);
	return err_set(err, -EPROTO, "launch.ended", "the container's first process was killed before it was ready");
}

/* Returns 0 after a request was served, 1 when the process is ready. */
static int serve(struct launch *launch, struct launched *launched, struct err *err)
{
	struct sync_message message = {0};
	int r = sync_receive(launched->sync_socket, &message, err);
	if (r == SYNC_END)
		return ended_early(launch, err);
	if (r < 0)
		return r;
	switch (message.kind) {
	case SYNC_READY:
		return 1;
	case SYNC_MAPS:
		r = serve_maps(launch, launched, err);
		break;
	case SYNC_HOOKS:
		r = serve_hooks(launch, launched, err);
		break;
	case SYNC_CONSOLE:
		return serve_console(launch, launched, message.fd, err);
	default:
		return err_set(err, -EPROTO, "launch.protocol", "unexpected message %d", (int)message.kind);
	}
	if (r == 0)
		r = sync_send(launched->sync_socket, SYNC_GO, NULL, -1);
	return r;
}

bool launcher_needs_turn(const struct launch *launch)
{
	const struct oci_hooks *hooks = launch->spec->hooks;
	bool asks = hooks && hooks->prestart_count + hooks->create_runtime_count > 0; /* and waits for the same answer */
	return asks || launch->any_user; /* maps and limits of a user namespace are set from outside */
}

int launcher_go_early(struct launched *launched, struct err *err)
{
	int r = sync_send(launched->sync_socket, SYNC_GO, NULL, -1);
	launched->gone = true;
	return r < 0 && r != -EPIPE ? err_sys(err, r, "launch.go", "start the container's first process") : 0;
}

int launcher_await_ready(struct launch *launch, struct launched *launched, struct err *err)
{
	int r = 0;
	while (r == 0)
		r = serve(launch, launched, err);
	if (r > 0)
		r = launch->any_user ? rlimits_apply(launched->pid, launch->process, err) : 0;
	if (r < 0)
		launched_kill(launched);
	return r;
}

int launcher_go(struct launched *launched, struct err *err)
{
	int r = launched->gone ? 0 : sync_send(launched->sync_socket, SYNC_GO, NULL, -1);
	if (r < 0)
		return err_sys(err, r, "launch.go", "start the container's first process");
	struct sync_message message = {0};
	r = sync_receive(launched->sync_socket, &message, err);
	return r == SYNC_END ? 0 : r < 0 ? r : err_set(err, -EPROTO, "launch.protocol", "unexpected message");
}

void launched_done(struct launched *launched)
{
	close_fd(&launched->pidfd);
	close_fd(&launched->sync_socket);
	close_fd(&launched->console);
}

void launched_kill(struct launched *launched)
{
	int status = 0;
	if (launched->pidfd >= 0) {
		(void)pidfd_signal(launched->pidfd, SIGKILL); /* ended already: as wanted */
		(void)pidfd_wait(launched->pidfd, &status);   /* only reaped */
	}
	launched_done(launched);
}
