/* The socket of the line protocol: a server in a loop of its own process, clients outside. */
#include "signals/src/line/server.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/test_main.h"
#include "core/sys/fd.h"
#include "signals/src/store.h"
#include "signals/src/table.h"

static const char CATALOGUE[] = "{\"V\": {\"type\": \"branch\", \"children\": {"
				"\"Speed\": {\"type\": \"sensor\", \"datatype\": \"float\"},"
				"\"Lamp\": {\"type\": \"actuator\", \"datatype\": \"boolean\"}}}}";

struct service {
	char folder[64];
	char path[96];
	pid_t pid;
};

static void stop(uv_signal_t *handle, int number)
{
	(void)number;
	line_server_close(handle->data);
	uv_close((uv_handle_t *)handle, NULL);
}

static void serve(int listen_fd)
{
	uv_loop_t loop;
	struct table *table = NULL;
	struct store *store = NULL;
	struct line_server *server = NULL;
	struct catalogue *catalogue = NULL;
	struct catalogue_source source = {"test.json", CATALOGUE, strlen(CATALOGUE)};
	uv_signal_t term;
	if (uv_loop_init(&loop) < 0 || table_open(table_create_memory(), &table, NULL) < 0 || store_new(table, &store) < 0 ||
	    catalogue_load(&source, 1, &catalogue, NULL) < 0 || store_set_catalogue(store, catalogue, NULL) < 0 ||
	    line_server_new(&(struct line_server_options){.loop = &loop, .store = store}, listen_fd, &server, NULL) < 0)
		_exit(3);
	(void)uv_signal_init(&loop, &term);
	term.data = server;
	(void)uv_signal_start(&term, stop, SIGTERM);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	store_free(store);
	table_free(table);
	_exit(uv_loop_close(&loop) == 0 ? 0 : 4); /* 4: a handle was left behind */
}

static int dial(const struct service *service)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s", service->path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	ck_assert_int_eq(fd_write_all(fd, text, strlen(text)), 0);
}

/* Reads as many bytes as @text has. */
static void hear(int fd, const char *text)
{
	char got[4096] = "";
	size_t size = 0;
	while (size < strlen(text)) {
		struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
		ck_assert_msg(poll(&poll_fd, 1, 5000) == 1, "got \"%s\", waiting for \"%s\"", got, text);
		ssize_t n = recv(fd, got + size, strlen(text) - size, 0);
		ck_assert_int_gt(n, 0);
		size += (size_t)n;
	}
	ck_assert_str_eq(got, text);
}

static void service_start(struct service *service)
{
	*service = (struct service){.folder = "/tmp/axle-server-test-XXXXXX"};
	ck_assert_ptr_nonnull(mkdtemp(service->folder));
	(void)snprintf(service->path, sizeof service->path, "%s/s", service->folder);
	int fd = -1;
	struct err err = {0};
	ck_assert_msg(line_server_bind(service->path, 0666, &fd, &err) == 0, "%s", err.message);
	struct stat status = {0};
	ck_assert_int_eq(stat(service->path, &status), 0);
	ck_assert_uint_eq(status.st_mode & 07777, 0666);
	service->pid = fork();
	if (service->pid == 0)
		serve(fd);
	(void)close(fd);
	int probe = dial(service); /* it is up once it has answered */
	say(probe, "ping\n");
	hear(probe, "ok\n");
	(void)close(probe);
}

static void service_stop(struct service *service)
{
	int status = 0;
	ck_assert_int_eq(kill(service->pid, SIGTERM), 0);
	ck_assert_int_eq(waitpid(service->pid, &status, 0), service->pid);
	ck_assert_int_eq(status, 0);
	(void)unlink(service->path);
	(void)rmdir(service->folder);
}

START_TEST(clients_talk_and_go)
{
	struct service service;
	service_start(&service);
	int a = dial(&service);
	int b = dial(&service);
	say(a, "sub V.Speed\n");
	hear(a, "name 1 1 V.Speed\nok 1 1\n");
	say(b, "claim V.Speed\nclaim V.Lamp\n1 5\n1 6\n");
	hear(b, "ok 1\nok 2\n");
	hear(a, "1 5\n1 6\n");
	(void)close(b); /* its claims end */
	hear(a, "1\n");
	(void)close(a);
	service_stop(&service);
}
END_TEST

START_TEST(who_ends_his_half_gets_his_answers)
{
	struct service service;
	service_start(&service);
	int fd = dial(&service);
	say(fd, "claim V.Speed\n1 5\nget V.Speed\n");
	struct buf requests = {.max = 1 << 20};
	for (int i = 0; i < 8000; i++) /* their answers are more than the socket holds */
		ck_assert_int_eq(buf_add_text(&requests, "list V.**\n"), 0);
	say(fd, requests.data);
	buf_done(&requests);
	(void)shutdown(fd, SHUT_WR);
	hear(fd, "ok 1\nok 5\n");
	struct buf rest = {.max = 8 << 20};
	ck_assert_int_eq(fd_read_all(fd, &rest), 0);
	ck_assert_uint_eq(rest.size, 8000 * strlen("item V.Speed sensor float\nitem V.Lamp actuator boolean\nok 2\n"));
	buf_done(&rest);
	(void)close(fd);
	service_stop(&service);
}
END_TEST

START_TEST(a_client_that_does_not_read_holds_up_nobody)
{
	struct service service;
	service_start(&service);
	int stalled = dial(&service);
	int reader = dial(&service);
	int writer = dial(&service);
	say(stalled, "sub V.Speed@all\n");
	say(reader, "sub V.Speed@all\n");
	hear(reader, "name 1 1 V.Speed\nok 1 1\n");
	say(writer, "claim V.Speed\n");
	hear(writer, "ok 1\n");
	struct buf batch = {.max = 4096};
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(buf_add_text(&batch, "1 12345.5\n"), 0);
	for (int i = 0; i < 3000; i++) { /* 3 MB: more than its queue and the sockets hold */
		say(writer, batch.data);
		hear(reader, batch.data);
	}
	say(writer, "ping\n");
	hear(writer, "ok\n");
	buf_done(&batch);
	(void)close(stalled);
	(void)close(reader);
	(void)close(writer);
	service_stop(&service);
}
END_TEST

START_TEST(one_client_too_many_is_told)
{
	struct service service;
	service_start(&service);
	int fds[LINE_CLIENTS_MAX];
	for (int i = 0; i < LINE_CLIENTS_MAX; i++) {
		fds[i] = dial(&service);
		say(fds[i], "ping\n");
		hear(fds[i], "ok\n");
	}
	int over = dial(&service);
	hear(over, "error limit too many clients\n");
	(void)close(over);
	for (int i = 0; i < LINE_CLIENTS_MAX; i++)
		(void)close(fds[i]);
	for (int i = 0; i < 100; i++) { /* places are given back */
		int fd = dial(&service);
		say(fd, "ping\n");
		char answer[8] = "";
		ck_assert_int_gt(recv(fd, answer, sizeof answer - 1, 0), 0);
		(void)close(fd);
		if (strcmp(answer, "ok\n") == 0) {
			service_stop(&service);
			return;
		}
		(void)usleep(10000);
	}
	ck_abort_msg("no place was given back");
}
END_TEST

START_TEST(a_socket_is_replaced_only_where_nobody_serves_it)
{
	struct service service;
	service_start(&service);
	int fd = -1;
	struct err err = {0};
	ck_assert_int_eq(line_server_bind(service.path, 0600, &fd, &err), -EADDRINUSE);
	service_stop(&service);

	service = (struct service){.folder = "/tmp/axle-server-test-XXXXXX"};
	ck_assert_ptr_nonnull(mkdtemp(service.folder));
	(void)snprintf(service.path, sizeof service.path, "%s/s", service.folder);
	ck_assert_int_eq(line_server_bind(service.path, 0600, &fd, &err), 0);
	(void)close(fd); /* as after a kill */
	ck_assert_int_eq(line_server_bind(service.path, 0600, &fd, &err), 0);
	(void)close(fd);
	(void)unlink(service.path);
	int file = creat(service.path, 0600);
	(void)close(file);
	ck_assert_int_eq(line_server_bind(service.path, 0600, &fd, &err), -EADDRINUSE); /* not a socket: not ours */
	(void)unlink(service.path);
	(void)rmdir(service.folder);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, clients_talk_and_go);
	tcase_add_test(cases, who_ends_his_half_gets_his_answers);
	tcase_add_test(cases, a_client_that_does_not_read_holds_up_nobody);
	tcase_add_test(cases, one_client_too_many_is_told);
	tcase_add_test(cases, a_socket_is_replaced_only_where_nobody_serves_it);
}
TEST_MAIN("server", add_tests)
