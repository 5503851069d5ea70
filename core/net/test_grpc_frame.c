#include "core/net/grpc_frame.h"

#include <errno.h>
#include <string.h>

#include "core/base/err.h"
#include "core/base/test_main.h"

START_TEST(messages_come_out_one_by_one)
{
	struct grpc_frame_reader reader = {.body.max = 100};
	const uint8_t bytes[] = "\0\0\0\0\2hi\0\0\0\0\0\0\0\0\0\1!";
	size_t size = sizeof bytes - 1, used = 0;
	ck_assert_int_eq(grpc_frame_read(&reader, bytes, size, &used, NULL), 1);
	ck_assert_uint_eq(used, 7);
	ck_assert_str_eq(reader.body.data, "hi");
	grpc_frame_next(&reader);
	size_t at = used;
	ck_assert_int_eq(grpc_frame_read(&reader, bytes + at, size - at, &used, NULL), 1);
	ck_assert_uint_eq(used, 5);
	ck_assert_uint_eq(reader.body.size, 0);
	grpc_frame_next(&reader);
	at += used;
	ck_assert_int_eq(grpc_frame_read(&reader, bytes + at, size - at, &used, NULL), 1);
	ck_assert_str_eq(reader.body.data, "!");
	grpc_frame_next(&reader);
	ck_assert(!grpc_frame_pending(&reader));
	grpc_frame_reader_done(&reader);
}
END_TEST

START_TEST(a_message_may_come_byte_by_byte)
{
	struct grpc_frame_reader reader = {.body.max = 100};
	const uint8_t bytes[] = "\0\0\0\0\3abc";
	for (size_t i = 0; i < sizeof bytes - 1; i++) {
		size_t used = 0;
		ck_assert_int_eq(grpc_frame_read(&reader, bytes + i, 1, &used, NULL), i == sizeof bytes - 2);
		ck_assert_uint_eq(used, 1);
		ck_assert(grpc_frame_pending(&reader));
	}
	ck_assert_str_eq(reader.body.data, "abc");
	grpc_frame_reader_done(&reader);
}
END_TEST

START_TEST(what_is_announced_costs_nothing_before_it_comes)
{
	struct grpc_frame_reader reader = {.body.max = 1U << 30};
	const uint8_t bytes[] = "\0\x3f\xff\xff\xff"
				"a";
	size_t used = 0;
	ck_assert_int_eq(grpc_frame_read(&reader, bytes, sizeof bytes - 1, &used, NULL), 0);
	ck_assert_uint_lt(reader.body.capacity, 4096);
	grpc_frame_reader_done(&reader);
}
END_TEST

static int read_one(const char *bytes, size_t size, struct err *err)
{
	struct grpc_frame_reader reader = {.body.max = 100};
	size_t used = 0;
	int r = grpc_frame_read(&reader, (const uint8_t *)bytes, size, &used, err);
	grpc_frame_reader_done(&reader);
	return r;
}

START_TEST(bad_headers_are_refused)
{
	struct err err = {0};
	ck_assert_int_eq(read_one("\0\0\0\0\x65", 5, &err), -EMSGSIZE);
	ck_assert_str_eq(err.message, "a message of 101 bytes, the limit is 100");
	ck_assert_int_eq(read_one("\1\0\0\0\1x", 6, &err), -EOPNOTSUPP);
	ck_assert_int_eq(read_one("\2\0\0\0\1x", 6, &err), -EBADMSG);
}
END_TEST

START_TEST(headers_are_big_endian)
{
	uint8_t header[GRPC_FRAME_HEADER];
	grpc_frame_header(0x01020304, header);
	ck_assert_mem_eq(header, "\0\1\2\3\4", 5);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, messages_come_out_one_by_one);
	tcase_add_test(cases, a_message_may_come_byte_by_byte);
	tcase_add_test(cases, what_is_announced_costs_nothing_before_it_comes);
	tcase_add_test(cases, bad_headers_are_refused);
	tcase_add_test(cases, headers_are_big_endian);
}

TEST_MAIN("grpc-frame", add_tests)
