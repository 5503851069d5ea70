#include "core/base/err.h"

#include <errno.h>
#include <string.h>

#include "core/base/test_main.h"

START_TEST(set_fills_all_and_returns_the_code)
{
	struct err err = {0};
	ck_assert_int_eq(err_set(&err, -EINVAL, "digest.malformed", "digest \"%s\"", "x"), -EINVAL);
	ck_assert_int_eq(err.code, -EINVAL);
	ck_assert_str_eq(err.reason, "digest.malformed");
	ck_assert_str_eq(err.message, "digest \"x\"");
}
END_TEST

START_TEST(sys_says_what_errno_means)
{
	struct err err = {0};
	ck_assert_int_eq(err_sys(&err, -ENOENT, "file.open", "open %s", "/x"), -ENOENT);
	ck_assert_str_eq(err.message, "open /x: No such file or directory");
}
END_TEST

START_TEST(memory_says_what_for)
{
	struct err err = {0};
	ck_assert_int_eq(err_memory(&err, "image store"), -ENOMEM);
	ck_assert_str_eq(err.reason, "memory.exhausted");
	ck_assert_str_eq(err.message, "image store: out of memory");
}
END_TEST

START_TEST(add_puts_context_in_front_and_keeps_code_and_reason)
{
	struct err err = {0};
	(void)err_set(&err, -EIO, "disk.bad", "sector 7");
	ck_assert_int_eq(err_add(&err, -EIO, "layer %d", 2), -EIO);
	ck_assert_str_eq(err.message, "layer 2: sector 7");
	ck_assert_str_eq(err.reason, "disk.bad");
	ck_assert_int_eq(err.code, -EIO);
}
END_TEST

START_TEST(nobody_may_want_to_know)
{
	ck_assert_int_eq(err_set(NULL, -EIO, "a", "b"), -EIO);
	ck_assert_int_eq(err_sys(NULL, -EIO, "a", "b"), -EIO);
	ck_assert_int_eq(err_add(NULL, -EIO, "b"), -EIO);
	ck_assert_str_eq(err_text(NULL, -EIO), strerror(EIO));
}
END_TEST

START_TEST(an_overlong_message_is_cut_and_terminated)
{
	struct err err = {0};
	char text[2 * ERR_MESSAGE_MAX];
	memset(text, 'a', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	(void)err_set(&err, -EIO, "a", "%s", text);
	ck_assert_uint_eq(strlen(err.message), ERR_MESSAGE_MAX - 1);
	(void)err_add(&err, -EIO, "%s", text);
	ck_assert_uint_eq(strlen(err.message), ERR_MESSAGE_MAX - 1);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, set_fills_all_and_returns_the_code);
	tcase_add_test(cases, sys_says_what_errno_means);
	tcase_add_test(cases, memory_says_what_for);
	tcase_add_test(cases, add_puts_context_in_front_and_keeps_code_and_reason);
	tcase_add_test(cases, nobody_may_want_to_know);
	tcase_add_test(cases, an_overlong_message_is_cut_and_terminated);
}

TEST_MAIN("err", add_tests)
