/* create, run, start, kill, delete, pause, resume. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/log.h"
#include "core/base/opt.h"
#include "core/base/parse.h"
#include "core/base/str.h"
#include "core/sys/cgroup.h"
#include "core/sys/pidfd.h"
#include "runtime/src/axrun/arguments.h"
#include "runtime/src/axrun/commands.h"
#include "runtime/src/axrun/launch.h"
#include "runtime/src/axrun/lifecycle.h"
#include "runtime/src/axrun/signal_name.h"
#include "runtime/src/axrun/state.h"

static const struct opt CREATE_OPTIONS[] = {
	{'b', "bundle", "DIR", OPT_STRING, offsetof(struct launch_options, bundle), "the bundle (default: .)"},
	{'d', "detach", NULL, OPT_FLAG, offsetof(struct launch_options, detach), "run: do not wait for the container"},
	{'f', "config", "FILE", OPT_STRING, offsetof(struct launch_options, config),
	 "the configuration's name in the bundle (default: config.json)"},
	{0, "console-socket", "PATH", OPT_STRING, offsetof(struct launch_options, console_socket),
	 "send the terminal's master to this socket"},
	{0, "keep", NULL, OPT_FLAG, offsetof(struct launch_options, keep), "run: do not delete the container at its end"},
	{0, "no-new-keyring", NULL, OPT_FLAG, offsetof(struct launch_options, no_new_keyring),
	 "keep the caller's session keyring"},
	{0, "no-pivot", NULL, OPT_FLAG, offsetof(struct launch_options, no_pivot),
	 "chroot instead of pivot_root (for hosts that run from a ramfs)"},
	{0, "no-subreaper", NULL, OPT_FLAG, offsetof(struct launch_options, no_subreaper), NULL},
	{0, "pid-file", "PATH", OPT_STRING, offsetof(struct launch_options, pid_file), "write the first process's pid here"},
	{0, "preserve-fds", "N", OPT_U64, offsetof(struct launch_options, preserve_fds),
	 "leave descriptors 3 to 2+N open in the container"},
	{0, "rootfs-fd", "N", OPT_U64, offsetof(struct launch_options, rootfs_fd_number),
	 "take this descriptor (a detached mount) as the root file system"},
	{0},
};

/* Where a descriptor is promised that is not there, its number is taken: one of our own would otherwise get it, and reach
 * the container. What takes it is closed when the program is executed. */
static int hold_preserved(uint64_t count, struct err *err)
{
	if (count > 1024)
		return err_set(err, -EINVAL, "option.value", "option --preserve-fds: %" PRIu64 ": expected at most 1024", count);
	for (uint64_t i = 0; i < count; i++) {
		int fd = STDERR_FILENO + 1 + (int)i;
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		scoped_fd int filler = open("/dev/null", O_PATH | O_CLOEXEC);
		int r = filler < 0 ? -errno : 0;
		if (r == 0 && filler != fd)
			r = dup3(filler, fd, O_CLOEXEC) < 0 ? -errno : 0;
		else
			(void)TAKE_FD(filler); /* it holds the number until the end */
		if (r < 0)
			return err_sys(err, r, "option.value", "option --preserve-fds: hold descriptor %d", fd);
	}
	return 0;
}

static int listen_fds(struct launch_options *options)
{
	const char *text = getenv("LISTEN_FDS");
	uint64_t count = 0;
	if (!text || parse_u64(text, 1, 1024, &count) < 0)
		return 0;
	options->preserve_fds += count;
	return 1;
}

static int create_or_run(const struct globals *globals, char **argv, bool run, int *ret_status, struct err *err)
{
	struct launch_options options = {
		.bundle = ".", .config = "config.json", .rootfs_fd = -1, .rootfs_fd_number = UINT64_MAX, .run = run};
	const char *id = NULL;
	int r = arguments_parse(CREATE_OPTIONS, "ID", argv, &options, &id, 1, NULL, err);
	if (r != 0)
		return r;
	(void)listen_fds(&options);
	r = hold_preserved(options.preserve_fds, err);
	if (r < 0)
		return r;
	if (options.rootfs_fd_number != UINT64_MAX) {
		if (options.rootfs_fd_number > 65535 || fcntl((int)options.rootfs_fd_number, F_GETFD) < 0)
			return err_set(err, -EBADF, "option.value", "option --rootfs-fd: descriptor %" PRIu64 " is not open",
				       options.rootfs_fd_number);
		options.rootfs_fd = (int)options.rootfs_fd_number;
	}
	options.no_cgroups = str_equal(globals->cgroup_manager, "disabled");
	return lifecycle_create(globals, id, &options, ret_status, err);
}

int command_create(const struct globals *globals, char **argv, int *ret_status, struct err *err)
{
	return create_or_run(globals, argv, false, ret_status, err);
}

int command_run(const struct globals *globals, char **argv, int *ret_status, struct err *err)
{
	return create_or_run(globals, argv, true, ret_status, err);
}

int command_start(const struct globals *globals, char **argv, int *ret_status, struct err *err)
{
	(void)ret_status; /* 0 */
	static const struct opt OPTIONS[] = {{0}};
	const char *id = NULL;
	int r = arguments_parse(OPTIONS, "ID", argv, NULL, &id, 1, NULL, err);
	if (r != 0)
		return r;
	scoped(container_free) struct container *container = NULL;
	r = container_open(globals->root, id, LOCK_WAIT, false, &container, err);
	return r < 0 ? r : lifecycle_start(container, err);
}

struct kill_options {
	bool all;
	const char *regex;
};

static const struct opt KILL_OPTIONS[] = {
	{'a', "all", NULL, OPT_FLAG, offsetof(struct kill_options, all), "signal every process of the container"},
	{0},
};

/* Opens the container's group. Returns -ENOENT where there is none. */
static int open_group(const struct container *container, struct cgroup_layout *ret_layout, struct cgroup *ret_group)
{
	int r = cgroup_layout_open(CGROUP_ROOT, ret_layout, NULL);
	if (r < 0 || !container->state.cgroup)
		return -ENOENT;
	return cgroup_open(ret_layout, container->state.cgroup, ret_group);
}

static int signal_all(const struct container *container, int signal)
{
	struct cgroup_layout layout = {0};
	struct cgroup group = {0};
	int r = open_group(container, &layout, &group);
	if (r == 0)
		r = cgroup_signal(&group, signal);
	cgroup_done(&group);
	cgroup_layout_done(&layout);
	return r;
}

int command_kill(const struct globals *globals, char **argv, int *ret_status, struct err *err)
{
	(void)ret_status; /* 0 */
	struct kill_options options = {0};
	const char *names[2] = {NULL, NULL};
	int r = arguments_parse(KILL_OPTIONS, "ID [SIGNAL]", argv, &options, names, 1, &names[1], err);
	if (r != 0)
		return r;
	int signal = signal_parse(names[1] ? names[1] : "TERM");
	if (signal < 0)
		return err_set(err, -EINVAL, "option.value", "signal \"%s\": expected a name such as TERM, or a number", names[1]);
	scoped(container_free) struct container *container = NULL;
	r = container_open(globals->root, names[0], LOCK_NONE, false, &container, err);
	if (r < 0)
		return r;
	if (options.all && signal_all(container, signal) == 0)
		return 0;
	scoped_fd int pidfd = -1;
	r = container_open_process(container, &pidfd);
	if (r == 0)
		r = pidfd_signal(pidfd, signal);
	if (r == -ESRCH) /* these words are what containerd and podman look for */
		return err_set(err, r, "container.status", "container not running: %s is %s", names[0],
			       container_status_name(container_status(container)));
	return r < 0 ? err_sys(err, r, "container.kill", "signal container %s", names[0]) : 0;
}

struct delete_options {
	bool force;
};

static const struct opt DELETE_OPTIONS[] = {
	{'f', "force", NULL, OPT_FLAG, offsetof(struct delete_options, force),
	 "kill it first where it runs; no error where it does not exist"},
	{0},
};

int command_delete(const struct globals *globals, char **argv, int *ret_status, struct err *err)
{
	(void)ret_status; /* 0 */
	struct delete_options options = {0};
	const char *id = NULL;
	int r = arguments_parse(DELETE_OPTIONS, "ID", argv, &options, &id, 1, NULL, err);
	if (r != 0)
		return r;
	scoped(container_free) struct container *container = NULL;
	r = container_open(globals->root, id, LOCK_WAIT, options.force, &container, err);
	if (r == -ENOENT && options.force)
		return 0;
	if (r < 0)
		return r;
	struct err warning = {0};
	r = lifecycle_delete(container, options.force, &warning, err);
	if (warning.reason)
		log_warning(globals->log, warning.reason, "%s", warning.message);
	return r;
}

static int freeze(const struct globals *globals, char **argv, bool frozen, struct err *err)
{
	static const struct opt OPTIONS[] = {{0}};
	const char *id = NULL;
	int r = arguments_parse(OPTIONS, "ID", argv, NULL, &id, 1, NULL, err);
	if (r != 0)
		return r;
	scoped(container_free) struct container *container = NULL;
	r = container_open(globals->root, id, LOCK_WAIT, false, &container, err);
	if (r < 0)
		return r;
	enum container_status status = container_status(container);
	if (status != (frozen ? CONTAINER_RUNNING : CONTAINER_PAUSED))
		return err_set(err, -EINVAL, "container.status", "%s container %s: it is %s", frozen ? "pause" : "resume", id,
			       container_status_name(status));
	struct cgroup_layout layout = {0};
	struct cgroup group = {0};
	r = open_group(container, &layout, &group);
	r = r < 0 ? err_set(err, r, "cgroup.freeze", "container %s has no cgroup", id) : cgroup_freeze(&group, frozen, err);
	cgroup_done(&group);
	cgroup_layout_done(&layout);
	return r;
}

int command_pause(const struct globals *globals, char **argv, int *ret_status, struct err *err)
{
	(void)ret_status; /* 0 */
	return freeze(globals, argv, true, err);
}

int command_resume(const struct globals *globals, char **argv, int *ret_status, struct err *err)
{
	(void)ret_status; /* 0 */
	return freeze(globals, argv, false, err);
}
