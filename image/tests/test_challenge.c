#include "image/src/challenge.h"

#include <stddef.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/test_main.h"

static const struct {
	const char *value;
	bool offered;
	struct challenge expected;
} CASES[] = {
	{"Basic realm=\"x\"", true, {.basic = true}},
	{"Bearer realm=\"https://a/token\",service=\"s\",scope=\"repository:a/b:pull\"", true,
	 {.bearer = true, .realm = "https://a/token", .service = "s", .scope = "repository:a/b:pull"}},
	{"bearer REALM = \"https://a\" , service = s", true, {.bearer = true, .realm = "https://a", .service = "s"}},
	{"Bearer realm=\"a\\\"b,c\"", true, {.bearer = true, .realm = "a\"b,c"}},
	{"Basic realm=\"x\", Bearer realm=\"y\",service=\"z\"", true,
	 {.basic = true, .bearer = true, .realm = "y", .service = "z"}},
	{"Bearer realm=\"y\", Basic realm=\"x\"", true, {.basic = true, .bearer = true, .realm = "y"}},
	{"Negotiate, Basic", true, {.basic = true}},
	{"Digest nonce=\"1\"", false, {0}},
	{"Bearer realm=\"open", false, {0}},
	{"Bearer realm=\"a\" ??", false, {0}},
	{"", false, {0}},
	{"=", false, {0}},
};

START_TEST(challenges)
{
	struct challenge got;
	memset(&got, 0x55, sizeof got);
	ck_assert_int_eq(challenge_parse(CASES[_i].value, &got), CASES[_i].offered);
	if (!CASES[_i].offered)
		return;
	ck_assert_int_eq(got.basic, CASES[_i].expected.basic);
	ck_assert_int_eq(got.bearer, CASES[_i].expected.bearer);
	ck_assert_str_eq(got.realm, CASES[_i].expected.realm);
	ck_assert_str_eq(got.service, CASES[_i].expected.service);
	ck_assert_str_eq(got.scope, CASES[_i].expected.scope);
}
END_TEST

START_TEST(what_is_too_long_is_no_challenge)
{
	char value[3000] = "Bearer service=\"";
	memset(value + 16, 's', 300);
	value[316] = (char)34;
	struct challenge got;
	ck_assert(!challenge_parse(value, &got));
	memset(value + 16, 's', 2000);
	value[2016] = '\0';
	ck_assert(!challenge_parse(value, &got));
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_loop_test(cases, challenges, 0, ARRAY_COUNT(CASES));
	tcase_add_test(cases, what_is_too_long_is_no_challenge);
}

TEST_MAIN("challenge", add_tests)
