#include "runtime/src/monitor/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/test_main.h"
#include "core/sys/fd.h"
#include "core/sys/path.h"

static int enter_directory(char path[static 64])
{
	(void)snprintf(path, 64, "/tmp/axle-test-record.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(path));
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	return fd;
}

START_TEST(an_exit_is_written_and_read)
{
	char path[64];
	scoped_fd int dir = enter_directory(path);
	scoped_done(arena_done) struct arena arena = {.max = 65536};
	struct monitor_exit back = {0};
	ck_assert_int_eq(monitor_exit_read(dir, &arena, &back, NULL), -ENOENT);
	const struct monitor_exit exit = {.version = 1,
					  .id = "c",
					  .pid = 4,
					  .exit_code = 137,
					  .signal = 9,
					  .oom_killed = true,
					  .oom_kills = 2,
					  .created_ns = 1,
					  .started_ns = 2,
					  .finished_ns = INT64_MAX,
					  .reason = "oom-killed",
					  .message = "a \"b\"\n"};
	ck_assert_int_eq(record_exit_write(dir, &exit, NULL), 0);
	ck_assert_int_eq(monitor_exit_read(dir, &arena, &back, NULL), 0);
	ck_assert_int_eq(back.exit_code, 137);
	ck_assert(back.oom_killed);
	ck_assert_int_eq(back.finished_ns, INT64_MAX);
	ck_assert_str_eq(back.message, exit.message);
	ck_assert_int_eq(path_remove_tree(AT_FDCWD, path, NULL), 0);
}
END_TEST

START_TEST(a_state_is_written_and_read)
{
	char path[64];
	scoped_fd int dir = enter_directory(path);
	scoped_done(arena_done) struct arena arena = {.max = 65536};
	const struct record_state state = {.version = 1,
					   .id = "c",
					   .phase = "running",
					   .pid = 4,
					   .pid_start = UINT64_MAX,
					   .pipes = {.input = 1, .output = 2, .error = 3}};
	ck_assert_int_eq(record_state_write(dir, &state, NULL), 0);
	struct record_state back = {0};
	ck_assert_int_eq(record_state_read(dir, &arena, &back, NULL), 0);
	ck_assert_uint_eq(back.pid_start, UINT64_MAX);
	ck_assert_uint_eq(back.pipes.error, 3);
	ck_assert_int_eq(path_remove_tree(AT_FDCWD, path, NULL), 0);
}
END_TEST

static const struct {
	const char *text;
	int code;
	const char *reason;
} REFUSED[] = {
	{"", -EINVAL, "record.malformed"},
	{"{\"version\":1}", -EINVAL, "record.malformed"},
	{"{\"id\":\"c\",\"exit_code\":0,\"reason\":\"exited\"}", -EINVAL, "record.malformed"},
	{"{\"version\":2,\"id\":{},\"exit_code\":\"new\"}", -ENOTSUP, "record.version"},
	{"{\"version\":0,\"id\":\"c\",\"exit_code\":0,\"reason\":\"exited\"}", -ENOTSUP, "record.version"},
};

START_TEST(a_broken_or_newer_record_is_refused_and_left_alone)
{
	char path[64];
	scoped_fd int dir = enter_directory(path);
	ck_assert_int_eq(file_replace_at(dir, MONITOR_EXIT_FILE, REFUSED[_i].text, strlen(REFUSED[_i].text), 0640,
					 FILE_VOLATILE, NULL),
			 0);
	scoped_done(arena_done) struct arena arena = {.max = 65536};
	struct monitor_exit exit = {.exit_code = 42};
	struct err err = {0};
	ck_assert_int_eq(monitor_exit_read(dir, &arena, &exit, &err), REFUSED[_i].code);
	ck_assert_str_eq(err.reason, REFUSED[_i].reason);
	ck_assert_int_eq(exit.exit_code, 42);
	ck_assert_int_eq(faccessat(dir, MONITOR_EXIT_FILE, F_OK, 0), 0);
	ck_assert_int_eq(path_remove_tree(AT_FDCWD, path, NULL), 0);
}
END_TEST

START_TEST(the_lock_is_held_by_one_and_seen_by_others)
{
	char path[64];
	scoped_fd int dir = enter_directory(path);
	ck_assert_int_eq(monitor_is_alive(dir), 0);
	int lock = record_lock(dir);
	ck_assert_int_ge(lock, 0);
	ck_assert_int_eq(record_lock(dir), -EBUSY);
	ck_assert_int_eq(monitor_is_alive(dir), 1);
	(void)close(lock);
	ck_assert_int_eq(monitor_is_alive(dir), 0);
	ck_assert_int_eq(path_remove_tree(AT_FDCWD, path, NULL), 0);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, an_exit_is_written_and_read);
	tcase_add_test(cases, a_state_is_written_and_read);
	tcase_add_loop_test(cases, a_broken_or_newer_record_is_refused_and_left_alone, 0, 5);
	tcase_add_test(cases, the_lock_is_held_by_one_and_seen_by_others);
}

TEST_MAIN("monitor-record", add_tests)
