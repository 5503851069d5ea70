#include "core/codec/json_scan.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/test_main.h"

/* The document as one letter a token, or the error's message. */
static void outline(const char *text, size_t length, char ret_outline[static ERR_MESSAGE_MAX])
{
	static const char LETTERS[] = ".{}[]KSN+-0";
	struct json_scan scan;
	struct json_token token;
	struct err err = {0};
	size_t n = 0;
	json_scan_init(&scan, "doc", text, length);
	int r = 0;
	do {
		r = json_scan_next(&scan, &token, &err);
		if (r == 0 && n + 1 < ERR_MESSAGE_MAX)
			ret_outline[n++] = LETTERS[token.type];
	} while (r == 0 && token.type != JSON_TOKEN_END);
	ret_outline[n] = '\0';
	if (r < 0) {
		ck_assert_int_eq(r, -EINVAL);
		ck_assert_str_eq(err.reason, "json.malformed");
		(void)snprintf(ret_outline, ERR_MESSAGE_MAX, "%s", err.message);
	}
	json_scan_done(&scan);
}

static const struct {
	const char *text;
	const char *outline;
} CASES[] = {
	{"{}", "{}."},
	{" [ ] ", "[]."},
	{"{\"a\": [1, -2.5e+3, \"x\", true, false, null], \"b\": {}}", "{K[NNS+-0]K{}}."},
	{"\"\\ud83d\\ude00 \\n\\u00e9\"", "S."},
	{"0", "N."},
	{"", "doc: line 1, column 1: expected a value"},
	{"{\"a\" 1}", "doc: line 1, column 6: expected \":\""},
	{"{\"a\":\n 1 2}", "doc: line 2, column 4: expected \",\" or \"}\""},
	{"[1,]", "doc: line 1, column 4: expected a value"},
	{"{\"a\":1,}", "doc: line 1, column 8: expected a key in quotes"},
	{"[1] x", "doc: line 1, column 5: expected the end of the document"},
	{"01", "doc: line 1, column 1: expected a number"},
	{"-", "doc: line 1, column 1: expected a number"},
	{"1.", "doc: line 1, column 1: expected a number"},
	{"1e", "doc: line 1, column 1: expected a number"},
	{"nul", "doc: line 1, column 1: expected a value"},
	{"\"a", "doc: line 1, column 3: expected the end of a string"},
	{"\"\\x\"", "doc: line 1, column 3: expected an escape of JSON"},
	{"\"\\u00g0\"", "doc: line 1, column 6: expected four hexadecimal digits behind \\u"},
	{"\"\\ud800\"", "doc: line 1, column 2: expected a pair of surrogates"},
	{"\"\\ud800\\u0041\"", "doc: line 1, column 2: expected a pair of surrogates"},
	{"\"\\udc00\"", "doc: line 1, column 2: expected a pair of surrogates"},
	{"\"\\u0000\"", "doc: line 1, column 2: expected a string without zero bytes"},
	{"\"\xff\"", "doc: line 1, column 1: expected UTF-8"},
	{"[}", "doc: line 1, column 2: expected a value"},
	{"{]", "doc: line 1, column 2: expected a key in quotes"},
};

START_TEST(gives_the_tokens_or_says_where_and_what)
{
	char found[ERR_MESSAGE_MAX];
	outline(CASES[_i].text, strlen(CASES[_i].text), found);
	ck_assert_str_eq(found, CASES[_i].outline);
}
END_TEST

START_TEST(decodes_strings)
{
	static const char TEXT[] = "\"\\ud83d\\ude00 \\n\\u00e9\\u20ac\"";
	struct json_scan scan;
	struct json_token token;
	json_scan_init(&scan, "doc", TEXT, strlen(TEXT));
	ck_assert_int_eq(json_scan_next(&scan, &token, NULL), 0);
	ck_assert_str_eq(token.text, "\xf0\x9f\x98\x80 \n\xc3\xa9\xe2\x82\xac");
	ck_assert_uint_eq(token.length, strlen(token.text));
	json_scan_done(&scan);
}
END_TEST

START_TEST(skips_a_value_and_says_where_it_lay)
{
	static const char TEXT[] = "{\"a\": [1, {\"b\": 2}] , \"c\": 3}";
	struct json_scan scan;
	struct json_token token;
	size_t begin = 0, end = 0;
	json_scan_init(&scan, "doc", TEXT, strlen(TEXT));
	ck_assert_int_eq(json_scan_next(&scan, &token, NULL), 0);
	ck_assert_int_eq(json_scan_next(&scan, &token, NULL), 0);
	ck_assert_int_eq(json_scan_skip(&scan, &begin, &end, NULL), 0);
	ck_assert_uint_eq(begin, 6);
	ck_assert(memcmp(TEXT + begin, "[1, {\"b\": 2}]", end - begin) == 0);
	ck_assert_int_eq(json_scan_next(&scan, &token, NULL), 0);
	ck_assert_int_eq(token.type, JSON_TOKEN_KEY);
	ck_assert_str_eq(token.text, "c");
	json_scan_done(&scan);
}
END_TEST

START_TEST(refuses_what_is_too_deep_and_takes_what_is_not)
{
	char text[2 * (JSON_SCAN_DEPTH_MAX + 1)];
	char found[ERR_MESSAGE_MAX];
	for (unsigned depth = JSON_SCAN_DEPTH_MAX; depth <= JSON_SCAN_DEPTH_MAX + 1; depth++) {
		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		outline(text, (size_t)2 * depth, found);
		ck_assert_int_eq(strcmp(found, "doc: line 1, column 65: expected at most 64 levels") == 0,
				 depth > JSON_SCAN_DEPTH_MAX);
	}
}
END_TEST

START_TEST(finds_lines_forwards_and_backwards)
{
	static const char TEXT[] = "[1,\n2,\n\n3]";
	struct json_scan scan;
	json_scan_init(&scan, "doc", TEXT, strlen(TEXT));
	ck_assert_uint_eq(json_scan_line(&scan, 8), 4);
	ck_assert_uint_eq(json_scan_line(&scan, 4), 2);
	ck_assert_uint_eq(json_scan_line(&scan, 0), 1);
	ck_assert_uint_eq(json_scan_line(&scan, 1000), 4);
	json_scan_done(&scan);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_loop_test(cases, gives_the_tokens_or_says_where_and_what, 0, ARRAY_COUNT(CASES));
	tcase_add_test(cases, decodes_strings);
	tcase_add_test(cases, skips_a_value_and_says_where_it_lay);
	tcase_add_test(cases, refuses_what_is_too_deep_and_takes_what_is_not);
	tcase_add_test(cases, finds_lines_forwards_and_backwards);
}

TEST_MAIN("json_scan", add_tests)
