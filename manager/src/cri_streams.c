/* The streaming forms of the list calls: the same items, in messages of a bounded size, so that a node with many of them
 * can be listed through any client's message limit. Each item comes once; the stream ends behind the last. */
#include <errno.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/codec/proto.h"
#include "manager/src/cri.h"
#include "manager/src/stream.h"

#define MESSAGE_ITEMS_MAX 100
#define MESSAGE_BYTES 262144 /* above which no further item is added */
#define ITEM_BYTES_MAX (16 << 20)
#define ALL_BYTES_MAX (256 << 20)
#define MESSAGE_MEMORY_MAX (64 << 20)

/* A repeated member of messages: the first field of what list and stream calls answer. */
struct items {
	size_t *count;
	ProtobufCMessage ***items;
};

static struct items items_of(const ProtobufCMessageDescriptor *type, void *message)
{
	const ProtobufCFieldDescriptor *field = &type->fields[0];
	return (struct items){(size_t *)((char *)message + field->quantifier_offset),
			      (ProtobufCMessage ***)((char *)message + field->offset)};
}

/* Encodes what @rpc_call answers as messages of type @output, one behind the other with its size before it: while they are
 * sent, the objects that the items point into come and go. */
static int encode_all(const ProtobufCMessageDescriptor *output, const struct items *all, struct buf *ret_bytes)
{
	for (size_t first = 0; first < *all->count;) {
		union { /* messages of all these types are one header and one list */
			ProtobufCMessage base;
			Cri__StreamContainersResponse form;
		} message = {0};
		protobuf_c_message_init(output, &message);
		struct items part = items_of(output, &message);
		*part.items = *all->items + first;
		size_t bytes = 0;
		while (first < *all->count && *part.count < MESSAGE_ITEMS_MAX && bytes < MESSAGE_BYTES) {
			bytes += protobuf_c_message_get_packed_size((*all->items)[first++]);
			(*part.count)++;
		}
		scoped_done(buf_done) struct buf text = {.max = MESSAGE_BYTES + ITEM_BYTES_MAX};
		int r = proto_encode(&message.base, &text);
		if (r == 0)
			r = buf_add(ret_bytes, &text.size, sizeof text.size);
		if (r == 0)
			r = buf_add(ret_bytes, text.data, text.size);
		if (r < 0)
			return r;
	}
	return 0;
}

static int send_all(struct stream *stream, const ProtobufCMessageDescriptor *output, const struct buf *bytes)
{
	int r = 0;
	for (size_t at = 0; r == 0 && at < bytes->size;) {
		scoped_done(arena_done) struct arena arena = {.max = MESSAGE_MEMORY_MAX};
		const ProtobufCMessage *message = NULL;
		size_t size = 0;
		memcpy(&size, bytes->data + at, sizeof size);
		at += sizeof size;
		r = proto_decode(output, (const uint8_t *)bytes->data + at, size, &arena, &message, NULL);
		if (r == 0)
			r = stream_send(stream, message);
		at += size;
	}
	return r;
}

/* @list answers @request (the list call's) with a message of type @reply. */
static int stream_list(struct stream *stream, rpc_handler *list, const void *request,
		       const ProtobufCMessageDescriptor *reply_type, const ProtobufCMessageDescriptor *output,
		       struct err *err)
{
	struct rpc *rpc = stream_rpc(stream);
	scoped_done(buf_done) struct buf bytes = {.max = ALL_BYTES_MAX};
	void *reply = rpc_new(rpc, reply_type);
	int r = reply ? list(rpc, request, reply, err) : -ENOMEM;
	if (r < 0)
		return r;
	const struct items all = items_of(reply_type, reply);
	r = encode_all(output, &all, &bytes);
	return r < 0 ? err_set(err, r, "stream.list", "the list cannot be encoded") : send_all(stream, output, &bytes);
}

/* A streaming call differs from its list call in the names alone. */
#define STREAM(function, List, Stream, list_call, reply_type, output)                                                 \
	static int run_##function(struct stream *stream, struct err *err)                                             \
	{                                                                                                              \
		const Cri__##Stream##Request *asked = stream_request(stream);                                          \
		const Cri__##List##Request request = {.filter = asked->filter};                                        \
		return stream_list(stream, list_call, &request, &reply_type, &output, err);                            \
	}                                                                                                              \
	void function(struct grpc_call *call, const ProtobufCMessage *request, void *context)                         \
	{                                                                                                              \
		stream_open(call, request, NULL, context, run_##function);                                             \
	}

STREAM(cri_stream_pod_sandboxes, ListPodSandbox, StreamPodSandboxes, cri_list_pod_sandbox,
	cri__list_pod_sandbox_response__descriptor, cri__stream_pod_sandboxes_response__descriptor)
STREAM(cri_stream_containers, ListContainers, StreamContainers, cri_list_containers,
	cri__list_containers_response__descriptor, cri__stream_containers_response__descriptor)
STREAM(cri_stream_container_stats, ListContainerStats, StreamContainerStats, cri_list_container_stats,
	cri__list_container_stats_response__descriptor, cri__stream_container_stats_response__descriptor)
STREAM(cri_stream_pod_sandbox_stats, ListPodSandboxStats, StreamPodSandboxStats, cri_list_pod_sandbox_stats,
	cri__list_pod_sandbox_stats_response__descriptor, cri__stream_pod_sandbox_stats_response__descriptor)
STREAM(cri_stream_images, ListImages, StreamImages, cri_list_images, cri__list_images_response__descriptor,
	cri__stream_images_response__descriptor)
