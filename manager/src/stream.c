#include "manager/src/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/codec/proto.h"
#include "manager/src/fiber_group.h"

#define QUEUE_PAUSE_BYTES (256 << 10) /* at which the peer is asked to wait */
#define MESSAGE_MAX (16 << 20)
#define OUTPUT_WAIT_MS 2000

struct queued {
	struct queued *next;
	size_t size;
	uint8_t bytes[];
};

struct stream {
	struct rpc rpc;
	struct fiber *fiber;
	stream_function *run;
	const ProtobufCMessage *request;
	const ProtobufCMessageDescriptor *input;
	struct queued *first, *last;
	size_t queued_bytes;
	bool paused;
	bool half_closed;
	bool failed; /* a message could not be kept */
	struct fiber_signal arrived;
	struct fiber_signal writable;
	struct fiber_group forks;
};

struct rpc *stream_rpc(struct stream *stream)
{
	return &stream->rpc;
}

const void *stream_request(const struct stream *stream)
{
	return stream->request;
}

/* --- what comes from the peer, in the loop --- */

static int enqueue(struct stream *stream, const ProtobufCMessage *message)
{
	scoped_done(buf_done) struct buf bytes = {.max = MESSAGE_MAX};
	int r = proto_encode(message, &bytes);
	struct queued *queued = r < 0 ? NULL : malloc(sizeof *queued + bytes.size);
	if (!queued)
		return -ENOMEM;
	queued->next = NULL;
	queued->size = bytes.size;
	if (bytes.size)
		memcpy(queued->bytes, bytes.data, bytes.size);
	if (stream->last)
		stream->last->next = queued;
	else
		stream->first = queued;
	stream->last = queued;
	stream->queued_bytes += bytes.size;
	return 0;
}

static void on_message(struct grpc_call *call, const ProtobufCMessage *message, void *data)
{
	struct stream *stream = data;
	if (enqueue(stream, message) < 0)
		stream->failed = true;
	if (stream->queued_bytes >= QUEUE_PAUSE_BYTES && !stream->paused) {
		stream->paused = true;
		grpc_call_pause(call);
	}
	fiber_signal_all(&stream->arrived);
}

static void on_half_close(struct grpc_call *call, void *data)
{
	(void)call;
	struct stream *stream = data;
	stream->half_closed = true;
	fiber_signal_all(&stream->arrived);
}

static void on_writable(struct grpc_call *call, void *data)
{
	(void)call;
	struct stream *stream = data;
	fiber_signal_all(&stream->writable);
}

static void on_cancel(struct grpc_call *call, int code, void *data)
{
	(void)call;
	(void)code;
	struct stream *stream = data;
	fiber_group_cancel(&stream->forks);
	fiber_cancel(stream->fiber);
}

/* --- in fibers --- */

int stream_send(struct stream *stream, const void *message)
{
	int r = grpc_call_send(stream->rpc.call, message);
	return r == GRPC_PAUSE ? fiber_signal_wait(stream->rpc.node->fibers, &stream->writable) : r;
}

static void resume_peer(struct stream *stream)
{
	if (!stream->paused || stream->queued_bytes >= QUEUE_PAUSE_BYTES)
		return;
	stream->paused = false;
	grpc_call_resume(stream->rpc.call);
}

int stream_receive(struct stream *stream, struct arena *arena, const ProtobufCMessage **ret_message)
{
	while (!stream->first) {
		if (stream->failed)
			return -ENOMEM;
		if (stream->half_closed)
			return 0;
		int r = fiber_signal_wait(stream->rpc.node->fibers, &stream->arrived);
		if (r < 0)
			return r;
	}
	scoped_free struct queued *queued = stream->first;
	stream->first = queued->next;
	if (!stream->first)
		stream->last = NULL;
	stream->queued_bytes -= queued->size;
	resume_peer(stream);
	int r = proto_decode(stream->input, queued->bytes, queued->size, arena, ret_message, NULL);
	return r < 0 ? r : 1;
}

int stream_fork(struct stream *stream, fiber_function *function, void *data)
{
	return fiber_group_start(&stream->forks, function, data);
}

void stream_join(struct stream *stream, bool cancel)
{
	fiber_group_join(&stream->forks, cancel);
}

/* Returns false where the time is over. */
static bool await_fork(struct stream *stream, bool impatient)
{
	struct fibers *fibers = stream->rpc.node->fibers;
	if (impatient)
		(void)fiber_set_deadline(fibers, uv_hrtime() + OUTPUT_WAIT_MS * UINT64_C(1000000));
	int r = fiber_signal_wait(fibers, &stream->forks.ended);
	return r == 0 || grpc_call_queued(stream->rpc.call) > 0; /* a slow reader is waited for */
}

void stream_join_output(struct stream *stream, fiber_function *except, bool impatient)
{
	struct fibers *fibers = stream->rpc.node->fibers;
	fiber_shield(fibers); /* a peer that leaves cancels the forks */
	while (fiber_group_is_busy(&stream->forks, except) && await_fork(stream, impatient))
		;
	fiber_unshield(fibers);
}

static void stream_free(struct stream *stream)
{
	while (stream->first) {
		struct queued *next = stream->first->next;
		free(stream->first);
		stream->first = next;
	}
	free(stream);
}

static void run_stream(void *data)
{
	struct stream *stream = data;
	struct grpc_call *call = stream->rpc.call;
	struct err err = {0};
	int r = stream->run(stream, &err);
	stream_join(stream, true);
	grpc_call_set_events(call, NULL, NULL);
	if (r < 0) {
		if (!err.code)
			(void)err_sys(&err, r, "stream.failed", "%s", grpc_call_method(call));
		log_write(&stream->rpc.node->log, LOG_DEBUG, err.reason, "%s: %s", grpc_call_method(call), err.message);
		grpc_call_fail(call, &err);
	} else {
		grpc_call_finish(call);
	}
	stream_free(stream);
}

void stream_open(struct grpc_call *call, const ProtobufCMessage *request, const ProtobufCMessageDescriptor *input,
		 void *context, stream_function *run)
{
	static const struct grpc_events EVENTS = {
		.on_message = on_message,
		.on_half_close = on_half_close,
		.on_writable = on_writable,
		.on_cancel = on_cancel,
	};
	const struct face *face = rpc_face(context);
	struct stream *stream = calloc(1, sizeof *stream);
	if (!stream || face->node->stopping) {
		free(stream);
		grpc_call_fail_status(call, GRPC_UNAVAILABLE, "axled has no room for another call, or is ending");
		return;
	}
	stream->rpc = (struct rpc){face->node, face->owner, grpc_call_arena(call), call};
	stream->run = run;
	stream->forks.fibers = face->node->fibers;
	stream->request = request;
	stream->input = input;
	grpc_call_set_events(call, &EVENTS, stream);
	if (fiber_start(face->node->fibers, run_stream, stream, &stream->fiber) < 0) {
		free(stream);
		grpc_call_set_events(call, NULL, NULL);
		grpc_call_fail_status(call, GRPC_UNAVAILABLE, "axled has no room for another call");
	}
}
