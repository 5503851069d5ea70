/* The client library against the real axmon, whose path is in AXMON. Its runtime is a program that fails. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/test_main.h"
#include "core/sys/path.h"
#include "runtime/include/axle/monitor.h"

#include <fcntl.h>

static struct monitor_client *spawn(pid_t *ret_pid)
{
	const struct monitor_spawn options = {.program = getenv("AXMON")};
	ck_assert_ptr_nonnull(options.program);
	struct monitor_client *client = NULL;
	struct err err = {0};
	int r = monitor_spawn(&options, &client, ret_pid, &err);
	ck_assert_msg(r == 0, "%s", err.message);
	return client;
}

/* Waits for the next message, as an event loop would. */
static int receive(struct monitor_client *client, struct monitor_received *ret_received)
{
	struct pollfd poll_fd = {.fd = monitor_client_fd(client), .events = POLLIN};
	ck_assert_int_eq(poll(&poll_fd, 1, 10000), 1);
	return monitor_receive(client, ret_received, NULL);
}

static void call(struct monitor_client *client, const struct monitor_message *request,
		 struct monitor_received *ret_reply)
{
	uint64_t id = 0;
	ck_assert_int_eq(monitor_request(client, request, NULL, &id, NULL), 0);
	ck_assert_int_eq(receive(client, ret_reply), MONITOR_RECEIVED);
	ck_assert_uint_eq(ret_reply->message.id, id);
	ck_assert_int_eq(ret_reply->message.op, request->op);
}

static void greet(struct monitor_client *client)
{
	struct monitor_hello hello = monitor_hello("test");
	struct monitor_received reply;
	call(client, &(struct monitor_message){.op = MONITOR_HELLO, .hello = &hello}, &reply);
	ck_assert_ptr_null(reply.message.error);
	ck_assert_uint_eq(reply.message.hello->version, MONITOR_PROTOCOL_VERSION);
	monitor_received_done(&reply);
}

static void await_end(pid_t pid)
{
	int status = -1;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

START_TEST(a_new_monitor_answers_and_leaves_with_its_client)
{
	pid_t pid = 0;
	struct monitor_client *client = spawn(&pid);
	struct monitor_received received;
	ck_assert_int_eq(monitor_receive(client, &received, NULL), MONITOR_NOTHING);
	monitor_received_done(&received);
	greet(client);
	call(client, &(struct monitor_message){.op = MONITOR_STATE}, &received);
	ck_assert_str_eq(received.message.state->phase, "idle");
	ck_assert_int_eq(received.message.state->monitor_pid, pid);
	ck_assert_int_eq(monitor_received_take(&received, "pidfd"), -1);
	monitor_received_done(&received);
	monitor_client_free(client);
	await_end(pid);
}
END_TEST

START_TEST(a_failed_create_is_told_and_the_monitor_quits)
{
	char dir[] = "/tmp/axle-test-client.XXXXXX";
	ck_assert_ptr_nonnull(mkdtemp(dir));
	char socket[64];
	(void)snprintf(socket, sizeof socket, "%s/socket", dir);
	const struct monitor_runtime runtime = {.path = "/bin/false"};
	const struct monitor_config config = {
		.id = "c", .bundle = dir, .record_dir = dir, .socket = socket, .runtime = &runtime};
	pid_t pid = 0;
	scoped(monitor_client_free) struct monitor_client *client = spawn(&pid);
	greet(client);
	struct monitor_received received;
	call(client, &(struct monitor_message){.op = MONITOR_CREATE, .config = &config}, &received);
	ck_assert_str_eq(received.message.error->reason, "runtime.failed");
	ck_assert_str_eq(received.message.error->step, "create");
	ck_assert_int_eq(received.message.error->status, 1);
	monitor_received_done(&received);

	scoped(monitor_client_free) struct monitor_client *second = NULL;
	ck_assert_int_eq(monitor_connect(socket, &second, NULL), 0);
	greet(second);
	call(second, &(struct monitor_message){.op = MONITOR_QUIT}, &received);
	ck_assert_ptr_null(received.message.error);
	monitor_received_done(&received);
	ck_assert_int_eq(receive(client, &received), -EPIPE);
	monitor_received_done(&received);
	await_end(pid);
	struct monitor_client *third = NULL;
	ck_assert_int_eq(monitor_connect(socket, &third, NULL), -ENOENT);
	uint64_t id = 0;
	ck_assert_int_eq(monitor_request(client, &(struct monitor_message){.op = MONITOR_STATE}, NULL, &id, NULL),
			 -EPIPE);
	ck_assert_int_eq(path_remove_tree(AT_FDCWD, dir, NULL), 0);
}
END_TEST

START_TEST(a_missing_program_is_told)
{
	struct monitor_client *client = NULL;
	pid_t pid = 0;
	struct err err = {0};
	const struct monitor_spawn options = {.program = "/no/such/axmon"};
	ck_assert_int_eq(monitor_spawn(&options, &client, &pid, &err), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.message, "/no/such/axmon"));
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, a_new_monitor_answers_and_leaves_with_its_client);
	tcase_add_test(cases, a_failed_create_is_told_and_the_monitor_quits);
	tcase_add_test(cases, a_missing_program_is_told);
}

TEST_MAIN("monitor-client", add_tests)
