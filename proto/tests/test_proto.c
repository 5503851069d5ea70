/* core/codec/proto with real messages: those of CRI. */
#include "core/codec/proto.h"

#include <errno.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/test_main.h"
#include "proto/axle.h"

static int decode(const ProtobufCMessageDescriptor *type, const char *bytes, size_t size, struct arena *arena,
		  const ProtobufCMessage **ret_message, struct err *err)
{
	return proto_decode(type, (const uint8_t *)bytes, size, arena, ret_message, err);
}

#define DECODE(type, bytes, arena, message, err) decode(&(type), bytes, sizeof(bytes) - 1, arena, message, err)

START_TEST(a_message_comes_back_as_it_went)
{
	struct arena arena = {.max = 1 << 16};
	struct buf bytes = {.max = 1 << 16};
	struct err err = {0};
	Cri__MapEntry label = CRI__MAP_ENTRY__INIT;
	label.key = "app";
	label.value = "größe";
	Cri__MapEntry *labels[] = {&label};
	Cri__PodSandboxMetadata metadata = CRI__POD_SANDBOX_METADATA__INIT;
	metadata.name = "web";
	metadata.attempt = UINT32_MAX;
	Cri__PodSandboxConfig config = CRI__POD_SANDBOX_CONFIG__INIT;
	config.metadata = &metadata;
	config.labels = labels;
	config.n_labels = 1;
	ck_assert_int_eq(proto_encode(&config.base, &bytes), 0);

	const ProtobufCMessage *message = NULL;
	ck_assert_int_eq(decode(&cri__pod_sandbox_config__descriptor, bytes.data, bytes.size, &arena, &message, &err), 0);
	const Cri__PodSandboxConfig *read = (const void *)message;
	ck_assert_str_eq(read->metadata->name, "web");
	ck_assert_uint_eq(read->metadata->attempt, UINT32_MAX);
	ck_assert_uint_eq(read->n_labels, 1);
	ck_assert_str_eq(read->labels[0]->value, "größe");
	ck_assert_str_eq(read->hostname, "");
	ck_assert_ptr_null(read->linux);
	buf_done(&bytes);
	arena_done(&arena);
}
END_TEST

START_TEST(errors_name_the_field)
{
	struct arena arena = {.max = 1 << 16};
	const ProtobufCMessage *message = NULL;
	struct err err = {0};
	ck_assert_int_eq(DECODE(cri__run_pod_sandbox_request__descriptor, "\x0a\x05\x0a\x03\x0a\x01\xff", &arena, &message,
				&err),
			 -EBADMSG);
	ck_assert_str_eq(err.message, "runtime.v1.RunPodSandboxRequest: config: metadata: name: not UTF-8");
	ck_assert_int_eq(DECODE(cri__exec_sync_request__descriptor, "\x0a\x03"
								    "a\0b",
				&arena, &message, &err),
			 -EBADMSG);
	ck_assert_str_eq(err.message, "runtime.v1.ExecSyncRequest: container_id: a zero byte in a string");
	arena_done(&arena);
}
END_TEST

START_TEST(malformed_bytes_are_refused)
{
	static const struct {
		const char *bytes;
		size_t size;
		const char *what;
	} CASES[] = {
		{"\x0a", 1, "cut off"},
		{"\x0a\x05"
		 "abc",
		 5, "longer than what holds it"},
		{"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 11, "longer than what holds it"},
		{"\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12, "more than ten bytes"},
		{"\x08\x01", 2, "not of the field's type"},
		{"\x00\x01", 2, "impossible number"},
		{"\x7b\x7c", 2, "unknown wire type"},
		{"\x1a\x01\x80", 3, "not of the field's type"},
	};
	for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
		struct arena arena = {.max = 1 << 16};
		const ProtobufCMessage *message = NULL;
		struct err err = {0};
		int r = decode(&cri__exec_sync_request__descriptor, CASES[i].bytes, CASES[i].size, &arena, &message, &err);
		ck_assert_msg(r == -EBADMSG && strstr(err.message, CASES[i].what), "case %zu: %d %s", i, r, err.message);
		arena_done(&arena);
	}
}
END_TEST

START_TEST(unknown_fields_are_ignored)
{
	struct arena arena = {.max = 1 << 16};
	const ProtobufCMessage *message = NULL;
	struct err err = {0};
	ck_assert_int_eq(DECODE(cri__exec_sync_request__descriptor, "\xf8\x07\x01\xfa\x07\x02\xff\xff\x0a\x01x", &arena,
				&message, &err),
			 0);
	ck_assert_str_eq(((const Cri__ExecSyncRequest *)(const void *)message)->container_id, "x");
	arena_done(&arena);
}
END_TEST

START_TEST(the_arena_bounds_what_a_message_becomes)
{
	struct buf bytes = {.max = 1 << 20};
	for (int i = 0; i < 10000; i++)
		ck_assert_int_eq(buf_add(&bytes, "\x0a\x00", 2), 0); /* an empty container: 2 bytes, 100 in memory */
	struct arena arena = {.max = 1 << 18};
	const ProtobufCMessage *message = NULL;
	struct err err = {0};
	ck_assert_int_eq(decode(&cri__list_containers_response__descriptor, bytes.data, bytes.size, &arena, &message, &err),
			 -ENOMEM);
	ck_assert_str_eq(err.reason, "proto.too-large");
	arena_done(&arena);
	arena.max = 1 << 22;
	ck_assert_int_eq(decode(&cri__list_containers_response__descriptor, bytes.data, bytes.size, &arena, &message, &err),
			 0);
	arena_done(&arena);
	buf_done(&bytes);
}
END_TEST

START_TEST(packed_and_single_numbers_are_both_read)
{
	struct arena arena = {.max = 1 << 16};
	const ProtobufCMessage *message = NULL;
	struct err err = {0};
	ck_assert_int_eq(DECODE(cri__port_forward_request__descriptor, "\x12\x03\x50\xbb\x03\x10\x16", &arena, &message,
				&err),
			 0);
	const Cri__PortForwardRequest *request = (const void *)message;
	ck_assert_uint_eq(request->n_port, 3);
	ck_assert_int_eq(request->port[1], 443);
	ck_assert_int_eq(request->port[2], 22);
	ck_assert_int_eq(DECODE(cri__port_forward_request__descriptor, "\x12\x01\x80", &arena, &message, &err), -EBADMSG);
	arena_done(&arena);
}
END_TEST

static void check_service(const ProtobufCServiceDescriptor *service)
{
	for (unsigned i = 0; i < service->n_methods; i++) {
		ck_assert_msg(!proto_is_recursive(service->methods[i].input), "%s", service->methods[i].input->name);
		ck_assert_msg(!proto_is_recursive(service->methods[i].output), "%s", service->methods[i].output->name);
	}
}

START_TEST(no_message_of_ours_contains_itself)
{
	check_service(&cri__runtime_service__descriptor);
	check_service(&cri__image_service__descriptor);
	check_service(&axle__containers__descriptor);
	check_service(&axle__images__descriptor);
	check_service(&axle__node__descriptor);
	ck_assert_uint_eq(cri__runtime_service__descriptor.n_methods, 37);
	ck_assert_str_eq(cri__image_service__descriptor.name, "runtime.v1.ImageService");
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, a_message_comes_back_as_it_went);
	tcase_add_test(cases, errors_name_the_field);
	tcase_add_test(cases, malformed_bytes_are_refused);
	tcase_add_test(cases, unknown_fields_are_ignored);
	tcase_add_test(cases, the_arena_bounds_what_a_message_becomes);
	tcase_add_test(cases, packed_and_single_numbers_are_both_read);
	tcase_add_test(cases, no_message_of_ours_contains_itself);
}

TEST_MAIN("proto", add_tests)
