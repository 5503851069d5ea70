#include "core/codec/toml.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/test_main.h"

/* What a document means, as the JSON that it equals. */
static const struct {
	const char *toml;
	const char *json;
} READ[] = {
	{"", "{}"},
	{"# only a comment", "{}"},
	{"a = 1", "{\"a\":1}"},
	{"a = 1\r\nb = 2\r\n", "{\"a\":1,\"b\":2}"},
	{"a = +99\nb = -17\nc = 1_000\nd = 0xDEAD_beef\ne = 0o755\nf = 0b101",
	 "{\"a\":99,\"b\":-17,\"c\":1000,\"d\":3735928559,\"e\":493,\"f\":5}"},
	{"a = 9223372036854775807\nb = -9223372036854775808", "{\"a\":9223372036854775807,\"b\":-9223372036854775808}"},
	{"a = 3.5\nb = -0.25\nc = 5e2\nd = 1_0.5", "{\"a\":3.5,\"b\":-0.25,\"c\":500.0,\"d\":10.5}"},
	{"a = true\nb = false", "{\"a\":true,\"b\":false}"},
	{"a = \"tab\\t quote\\\" \\u00e4 \\U0001F600\"", "{\"a\":\"tab\\t quote\\\" \u00e4 \U0001F600\"}"},
	{"a = 'no \\escape'", "{\"a\":\"no \\\\escape\"}"},
	{"a = \"\"\"\nline one\nline \"two\" \\\n    folded\"\"\"", "{\"a\":\"line one\\nline \\\"two\\\" folded\"}"},
	{"a = \"\"\"\"quoted\"\"\"\"\"", "{\"a\":\"\\\"quoted\\\"\\\"\"}"},
	{"a = '''\n'raw' \\n'''", "{\"a\":\"'raw' \\\\n\"}"},
	{"a = [1, 2, # two\n 3,\n]", "{\"a\":[1,2,3]}"},
	{"a = [[1], [], ['x', {b = 2}]]", "{\"a\":[[1],[],[\"x\",{\"b\":2}]]}"},
	{"a = {b = 1, c.d = 2, \"e f\" = {}}", "{\"a\":{\"b\":1,\"c\":{\"d\":2},\"e f\":{}}}"},
	{"a.b . c = 1\na.d = 2", "{\"a\":{\"b\":{\"c\":1},\"d\":2}}"},
	{"\"\" = 1\n'x.y' = 2\n3.14 = 4", "{\"\":1,\"x.y\":2,\"3\":{\"14\":4}}"},
	{"[a.b]\nc = 1\n[a]\nd = 2", "{\"a\":{\"b\":{\"c\":1},\"d\":2}}"},
	{"[ a . 'b' ] # comment\nc = 1", "{\"a\":{\"b\":{\"c\":1}}}"},
	{"[a]\nb.c = 1\n[a.b.d]\ne = 2", "{\"a\":{\"b\":{\"c\":1,\"d\":{\"e\":2}}}}"},
	{"[[a]]\nb = 1\n[[a]]\n[a.c]\nd = 2\n[[a.e]]", "{\"a\":[{\"b\":1},{\"c\":{\"d\":2},\"e\":[{}]}]}"},
	{"a = 1979-05-27T07:32:00-08:00\nb = 1979-05-27 07:32:00.5Z\nc = 2024-02-29\nd = 23:59:60\ne = 2000-01-01t00:00:00",
	 "{\"a\":\"1979-05-27T07:32:00-08:00\",\"b\":\"1979-05-27 07:32:00.5Z\",\"c\":\"2024-02-29\",\"d\":\"23:59:60\","
	 "\"e\":\"2000-01-01t00:00:00\"}"},
};

START_TEST(reads_what_the_specification_says)
{
	struct err err = {0};
	json_t *value = NULL;
	int r = toml_parse("t.toml", READ[_i].toml, strlen(READ[_i].toml), &value, &err);
	ck_assert_msg(r == 0, "%s: %s", READ[_i].toml, err.message);
	json_t *expected = json_loads(READ[_i].json, 0, NULL);
	ck_assert_ptr_nonnull(expected);
	scoped_free char *text = json_dumps(value, JSON_COMPACT);
	ck_assert_msg(json_equal(value, expected), "%s: read as %s", READ[_i].toml, text);
	json_decref(value);
	json_decref(expected);
}
END_TEST

static const struct {
	const char *toml;
	const char *message;
} REFUSED[] = {
	{"a", "t.toml: line 1, column 2: expected '=', found the end of the file"},
	{"a = ", "t.toml: line 1, column 5: expected a value, found the end of the file"},
	{"a =\n1", "t.toml: line 1, column 4: expected a value, found the end of the line"},
	{"\n = 1", "t.toml: line 2, column 2: expected a key, found '='"},
	{"a = 1 b = 2", "t.toml: line 1, column 7: expected the end of the line, found 'b'"},
	{"a = 1\na = 2", "t.toml: line 2, column 5: \"a\" is defined twice"},
	{"[a]\n[a]", "t.toml: line 2, column 4: \"a\" is defined twice"},
	{"a = 1\n[a]", "t.toml: line 2, column 4: \"a\" is defined twice"},
	{"a = 1\n[a.b]", "t.toml: line 2, column 4: \"a\" is defined twice"},
	{"a.b = 1\n[a]", "t.toml: line 2, column 4: \"a\" is defined twice"},
	{"[a.b]\n[a]\nb.c = 1", "t.toml: line 3, column 3: \"b\" is defined twice"},
	{"a = {b = 1}\na.c = 2", "t.toml: line 2, column 3: \"a\" is defined twice"},
	{"a = {b = 1}\n[a.c]", "t.toml: line 2, column 4: \"a\" is defined twice"},
	{"a = [{b = 1}]\n[[a]]", "t.toml: line 2, column 6: \"a\" is defined twice"},
	{"[a]\n[[a]]", "t.toml: line 2, column 6: \"a\" is defined twice"},
	{"[[a]]\n[a]", "t.toml: line 2, column 4: \"a\" is defined twice"},
	{"a = {b = 1,}", "t.toml: line 1, column 12: expected a key, found '}'"},
	{"a = {b = 1\n}", "t.toml: line 1, column 11: expected ',' or '}', found the end of the line"},
	{"a = [1 2]", "t.toml: line 1, column 8: expected ',' or ']', found '2'"},
	{"[a", "t.toml: line 1, column 3: expected ']', found the end of the file"},
	{"[[a]", "t.toml: line 1, column 4: expected ']]', found ']'"},
	{"[]", "t.toml: line 1, column 2: expected a key, found ']'"},
	{"a = \"x", "t.toml: line 1, column 7: expected the string's closing quote, found the end of the file"},
	{"a = \"x\ny\"", "t.toml: line 1, column 7: expected no control character in a string, found the end of the line"},
	{"a = \"\\x41\"", "t.toml: line 1, column 7: expected an escape sequence, found 'x'"},
	{"a = \"\\ud800\"", "t.toml: line 1, column 12: the escape U+D800 is no Unicode scalar value that a string may hold"},
	{"a = '''x", "t.toml: line 1, column 9: expected the string's three closing quotes, found the end of the file"},
	{"'''a''' = 1", "t.toml: line 1, column 1: expected a key on one line, found '''"},
	{"a = 01", "t.toml: line 1, column 5: \"01\" is no value (strings need quotes)"},
	{"a = 1__0", "t.toml: line 1, column 5: \"1__0\": an underscore must stand between digits"},
	{"a = 0x8000000000000000", "t.toml: line 1, column 5: \"0x8000000000000000\" is no integer of 64 bits"},
	{"a = 9223372036854775808", "t.toml: line 1, column 5: \"9223372036854775808\" is no integer of 64 bits"},
	{"a = 1.", "t.toml: line 1, column 5: \"1.\" is no value (strings need quotes)"},
	{"a = inf", "t.toml: line 1, column 5: expected a finite number, found \"inf\""},
	{"a = yes", "t.toml: line 1, column 5: \"yes\" is no value (strings need quotes)"},
	{"a = 2023-02-29", "t.toml: line 1, column 5: \"2023-02-29\" is no value (strings need quotes)"},
	{"a = 1 # \x01", "t.toml: line 1, column 9: expected no control character in a comment, found byte 0x01"},
	{"a = 1\rb = 2", "t.toml: line 1, column 6: expected the end of the line, found the end of the line"},
	{"a = '\xff'", "t.toml: line 1, column 1: the document is not UTF-8"},
};

START_TEST(refuses_what_is_invalid_and_says_where)
{
	struct err err = {0};
	json_t *value = NULL;
	int r = toml_parse("t.toml", REFUSED[_i].toml, strlen(REFUSED[_i].toml), &value, &err);
	ck_assert_msg(r == -EINVAL, "%s: %d", REFUSED[_i].toml, r);
	ck_assert_ptr_null(value);
	ck_assert_str_eq(err.reason, "toml.malformed");
	ck_assert_str_eq(err.message, REFUSED[_i].message);
}
END_TEST

/* @count times @text behind @before. */
static char *repeated(const char *before, const char *text, size_t count)
{
	size_t length = strlen(text);
	char *all = malloc(strlen(before) + length * count + 1);
	ck_assert_ptr_nonnull(all);
	char *p = stpcpy(all, before);
	for (size_t i = 0; i < count; i++)
		p = stpcpy(p, text);
	return all;
}

static const struct {
	const char *before;
	const char *text;
	size_t count;
} TOO_MUCH[] = {
	{"a = ", "[", TOML_DEPTH_MAX + 1},
	{"a = ", "{a=", TOML_DEPTH_MAX + 1},
	{"a", ".a", TOML_DEPTH_MAX + 1},
	{"[a", ".a", TOML_DEPTH_MAX + 1},
	{"", "[[a]]\n", TOML_TABLES_MAX + 1},
	{"", "#", TOML_BYTES_MAX + 1},
};

START_TEST(has_limits)
{
	scoped_free char *text = repeated(TOO_MUCH[_i].before, TOO_MUCH[_i].text, TOO_MUCH[_i].count);
	struct err err = {0};
	json_t *value = NULL;
	ck_assert_int_eq(toml_parse("t.toml", text, strlen(text), &value, &err), -EMSGSIZE);
	ck_assert_str_eq(err.reason, "toml.limit");
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_loop_test(cases, reads_what_the_specification_says, 0, ARRAY_COUNT(READ));
	tcase_add_loop_test(cases, refuses_what_is_invalid_and_says_where, 0, ARRAY_COUNT(REFUSED));
	tcase_add_loop_test(cases, has_limits, 0, ARRAY_COUNT(TOO_MUCH));
}

TEST_MAIN("toml", add_tests)
