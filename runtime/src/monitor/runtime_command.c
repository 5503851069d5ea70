#include "runtime/src/monitor/runtime_command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/sys/fd.h"
#include "core/sys/spawn.h"
#include "runtime/include/axle/monitor.h"

#define LOG_READ_MAX 65536 /* of the log's end, and of stderr */
#define FDS_MAX 16

/* The last bytes of a memfd; what was never written reads as zeros and is cut off. */
static void read_end(int fd, struct buf *ret_text)
{
	if (fd < 0)
		return;
	struct stat st = {0};
	if (fstat(fd, &st) < 0)
		return;
	off_t from = st.st_size > LOG_READ_MAX ? st.st_size - LOG_READ_MAX : 0;
	char *tail = NULL;
	if (st.st_size == 0 || buf_reserve(ret_text, (size_t)(st.st_size - from), &tail) < 0)
		return;
	ssize_t count = pread(fd, tail, (size_t)(st.st_size - from), from);
	while (count > 0 && tail[count - 1] == '\0')
		count--;
	if (count > 0)
		buf_claim(ret_text, (size_t)count);
}

/* What lies in a pipe now. */
static void read_pipe(int fd, struct buf *ret_text)
{
	char *tail = NULL;
	if (fd < 0 || fd_set_nonblock(fd, true) < 0 || buf_reserve(ret_text, LOG_READ_MAX - 1, &tail) < 0)
		return;
	ssize_t count = read(fd, tail, LOG_READ_MAX - 1);
	if (count > 0)
		buf_claim(ret_text, (size_t)count);
}

static void read_message(const struct runtime_command *command, struct runtime_result *result)
{
	scoped_done(buf_done) struct buf log = {.max = LOG_READ_MAX};
	scoped_done(buf_done) struct buf text = {.max = LOG_READ_MAX};
	read_end(command->log_fd, &log);
	if (command->error_fd >= 0)
		read_end(command->error_fd, &text);
	else if (log.size == 0)
		read_pipe(command->error_pipe, &text);
	runtime_log_last_error(log.data ? log.data : "", log.size, text.data ? text.data : "", text.size,
			       result->message);
}

static void close_all(struct runtime_command *command)
{
	int *const fds[] = {&command->pidfd, &command->log_fd, &command->error_fd};
	for (size_t i = 0; i < 3; i++)
		if (*fds[i] >= 0)
			(void)close(TAKE_FD(*fds[i]));
}

static void on_end(struct child *child, const struct child_status *status)
{
	struct runtime_command *command = child->owner;
	loop_timer_cancel(command->loop, &command->timeout);
	struct runtime_result result = {.status = status->exit_code, .timed_out = command->killed};
	if (result.status != 0)
		read_message(command, &result);
	close_all(command);
	command->running = false;
	struct reaper *reaper = command->reaper;
	command->done(command, &result); /* may free the command with what holds it */
	reaper_end_command(reaper);
}

static void on_timeout(struct timer *timer)
{
	runtime_command_kill(timer->owner);
}

/* A memfd that takes at most LOG_READ_MAX bytes: a hook that stays and writes on costs no more. */
static int make_error_file(void)
{
	scoped_fd int fd = memfd_create("runtime-stderr", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, LOG_READ_MAX) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) < 0)
		return -errno;
	return TAKE_FD(fd);
}

/* PATH ARGS... --log FILE --log-format json COMMAND... */
static int make_argv(const struct runtime_call *call, char ***ret_argv)
{
	scoped(strv_free) char **argv = NULL;
	int r = strv_add(&argv, call->runtime->path);
	for (const char *const *arg = call->runtime->args; r == 0 && arg && *arg; arg++)
		r = strv_add(&argv, *arg);
	static const char *const LOG[] = {"--log", "/proc/self/fd/3", "--log-format", "json", NULL};
	for (const char *const *arg = LOG; r == 0 && *arg; arg++)
		r = strv_add(&argv, *arg);
	for (const char *const *arg = call->args; r == 0 && *arg; arg++)
		r = strv_add(&argv, *arg);
	if (r < 0)
		return r;
	*ret_argv = TAKE(argv);
	return 0;
}

static int spawn_runtime(struct runtime_command *command, const struct runtime_call *call, struct err *err)
{
	if (call->fds_count > FDS_MAX - RUNTIME_FIRST_FD)
		return err_sys(err, -EMSGSIZE, "runtime.descriptors", "run %s", call->runtime->path);
	scoped(strv_free) char **argv = NULL;
	int r = make_argv(call, &argv);
	if (r < 0)
		return err_sys(err, r, "runtime.memory", "run %s", call->runtime->path);
	int fds[FDS_MAX] = {call->stdio[0], call->stdio[1], call->stdio[2], command->log_fd};
	if (fds[2] < 0)
		fds[2] = command->error_fd;
	for (size_t i = 0; i < call->fds_count; i++)
		fds[RUNTIME_FIRST_FD + i] = call->fds[i];
	struct spawn spawn = {
		.path = call->runtime->path,
		.argv = (const char *const *)argv,
		.fds = fds,
		.fds_count = RUNTIME_FIRST_FD + call->fds_count,
		.cgroup_fd = -1,
		.new_session = true,
	};
	return spawn_process(&spawn, &command->child.pid, &command->pidfd, err);
}

int runtime_command_start(struct runtime_command *command, const struct runtime_call *call, struct err *err)
{
	command->pidfd = command->log_fd = command->error_fd = -1;
	command->killed = false;
	command->child.ended = on_end;
	command->child.owner = command;
	command->timeout = (struct timer){.expired = on_timeout, .owner = command};
	command->log_fd = memfd_create("runtime-log", MFD_CLOEXEC);
	if (call->stdio[2] < 0)
		command->error_fd = make_error_file();
	int r = command->log_fd < 0 ? err_sys(err, -errno, "runtime.log", "make a memfd for the runtime's log") : 0;
	if (r == 0)
		r = spawn_runtime(command, call, err);
	if (r < 0) {
		close_all(command);
		return r;
	}
	command->running = true;
	reaper_begin_command(command->reaper);
	reaper_add(command->reaper, &command->child);
	uint32_t timeout_ms = call->runtime->timeout_ms;
	loop_timer_set(command->loop, &command->timeout, timeout_ms ? timeout_ms : RUNTIME_TIMEOUT_MS);
	return 0;
}

void runtime_command_kill(struct runtime_command *command)
{
	if (!command->running)
		return;
	command->killed = true;
	(void)kill(-command->child.pid, SIGKILL); /* its session, which it leads; it is not reaped yet */
}

void runtime_command_done(struct runtime_command *command)
{
	if (!command->loop)
		return;
	loop_timer_cancel(command->loop, &command->timeout);
	if (command->running)
		reaper_remove(command->reaper, &command->child);
	close_all(command);
}
