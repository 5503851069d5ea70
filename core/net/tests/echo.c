#include "core/net/tests/echo.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/err.h"
#include "core/net/echo.pb-c.h"

/* An answer that comes later, or a stream that goes on. */
struct talk {
	uv_timer_t timer;
	struct echo *echo;
	struct grpc_call *call; /* NULL: ended, the timer is closing */
	const Test__EchoRequest *request;
	uint64_t number;
	uint8_t *data;
};

static void on_closed(uv_handle_t *handle)
{
	struct talk *talk = handle->data;
	free(talk->data);
	free(talk);
}

static void talk_end(struct talk *talk)
{
	talk->call = NULL;
	if (!uv_is_closing((uv_handle_t *)&talk->timer))
		uv_close((uv_handle_t *)&talk->timer, on_closed);
}

static struct talk *talk_new(struct echo *echo, struct grpc_call *call, const Test__EchoRequest *request)
{
	struct talk *talk = calloc(1, sizeof *talk);
	if (!talk)
		abort();
	talk->echo = echo;
	talk->call = call;
	talk->request = request;
	(void)uv_timer_init(echo->loop, &talk->timer);
	talk->timer.data = talk;
	return talk;
}

static void on_cancel(struct grpc_call *call, int code, void *data)
{
	struct talk *talk = data;
	(void)code;
	talk->echo->cancelled++;
	talk_end(talk);
	grpc_call_finish(call);
}

static void say(struct talk *talk)
{
	const Test__EchoRequest *request = talk->request;
	struct grpc_call *call = talk->call;
	if (request->fail_errno) {
		struct err err;
		(void)err_set(&err, -(int)request->fail_errno,
			      strcmp(request->fail_reason, "test.reason") == 0 ? "test.reason" : "test.other", "%s",
			      request->text);
		grpc_call_fail(call, &err);
		talk_end(talk);
		return;
	}
	Test__EchoReply reply = TEST__ECHO_REPLY__INIT;
	reply.text = request->text;
	reply.data = request->data;
	if (request->reply_bytes) {
		talk->data = calloc(1, request->reply_bytes);
		reply.data = (ProtobufCBinaryData){request->reply_bytes, talk->data};
	}
	reply.number = request->n_words;
	reply.peer_uid = (int64_t)grpc_call_peer(call).uid;
	reply.remaining_ns = grpc_call_remaining_ns(call);
	reply.cancelled = talk->echo->cancelled;
	grpc_call_reply(call, &reply.base);
	talk_end(talk);
}

static void on_delay(uv_timer_t *timer)
{
	say(timer->data);
}

static void on_say(struct grpc_call *call, const ProtobufCMessage *message, void *context)
{
	static const struct grpc_events EVENTS = {.on_cancel = on_cancel};
	struct talk *talk = talk_new(context, call, (const void *)message);
	grpc_call_set_events(call, &EVENTS, talk);
	if (talk->request->delay_ms)
		(void)uv_timer_start(&talk->timer, on_delay, talk->request->delay_ms, 0);
	else
		say(talk);
}

/* Sends until it is asked to pause or has sent all. */
static void count_on(struct grpc_call *call, void *data)
{
	struct talk *talk = data;
	if (!talk->data)
		talk->data = calloc(1, talk->request->reply_bytes + 1);
	while (talk->number < talk->request->count) {
		Test__EchoReply reply = TEST__ECHO_REPLY__INIT;
		reply.number = talk->number++;
		reply.data = (ProtobufCBinaryData){talk->request->reply_bytes, talk->data};
		if (grpc_call_send(call, &reply.base) != 0)
			return;
	}
	talk_end(talk);
	grpc_call_finish(call);
}

static void on_count(struct grpc_call *call, const ProtobufCMessage *message, void *context)
{
	static const struct grpc_events EVENTS = {.on_cancel = on_cancel, .on_writable = count_on};
	struct talk *talk = talk_new(context, call, (const void *)message);
	grpc_call_set_events(call, &EVENTS, talk);
	count_on(call, talk);
}

static void collect_message(struct grpc_call *call, const ProtobufCMessage *message, void *data)
{
	const Test__EchoRequest *request = (const void *)message;
	struct talk *talk = data;
	(void)call;
	talk->number += request->data.len + strlen(request->text);
}

static void collect_end(struct grpc_call *call, void *data)
{
	struct talk *talk = data;
	Test__EchoReply reply = TEST__ECHO_REPLY__INIT;
	reply.number = talk->number;
	(void)grpc_call_send(call, &reply.base);
	talk_end(talk);
	grpc_call_finish(call);
}

static void on_collect(struct grpc_call *call, const ProtobufCMessage *message, void *context)
{
	static const struct grpc_events EVENTS = {
		.on_message = collect_message, .on_half_close = collect_end, .on_cancel = on_cancel};
	(void)message;
	grpc_call_set_events(call, &EVENTS, talk_new(context, call, NULL));
}

static void on_resume_timer(uv_timer_t *timer)
{
	struct talk *talk = timer->data;
	grpc_call_resume(talk->call);
}

/* Echoes each message; "end" ends the stream from this side, a delay pauses the peer meanwhile. */
static void chat_message(struct grpc_call *call, const ProtobufCMessage *message, void *data)
{
	const Test__EchoRequest *request = (const void *)message;
	struct talk *talk = data;
	Test__EchoReply reply = TEST__ECHO_REPLY__INIT;
	reply.text = request->text;
	reply.data = request->data;
	reply.number = talk->number++;
	if (grpc_call_send(call, &reply.base) == GRPC_PAUSE)
		grpc_call_pause(call);
	if (strcmp(request->text, "end") == 0) {
		talk_end(talk);
		grpc_call_finish(call);
	} else if (request->delay_ms) {
		grpc_call_pause(call);
		(void)uv_timer_start(&talk->timer, on_resume_timer, request->delay_ms, 0);
	}
}

static void chat_writable(struct grpc_call *call, void *data)
{
	(void)data;
	grpc_call_resume(call);
}

static void chat_end(struct grpc_call *call, void *data)
{
	talk_end(data);
	grpc_call_finish(call);
}

static void on_chat(struct grpc_call *call, const ProtobufCMessage *message, void *context)
{
	static const struct grpc_events EVENTS = {.on_message = chat_message,
						  .on_writable = chat_writable,
						  .on_half_close = chat_end,
						  .on_cancel = on_cancel};
	(void)message;
	grpc_call_set_events(call, &EVENTS, talk_new(context, call, NULL));
}

static void on_stats(struct grpc_call *call, const ProtobufCMessage *message, void *context)
{
	const struct echo *echo = context;
	(void)message;
	Test__EchoReply reply = TEST__ECHO_REPLY__INIT;
	reply.cancelled = echo->cancelled;
	grpc_call_reply(call, &reply.base);
}

static const struct grpc_method METHODS[] = {
	{"Say", GRPC_UNARY, on_say, 0},
	{"Count", GRPC_SERVER_STREAM, on_count, 0},
	{"Collect", GRPC_STREAM, on_collect, 0},
	{"Chat", GRPC_STREAM, on_chat, 0},
	{"Stats", GRPC_UNARY, on_stats, 1000},
};

int echo_add(struct grpc_server *server, struct echo *echo, struct err *err)
{
	struct grpc_service service = {&test__echo__descriptor, METHODS, ARRAY_COUNT(METHODS), echo};
	return grpc_server_add(server, &service, err);
}
