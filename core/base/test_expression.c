#include "core/base/expression.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/test_main.h"

static const struct {
	const char *text;
	double x;
	double result;
} NUMBERS[] = {
	{"floor((x*40)-100)", 2, -20},	 {"(x+100)/40", 100, 5},       {"1+2*3", 0, 7},		  {"2^3^2", 0, 512},
	{"-2^2", 0, -4},		 {"2^-1", 0, 0.5},	       {"10-4-3", 0, 3},	  {"-7 % 3", 0, 2},
	{"x > 100 and x < 120", 110, 1}, {"x > 100 && x < 120", 120, 0}, {"not x == 1 or false", 2, 1}, {"!(x)", 0, 1},
	{"if(x > 0, 5, 1/0)", 1, 5},	 {"if(x > 0, 5, 6)", 0, 6},    {"min(x, 3) + max(1,2)", 9, 5}, {"1e3 + .5", 0, 1000.5},
	{"round(pi*100)", 0, 314},	 {"x == 'a'", 1, 0},	       {"'a' != \"b\"", 0, 1},	  {"false and 1/0", 0, 0},
	{"true or 1/0", 0, 1},		 {" x ", 4, 4},		       {"x<=4", 4, 1},		  {"orange_is_no_operator", 0, 0},
};

START_TEST(formulas_have_the_value_that_is_expected)
{
	scoped(expression_free) struct expression *expression = NULL;
	struct err err = {0};
	int r = expression_parse(NUMBERS[_i].text, &expression, &err);
	if (strchr(NUMBERS[_i].text, '_')) {
		ck_assert_int_eq(r, -EINVAL);
		return;
	}
	ck_assert_msg(r == 0, "%s: %s", NUMBERS[_i].text, err.message);
	struct expression_value value = {0};
	ck_assert_int_eq(expression_evaluate(expression, &(struct expression_value){.number = NUMBERS[_i].x}, &value), 0);
	ck_assert_ptr_null(value.text);
	ck_assert_double_eq_tol(value.number, NUMBERS[_i].result, 1e-9);
}
END_TEST

START_TEST(texts_are_compared)
{
	scoped(expression_free) struct expression *expression = NULL;
	ck_assert_int_eq(expression_parse("x == \"OPEN\" or x == 'AJAR'", &expression, NULL), 0);
	struct expression_value value = {0};
	ck_assert_int_eq(expression_evaluate(expression, &(struct expression_value){.text = "AJAR"}, &value), 0);
	ck_assert(expression_is_true(&value));
	ck_assert_int_eq(expression_evaluate(expression, &(struct expression_value){.text = "SHUT"}, &value), 0);
	ck_assert(!expression_is_true(&value));
}
END_TEST

static const char *const FAILING[] = {"1/0", "x % 0", "'a' + 1", "sqrt(-1)", "x < 'b'", "log(0)", "10^400", "abs('a')"};

START_TEST(what_has_no_value_says_so)
{
	scoped(expression_free) struct expression *expression = NULL;
	ck_assert_int_eq(expression_parse(FAILING[_i], &expression, NULL), 0);
	struct expression_value value = {0};
	ck_assert_int_eq(expression_evaluate(expression, &(struct expression_value){.number = 1}, &value), -EDOM);
}
END_TEST

static const char *const REFUSED[] = {"", "1 +", "(1", "y", "min(1)", "1 2", "x >", "'open", "0x10", "system('ls')", "x = 1", "*"};

START_TEST(what_is_no_formula_is_refused)
{
	struct expression *expression = NULL;
	struct err err = {0};
	ck_assert_int_eq(expression_parse(REFUSED[_i], &expression, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.message, "expected"));
	ck_assert_ptr_null(expression);
}
END_TEST

START_TEST(limits_hold)
{
	struct expression *expression = NULL;
	char deep[200];
	memset(deep, '(', 100);
	deep[100] = '\0';
	ck_assert_int_eq(expression_parse(deep, &expression, NULL), -E2BIG);
	char wide[900] = "1";
	for (size_t i = 1; i + 2 < 800; i += 2)
		memcpy(wide + i, "+1", 3);
	ck_assert_int_eq(expression_parse(wide, &expression, NULL), -E2BIG);
	char minus[200];
	memset(minus, '-', 199);
	minus[199] = '\0';
	ck_assert_int_eq(expression_parse(minus, &expression, NULL), -E2BIG);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_loop_test(cases, formulas_have_the_value_that_is_expected, 0, ARRAY_COUNT(NUMBERS));
	tcase_add_test(cases, texts_are_compared);
	tcase_add_loop_test(cases, what_has_no_value_says_so, 0, ARRAY_COUNT(FAILING));
	tcase_add_loop_test(cases, what_is_no_formula_is_refused, 0, ARRAY_COUNT(REFUSED));
	tcase_add_test(cases, limits_hold);
}
TEST_MAIN("expression", add_tests)
