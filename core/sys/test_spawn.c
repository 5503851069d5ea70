#include "core/sys/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/test_main.h"
#include "core/sys/fd.h"

/* Runs `sh -c @script` with a pipe as standard output; returns its status and what it wrote. */
static int run_shell(const char *script, struct spawn *spawn, struct buf *ret_output)
{
	int ends[2];
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	const char *const argv[] = {"sh", "-c", script, NULL};
	int fds[] = {-1, ends[1], 2};
	spawn->path = "/bin/sh";
	spawn->argv = argv;
	spawn->fds = fds;
	spawn->fds_count = 3;
	pid_t pid = 0;
	scoped_fd int pidfd = -1;
	struct err err = {0};
	int r = spawn_process(spawn, &pid, &pidfd, &err);
	ck_assert_msg(r == 0, "%s", err.message);
	close(ends[1]);
	ck_assert_int_eq(fd_read_all(ends[0], ret_output), 0);
	close(ends[0]);
	ck_assert_int_eq(poll(&(struct pollfd){.fd = pidfd, .events = POLLIN}, 1, 10000), 1);
	int status = spawn_reap(pidfd);
	ck_assert_int_eq(spawn_reap(pidfd), -ECHILD);
	return status;
}

START_TEST(a_program_has_only_the_descriptors_it_is_given)
{
	scoped_fd int stray = open("/dev/null", O_RDONLY); /* not close-on-exec */
	ck_assert_int_ge(stray, 0);
	scoped_done(buf_done) struct buf output = {.max = 4096};
	struct spawn spawn = {.cgroup_fd = -1, .die_with_caller = true};
	/* the shell's own glob opens one more */
	ck_assert_int_eq(run_shell("cd /proc/$$/fd && set -- * && echo $#; read x; echo end; exit 7", &spawn, &output), 7);
	ck_assert_str_eq(output.data, "4\nend\n");
}
END_TEST

START_TEST(signals_are_reset_and_counted_as_a_shell_does)
{
	ck_assert(signal(SIGTERM, SIG_IGN) != SIG_ERR);
	scoped_done(buf_done) struct buf output = {.max = 4096};
	struct spawn spawn = {.cgroup_fd = -1, .new_session = true};
	ck_assert_int_eq(run_shell("kill -TERM $$; echo ignored", &spawn, &output), 128 + SIGTERM);
	ck_assert_uint_eq(output.size, 0);
}
END_TEST

START_TEST(a_program_that_cannot_be_executed_is_an_error_and_leaves_no_child)
{
	const char *const argv[] = {"nothing", NULL};
	int fds[] = {-1, -1, -1};
	struct spawn spawn = {"/nonexistent/program", argv, NULL, fds, 3, -1, false, false};
	pid_t pid = -7;
	int pidfd = -7;
	struct err err = {0};
	ck_assert_int_eq(spawn_process(&spawn, &pid, &pidfd, &err), -ENOENT);
	ck_assert_str_eq(err.message, "execute /nonexistent/program: No such file or directory");
	ck_assert_int_eq(pid, -7);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, a_program_has_only_the_descriptors_it_is_given);
	tcase_add_test(cases, signals_are_reset_and_counted_as_a_shell_does);
	tcase_add_test(cases, a_program_that_cannot_be_executed_is_an_error_and_leaves_no_child);
}

TEST_MAIN("spawn", add_tests)
