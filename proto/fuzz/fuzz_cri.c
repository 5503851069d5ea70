/* Requests of CRI and axle.v1: the first byte chooses the type, the rest is the message. What is accepted can be written
 * and read again, to the same bytes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/codec/proto.h"
#include "core/fuzz/target.h"
#include "proto/axle.h"

static const ProtobufCMessageDescriptor *const TYPES[] = {
	&cri__run_pod_sandbox_request__descriptor,
	&cri__create_container_request__descriptor,
	&cri__list_containers_request__descriptor,
	&cri__pull_image_request__descriptor,
	&cri__exec_sync_request__descriptor,
	&cri__update_container_resources_request__descriptor,
	&cri__container_status_response__descriptor,
	&cri__list_pod_sandbox_stats_response__descriptor,
	&axle__attach_request__descriptor,
	&axle__exec_request__descriptor,
	&axle__logs_request__descriptor,
	&axle__list_containers_response__descriptor,
};

static void check(int holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	const ProtobufCMessageDescriptor *type = TYPES[data[0] % (sizeof TYPES / sizeof *TYPES)];
	struct err err = {0};
	struct arena arena = {.max = 1 << 20};
	struct buf first = {.max = 1 << 20};
	struct buf second = {.max = 1 << 20};
	const ProtobufCMessage *message = NULL;
	if (proto_decode(type, data + 1, size - 1, &arena, &message, &err) == 0 && proto_encode(message, &first) == 0) {
		check(proto_decode(type, (const uint8_t *)first.data, first.size, &arena, &message, &err) == 0 ||
		      err.code == -ENOMEM);
		if (err.code == 0)
			check(proto_encode(message, &second) == 0 && first.size == second.size &&
			      memcmp(first.data, second.data, first.size) == 0);
	}
	buf_done(&first);
	buf_done(&second);
	arena_done(&arena);
	return 0;
}
