#include "core/net/grpc_status.h"

#include <errno.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/test_main.h"

START_TEST(every_status_survives_the_way_through_errno)
{
	for (int status = GRPC_OK; status <= GRPC_UNAUTHENTICATED; status++)
		ck_assert_int_eq(grpc_status_of_error(grpc_status_to_error((enum grpc_status)status)), status);
	ck_assert_str_eq(grpc_status_name(GRPC_NOT_FOUND), "NOT_FOUND");
	ck_assert_str_eq(grpc_status_name((enum grpc_status)77), "UNKNOWN");
}
END_TEST

START_TEST(errors_have_the_status_that_clients_expect)
{
	ck_assert_int_eq(grpc_status_of_error(-EPERM), GRPC_PERMISSION_DENIED);
	ck_assert_int_eq(grpc_status_of_error(-ENOSPC), GRPC_RESOURCE_EXHAUSTED);
	ck_assert_int_eq(grpc_status_of_error(-EBADMSG), GRPC_INTERNAL);
	ck_assert_int_eq(grpc_status_of_error(-ESTALE), GRPC_UNKNOWN);
}
END_TEST

static const char *encode(const char *text, struct buf *buf)
{
	buf_clear(buf);
	ck_assert_int_eq(grpc_message_encode(text, buf), 0);
	return buf->data;
}

static const char *decode(const char *text, struct buf *buf)
{
	buf_clear(buf);
	ck_assert_int_eq(grpc_message_decode(text, strlen(text), buf), 0);
	return buf->size ? buf->data : "";
}

START_TEST(messages_are_percent_encoded)
{
	struct buf buf = {.max = 100};
	ck_assert_str_eq(encode("50% of ü\n", &buf), "50%25 of %C3%BC%0A");
	ck_assert_str_eq(decode("50%25 of %C3%BC%0A", &buf), "50% of ü\n");
	ck_assert_str_eq(decode("50%zz 5% %", &buf), "50%zz 5% %");
	ck_assert_str_eq(decode("a%FFb%00c", &buf), "abc");
	buf_done(&buf);
}
END_TEST

START_TEST(a_message_that_is_too_long_is_refused)
{
	struct buf buf = {.max = 4};
	ck_assert_int_eq(grpc_message_encode("ab\n\n", &buf), -EMSGSIZE);
	buf_done(&buf);
}
END_TEST

static uint64_t timeout(const char *text)
{
	uint64_t ns = 0;
	return grpc_timeout_parse(text, strlen(text), &ns) == 0 ? ns : UINT64_MAX;
}

START_TEST(timeouts_are_read)
{
	ck_assert_uint_eq(timeout("1n"), 1);
	ck_assert_uint_eq(timeout("20u"), 20000);
	ck_assert_uint_eq(timeout("3m"), 3000000);
	ck_assert_uint_eq(timeout("2S"), 2000000000);
	ck_assert_uint_eq(timeout("1M"), 60000000000);
	ck_assert_uint_eq(timeout("1H"), 3600000000000);
	ck_assert_uint_eq(timeout("99999999H"), 1ULL << 53);
	ck_assert_uint_eq(timeout("0S"), 0);
	static const char *const BAD[] = {"", "S", "1", "1s", "123456789n", "-1S", "1.5S", " 1S"};
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
		ck_assert_msg(timeout(BAD[i]) == UINT64_MAX, "%s", BAD[i]);
}
END_TEST

START_TEST(timeouts_are_written_so_that_they_read_the_same_or_longer)
{
	static const uint64_t TIMES[] = {1, 99999999, 100000000, 1234567890123, 1ULL << 53};
	for (size_t i = 0; i < sizeof TIMES / sizeof *TIMES; i++) {
		char text[16];
		grpc_timeout_format(TIMES[i], text);
		ck_assert_uint_ge(timeout(text), TIMES[i]);
		ck_assert_uint_le(timeout(text), TIMES[i] + TIMES[i] / 1000);
	}
}
END_TEST

START_TEST(statuses_are_read)
{
	enum grpc_status status = GRPC_OK;
	ck_assert_int_eq(grpc_status_parse("5", 1, &status), 0);
	ck_assert_int_eq(status, GRPC_NOT_FOUND);
	ck_assert_int_eq(grpc_status_parse("99", 2, &status), 0);
	ck_assert_int_eq(status, GRPC_UNKNOWN);
	ck_assert_int_eq(grpc_status_parse("", 0, &status), -EINVAL);
	ck_assert_int_eq(grpc_status_parse("x", 1, &status), -EINVAL);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, every_status_survives_the_way_through_errno);
	tcase_add_test(cases, errors_have_the_status_that_clients_expect);
	tcase_add_test(cases, messages_are_percent_encoded);
	tcase_add_test(cases, a_message_that_is_too_long_is_refused);
	tcase_add_test(cases, timeouts_are_read);
	tcase_add_test(cases, timeouts_are_written_so_that_they_read_the_same_or_longer);
	tcase_add_test(cases, statuses_are_read);
}

TEST_MAIN("grpc-status", add_tests)
