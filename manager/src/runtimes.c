#include "manager/src/runtimes.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/sys/fd.h"
#include "core/sys/path.h"
#include "core/sys/pidfd.h"
#include "core/sys/spawn.h"

#define TIMEOUT_MS 30000
#define WORDS_MAX 400
#define CGROUP_VIEW_PROGRAM "axcgroup1"

/* --- finding --- */

/* As execvp(3) would find it; NULL where it is nowhere. */
static const char *find_in_path(struct arena *arena, const char *name)
{
	const char *path = getenv("PATH");
	scoped(strv_free) char **folders = str_split(path ? path : "/usr/sbin:/usr/bin:/sbin:/bin", ':');
	for (size_t i = 0; folders && folders[i]; i++) {
		const char *candidate = arena_printf(arena, "%s/%s", folders[i], name);
		if (candidate && *candidate == '/' && access(candidate, X_OK) == 0)
			return candidate;
	}
	return NULL;
}

/* A name without '/' is a program beside axled, else one in PATH. */
static const char *find_program(struct arena *arena, const char *name)
{
	if (strchr(name, '/'))
		return access(name, X_OK) == 0 ? name : NULL;
	scoped_free char *sibling = path_of_sibling_program(name);
	if (sibling && *sibling == '/' && access(sibling, X_OK) == 0)
		return arena_strdup(arena, sibling);
	return find_in_path(arena, name);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

/* crun refuses a machine whose controllers are on v1 and v2 both. Any other takes it, or is told by its configuration. */
static bool needs_v1_view(const struct node *node, const struct config_runtime *handler, const char *path)
{
	if (handler->cgroups)
		return str_equal(handler->cgroups, "v1");
	return node->cgroups.v2_index >= 0 && !node->cgroups.pure_v2 && str_equal(base_name(path), "crun");
}

/* "axcgroup1 PROGRAM ..." shows the program the hierarchies of v1 alone. */
static int wrap(struct arena *arena, const char **path, const char **args, size_t *at)
{
	const char *wrapper = find_program(arena, CGROUP_VIEW_PROGRAM);
	if (!wrapper)
		return -ENOENT;
	args[(*at)++] = *path;
	*path = wrapper;
	return 0;
}

int runtime_find(const struct node *node, const char *name, struct arena *arena, struct runtime *ret_runtime,
		 struct err *err)
{
	const struct config_runtime *handler = config_find_runtime(&node->config, name);
	if (!handler)
		return err_set(err, -ENOENT, "runtime.missing", "runtime handler \"%s\": it is not configured", name);
	const char *wanted = handler->path ? handler->path : handler->name;
	const char *path = find_program(arena, wanted);
	if (!path || *path != '/')
		return err_set(err, -ENOENT, "runtime.missing",
			       "runtime handler \"%s\": there is no program %s that can be executed, beside axled or in PATH",
			       handler->name, wanted);
	const char *program = path;
	bool takes_rootfs_fd = str_equal(base_name(path), CONFIG_DEFAULT_RUNTIME);
	size_t more = handler->args ? strv_count(handler->args) : 0;
	const char **args = arena_array(arena, more + 4, sizeof *args);
	size_t at = 0;
	if (!args)
		return err_memory(err, "the runtime's options");
	if (needs_v1_view(node, handler, path) && wrap(arena, &path, args, &at) < 0)
		return err_set(err, -ENOENT, "runtime.missing", "runtime handler \"%s\": there is no " CGROUP_VIEW_PROGRAM,
			       handler->name);
	args[at++] = "--root";
	args[at++] = handler->root ? handler->root
				   : arena_printf(arena, "%s/runtime/%s", node->places.state, handler->name);
	if (!args[at - 1])
		return err_memory(err, "the runtime's options");
	for (size_t i = 0; i < more; i++)
		args[at++] = handler->args[i];
	*ret_runtime = (struct runtime){path, program, args, takes_rootfs_fd};
	return 0;
}

/* --- running --- */

static int await_end(struct node *node, int pidfd)
{
	struct fibers *fibers = node->fibers;
	fiber_shield(fibers); /* a command is let end: it must not be cut off at any point */
	uint64_t outer = fiber_set_deadline(fibers, uv_hrtime() + TIMEOUT_MS * UINT64_C(1000000));
	int r = fiber_await_fd(fibers, pidfd, UV_READABLE);
	(void)fiber_set_deadline(fibers, outer);
	fiber_unshield(fibers);
	return r;
}

static int spawn(struct node *node, const struct runtime *runtime, const char *const *args, int output_fd, int *ret_pidfd,
		 struct err *err)
{
	scoped_done(arena_done) struct arena arena = {.max = 64 << 10};
	size_t globals = strv_count(runtime->args);
	size_t own = strv_count(args);
	const char **argv = arena_array(&arena, globals + own + 2, sizeof *argv);
	if (!argv)
		return err_memory(err, "the runtime's options");
	argv[0] = runtime->path;
	memcpy(argv + 1, runtime->args, globals * sizeof *argv);
	memcpy(argv + 1 + globals, args, own * sizeof *argv);
	int fds[] = {-1, output_fd, output_fd};
	const struct spawn how = {
		.path = runtime->path,
		.argv = argv,
		.fds = fds,
		.fds_count = 3,
		.cgroup_fd = node->helper.cgroup_fd,
		.die_with_caller = true,
	};
	pid_t pid = 0;
	return spawn_process(&how, &pid, ret_pidfd, err);
}

/* The first line that it wrote. */
static int tell_failure(const struct runtime *runtime, const char *command, int output_fd, struct err *err)
{
	char words[WORDS_MAX];
	ssize_t count = pread(output_fd, words, WORDS_MAX - 1, 0);
	words[count > 0 ? count : 0] = '\0';
	words[strcspn(words, "\n")] = '\0';
	return err_set(err, -EIO, "runtime.failed", "%s %s: %s", runtime->path, command,
		       *words ? words : "it failed without a word");
}

int runtime_run(struct node *node, const struct runtime *runtime, const char *const *args, struct buf *ret_output,
		struct err *err)
{
	scoped_fd int output_fd = memfd_create("runtime", MFD_CLOEXEC);
	scoped_fd int pidfd = -1;
	if (output_fd < 0)
		return err_sys(err, -errno, "runtime.output", "make a memory file");
	int r = spawn(node, runtime, args, output_fd, &pidfd, err);
	if (r < 0)
		return r;
	r = await_end(node, pidfd);
	if (r < 0)
		(void)pidfd_signal(pidfd, SIGKILL);
	int status = 0;
	(void)pidfd_wait(pidfd, &status); /* it has ended, or is just being killed */
	if (r < 0)
		return err_set(err, r, "runtime.timeout", "%s %s did not end and was killed", runtime->path, args[0]);
	if (status != 0)
		return tell_failure(runtime, args[0], output_fd, err);
	if (!ret_output)
		return 0;
	r = lseek(output_fd, 0, SEEK_SET) < 0 ? -errno : fd_read_all(output_fd, ret_output);
	return r < 0 ? err_sys(err, r, "runtime.output", "read what %s %s wrote", runtime->path, args[0]) : 0;
}
