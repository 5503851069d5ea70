#include "core/sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/test_main.h"
#include "core/sys/path.h"

/* An empty directory of the test's own, removed by leave_directory(). */
static int enter_directory(char path[static 64])
{
	(void)snprintf(path, 64, "/tmp/axle-test-fd.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(path));
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	return fd;
}

static void leave_directory(const char *path, int fd)
{
	(void)close(fd);
	ck_assert_int_eq(path_remove_tree(AT_FDCWD, path, NULL), 0);
}

START_TEST(a_file_is_replaced_whole_and_read_back)
{
	char path[64];
	int dir = enter_directory(path);
	ck_assert_int_eq(file_replace_at(dir, "a", "one", 3, 0640, FILE_SYNCED, NULL), 0);
	ck_assert_int_eq(file_replace_at(dir, "a", "two!", 4, 0640, FILE_VOLATILE, NULL), 0);
	struct buf text = {.max = 4};
	ck_assert_int_eq(file_read_at(dir, "a", &text, NULL), 0);
	ck_assert_str_eq(text.data, "two!");
	ck_assert_int_lt(faccessat(dir, "a.new", F_OK, 0), 0);
	buf_done(&text);
	leave_directory(path, dir);
}
END_TEST

START_TEST(the_maximum_of_a_read_is_exact)
{
	char path[64];
	int dir = enter_directory(path);
	ck_assert_int_eq(file_replace_at(dir, "a", "12345", 5, 0600, FILE_VOLATILE, NULL), 0);
	struct buf text = {.max = 4};
	struct err err = {0};
	ck_assert_int_eq(file_read_at(dir, "a", &text, &err), -EMSGSIZE);
	ck_assert_str_eq(err.message, "read a: Message too long");
	buf_done(&text);
	leave_directory(path, dir);
}
END_TEST

START_TEST(a_failed_replace_keeps_the_old_file)
{
	char path[64];
	int dir = enter_directory(path);
	ck_assert_int_eq(mkdirat(dir, "d", 0755), 0);
	ck_assert_int_eq(file_replace_at(dir, "d", "x", 1, 0600, FILE_VOLATILE, NULL), -EISDIR);
	ck_assert_int_lt(faccessat(dir, "d.new", F_OK, 0), 0);
	struct err err = {0};
	ck_assert_int_eq(file_replace_at(dir, "no/a", "x", 1, 0600, FILE_VOLATILE, &err), -ENOENT);
	ck_assert_str_eq(err.message, "create no/a.new: No such file or directory");
	leave_directory(path, dir);
}
END_TEST

START_TEST(descriptors_travel_and_unwanted_ones_are_closed)
{
	int ends[2];
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	int sent[2] = {open("/dev/null", O_RDONLY | O_CLOEXEC), open("/dev/zero", O_RDONLY | O_CLOEXEC)};
	ck_assert_int_eq(fd_send_message(ends[0], "hi", 2, sent, 2), 0);

	char bytes[8] = "";
	int fds[2] = {-1, -1};
	size_t count = 0;
	ck_assert_int_eq(fd_receive_message(ends[1], bytes, sizeof bytes, fds, 2, &count), 2);
	ck_assert_uint_eq(count, 2);
	ck_assert_int_ne(fcntl(fds[0], F_GETFD) & FD_CLOEXEC, 0);

	int next = dup(0); /* the lowest free number before a refused message ... */
	(void)close(next);
	ck_assert_int_eq(fd_send_message(ends[0], "hi", 2, sent, 2), 0);
	ck_assert_int_eq(fd_receive_message(ends[1], bytes, sizeof bytes, fds, 1, &count), -EMSGSIZE);
	ck_assert_int_eq(fd_send_message(ends[0], "0123456789", 10, sent, 1), 0);
	ck_assert_int_eq(fd_receive_message(ends[1], bytes, sizeof bytes, fds, 1, &count), -EMSGSIZE);
	int after = dup(0); /* ... is free again behind it */
	ck_assert_int_eq(after, next);
}
END_TEST

START_TEST(flags_are_set_and_cleared)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(fd_set_cloexec(fd, false), 0);
	ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
	ck_assert_int_eq(fd_set_nonblock(fd, true), 0);
	ck_assert_int_ne(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_eq(fd_set_nonblock(-1, true), -EBADF);
	(void)close(fd);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, a_file_is_replaced_whole_and_read_back);
	tcase_add_test(cases, the_maximum_of_a_read_is_exact);
	tcase_add_test(cases, a_failed_replace_keeps_the_old_file);
	tcase_add_test(cases, descriptors_travel_and_unwanted_ones_are_closed);
	tcase_add_test(cases, flags_are_set_and_cleared);
}

TEST_MAIN("fd", add_tests)
