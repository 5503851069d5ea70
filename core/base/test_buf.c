#include "core/base/buf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/test_main.h"

START_TEST(grows_and_stays_terminated)
{
	struct buf buf = {.max = 100000};
	for (int i = 0; i < 10000; i++)
		ck_assert_int_eq(buf_printf(&buf, "%d,", i % 10), 0);
	ck_assert_uint_eq(buf.size, 20000);
	ck_assert_uint_eq(strlen(buf.data), 20000);
	buf_done(&buf);
	ck_assert_ptr_null(buf.data);
}
END_TEST

START_TEST(holds_exactly_its_maximum_and_not_a_byte_more)
{
	struct buf buf = {.max = 4};
	ck_assert_int_eq(buf_add(&buf, "abcd", 4), 0);
	ck_assert_int_eq(buf_add_char(&buf, 'e'), -EMSGSIZE);
	ck_assert_int_eq(buf_printf(&buf, "%s", "e"), -EMSGSIZE);
	ck_assert_str_eq(buf.data, "abcd");
	buf_done(&buf);
}
END_TEST

START_TEST(consume_drops_from_the_front)
{
	struct buf buf = {.max = 64};
	(void)buf_add_text(&buf, "hello world");
	buf_consume(&buf, 6);
	ck_assert_str_eq(buf.data, "world");
	buf_consume(&buf, 100);
	ck_assert_uint_eq(buf.size, 0);
	ck_assert_str_eq(buf.data, "");
	buf_done(&buf);
}
END_TEST

START_TEST(take_hands_over_and_leaves_an_empty_buffer)
{
	struct buf buf = {.max = 64};
	char *nothing = buf_take(&buf);
	ck_assert_str_eq(nothing, "");
	free(nothing);
	(void)buf_add_text(&buf, "x");
	char *text = buf_take(&buf);
	ck_assert_str_eq(text, "x");
	ck_assert_ptr_null(buf.data);
	ck_assert_int_eq(buf_add_text(&buf, "y"), 0);
	free(text);
	buf_done(&buf);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, grows_and_stays_terminated);
	tcase_add_test(cases, holds_exactly_its_maximum_and_not_a_byte_more);
	tcase_add_test(cases, consume_drops_from_the_front);
	tcase_add_test(cases, take_hands_over_and_leaves_an_empty_buffer);
}

TEST_MAIN("buf", add_tests)
