#include "core/base/str.h"

#include "core/base/array.h"
#include "core/base/test_main.h"

static const struct {
	const char *text;
	bool valid;
} UTF8[] = {
	{"", true},
	{"plain", true},
	{"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", true},
	{"\x80", false},	     /* a continuation alone */
	{"\xc0\xaf", false},	     /* over-long */
	{"\xe0\x80\xaf", false},     /* over-long */
	{"\xed\xa0\x80", false},     /* a surrogate */
	{"\xf4\x90\x80\x80", false}, /* beyond U+10FFFF */
	{"\xe2\x82", false},	     /* cut */
};

START_TEST(utf8_is_judged_as_rfc_3629_says)
{
	ck_assert_int_eq(str_is_utf8(UTF8[_i].text, strlen(UTF8[_i].text)), UTF8[_i].valid);
}
END_TEST

START_TEST(prefixes_and_suffixes)
{
	ck_assert_str_eq(str_after_prefix("--name", "--"), "name");
	ck_assert_ptr_null(str_after_prefix("-", "--"));
	ck_assert(str_ends_with("a.json", ".json"));
	ck_assert(!str_ends_with("json", ".json"));
	ck_assert(str_equal(NULL, NULL));
	ck_assert(!str_equal("a", NULL));
}
END_TEST

START_TEST(splits_at_every_separator)
{
	scoped(strv_free) char **parts = str_split("a::b:", ':');
	ck_assert_uint_eq(strv_count((const char *const *)parts), 4);
	ck_assert_str_eq(parts[0], "a");
	ck_assert_str_eq(parts[1], "");
	ck_assert_str_eq(parts[2], "b");
	ck_assert_str_eq(parts[3], "");
	scoped(strv_free) char **one = str_split("", ':');
	ck_assert_uint_eq(strv_count((const char *const *)one), 1);
}
END_TEST

START_TEST(an_environment_is_set_replaced_and_read)
{
	scoped(strv_free) char **env = NULL;
	ck_assert_int_eq(strv_env_set(&env, "PATH", "/bin"), 0);
	ck_assert_int_eq(strv_env_set(&env, "PATHS", "x"), 0);
	ck_assert_int_eq(strv_env_set(&env, "PATH", "/usr/bin"), 0);
	ck_assert_uint_eq(strv_count((const char *const *)env), 2);
	ck_assert_str_eq(strv_env_get((const char *const *)env, "PATH"), "/usr/bin");
	ck_assert_str_eq(strv_env_get((const char *const *)env, "PATHS"), "x");
	ck_assert_ptr_null(strv_env_get((const char *const *)env, "PAT"));
}
END_TEST

START_TEST(copies_are_deep)
{
	const char *source[] = {"a", "b", NULL};
	scoped(strv_free) char **copy = strv_copy(source);
	ck_assert_str_eq(copy[1], "b");
	ck_assert(copy[1] != source[1]);
	ck_assert(strv_contains((const char *const *)copy, "a"));
	ck_assert(!strv_contains((const char *const *)copy, "c"));
	scoped(strv_free) char **empty = strv_copy(NULL);
	ck_assert_ptr_nonnull(empty);
	ck_assert_ptr_null(empty[0]);
}
END_TEST

START_TEST(a_slot_is_replaced)
{
	char *slot = NULL;
	ck_assert_int_eq(str_set(&slot, "a"), 0);
	ck_assert_int_eq(str_set(&slot, "b"), 0);
	ck_assert_str_eq(slot, "b");
	ck_assert_int_eq(str_set(&slot, NULL), 0);
	ck_assert_ptr_null(slot);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_loop_test(cases, utf8_is_judged_as_rfc_3629_says, 0, ARRAY_COUNT(UTF8));
	tcase_add_test(cases, prefixes_and_suffixes);
	tcase_add_test(cases, splits_at_every_separator);
	tcase_add_test(cases, an_environment_is_set_replaced_and_read);
	tcase_add_test(cases, copies_are_deep);
	tcase_add_test(cases, a_slot_is_replaced);
}

TEST_MAIN("str", add_tests)
