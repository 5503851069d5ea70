#include "runtime/src/axrun/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/codec/oci_runtime.h"
#include "core/sys/fd.h"
#include "core/sys/pidfd.h"

#define WORDS_MAX 4096 /* of a hook, on stderr */
#define WORDS_LINE_MAX 320

int hooks_state(const char *id, const char *status, pid_t pid, const char *bundle, const struct oci_spec *spec,
		struct buf *ret_text)
{
	struct oci_state state = {
		.oci_version = OCI_RUNTIME_VERSION,
		.id = id,
		.status = status,
		.pid = pid,
		.bundle = bundle,
		.annotations = spec->annotations,
		.annotations_count = spec->annotations_count,
	};
	return json_encode(&OCI_STATE, &state, ret_text);
}

/* A memory file that reads from its beginning: a pipe could fill up before the hook reads. */
static int state_file(const char *state, int *ret_fd)
{
	scoped_fd int fd = memfd_create("state", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = fd_write_all(fd, state, strlen(state));
	if (r < 0)
		return r;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* Where a hook's words on stderr go: a file of fixed size, so that one with much to say neither waits nor takes memory. Its
 * position tells how much is in it. */
static int words_file(void)
{
	scoped_fd int fd = memfd_create("words", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, WORDS_MAX) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) < 0)
		return -errno;
	return TAKE_FD(fd);
}

/* Passes them on to our stderr, and gives the last line: why it failed, most likely. */
static void hear_words(int fd, char ret_last[static WORDS_LINE_MAX])
{
	char words[WORDS_MAX];
	off_t end = lseek(fd, 0, SEEK_CUR);
	ssize_t n = end > 0 ? pread(fd, words, (size_t)end < sizeof words ? (size_t)end : sizeof words, 0) : 0;
	*ret_last = '\0';
	if (n <= 0)
		return;
	(void)fd_write_all(STDERR_FILENO, words, (size_t)n); /* nobody there: nobody hears */
	while (n > 0 && (words[n - 1] == '\n' || words[n - 1] == '\0'))
		n--;
	const char *before = n > 0 ? memrchr(words, '\n', (size_t)n) : NULL;
	const char *line = before ? before + 1 : words;
	(void)snprintf(ret_last, WORDS_LINE_MAX, ": %.*s", (int)(words + n - line), line);
}

/* In the hook's process. Its stdout is the container's for some callers, so nothing may appear there. */
static void become_hook(const struct oci_hook *hook, const char *directory, int state_fd, int words_fd, int failure_fd)
{
	sigset_t none;
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	const char *const default_args[] = {hook->path, NULL};
	const char *const *args = hook->args && hook->args[0] ? hook->args : default_args;
	const char *const *env = hook->env ? hook->env : (const char *const *)environ;
	if (directory)
		(void)!chdir(directory); /* out of reach in a user namespace: then where we are */
	if (words_fd >= 0)
		(void)dup2(words_fd, STDERR_FILENO); /* else it is ours */
	if (dup2(state_fd, STDIN_FILENO) >= 0 && (null_fd < 0 || dup2(null_fd, STDOUT_FILENO) >= 0)) {
		(void)close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
		(void)execve(hook->path, (char *const *)(uintptr_t)args, (char *const *)(uintptr_t)env);
	}
	int code = errno;
	(void)!write(failure_fd, &code, sizeof code); /* else the exit status tells */
	_exit(127);
}

static int await_hook(const struct oci_hook *hook, int pidfd, int words_fd, const char *when, struct err *err)
{
	char words[WORDS_LINE_MAX] = "";
	int timeout_ms = hook->timeout && *hook->timeout > 0 ? *hook->timeout * 1000 : -1;
	int late = pidfd_await_end(pidfd, timeout_ms);
	if (late < 0)
		(void)pidfd_signal(pidfd, SIGKILL); /* gone by itself is fine too */
	int status = 0;
	int r = pidfd_wait(pidfd, &status);
	if (words_fd >= 0)
		hear_words(words_fd, words);
	if (late < 0)
		return err_set(err, late, "hook.failed", "%s hook %s: not done within %d s%s", when, hook->path,
			       *hook->timeout, words);
	if (r < 0)
		return err_sys(err, r, "hook.failed", "%s hook %s", when, hook->path);
	if (status != 0)
		return err_set(err, -ECHILD, "hook.failed", "%s hook %s: exit status %d%s", when, hook->path, status, words);
	return 0;
}

static int run_hook(const struct oci_hook *hook, const char *when, const char *state, const char *directory,
		    struct err *err)
{
	scoped_fd int state_fd = -1;
	int failure[2] = {-1, -1};
	int r = state_file(state, &state_fd);
	if (r < 0 || pipe2(failure, O_CLOEXEC) < 0)
		return err_sys(err, r < 0 ? r : -errno, "hook.failed", "%s hook %s", when, hook->path);
	scoped_fd int read_end = failure[0];
	scoped_fd int words_fd = words_file(); /* without it they go where ours go */
	scoped_fd int pidfd = -1;
	pid_t pid = process_clone(&(struct process_clone){.cgroup_fd = -1}, &pidfd);
	if (pid == 0)
		become_hook(hook, directory, state_fd, words_fd, failure[1]);
	(void)close(failure[1]); /* the child's */
	if (pid < 0)
		return err_sys(err, pid, "hook.failed", "%s hook %s: fork", when, hook->path);

	int code = 0;
	if (read(read_end, &code, sizeof code) == (ssize_t)sizeof code) {
		int status = 0;
		(void)pidfd_wait(pidfd, &status); /* it has told what it died of */
		return err_sys(err, -code, "hook.failed", "%s hook %s", when, hook->path);
	}
	return await_hook(hook, pidfd, words_fd, when, err);
}

int hooks_run(const struct oci_hook *hooks, size_t count, const char *when, const char *state, const char *directory,
	      struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		int r = run_hook(&hooks[i], when, state, directory, err);
		if (r < 0)
			return r;
	}
	return 0;
}
