#include "manager/src/cni_plugin.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/sys/fd.h"
#include "core/sys/pidfd.h"
#include "core/sys/spawn.h"
#include "manager/src/cni_result.h"
#include "manager/src/node.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define WORDS_MAX 16384 /* of stderr: the last ones */
#define CHUNKS_MAX 32   /* that are read at once: others have their turn */
#define SHOWN_MAX 300  /* ... in a message */
#define GROUP_NAME_MAX 64
#define GROUP_END_MS 5000
#define SETTLE_MS 3000 /* for plugins of a dead axled: they need a tenth of it */
#define SETTLE_STEP_MS 10

/* One run: the process, what it says, and the group that holds all it starts. */
struct run {
	struct node *node;
	const struct cni_invocation *invocation;
	pid_t pid;
	int pidfd;
	int stdout_fd; /* read ends; -1: at its end */
	int stderr_fd;
	int epoll_fd;
	int group_fd; /* v2 directory; -1: there is no v2 */
	char group_name[GROUP_NAME_MAX];
	struct buf *output;
	struct buf words;
	bool ended;
};

int cni_plugin_find(const struct node *node, const char *type, struct arena *arena, const char **ret_path, struct err *err)
{
	scoped_done(buf_done) struct buf looked = {.max = 1024};
	for (const char *const *dir = node->config.cni.plugin_dirs; *dir; dir++) {
		struct stat status = {0};
		const char *path = arena_printf(arena, "%s/%s", *dir, type);
		if (!path)
			return -ENOMEM;
		if (stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0) {
			*ret_path = path;
			return 0;
		}
		(void)buf_printf(&looked, "%s%s", looked.size ? ", " : "", *dir); /* too long: the first ones are shown */
	}
	return err_set(err, -ENETUNREACH, "cni.no-plugin", "plugin \"%s\": no such program in %s", type,
		       looked.data ? looked.data : "any folder");
}

/* --- what it is started with --- */

/* Of our own environment all but what is meant for us alone. */
static bool is_passed_on(const char *assignment)
{
	static const char *const OURS[] = {"CNI_", "AXLE_", "NOTIFY_SOCKET=", "LISTEN_", "WATCHDOG_"};
	for (size_t i = 0; i < ARRAY_COUNT(OURS); i++)
		if (str_after_prefix(assignment, OURS[i]))
			return false;
	return true;
}

static int add_variable(char ***environment, const char *name, const char *value)
{
	return value ? strv_printf(environment, "%s=%s", name, value) : 0;
}

static int make_environment(const struct run *run, char ***ret_environment)
{
	const struct cni_invocation *invocation = run->invocation;
	scoped(strv_free) char **all = NULL;
	int r = 0;
	for (char **own = environ; r == 0 && *own; own++)
		if (is_passed_on(*own))
			r = strv_add(&all, *own);
	scoped_free char *dirs = NULL;
	for (const char *const *dir = run->node->config.cni.plugin_dirs; r == 0 && *dir; dir++) {
		char *longer = str_printf("%s%s%s", dirs ? dirs : "", dirs ? ":" : "", *dir);
		free(dirs);
		dirs = longer;
		r = dirs ? 0 : -ENOMEM;
	}
	const struct {
		const char *name;
		const char *value;
	} variables[] = {
		{"PATH", strv_env_get((const char *const *)all, "PATH") ? NULL : DEFAULT_PATH},
		{"CNI_COMMAND", invocation->command},
		{"CNI_CONTAINERID", invocation->container_id},
		{"CNI_NETNS", invocation->netns},
		{"CNI_IFNAME", invocation->interface},
		{"CNI_ARGS", invocation->args},
		{"CNI_PATH", dirs},
	};
	for (size_t i = 0; r == 0 && i < ARRAY_COUNT(variables); i++)
		r = add_variable(&all, variables[i].name, variables[i].value);
	if (r == 0)
		*ret_environment = TAKE(all);
	return r;
}

/* A file instead of a pipe: a plugin that does not read cannot block us. */
static int make_input(const struct buf *input, int *ret_fd)
{
	scoped_fd int fd = memfd_create("cni-input", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = fd_write_all(fd, input->data ? input->data : "", input->size);
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	if (r == 0)
		*ret_fd = TAKE_FD(fd);
	return r;
}

static int make_group(struct run *run)
{
	int parent = cgroup_v2_fd(&run->node->plugins_group);
	if (parent < 0)
		return 0;
	(void)snprintf(run->group_name, sizeof run->group_name, "cni-%llu", (unsigned long long)++run->node->cni_runs);
	if (mkdirat(parent, run->group_name, 0755) < 0 && errno != EEXIST)
		return -errno;
	run->group_fd = openat(parent, run->group_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return run->group_fd < 0 ? -errno : 0;
}

static int spawn(struct run *run, char *const *environment, int input, struct err *err)
{
	int out[2] = {-1, -1};
	int words[2] = {-1, -1};
	if (pipe2(out, O_CLOEXEC) < 0)
		return -errno;
	run->stdout_fd = out[0];
	scoped_fd int out_write = out[1];
	if (pipe2(words, O_CLOEXEC) < 0)
		return -errno;
	run->stderr_fd = words[0];
	scoped_fd int words_write = words[1];
	int r = fd_set_nonblock(run->stdout_fd, true);
	if (r == 0)
		r = fd_set_nonblock(run->stderr_fd, true);
	if (r < 0)
		return r;
	const char *const argv[] = {run->invocation->path, NULL};
	const int fds[] = {input, out_write, words_write};
	const struct spawn how = {
		.path = run->invocation->path,
		.argv = argv,
		.envp = (const char *const *)environment,
		.fds = fds,
		.fds_count = ARRAY_COUNT(fds),
		.cgroup_fd = run->group_fd,
		.die_with_caller = run->group_fd < 0, /* else the next axled finds it by its group */
		.new_session = true,
	};
	return spawn_process(&how, &run->pid, &run->pidfd, err);
}

static int watch(struct run *run)
{
	run->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (run->epoll_fd < 0)
		return -errno;
	const int fds[] = {run->stdout_fd, run->stderr_fd, run->pidfd};
	for (size_t i = 0; i < ARRAY_COUNT(fds); i++) {
		struct epoll_event event = {.events = EPOLLIN, .data.fd = fds[i]};
		if (epoll_ctl(run->epoll_fd, EPOLL_CTL_ADD, fds[i], &event) < 0)
			return -errno;
	}
	return 0;
}

static int start(struct run *run, struct err *err)
{
	scoped(strv_free) char **environment = NULL;
	scoped_fd int input = -1;
	int r = make_environment(run, &environment);
	if (r == 0)
		r = make_input(run->invocation->input, &input);
	if (r == 0)
		r = make_group(run);
	if (r == 0)
		r = spawn(run, environment, input, err);
	if (r == 0)
		r = watch(run);
	return r < 0 && err && !err->code ? err_sys(err, r, "cni.plugin-start", "start %s", run->invocation->path) : r;
}

/* --- while it runs --- */

static void close_end(struct run *run, int *fd)
{
	(void)epoll_ctl(run->epoll_fd, EPOLL_CTL_DEL, *fd, NULL);
	(void)close(TAKE_FD(*fd));
}

/* Reads what there is, at least a whole pipe's content. Where @text is full: -EMSGSIZE, or with @keep_end its begin goes. */
static int drain(struct run *run, int *fd, struct buf *text, bool keep_end)
{
	char bytes[4096];
	for (int i = 0; i < CHUNKS_MAX && *fd >= 0; i++) {
		ssize_t count = read(*fd, bytes, sizeof bytes);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return errno == EAGAIN ? 0 : -errno;
		if (count == 0) {
			close_end(run, fd);
			return 0;
		}
		if (keep_end && text->size + (size_t)count > text->max)
			buf_clear(text);
		int r = buf_add(text, bytes, (size_t)count);
		if (r < 0)
			return r;
	}
	return 0;
}

static int take(struct run *run)
{
	struct epoll_event events[3];
	int count = epoll_wait(run->epoll_fd, events, ARRAY_COUNT(events), 0);
	for (int i = 0; i < count; i++)
		run->ended = run->ended || events[i].data.fd == run->pidfd;
	int r = drain(run, &run->stdout_fd, run->output, false);
	return r < 0 ? r : drain(run, &run->stderr_fd, &run->words, true);
}

static int await_end(struct run *run)
{
	struct fibers *fibers = run->node->fibers;
	uint64_t limit = uv_hrtime() + run->node->config.cni.plugin_timeout_s * UINT64_C(1000000000);
	uint64_t outer = fiber_set_deadline(fibers, limit);
	if (outer < limit)
		(void)fiber_set_deadline(fibers, outer);
	int r = 0;
	while (r == 0 && !run->ended) {
		r = fiber_await_fd(fibers, run->epoll_fd, UV_READABLE);
		if (r == 0)
			r = take(run);
	}
	(void)fiber_set_deadline(fibers, outer);
	return r == -ETIMEDOUT && outer < limit ? -ECANCELED : r;
}

/* --- its end --- */

static void kill_all(const struct run *run)
{
	if (run->group_fd >= 0 && file_write_kernel(run->group_fd, "cgroup.kill", "1", NULL) == 0)
		return;
	(void)kill(-run->pid, SIGKILL); /* it leads its session */
}

/* Parks until the group has no process left; rmdir says so. */
static void remove_group(struct run *run)
{
	struct fibers *fibers = run->node->fibers;
	int parent = cgroup_v2_fd(&run->node->plugins_group);
	for (int waited_ms = 0; unlinkat(parent, run->group_name, AT_REMOVEDIR) < 0 && errno == EBUSY; waited_ms++) {
		if (waited_ms == 0)
			kill_all(run); /* what a plugin leaves behind ends with it */
		if (waited_ms > GROUP_END_MS || fiber_sleep(fibers, 1) < 0) {
			log_warning(&run->node->log, "cni.group", "%s did not end: its group %s stays",
				    run->invocation->type, run->group_name);
			return;
		}
	}
}

/* Returns the exit status; nothing of the run is left but what it said. */
static int end(struct run *run, int result)
{
	struct fibers *fibers = run->node->fibers;
	int status = -1;
	fiber_shield(fibers);
	if (run->pidfd >= 0) {
		if (result < 0)
			kill_all(run);
		while ((status = spawn_reap(run->pidfd)) == -EAGAIN)
			if (fiber_await_fd(fibers, run->pidfd, UV_READABLE) < 0)
				break;
	}
	if (run->group_fd >= 0)
		remove_group(run);
	fiber_unshield(fibers);
	const int fds[] = {run->pidfd, run->stdout_fd, run->stderr_fd, run->epoll_fd, run->group_fd};
	for (size_t i = 0; i < ARRAY_COUNT(fds); i++)
		if (fds[i] >= 0)
			(void)close(fds[i]);
	return status;
}

/* --- what is said of a failure --- */

static int say_killed(const struct run *run, int r, struct err *err)
{
	const char *type = run->invocation->type;
	const char *command = run->invocation->command;
	switch (r) {
	case -ETIMEDOUT:
		return err_set(err, r, "cni.plugin-timeout", "plugin %s did not end its %s within %u s and was killed", type,
			       command, run->node->config.cni.plugin_timeout_s);
	case -ECANCELED:
		return err_set(err, r, "cni.plugin-cancelled", "plugin %s was killed during its %s: the call has ended", type,
			       command);
	case -EMSGSIZE:
		return err_set(err, r, "cni.plugin-output", "plugin %s wrote more than %zu bytes at its %s and was killed",
			       type, run->output->max, command);
	default:
		return err_sys(err, r, "cni.plugin-failed", "plugin %s, %s", type, command);
	}
}

/* The last line of what it wrote on stderr: Go programs end with the cause. */
static const char *last_line(struct buf *words)
{
	while (words->size && strchr("\n\r\t ", words->data[words->size - 1]))
		words->data[--words->size] = '\0';
	const char *end = words->data ? strrchr(words->data, '\n') : NULL;
	return end ? end + 1 : words->data ? words->data : "";
}

/* Section 5: an error is JSON on stdout, and a status other than 0. */
static int say_failed(struct run *run, int status, struct err *err)
{
	scoped_done(arena_done) struct arena arena = {.max = CNI_OUTPUT_BYTES_MAX};
	struct cni_failure failure = {0};
	const char *type = run->invocation->type;
	const char *command = run->invocation->command;
	const struct buf *output = run->output;
	if (cni_failure_parse(output->data ? output->data : "", output->size, &arena, &failure) == 0)
		return err_set(err, -EIO, "cni.plugin-failed", "plugin %s, %s: %.*s%s%.*s (code %lld)", type, command, SHOWN_MAX,
			       str_empty(failure.message) ? "failed" : failure.message,
			       str_empty(failure.details) ? "" : "; ", SHOWN_MAX / 2,
			       failure.details ? failure.details : "", (long long)failure.code);
	const char *words = last_line(&run->words);
	return err_set(err, -EIO, "cni.plugin-failed", "plugin %s, %s: ended with %d%s%.*s", type, command, status,
		       *words ? ": " : " and said nothing", SHOWN_MAX, words);
}

int cni_plugin_run(struct node *node, const struct cni_invocation *invocation, struct buf *ret_output, struct err *err)
{
	struct run run = {.node = node, .invocation = invocation, .pidfd = -1, .stdout_fd = -1, .stderr_fd = -1, .epoll_fd = -1,
			  .group_fd = -1, .output = ret_output, .words = {.max = WORDS_MAX}};
	struct err local = {0};
	int r = start(&run, &local);
	bool started = r == 0;
	if (started)
		r = await_end(&run);
	int status = end(&run, r);
	if (started && r < 0)
		r = say_killed(&run, r, &local);
	else if (started && status != 0)
		r = say_failed(&run, status, &local);
	buf_done(&run.words);
	if (r < 0 && err)
		*err = local;
	return r < 0 && invocation->network ? err_add(err, r, "network \"%s\"", invocation->network) : r;
}

/* Parks until nobody is left in the group, for a while. Returns 1 where somebody is. */
static int await_empty(struct node *node, const struct cgroup *group)
{
	uint64_t limit = uv_hrtime() + SETTLE_MS * UINT64_C(1000000);
	for (;;) {
		scoped_free pid_t *pids = NULL;
		size_t count = 0;
		int r = cgroup_pids(group, &pids, &count);
		if (r < 0 || !count)
			return r;
		if (uv_hrtime() > limit)
			return 1;
		r = fiber_sleep(node->fibers, SETTLE_STEP_MS);
		if (r < 0)
			return r;
	}
}

int cni_plugins_settle(struct node *node, struct err *err)
{
	scoped_free char *path = str_printf("%s/plugins", node->name);
	struct cgroup before;
	if (!path)
		return -ENOMEM;
	if (cgroup_open(&node->cgroups, path, &before) == 0) {
		int left = await_empty(node, &before);
		if (left > 0) {
			log_warning(&node->log, "cni.settle", "plugins of the last start did not end and are killed");
			(void)cgroup_kill(&before); /* whether it did is seen when the group is removed */
		}
		cgroup_done(&before);
		if (left < 0)
			return err_sys(err, left, "cni.settle", "wait for plugins of the last start");
	}
	int r = cgroup_remove(&node->cgroups, path, GROUP_END_MS, err);
	return r < 0 ? r : cgroup_make(&node->cgroups, path, &node->plugins_group, err);
}
