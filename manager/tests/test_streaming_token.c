#include "manager/src/streaming_token.h"

#include <errno.h>
#include <string.h>

#include "core/base/err.h"
#include "core/base/test_main.h"

static size_t released;

static void release(void *object)
{
	(void)object;
	released++;
}

START_TEST(a_token_is_good_once)
{
	struct tokens tokens = {.release = release};
	char text[TOKEN_TEXT_MAX];
	int object = 0;
	released = 0;
	ck_assert_int_eq(tokens_add(&tokens, &object, 0, 100, text, NULL), 0);
	ck_assert_uint_eq(strlen(text), 64);
	ck_assert_ptr_eq(tokens_take(&tokens, text, 1), &object);
	ck_assert_ptr_null(tokens_take(&tokens, text, 1));
	tokens_done(&tokens);
	ck_assert_uint_eq(released, 0);
}
END_TEST

START_TEST(its_time_is_kept)
{
	struct tokens tokens = {.release = release};
	char first[TOKEN_TEXT_MAX];
	char second[TOKEN_TEXT_MAX];
	int object = 0;
	released = 0;
	ck_assert_int_eq(tokens_add(&tokens, &object, 0, 100, first, NULL), 0);
	ck_assert_int_eq(tokens_add(&tokens, &object, 50, 150, second, NULL), 0);
	ck_assert_str_ne(first, second);
	ck_assert_ptr_null(tokens_take(&tokens, first, 100));
	ck_assert_uint_eq(released, 1);
	ck_assert_ptr_eq(tokens_take(&tokens, second, 149), &object);
	ck_assert_uint_eq(tokens.count, 0);
}
END_TEST

START_TEST(nothing_like_a_token_is_one)
{
	struct tokens tokens = {.release = release};
	char text[TOKEN_TEXT_MAX];
	char other[TOKEN_TEXT_MAX + 2];
	int object = 0;
	ck_assert_int_eq(tokens_add(&tokens, &object, 0, 100, text, NULL), 0);
	ck_assert_ptr_null(tokens_take(&tokens, "", 1));
	memcpy(other, text, sizeof text);
	other[63] = '\0';
	ck_assert_ptr_null(tokens_take(&tokens, other, 1));
	memcpy(other, text, sizeof text);
	other[64] = '0';
	other[65] = '\0';
	ck_assert_ptr_null(tokens_take(&tokens, other, 1));
	for (size_t i = 0; i < 64; i++) {
		memcpy(other, text, sizeof text);
		other[i] = other[i] == '0' ? '1' : '0';
		ck_assert_ptr_null(tokens_take(&tokens, other, 1));
	}
	ck_assert_ptr_eq(tokens_take(&tokens, text, 1), &object);
}
END_TEST

START_TEST(tokens_are_counted)
{
	struct tokens tokens = {.release = release};
	char text[TOKEN_TEXT_MAX];
	struct err err = {0};
	int object = 0;
	released = 0;
	for (size_t i = 0; i < TOKENS_MAX; i++)
		ck_assert_int_eq(tokens_add(&tokens, &object, 0, 100, text, NULL), 0);
	ck_assert_int_eq(tokens_add(&tokens, &object, 99, 200, text, &err), -ENOBUFS);
	ck_assert_str_eq(err.reason, "streaming.limit");
	ck_assert_int_eq(tokens_add(&tokens, &object, 100, 200, text, NULL), 0); /* the others' time is over */
	ck_assert_uint_eq(released, TOKENS_MAX);
	tokens_done(&tokens);
	ck_assert_uint_eq(released, TOKENS_MAX + 1);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, a_token_is_good_once);
	tcase_add_test(cases, its_time_is_kept);
	tcase_add_test(cases, nothing_like_a_token_is_one);
	tcase_add_test(cases, tokens_are_counted);
}

TEST_MAIN("streaming-token", add_tests)
