/* Client and server over a socket pair in one loop. Other implementations on either side: tests/grpc/. */
#include "core/net/grpc.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/test_main.h"
#include "core/net/grpc_internal.h"
#include "core/net/tests/echo.h"
#include "core/net/echo.pb-c.h"

struct pair {
	uv_loop_t loop;
	struct echo echo;
	struct grpc_server *server;
	struct grpc_client *client;
	struct arena arena;
	bool closed;
};

static void on_closed(void *data)
{
	*(bool *)data = true;
}

static void pair_init_with(struct pair *pair, const struct grpc_limits *limits)
{
	struct err err = {0};
	*pair = (struct pair){.arena.max = 64 << 20};
	ck_assert_int_eq(uv_loop_init(&pair->loop), 0);
	pair->echo.loop = &pair->loop;
	ck_assert_int_eq(grpc_server_new(&pair->loop, limits, NULL, &pair->server), 0);
	ck_assert_int_eq(echo_add(pair->server, &pair->echo, &err), 0);
	int fds[2];
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	struct grpc_connection *connection = NULL;
	ck_assert_int_eq(grpc_connection_new((struct grpc_endpoint *)pair->server, fds[0], &connection, &err), 0);
	ck_assert_int_eq(grpc_client_new(&pair->loop, fds[1], NULL, &pair->client, &err), 0);
}

static void pair_init(struct pair *pair)
{
	pair_init_with(pair, NULL);
}

/* Everything must end, and nothing be held. */
static void pair_done(struct pair *pair)
{
	grpc_client_close(pair->client);
	while (uv_run(&pair->loop, UV_RUN_NOWAIT) && !list_empty(&((struct grpc_endpoint *)pair->server)->connections))
		continue;
	ck_assert_uint_eq(((struct grpc_endpoint *)pair->server)->held_bytes, 0);
	ck_assert_uint_eq(((struct grpc_endpoint *)pair->server)->calls, 0);
	grpc_server_close(pair->server, 0, on_closed, &pair->closed);
	ck_assert_int_eq(uv_run(&pair->loop, UV_RUN_DEFAULT), 0);
	ck_assert(pair->closed);
	ck_assert_int_eq(uv_loop_close(&pair->loop), 0);
	arena_done(&pair->arena);
}

static int say(struct pair *pair, const char *method, const Test__EchoRequest *request, uint64_t timeout_ns,
	       const Test__EchoReply **ret_reply, struct err *err)
{
	struct grpc_request call = {.service = &test__echo__descriptor,
				    .method = method,
				    .message = &request->base,
				    .timeout_ns = timeout_ns};
	const ProtobufCMessage *reply = NULL;
	int r = grpc_client_unary(pair->client, &call, &pair->arena, &reply, err);
	if (r == 0)
		*ret_reply = (const void *)reply;
	return r;
}

START_TEST(a_unary_call_is_answered)
{
	struct pair pair;
	pair_init(&pair);
	Test__EchoRequest request = TEST__ECHO_REQUEST__INIT;
	const char *words[] = {"one", "two"};
	request.text = "grüße";
	request.n_words = 2;
	request.words = words;
	const Test__EchoReply *reply = NULL;
	struct err err = {0};
	ck_assert_msg(say(&pair, "Say", &request, 0, &reply, &err) == 0, "%s", err.message);
	ck_assert_str_eq(reply->text, "grüße");
	ck_assert_uint_eq(reply->number, 2);
	ck_assert_int_eq(reply->peer_uid, (int64_t)getuid());
	ck_assert_uint_eq(reply->remaining_ns, UINT64_MAX);
	pair_done(&pair);
}
END_TEST

START_TEST(an_empty_request_is_a_request)
{
	struct pair pair;
	pair_init(&pair);
	Test__EchoRequest request = TEST__ECHO_REQUEST__INIT;
	const Test__EchoReply *reply = NULL;
	struct err err = {0};
	ck_assert_int_eq(say(&pair, "Say", &request, 0, &reply, &err), 0);
	ck_assert_str_eq(reply->text, "");
	pair_done(&pair);
}
END_TEST

START_TEST(an_error_arrives_with_code_reason_and_words)
{
	struct pair pair;
	pair_init(&pair);
	Test__EchoRequest request = TEST__ECHO_REQUEST__INIT;
	request.text = "no ünit 100%\nat all";
	request.fail_errno = ENOENT;
	request.fail_reason = "test.reason";
	const Test__EchoReply *reply = NULL;
	struct err err = {0};
	ck_assert_int_eq(say(&pair, "Say", &request, 0, &reply, &err), -ENOENT);
	ck_assert_int_eq(err.code, -ENOENT);
	ck_assert_str_eq(err.reason, "test.reason");
	ck_assert_str_eq(err.message, "no ünit 100%\nat all");
	pair_done(&pair);
}
END_TEST

START_TEST(a_method_without_a_row_is_unimplemented_by_name)
{
	struct pair pair;
	pair_init(&pair);
	Test__EchoRequest request = TEST__ECHO_REQUEST__INIT;
	const Test__EchoReply *reply = NULL;
	struct err err = {0};
	ck_assert_int_eq(say(&pair, "Missing", &request, 0, &reply, &err), -ENOSYS);
	ck_assert_ptr_nonnull(strstr(err.message, "axle.test.Echo/Missing"));
	ck_assert_int_eq(say(&pair, "Nothing", &request, 0, &reply, &err), -EINVAL);
	pair_done(&pair);
}
END_TEST

START_TEST(large_messages_pass_and_larger_ones_do_not)
{
	struct pair pair;
	pair_init(&pair);
	Test__EchoRequest request = TEST__ECHO_REQUEST__INIT;
	size_t size = (16 << 20) - 64;
	request.data.data = calloc(1, size + 128);
	request.data.len = size;
	const Test__EchoReply *reply = NULL;
	struct err err = {0};
	ck_assert_msg(say(&pair, "Say", &request, 0, &reply, &err) == 0, "%s", err.message);
	ck_assert_uint_eq(reply->data.len, size);
	request.data.len = size + 128;
	ck_assert_int_eq(say(&pair, "Say", &request, 0, &reply, &err), -EMSGSIZE);
	free(request.data.data);
	request.data = (ProtobufCBinaryData){0};
	request.reply_bytes = 17 << 20;
	ck_assert_int_eq(say(&pair, "Say", &request, 0, &reply, &err), -ENOBUFS);
	pair_done(&pair);
}
END_TEST

START_TEST(a_server_refuses_what_is_above_its_own_limit)
{
	struct grpc_limits limits = {.message_bytes = 1000};
	struct pair pair;
	pair_init_with(&pair, &limits);
	Test__EchoRequest request = TEST__ECHO_REQUEST__INIT;
	uint8_t data[2000] = {0};
	request.data = (ProtobufCBinaryData){sizeof data, data};
	const Test__EchoReply *reply = NULL;
	struct err err = {0};
	ck_assert_int_eq(say(&pair, "Say", &request, 0, &reply, &err), -ENOBUFS);
	ck_assert_ptr_nonnull(strstr(err.message, "the limit is 1000"));
	request.data.len = 100;
	ck_assert_int_eq(say(&pair, "Say", &request, 0, &reply, &err), 0);
	pair_done(&pair);
}
END_TEST

START_TEST(a_deadline_ends_the_call_on_both_sides)
{
	struct pair pair;
	pair_init(&pair);
	Test__EchoRequest request = TEST__ECHO_REQUEST__INIT;
	request.delay_ms = 5000;
	const Test__EchoReply *reply = NULL;
	struct err err = {0};
	uint64_t begin = uv_hrtime();
	ck_assert_int_eq(say(&pair, "Say", &request, 30 * NS_PER_MS, &reply, &err), -ETIMEDOUT);
	ck_assert_uint_lt(uv_hrtime() - begin, 2000 * NS_PER_MS);
	request.delay_ms = 0;
	ck_assert_int_eq(say(&pair, "Say", &request, 1000 * NS_PER_MS, &reply, &err), 0);
	ck_assert_uint_eq(reply->cancelled, 1);
	ck_assert_uint_gt(reply->remaining_ns, 0);
	ck_assert_uint_le(reply->remaining_ns, 1000 * NS_PER_MS);
	pair_done(&pair);
}
END_TEST

/* What happened to a streaming call. */
struct seen {
	uint64_t messages;
	uint64_t bytes;
	bool done;
	enum grpc_status status;
	unsigned pause_at; /* 0: never */
	bool writable;
};

static void seen_message(struct grpc_call *call, const ProtobufCMessage *message, void *data)
{
	const Test__EchoReply *reply = (const void *)message;
	struct seen *seen = data;
	ck_assert_uint_eq(reply->number, seen->messages);
	seen->messages++;
	seen->bytes += reply->data.len;
	if (seen->messages == seen->pause_at)
		grpc_call_pause(call);
}

static void seen_writable(struct grpc_call *call, void *data)
{
	struct seen *seen = data;
	(void)call;
	seen->writable = true;
}

static void seen_done(struct grpc_call *call, enum grpc_status status, const struct err *err, void *data)
{
	struct seen *seen = data;
	(void)call;
	(void)err;
	ck_assert(!seen->done);
	seen->done = true;
	seen->status = status;
}

static const struct grpc_events SEEN = {
	.on_message = seen_message, .on_writable = seen_writable, .on_done = seen_done};

static struct grpc_call *start(struct pair *pair, const char *method, const Test__EchoRequest *request, bool stream,
			       struct seen *seen)
{
	struct grpc_request call = {.service = &test__echo__descriptor,
				    .method = method,
				    .message = request ? &request->base : NULL,
				    .stream = stream};
	struct grpc_call *started = NULL;
	struct err err = {0};
	ck_assert_msg(grpc_client_call(pair->client, &call, &SEEN, seen, &started, &err) == 0, "%s", err.message);
	return started;
}

static void run_until(struct pair *pair, const bool *flag)
{
	while (!*flag) {
		int alive = uv_run(&pair->loop, UV_RUN_ONCE);
		ck_assert(alive || *flag);
	}
}

static void run_for(struct pair *pair, uint64_t ms)
{
	uint64_t end = uv_hrtime() + ms * NS_PER_MS;
	while (uv_hrtime() < end)
		(void)uv_run(&pair->loop, UV_RUN_NOWAIT);
}

START_TEST(a_server_stream_comes_whole_and_in_order)
{
	struct pair pair;
	pair_init(&pair);
	Test__EchoRequest request = TEST__ECHO_REQUEST__INIT;
	request.count = 3000;
	request.reply_bytes = 1000;
	struct seen seen = {0};
	(void)start(&pair, "Count", &request, false, &seen);
	run_until(&pair, &seen.done);
	ck_assert_uint_eq(seen.messages, 3000);
	ck_assert_int_eq(seen.status, GRPC_OK);
	pair_done(&pair);
}
END_TEST

START_TEST(a_slow_reader_holds_the_sender_not_memory)
{
	struct pair pair;
	pair_init(&pair);
	Test__EchoRequest request = TEST__ECHO_REQUEST__INIT;
	request.count = 100000;
	request.reply_bytes = 10000;
	struct seen seen = {.pause_at = 5};
	struct grpc_call *call = start(&pair, "Count", &request, false, &seen);
	run_for(&pair, 200);
	ck_assert_uint_eq(seen.messages, 5);
	const struct grpc_endpoint *server = (const struct grpc_endpoint *)pair.server;
	ck_assert_uint_lt(server->held_bytes, 2 * server->limits.queue_bytes);
	ck_assert_uint_gt(server->held_bytes, server->limits.queue_bytes / 2);
	grpc_call_resume(call);
	run_for(&pair, 50);
	ck_assert_uint_gt(seen.messages, 100);
	grpc_call_cancel(call);
	ck_assert(seen.done);
	run_for(&pair, 50);
	ck_assert_uint_eq(pair.echo.cancelled, 1);
	pair_done(&pair);
}
END_TEST

START_TEST(a_client_stream_is_collected)
{
	struct pair pair;
	pair_init(&pair);
	struct seen seen = {0};
	struct grpc_call *call = start(&pair, "Collect", NULL, true, &seen);
	Test__EchoRequest request = TEST__ECHO_REQUEST__INIT;
	uint8_t data[1000] = {0};
	request.data = (ProtobufCBinaryData){sizeof data, data};
	for (int i = 0; i < 1000; i++) {
		seen.writable = false;
		if (grpc_call_send(call, &request.base) == GRPC_PAUSE)
			run_until(&pair, &seen.writable);
	}
	grpc_call_close_send(call);
	grpc_call_set_events(call, &(const struct grpc_events){.on_done = seen_done}, &seen);
	run_until(&pair, &seen.done);
	ck_assert_int_eq(seen.status, GRPC_OK);
	pair_done(&pair);
}
END_TEST

START_TEST(a_chat_goes_both_ways_and_either_side_may_end_it)
{
	struct pair pair;
	pair_init(&pair);
	struct seen seen = {0};
	struct grpc_call *call = start(&pair, "Chat", NULL, true, &seen);
	Test__EchoRequest request = TEST__ECHO_REQUEST__INIT;
	request.text = "hello";
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(grpc_call_send(call, &request.base), 0);
	run_for(&pair, 30);
	ck_assert_uint_eq(seen.messages, 10);
	ck_assert(!seen.done);
	grpc_call_close_send(call);
	run_until(&pair, &seen.done);
	ck_assert_int_eq(seen.status, GRPC_OK);

	struct seen other = {0};
	call = start(&pair, "Chat", NULL, true, &other);
	request.text = "end";
	ck_assert_int_eq(grpc_call_send(call, &request.base), 0);
	run_until(&pair, &other.done);
	ck_assert_int_eq(other.status, GRPC_OK);
	ck_assert_uint_eq(other.messages, 1);
	pair_done(&pair);
}
END_TEST

START_TEST(a_server_that_pauses_stops_its_peer)
{
	struct pair pair;
	pair_init(&pair);
	struct seen seen = {0};
	struct grpc_call *call = start(&pair, "Chat", NULL, true, &seen);
	Test__EchoRequest request = TEST__ECHO_REQUEST__INIT;
	uint8_t data[10000] = {0};
	request.data = (ProtobufCBinaryData){sizeof data, data};
	request.delay_ms = 100;
	ck_assert_int_eq(grpc_call_send(call, &request.base), 0);
	request.delay_ms = 0;
	int sent = 1;
	while (grpc_call_send(call, &request.base) == 0)
		sent++;
	run_for(&pair, 50);
	ck_assert_uint_eq(seen.messages, 1);
	const struct grpc_endpoint *server = (const struct grpc_endpoint *)pair.server;
	ck_assert_uint_le(server->held_bytes, server->limits.window_bytes + sizeof data + 100);
	grpc_call_close_send(call);
	run_until(&pair, &seen.done);
	ck_assert_int_ge((int)seen.messages, sent);
	pair_done(&pair);
}
END_TEST

START_TEST(a_lost_connection_cancels_handlers_and_ends_calls)
{
	struct pair pair;
	pair_init(&pair);
	struct seen seen = {0};
	Test__EchoRequest request = TEST__ECHO_REQUEST__INIT;
	request.delay_ms = 10000;
	(void)start(&pair, "Say", &request, false, &seen);
	run_for(&pair, 20);
	struct list *first = ((struct grpc_endpoint *)pair.server)->connections.next;
	grpc_connection_close(LIST_ENTRY(first, struct grpc_connection, link));
	ck_assert_uint_eq(pair.echo.cancelled, 1);
	run_until(&pair, &seen.done);
	ck_assert_int_eq(seen.status, GRPC_UNAVAILABLE);
	const Test__EchoReply *reply = NULL;
	struct err err = {0};
	ck_assert_int_eq(say(&pair, "Say", &request, 0, &reply, &err), -ENOTCONN);
	pair_done(&pair);
}
END_TEST

START_TEST(shutting_down_lets_calls_end)
{
	struct pair pair;
	pair_init(&pair);
	struct seen seen = {0};
	Test__EchoRequest request = TEST__ECHO_REQUEST__INIT;
	request.delay_ms = 50;
	(void)start(&pair, "Say", &request, false, &seen);
	run_for(&pair, 10);
	bool closed = false;
	grpc_server_close(pair.server, 5000, on_closed, &closed);
	run_until(&pair, &closed);
	ck_assert(seen.done);
	ck_assert_int_eq(seen.status, GRPC_OK);
	grpc_client_close(pair.client);
	ck_assert_int_eq(uv_run(&pair.loop, UV_RUN_DEFAULT), 0);
	ck_assert_int_eq(uv_loop_close(&pair.loop), 0);
}
END_TEST

START_TEST(shutting_down_ends_what_takes_too_long)
{
	struct pair pair;
	pair_init(&pair);
	struct seen seen = {0};
	Test__EchoRequest request = TEST__ECHO_REQUEST__INIT;
	request.delay_ms = 10000;
	(void)start(&pair, "Say", &request, false, &seen);
	run_for(&pair, 10);
	bool closed = false;
	uint64_t begin = uv_hrtime();
	grpc_server_close(pair.server, 30, on_closed, &closed);
	run_until(&pair, &closed);
	ck_assert_uint_lt(uv_hrtime() - begin, 2000 * NS_PER_MS);
	ck_assert_uint_eq(pair.echo.cancelled, 1);
	run_until(&pair, &seen.done);
	ck_assert_int_eq(seen.status, GRPC_UNAVAILABLE);
	grpc_client_close(pair.client);
	ck_assert_int_eq(uv_run(&pair.loop, UV_RUN_DEFAULT), 0);
	ck_assert_int_eq(uv_loop_close(&pair.loop), 0);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, a_unary_call_is_answered);
	tcase_add_test(cases, an_empty_request_is_a_request);
	tcase_add_test(cases, an_error_arrives_with_code_reason_and_words);
	tcase_add_test(cases, a_method_without_a_row_is_unimplemented_by_name);
	tcase_add_test(cases, large_messages_pass_and_larger_ones_do_not);
	tcase_add_test(cases, a_server_refuses_what_is_above_its_own_limit);
	tcase_add_test(cases, a_deadline_ends_the_call_on_both_sides);
	tcase_add_test(cases, a_server_stream_comes_whole_and_in_order);
	tcase_add_test(cases, a_slow_reader_holds_the_sender_not_memory);
	tcase_add_test(cases, a_client_stream_is_collected);
	tcase_add_test(cases, a_chat_goes_both_ways_and_either_side_may_end_it);
	tcase_add_test(cases, a_server_that_pauses_stops_its_peer);
	tcase_add_test(cases, a_lost_connection_cancels_handlers_and_ends_calls);
	tcase_add_test(cases, shutting_down_lets_calls_end);
	tcase_add_test(cases, shutting_down_ends_what_takes_too_long);
}

TEST_MAIN("grpc", add_tests)
