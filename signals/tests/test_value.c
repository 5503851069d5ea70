#include "signals/src/value.h"

#include <errno.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/test_main.h"

static const struct struct_member POINT_MEMBERS[] = {
	{"X", {.type = {DATATYPE_SIGNED, 8, false, 0, NULL}}},
	{"Name", {.type = {DATATYPE_STRING, 0, false, 0, NULL}}},
};
static const struct struct_type POINT = {"Point", POINT_MEMBERS, 2};

static struct datatype type_of(const char *name)
{
	struct datatype type = {0};
	ck_assert_int_eq(datatype_parse(name, strlen(name), &type), 0);
	if (type.kind == DATATYPE_STRUCT)
		type.structure = &POINT;
	return type;
}

static const struct {
	const char *type;
	const char *text;
	int result;
	const char *canonical;
} CASES[] = {
	{"boolean", "true", 0, "true"},
	{"boolean", "0", 0, "false"},
	{"boolean", "yes", -EINVAL, NULL},
	{"boolean", "", -EINVAL, NULL},
	{"uint8", "255", 0, "255"},
	{"uint8", "007", 0, "7"},
	{"uint8", "256", -ERANGE, NULL},
	{"uint8", "-1", -ERANGE, NULL},
	{"uint8", "1 2", -EINVAL, NULL},
	{"uint8", "1.0", -EINVAL, NULL},
	{"uint8", "x", -EINVAL, NULL},
	{"int8", "-128", 0, "-128"},
	{"int8", "-129", -ERANGE, NULL},
	{"int64", "-9223372036854775808", 0, "-9223372036854775808"},
	{"uint64", "18446744073709551615", 0, "18446744073709551615"},
	{"uint64", "18446744073709551616", -ERANGE, NULL},
	{"float", "23.50", 0, "23.5"},
	{"float", "0.1", 0, "0.1"},
	{"float", "1000000", 0, "1000000"},
	{"float", "-0.0", 0, "0"},
	{"float", ".5", 0, "0.5"},
	{"float", "1e30", 0, "1e+30"},
	{"float", "3.4028235e38", 0, "3.4028235e+38"},
	{"float", "1e39", -ERANGE, NULL},
	{"float", "nan", -EINVAL, NULL},
	{"float", "inf", -EINVAL, NULL},
	{"float", "0x10", -EINVAL, NULL},
	{"float", "1,5", -EINVAL, NULL},
	{"double", "0.1", 0, "0.1"},
	{"double", "3.141592653589793", 0, "3.141592653589793"},
	{"double", "1e400", -ERANGE, NULL},
	{"string", "two words", 0, "two words"},
	{"string", "\"\"", 0, "\"\""},
	{"string", "\"plain\"", 0, "plain"},
	{"string", "\"a\\nb\"", 0, "\"a\\u000ab\""},
	{"string", "\"\\\"\"", 0, "\"\\\"\""},
	{"string", "", -EINVAL, NULL},
	{"string", "a\nb", -EINVAL, NULL},
	{"string", "\xff", -EINVAL, NULL},
	{"string", "\"open", -EINVAL, NULL},
	{"string", "\"a\" \"b\"", -EINVAL, NULL},
	{"uint8[]", "[1, 2,3]", 0, "[1,2,3]"},
	{"uint8[]", "[]", 0, "[]"},
	{"uint8[]", "[1,300]", -ERANGE, NULL},
	{"uint8[]", "1", -EINVAL, NULL},
	{"uint8[]", "[[1]]", -EINVAL, NULL},
	{"uint8[]", "[1] [2]", -EINVAL, NULL},
	{"string[]", "[\"a b\",\"\"]", 0, "[\"a b\",\"\"]"},
	{"boolean[]", "[true, false]", 0, "[true,false]"},
	{"Point", "{\"Name\": \"n\", \"X\": -3}", 0, "{\"X\":-3,\"Name\":\"n\"}"},
	{"Point", "{\"X\": 1}", -EINVAL, NULL},
	{"Point", "{\"X\": 1, \"X\": 2, \"Name\": \"n\"}", -EINVAL, NULL},
	{"Point", "{\"X\": 1, \"Y\": 2, \"Name\": \"n\"}", -EINVAL, NULL},
	{"Point", "{\"X\": 1000, \"Name\": \"n\"}", -ERANGE, NULL},
	{"Point[]", "[{\"X\": 1, \"Name\": \"n\"}]", 0, "[{\"X\":1,\"Name\":\"n\"}]"},
};

START_TEST(one_spelling_for_each_value)
{
	struct value_rule rule = {.type = type_of(CASES[_i].type)};
	scoped_done(buf_done) struct buf text = {.max = 1 << 20};
	double number = 0;
	struct err err = {0};
	int r = value_parse(&rule, CASES[_i].text, strlen(CASES[_i].text), &text, &number, &err);
	ck_assert_msg(r == CASES[_i].result, "%s %s: %d, %s", CASES[_i].type, CASES[_i].text, r, err.message);
	if (r < 0) {
		ck_assert_int_eq(err.code, r);
		return;
	}
	ck_assert_str_eq(text.data, CASES[_i].canonical);
	scoped_done(buf_done) struct buf again = {.max = 1 << 20};
	ck_assert_int_eq(value_parse(&rule, text.data, text.size, &again, &number, NULL), 0);
	ck_assert_str_eq(again.data, text.data);

	scoped_done(buf_done) struct buf json = {.max = 1 << 20};
	scoped_done(buf_done) struct buf from_json = {.max = 1 << 20};
	ck_assert_int_eq(value_add_json(&rule.type, text.data, text.size, &json), 0);
	ck_assert_int_eq(value_parse_json(&rule, json.data, json.size, &from_json, &number, NULL), 0);
	ck_assert_str_eq(from_json.data, text.data);
}
END_TEST

START_TEST(limits_hold_and_the_message_says_them)
{
	struct value_rule rule = {.type = type_of("int16"), .has_min = true, .has_max = true, .min.i = -5, .max.i = 10};
	scoped_done(buf_done) struct buf text = {.max = 100};
	double number = 0;
	struct err err = {0};
	ck_assert_int_eq(value_parse(&rule, "11", 2, &text, &number, &err), -ERANGE);
	ck_assert_str_eq(err.message, "11: expected at most 10");
	ck_assert_int_eq(value_parse(&rule, "-6", 2, &text, &number, &err), -ERANGE);
	ck_assert_str_eq(err.message, "-6: expected at least -5");
	ck_assert_int_eq(value_parse(&rule, "-5", 2, &text, &number, &err), 0);
	ck_assert(number == -5);
}
END_TEST

START_TEST(allowed_values_hold_for_elements_of_arrays_too)
{
	static const char *const ALLOWED[] = {"A", "B C", NULL};
	struct value_rule rule = {.type = type_of("string[]"), .allowed = ALLOWED};
	scoped_done(buf_done) struct buf text = {.max = 100};
	double number = 0;
	ck_assert_int_eq(value_parse(&rule, "[\"A\",\"B C\"]", 11, &text, &number, NULL), 0);
	ck_assert_int_eq(value_parse(&rule, "[\"A\",\"C\"]", 9, &text, &number, NULL), -ERANGE);
}
END_TEST

START_TEST(over_long_values_are_refused)
{
	char text[VALUE_TEXT_MAX + 1];
	memset(text, 'a', sizeof text);
	struct value_rule rule = {.type = type_of("string")};
	scoped_done(buf_done) struct buf out = {.max = 1 << 20};
	double number = 0;
	ck_assert_int_eq(value_parse(&rule, text, sizeof text - 1, &out, &number, NULL), 0);
	buf_clear(&out);
	ck_assert_int_eq(value_parse(&rule, text, sizeof text, &out, &number, NULL), -EMSGSIZE);
}
END_TEST

static const struct {
	const char *type;
	const char *limit;
	bool upper;
	int result;
	const char *text;
} LIMITS[] = {
	{"uint8", "1000", true, 0, "255"},	{"uint8", "-5", false, 0, "0"},	      {"uint8", "-5", true, -ERANGE, NULL},
	{"uint8", "1000", false, -ERANGE, NULL}, {"int8", "1.5", true, 0, "1"},	      {"int8", "1.5", false, 0, "2"},
	{"int8", "-1.5", true, 0, "-2"},	{"float", "0.5", true, 0, "0.5"},     {"float", "1e300", true, 0, "3.4028235e+38"},
	{"int64", "9223372036854775807", true, 0, "9223372036854775807"},	      {"int8", "\"x\"", true, -EINVAL, NULL},
};

START_TEST(limits_are_brought_into_the_type)
{
	struct datatype type = type_of(LIMITS[_i].type);
	union number limit = {0};
	char text[NUMBER_TEXT_MAX];
	int r = number_parse_limit(&type, LIMITS[_i].limit, strlen(LIMITS[_i].limit), LIMITS[_i].upper, &limit);
	ck_assert_int_eq(r, LIMITS[_i].result);
	if (r < 0)
		return;
	number_format(&type, limit, text);
	ck_assert_str_eq(text, LIMITS[_i].text);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_loop_test(cases, one_spelling_for_each_value, 0, ARRAY_COUNT(CASES));
	tcase_add_test(cases, limits_hold_and_the_message_says_them);
	tcase_add_test(cases, allowed_values_hold_for_elements_of_arrays_too);
	tcase_add_test(cases, over_long_values_are_refused);
	tcase_add_loop_test(cases, limits_are_brought_into_the_type, 0, ARRAY_COUNT(LIMITS));
}

TEST_MAIN("value", add_tests)
