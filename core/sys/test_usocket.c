#include "core/sys/usocket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/test_main.h"
#include "core/sys/path.h"

/* A path in a new directory; @deep: longer than sun_path. */
static void make_path(bool deep, char dir[static 64], char path[static 512])
{
	(void)snprintf(dir, 64, "/tmp/axle-test-usocket.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	char name[201];
	memset(name, 'd', sizeof name - 1);
	name[200] = '\0';
	(void)snprintf(path, 512, "%s/%s", dir, deep ? name : "d");
	ck_assert_int_eq(mkdir(path, 0700), 0);
	size_t used = strlen(path);
	(void)snprintf(path + used, 512 - used, "/socket");
}

START_TEST(a_client_reaches_the_server_by_a_path_of_any_length)
{
	char dir[64];
	char path[512];
	make_path(_i == 1, dir, path);
	scoped_fd int server = usocket_listen(path, SOCK_SEQPACKET, 0600, 4, NULL);
	ck_assert_int_ge(server, 0);
	struct stat st;
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	scoped_fd int client = usocket_connect(path, SOCK_SEQPACKET, NULL);
	ck_assert_int_ge(client, 0);
	scoped_fd int accepted = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	ck_assert_int_ge(accepted, 0);
	ck_assert_int_eq(path_remove_tree(AT_FDCWD, dir, NULL), 0);
}
END_TEST

START_TEST(a_dead_socket_is_replaced_and_a_served_one_is_not)
{
	char dir[64];
	char path[512];
	make_path(_i == 1, dir, path);
	int first = usocket_listen(path, SOCK_STREAM, 0600, 4, NULL);
	ck_assert_int_ge(first, 0);
	struct err err = {0};
	ck_assert_int_eq(usocket_listen(path, SOCK_STREAM, 0600, 4, &err), -EADDRINUSE);
	ck_assert_str_eq(err.reason, "socket.listen");
	(void)close(first);
	ck_assert_int_eq(usocket_connect(path, SOCK_STREAM, NULL), -ECONNREFUSED);
	scoped_fd int second = usocket_listen(path, SOCK_STREAM, 0600, 4, NULL);
	ck_assert_int_ge(second, 0);
	ck_assert_int_eq(path_remove_tree(AT_FDCWD, dir, NULL), 0);
	ck_assert_int_eq(usocket_connect(path, SOCK_STREAM, NULL), -ENOENT);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_loop_test(cases, a_client_reaches_the_server_by_a_path_of_any_length, 0, 2);
	tcase_add_loop_test(cases, a_dead_socket_is_replaced_and_a_served_one_is_not, 0, 2);
}

TEST_MAIN("usocket", add_tests)
