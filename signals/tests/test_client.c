/* libaxle-signal against a service that this test plays itself, line by line. */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/scoped.h"
#include "core/base/test_main.h"
#include "signals/include/axle/signal.h"

struct service {
	char folder[64];
	char path[96];
	int listen_fd;
	int fd;
};

static void service_listen(struct service *service)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s", service->path);
	service->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(service->listen_fd, 0);
	ck_assert_int_eq(bind(service->listen_fd, (struct sockaddr *)&address, sizeof address), 0);
	ck_assert_int_eq(listen(service->listen_fd, 4), 0);
}

static void service_start(struct service *service)
{
	*service = (struct service){.folder = "/tmp/axle-signal-test-XXXXXX", .listen_fd = -1, .fd = -1};
	ck_assert_ptr_nonnull(mkdtemp(service->folder));
	(void)snprintf(service->path, sizeof service->path, "%s/s", service->folder);
	service_listen(service);
}

static void service_accept(struct service *service)
{
	service->fd = accept(service->listen_fd, NULL, NULL);
	ck_assert_int_ge(service->fd, 0);
}

static void service_stop(struct service *service)
{
	(void)close(service->fd);
	(void)close(service->listen_fd);
	(void)unlink(service->path);
	(void)rmdir(service->folder);
}

static void service_say(const struct service *service, const char *text)
{
	ck_assert_int_eq(send(service->fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Reads what the client has sent, and compares. */
static void service_expect(const struct service *service, const char *text)
{
	char got[8192] = "";
	size_t size = 0;
	while (size < strlen(text)) {
		struct pollfd poll_fd = {.fd = service->fd, .events = POLLIN};
		ck_assert_msg(poll(&poll_fd, 1, 2000) == 1, "got \"%s\", still waiting for \"%s\"", got, text);
		ssize_t n = recv(service->fd, got + size, sizeof got - 1 - size, 0);
		ck_assert_int_gt(n, 0);
		size += (size_t)n;
		got[size] = '\0';
	}
	ck_assert_str_eq(got, text);
}

struct seen {
	char text[1024];
	int count;
};

static void note_update(void *user, const struct axle_signal_update *update)
{
	struct seen *seen = user;
	size_t used = strlen(seen->text);
	seen->count++;
	(void)snprintf(seen->text + used, sizeof seen->text - used, "%zu %s=%s@%lld-%llu;", update->index, update->path,
		       update->value ? update->value : "none", (long long)update->time_ns,
		       (unsigned long long)update->lost);
}

static struct axle_signal *connect_to(struct service *service)
{
	struct axle_signal *signals = NULL;
	ck_assert_int_eq(axle_signal_open(service->path, "test", &signals), 0);
	service_accept(service);
	service_expect(service, "hello 1 test\n");
	service_say(service, "ok 1 axsignald test\n");
	(void)axle_signal_dispatch(signals);
	return signals;
}

START_TEST(updates_arrive_with_path_time_and_what_was_lost)
{
	struct service service;
	service_start(&service);
	struct axle_signal *signals = connect_to(&service);
	struct seen seen = {0};
	struct axle_signal_sub *sub = NULL;
	ck_assert_int_eq(axle_signal_subscribe(signals, "Vehicle.*@all", AXLE_SIGNAL_TIME, note_update, &seen, &sub), 0);
	ck_assert_int_eq(axle_signal_flush(signals), 0);
	service_expect(&service, "sub Vehicle.*@all time\n");
	service_say(&service, "name 1 10 Vehicle.A\nname 1 11 Vehicle.B\nok 1 2\n10@5 1.5\n11 x y\n");
	ck_assert_int_eq(axle_signal_wait(signals, 2000), 2);
	service_say(&service, "lost 11 7\nnews from a later version\n11@9 z\n10\n");
	ck_assert_int_eq(axle_signal_wait(signals, 2000), 2);
	ck_assert_str_eq(seen.text, "0 Vehicle.A=1.5@5-0;1 Vehicle.B=x y@0-0;1 Vehicle.B=z@9-7;0 Vehicle.A=none@0-0;");

	/* After the end of the subscription nothing more arrives, though the service sent it meanwhile. */
	axle_signal_unsubscribe(sub);
	service_say(&service, "10 2\n");
	ck_assert_int_eq(axle_signal_wait(signals, 50), 0);
	service_expect(&service, "unsub 1\n");
	ck_assert_int_eq(seen.count, 4);
	axle_signal_close(signals);
	service_stop(&service);
}
END_TEST

START_TEST(a_refused_subscription_is_told)
{
	struct service service;
	service_start(&service);
	struct axle_signal *signals = connect_to(&service);
	struct seen seen = {0};
	struct axle_signal_sub *sub = NULL;
	ck_assert_int_eq(axle_signal_subscribe(signals, "Nowhere", 0, note_update, &seen, &sub), 0);
	ck_assert_int_eq(axle_signal_subscribe(signals, "two words", 0, note_update, &seen, NULL), -EINVAL);
	(void)axle_signal_flush(signals);
	service_expect(&service, "sub Nowhere\n");
	service_say(&service, "error unknown no signal matches\n");
	ck_assert_int_eq(axle_signal_wait(signals, 2000), 1);
	ck_assert_int_eq(axle_signal_sub_error(sub), -ENOENT);
	ck_assert_str_eq(seen.text, "18446744073709551615 Nowhere=none@0-0;"); /* AXLE_SIGNAL_REFUSED */
	ck_assert_str_eq(axle_signal_error(signals), "no signal matches");
	axle_signal_close(signals);
	service_stop(&service);
}
END_TEST

START_TEST(values_are_published_in_batches_and_the_first_before_the_claim_stands)
{
	struct service service;
	service_start(&service);
	struct axle_signal *signals = connect_to(&service);
	struct axle_signal_claim *claim = NULL;
	ck_assert_int_eq(axle_signal_claim(signals, "Vehicle.Speed", 0, NULL, NULL, &claim), 0);
	ck_assert_int_eq(axle_signal_claim_error(claim), -EINPROGRESS);
	ck_assert_int_eq(axle_signal_publish(claim, "1", 0), 0);
	ck_assert_int_eq(axle_signal_publish_double(claim, 0.1, 42), 0);
	(void)axle_signal_flush(signals);
	service_expect(&service, "claim Vehicle.Speed\n");
	service_say(&service, "ok 3\n");
	(void)axle_signal_wait(signals, 100);
	(void)axle_signal_dispatch(signals);
	ck_assert_int_eq(axle_signal_claim_error(claim), 0);
	service_expect(&service, "3@42 0.1\n");

	ck_assert_int_eq(axle_signal_publish_int(claim, -7, 0), 0);
	ck_assert_int_eq(axle_signal_publish(claim, NULL, 0), 0);
	ck_assert_int_eq(axle_signal_publish(claim, "a\nb", 0), -EINVAL);
	struct pollfd poll_fd = {.fd = service.fd, .events = POLLIN};
	ck_assert_int_eq(poll(&poll_fd, 1, 20), 0); /* collected, not sent */
	ck_assert_int_eq(axle_signal_flush(signals), 0);
	service_expect(&service, "3 -7\n3\n");

	service_say(&service, "refused 3 range over the maximum\n");
	(void)axle_signal_wait(signals, 100);
	ck_assert_int_eq(axle_signal_claim_error(claim), -ERANGE);
	axle_signal_release(claim);
	(void)axle_signal_flush(signals);
	service_expect(&service, "release 3\n");
	axle_signal_close(signals);
	service_stop(&service);
}
END_TEST

static void answer_twice(void *user, struct axle_signal_claim *claim, const struct axle_signal_request_info *request)
{
	int *count = user;
	ck_assert_str_eq(request->path, "Vehicle.Horn");
	ck_assert_int_eq(axle_signal_answer(claim, request->id, (*count)++ ? "stuck" : NULL), 0);
	ck_assert_int_eq(axle_signal_publish(claim, request->value, 0), 0);
}

START_TEST(actuations_arrive_and_are_answered)
{
	struct service service;
	service_start(&service);
	struct axle_signal *signals = connect_to(&service);
	struct axle_signal_claim *claim = NULL;
	int count = 0;
	ck_assert_int_eq(axle_signal_claim(signals, "Vehicle.Horn", 0, answer_twice, &count, &claim), 0);
	(void)axle_signal_flush(signals);
	service_expect(&service, "claim Vehicle.Horn\n");
	service_say(&service, "ok 1\nrequest 70 1 5000 true\nrequest 71 1 5000 false\nrequest 72 9 5000 false\n");
	ck_assert_int_eq(axle_signal_wait(signals, 2000), 2);
	service_expect(&service, "ok 70\n1 true\nerror 71 stuck\n1 false\n");
	axle_signal_close(signals);
	service_stop(&service);
}
END_TEST

static void count_links(void *user, int connected)
{
	((int *)user)[connected]++;
}

START_TEST(after_a_restart_all_is_made_anew)
{
	struct service service;
	service_start(&service);
	struct axle_signal *signals = connect_to(&service);
	int links[2] = {0};
	axle_signal_on_link(signals, count_links, links);
	struct seen seen = {0};
	struct axle_signal_claim *claim = NULL;
	ck_assert_int_eq(axle_signal_subscribe(signals, "A.*", 0, note_update, &seen, NULL), 0);
	ck_assert_int_eq(axle_signal_claim(signals, "B", 0, NULL, NULL, &claim), 0);
	(void)axle_signal_flush(signals);
	service_expect(&service, "sub A.*\nclaim B\n");
	service_say(&service, "name 1 1 A.X\nname 1 2 A.Y\nok 1 2\nok 3\n");
	(void)axle_signal_wait(signals, 50);
	ck_assert_int_eq(axle_signal_publish(claim, "5", 0), 0);
	(void)axle_signal_flush(signals);
	service_expect(&service, "3 5\n");

	(void)close(service.fd);
	(void)close(service.listen_fd);
	(void)unlink(service.path);
	ck_assert_int_ge(axle_signal_wait(signals, 1000), 1);
	ck_assert_int_eq(links[0], 1);
	ck_assert_int_eq(axle_signal_publish(claim, "6", 0), 0); /* kept for the time after */
	service_listen(&service);
	for (int i = 0; i < 20; i++)
		(void)axle_signal_wait(signals, 50);
	service_accept(&service);
	service_expect(&service, "hello 1 test\nsub A.*\nclaim B\n");
	service_say(&service, "ok 1 x\nname 9 21 A.Y\nname 9 20 A.X\nok 9 2\nok 22\n20 on\n");
	for (int i = 0; i < 10 && seen.count == 0; i++)
		(void)axle_signal_wait(signals, 100);
	ck_assert_int_eq(links[1], 1);
	ck_assert_str_eq(seen.text, "0 A.X=on@0-0;"); /* the same index as before */
	(void)axle_signal_flush(signals);
	service_expect(&service, "22 6\n");
	axle_signal_close(signals);
	service_stop(&service);
}
END_TEST

START_TEST(a_busy_claim_is_tried_again)
{
	struct service service;
	service_start(&service);
	struct axle_signal *signals = connect_to(&service);
	struct axle_signal_claim *claim = NULL;
	ck_assert_int_eq(axle_signal_claim(signals, "B", 0, NULL, NULL, &claim), 0);
	(void)axle_signal_flush(signals);
	service_expect(&service, "claim B\n");
	service_say(&service, "error busy claimed by another\n");
	(void)axle_signal_wait(signals, 50);
	ck_assert_int_eq(axle_signal_claim_error(claim), -EBUSY);
	(void)axle_signal_wait(signals, 1200);
	service_expect(&service, "claim B\n");
	axle_signal_close(signals);
	service_stop(&service);
}
END_TEST

START_TEST(garbage_from_the_service_does_no_harm)
{
	struct service service;
	service_start(&service);
	struct axle_signal *signals = connect_to(&service);
	service_say(&service, "ok\nok 3\nname 1 99999999999 A\nname 7 8 A\n99 x\nlost 5 5\ngone 77\nrequest 1 2 3 4\n"
			      "outcome 1 ok\nrefused 9 value x\nitem x\nerror\n4294967296 x\n");
	ck_assert_int_eq(axle_signal_wait(signals, 100), 0);
	axle_signal_close(signals);
	service_stop(&service);
}
END_TEST

/* The service's side of a conversation, in a process of its own: for the calls that block. */
static pid_t service_fork(struct service *service, const char *const *script)
{
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid > 0)
		return pid;
	service_accept(service);
	for (size_t i = 0; script[i]; i += 2) {
		service_expect(service, script[i]);
		service_say(service, script[i + 1]);
	}
	_exit(0);
}

static void count_items(void *user, const char *text)
{
	struct seen *seen = user;
	size_t used = strlen(seen->text);
	(void)snprintf(seen->text + used, sizeof seen->text - used, "%s;", text);
}

START_TEST(calls_that_block_get_their_answers)
{
	static const char *const SCRIPT[] = {
		"hello 1\n", "ok 1 axsignald\n", "get V.Speed\n", "ok 88.5\n", "get V.None\n",
		"error unavailable no value\n", "set V.Speed 5 6\n", "error value not a number\n", "set V.Horn true\n",
		"ok 9\noutcome 9 ok\n", "set V.Horn false\n", "ok 10\noutcome 9 ok\noutcome 10 failed stuck\n",
		"values V.*\n", "item V.A 1\nitem V.B\nok 2\n", "meta V.Speed\n", "ok {\"datatype\":\"float\"}\n", NULL};
	struct service service;
	service_start(&service);
	pid_t pid = service_fork(&service, SCRIPT);
	struct axle_signal *signals = NULL;
	ck_assert_int_eq(axle_signal_open(service.path, NULL, &signals), 0);
	char text[32];
	ck_assert_int_eq(axle_signal_get(signals, "V.Speed", text, sizeof text), 0);
	ck_assert_str_eq(text, "88.5");
	ck_assert_int_eq(axle_signal_get(signals, "V.None", text, sizeof text), -ENODATA);
	ck_assert_int_eq(axle_signal_set(signals, "V.Speed", "5 6"), -EINVAL);
	ck_assert_str_eq(axle_signal_error(signals), "not a number");
	ck_assert_int_eq(axle_signal_set(signals, "V.Speed", "5\n6"), -EINVAL);
	ck_assert_int_eq(axle_signal_actuate(signals, "V.Horn", "true", 1000), 0);
	ck_assert_int_eq(axle_signal_actuate(signals, "V.Horn", "false", 1000), -EIO);
	ck_assert_str_eq(axle_signal_error(signals), "stuck");
	struct seen seen = {0};
	ck_assert_int_eq(axle_signal_request(signals, "values V.*", count_items, &seen, text, sizeof text), 0);
	ck_assert_str_eq(seen.text, "V.A 1;V.B;");
	ck_assert_str_eq(text, "2");
	ck_assert_int_eq(axle_signal_meta(signals, "V.Speed", text, 5), -EMSGSIZE);
	int status = 0;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	axle_signal_close(signals);
	service_stop(&service);
}
END_TEST

START_TEST(without_a_service_calls_end_at_their_timeout)
{
	struct axle_signal *signals = NULL;
	char text[8];
	ck_assert_int_eq(axle_signal_open("/nonexistent/axle.sock", NULL, &signals), 0);
	axle_signal_set_timeout(signals, 60);
	ck_assert_int_eq(axle_signal_get(signals, "A", text, sizeof text), -ENOTCONN);
	ck_assert_ptr_nonnull(strstr(axle_signal_error(signals), "/nonexistent/axle.sock: No such file or directory"));
	axle_signal_close(signals);
	char path[300];
	memset(path, 'x', sizeof path - 1);
	path[sizeof path - 1] = '\0';
	ck_assert_int_eq(axle_signal_open(path, NULL, &signals), -ENAMETOOLONG);
}
END_TEST

START_TEST(another_version_is_final)
{
	struct service service;
	service_start(&service);
	struct axle_signal *signals = NULL;
	ck_assert_int_eq(axle_signal_open(service.path, NULL, &signals), 0);
	service_accept(&service);
	service_expect(&service, "hello 1\n");
	service_say(&service, "error version this service speaks 2\n");
	char text[8];
	ck_assert_int_eq(axle_signal_get(signals, "A", text, sizeof text), -EPROTONOSUPPORT);
	ck_assert_int_eq(axle_signal_wait(signals, -1), -EPROTONOSUPPORT);
	axle_signal_close(signals);
	service_stop(&service);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, updates_arrive_with_path_time_and_what_was_lost);
	tcase_add_test(cases, a_refused_subscription_is_told);
	tcase_add_test(cases, values_are_published_in_batches_and_the_first_before_the_claim_stands);
	tcase_add_test(cases, actuations_arrive_and_are_answered);
	tcase_add_test(cases, after_a_restart_all_is_made_anew);
	tcase_add_test(cases, a_busy_claim_is_tried_again);
	tcase_add_test(cases, garbage_from_the_service_does_no_harm);
	tcase_add_test(cases, calls_that_block_get_their_answers);
	tcase_add_test(cases, without_a_service_calls_end_at_their_timeout);
	tcase_add_test(cases, another_version_is_final);
}
TEST_MAIN("client", add_tests)
