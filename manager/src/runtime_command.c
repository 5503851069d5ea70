#include "manager/src/runtime_command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/sys/pidfd.h"
#include "core/sys/spawn.h"
#include "manager/src/container_bundle.h"
#include "manager/src/node.h"

#define TIMEOUT_MS 30000
#define WORDS_MAX 400

/* The first line that it wrote. */
static void read_words(int fd, char ret_words[WORDS_MAX])
{
	ssize_t count = pread(fd, ret_words, WORDS_MAX - 1, 0);
	ret_words[count > 0 ? count : 0] = '\0';
	ret_words[strcspn(ret_words, "\n")] = '\0';
}

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

int runtime_command(struct node *node, const struct container_runtime *runtime, const char *const *args,
		    struct err *err)
{
	scoped_done(arena_done) struct arena arena = {.max = 64 << 10};
	size_t globals = strv_count(runtime->args);
	size_t own = strv_count(args);
	const char **argv = arena_array(&arena, globals + own + 2, sizeof *argv);
	scoped_fd int words_fd = memfd_create("runtime", MFD_CLOEXEC);
	if (!argv || words_fd < 0)
		return -ENOMEM;
	argv[0] = runtime->path;
	memcpy(argv + 1, runtime->args, globals * sizeof *argv);
	memcpy(argv + 1 + globals, args, own * sizeof *argv);

	int fds[] = {-1, words_fd, words_fd};
	const struct spawn spawn = {
		.path = runtime->path,
		.argv = argv,
		.fds = fds,
		.fds_count = 3,
		.cgroup_fd = node->helper.cgroup_fd,
		.die_with_caller = true,
	};
	pid_t pid = 0;
	scoped_fd int pidfd = -1;
	int r = spawn_process(&spawn, &pid, &pidfd, err);
	if (r < 0)
		return r;
	r = await_end(node, pidfd);
	if (r < 0)
		(void)pidfd_signal(pidfd, SIGKILL);
	int status = 0;
	(void)pidfd_wait(pidfd, &status); /* it has ended, or is just being killed */
	if (r < 0)
		return err_set(err, r, "runtime.timeout", "%s %s did not end and was killed", runtime->path, args[0]);
	if (status == 0)
		return 0;
	char words[WORDS_MAX];
	read_words(words_fd, words);
	return err_set(err, -EIO, "runtime.failed", "%s %s: %s", runtime->path, args[0],
		       *words ? words : "it failed without a word");
}
