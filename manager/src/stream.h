/* A streaming call and the fiber that answers it. */
#pragma once

#include "manager/src/rpc.h"

struct err;
struct stream;

/* Answers one call; the stream ends with what it returns. May park. */
typedef int stream_function(struct stream *stream, struct err *err);

/* For a handler: starts @run in a fiber. @request is NULL for GRPC_STREAM, whose messages are of type @input. */
void stream_open(struct grpc_call *call, const ProtobufCMessage *request, const ProtobufCMessageDescriptor *input,
		 void *context, stream_function *run);

struct rpc *stream_rpc(struct stream *stream);
const void *stream_request(const struct stream *stream);

/* Sends one message; parks while the peer does not keep up. Errors: -ECANCELED, -ETIMEDOUT, those of grpc_call_send(). */
int stream_send(struct stream *stream, const void *message);

/* Parks for the next message, decoded into @arena. Returns 1, 0 (the peer sends no more), or -ECANCELED, -ETIMEDOUT. */
int stream_receive(struct stream *stream, struct arena *arena, const ProtobufCMessage **ret_message);

/* Runs @function in another fiber of this stream (with @data), which is cancelled with it; stream_join() parks until all of
 * these have ended, after cancelling them with @cancel. */
int stream_fork(struct stream *stream, fiber_function *function, void *data);
void stream_join(struct stream *stream, bool cancel);

/* Parks until all forks but those of @except have ended. With @impatient it waits no longer than two seconds for one that
 * has nothing to send: a descendant of an ended process may hold its output open for ever. */
void stream_join_output(struct stream *stream, fiber_function *except, bool impatient);
