#include "signals/src/catalogue.h"
#include "signals/src/string_pattern.h"

#include <errno.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/test_main.h"

static int load(const char *const *layers, size_t count, struct catalogue **ret_catalogue, struct err *err)
{
	static const char *const NAMES[] = {"one.json", "two.json", "three.json"};
	struct catalogue_source sources[3];
	for (size_t i = 0; i < count; i++)
		sources[i] = (struct catalogue_source){NAMES[i], layers[i], strlen(layers[i])};
	return catalogue_load(sources, count, ret_catalogue, err);
}

static const char BASE[] = "{\"V\": {\"type\": \"branch\", \"description\": \"top\", \"children\": {\n"
			   "\"Speed\": {\"type\": \"sensor\", \"datatype\": \"float\", \"unit\": \"km/h\", \"min\": 0,\n"
			   " \"uuid\": [1, {\"x\": 2}]},\n"
			   "\"Mode\": {\"type\": \"actuator\", \"datatype\": \"string\", \"allowed\": [\"A\", \"B\"],\n"
			   " \"default\": \"A\"},\n"
			   "\"Gone\": {\"type\": \"branch\", \"children\": {\n"
			   "  \"X\": {\"type\": \"attribute\", \"datatype\": \"uint8[]\", \"default\": [2, 3]}}}}}}";

START_TEST(a_tree_with_all_members)
{
	const char *layers[] = {BASE};
	struct err err = {0};
	scoped(catalogue_free) struct catalogue *catalogue = NULL;
	ck_assert_msg(load(layers, 1, &catalogue, &err) == 0, "%s", err.message);
	ck_assert_uint_eq(catalogue_leaf_count(catalogue), 3);
	uint32_t speed = catalogue_find(catalogue, "V.Speed");
	ck_assert_uint_eq(speed, catalogue_find(catalogue, "V/Speed"));
	const struct node *node = catalogue_node(catalogue, speed);
	ck_assert_str_eq(node->unit, "km/h");
	ck_assert(node->leaf->rule.has_min && !node->leaf->rule.has_max);
	ck_assert_str_eq(catalogue_node(catalogue, catalogue_find(catalogue, "V.Gone.X"))->leaf->default_text, "[2,3]");
	char path[CATALOGUE_PATH_MAX];
	catalogue_path(catalogue, catalogue_find(catalogue, "V.Gone.X"), path);
	ck_assert_str_eq(path, "V.Gone.X");
	ck_assert_uint_eq(catalogue_find(catalogue, "V.Speed.X"), NODE_NONE);
	ck_assert_uint_eq(catalogue_find(catalogue, "V."), NODE_NONE);
	ck_assert_uint_eq(catalogue_find(catalogue, ".V"), NODE_NONE);
	ck_assert_uint_eq(catalogue_find(catalogue, ""), NODE_NONE);
}
END_TEST

START_TEST(overlays_add_change_and_delete)
{
	const char *layers[] = {
		BASE,
		"{\"V\": {\"type\": \"branch\", \"children\": {\"Speed\": {\"max\": 300, \"unit\": \"m/s\"},"
		" \"Gone\": {\"delete\": true},"
		" \"New\": {\"type\": \"sensor\", \"datatype\": \"boolean\"},"
		" \"Mode\": {\"allowed\": null, \"default\": \"C\"}}}}"};
	struct err err = {0};
	scoped(catalogue_free) struct catalogue *catalogue = NULL;
	ck_assert_msg(load(layers, 2, &catalogue, &err) == 0, "%s", err.message);
	const struct node *speed = catalogue_node(catalogue, catalogue_find(catalogue, "V.Speed"));
	ck_assert_str_eq(speed->unit, "m/s");
	ck_assert(speed->leaf->rule.has_min && speed->leaf->rule.has_max && speed->leaf->rule.max.d == 300);
	ck_assert_uint_eq(catalogue_find(catalogue, "V.Gone"), NODE_NONE);
	ck_assert_uint_eq(catalogue_find(catalogue, "V.Gone.X"), NODE_NONE);
	ck_assert_uint_ne(catalogue_find(catalogue, "V.New"), NODE_NONE);
	const struct node *mode = catalogue_node(catalogue, catalogue_find(catalogue, "V.Mode"));
	ck_assert_ptr_null(mode->leaf->rule.allowed);
	ck_assert_str_eq(mode->leaf->default_text, "C");
	ck_assert_uint_eq(catalogue_leaf_count(catalogue), 3);
}
END_TEST

START_TEST(a_deleted_node_comes_back_empty)
{
	const char *layers[] = {BASE, "{\"V\": {\"children\": {\"Gone\": {\"delete\": true}}}}",
				"{\"V\": {\"children\": {\"Gone\": {\"type\": \"branch\"}}}}"};
	scoped(catalogue_free) struct catalogue *catalogue = NULL;
	ck_assert_int_eq(load(layers, 3, &catalogue, NULL), 0);
	ck_assert_uint_ne(catalogue_find(catalogue, "V.Gone"), NODE_NONE);
	ck_assert_uint_eq(catalogue_find(catalogue, "V.Gone.X"), NODE_NONE);
}
END_TEST

START_TEST(structs_of_complex_data_types)
{
	const char *layers[] = {
		"{\"ComplexDataTypes\": {\"T\": {\"type\": \"branch\", \"children\": {"
		"\"P\": {\"type\": \"struct\", \"children\": {"
		"  \"X\": {\"type\": \"property\", \"datatype\": \"uint8\", \"max\": 9}}},"
		"\"L\": {\"type\": \"struct\", \"children\": {\"A\": {\"type\": \"property\", \"datatype\": \"T.P\"}}}}}},"
		"\"V\": {\"type\": \"branch\", \"children\": {\"S\": {\"type\": \"sensor\", \"datatype\": \"T.L[]\"}}}}"};
	struct err err = {0};
	scoped(catalogue_free) struct catalogue *catalogue = NULL;
	ck_assert_msg(load(layers, 1, &catalogue, &err) == 0, "%s", err.message);
	const struct node *node = catalogue_node(catalogue, catalogue_find(catalogue, "V.S"));
	scoped_done(buf_done) struct buf text = {.max = 1000};
	double number = 0;
	ck_assert_int_eq(value_parse(&node->leaf->rule, "[{\"A\":{\"X\":9}}]", 15, &text, &number, &err), 0);
	ck_assert_str_eq(text.data, "[{\"A\":{\"X\":9}}]");
	ck_assert_int_eq(value_parse(&node->leaf->rule, "[{\"A\":{\"X\":10}}]", 16, &text, &number, &err), -ERANGE);
	ck_assert_uint_eq(catalogue_leaf_count(catalogue), 1);
}
END_TEST

#define LEAF(members) "{\"V\": {\"type\": \"branch\", \"children\": {\n\"L\": {" members "}}}}"

static const struct {
	const char *text;
	const char *message;
} BROKEN[] = {
	{"", "one.json: line 1, column 1: expected a value"},
	{"{\"V\": {\n\"type\" \"branch\"}}", "one.json: line 2, column 8: expected \":\""},
	{"[]", "one.json: line 1: : expected an object with the top branch, as vss-tools exports it, found an array"},
	{"{\"V\": 7}", "one.json: line 1: V: expected an object, found a number"},
	{"{\"V\": {}}", "one.json: line 1: V: expected a member \"type\""},
	{LEAF("\"type\": \"sensr\""),
	 "one.json: line 2: V.L.type: expected branch, sensor, actuator, attribute, struct or property, found a string"},
	{LEAF("\"type\": \"sensor\""), "one.json: line 2: V.L: expected a member \"datatype\" (it is a leaf)"},
	{LEAF("\"type\": \"sensor\",\n\"datatype\": \"uint9\""),
	 "one.json: line 3: V.L.datatype: expected a datatype of VSS or a struct of ComplexDataTypes, found \"uint9\""},
	{LEAF("\"type\": \"sensor\", \"datatype\": 5"), "one.json: line 2: V.L.datatype: expected a string, found a number"},
	{LEAF("\"type\": \"sensor\", \"datatype\": \"uint8\",\n\n\"min\": \"x\""),
	 "one.json: line 4: V.L.min: expected a number within uint8, found \"x\""},
	{LEAF("\"type\": \"sensor\", \"datatype\": \"uint8\", \"min\": 5,\n\"max\": 4"),
	 "one.json: line 3: V.L.max: expected at least what min says"},
	{LEAF("\"type\": \"sensor\", \"datatype\": \"string\", \"min\": 5"),
	 "one.json: line 2: V.L.min: expected only where the datatype is a number"},
	{LEAF("\"type\": \"sensor\", \"datatype\": \"uint8\", \"allowed\": [1,\n\"x\"]"),
	 "one.json: line 2: V.L.allowed: expected uint8, found a string"},
	{LEAF("\"type\": \"sensor\", \"datatype\": \"uint8\", \"allowed\": []"),
	 "one.json: line 2: V.L.allowed: expected at least one element"},
	{LEAF("\"type\": \"sensor\", \"datatype\": \"uint8\", \"max\": 9,\n\"default\": 10"),
	 "one.json: line 3: V.L.default: 10: expected at most 9"},
	{LEAF("\"type\": \"sensor\", \"datatype\": \"string\",\n\"pattern\": \"(\""),
	 "one.json: line 3: V.L.pattern: expected a regular expression for a string, without back-references"},
	{LEAF("\"type\": \"sensor\", \"datatype\": \"string\", \"pattern\": \"(a)\\\\1\""),
	 "one.json: line 2: V.L.pattern: expected a regular expression for a string, without back-references"},
	{LEAF("\"type\": \"branch\", \"datatype\": \"uint8\""),
	 "one.json: line 2: V.L.datatype: expected none: it is a branch"},
	{LEAF("\"type\": \"sensor\", \"type\": \"sensor\""), "one.json: line 2: V.L.type: expected once, found again"},
	{LEAF("\"type\": \"branch\", \"delete\": 1"), "one.json: line 2: V.L.delete: expected true or false, found a number"},
	{LEAF("\"delete\": true"), "one.json: line 2: V.L.delete: expected a node of an earlier layer"},
	{"{\"V\": {\"type\": \"branch\", \"children\": {\"A\": {\"type\": \"branch\"},\n\"A\": {}}}}",
	 "one.json: line 2: V.A: expected once, found again (first in line 1)"},
	{"{\"V\": {\"type\": \"branch\", \"children\": {\"a@b\": {}}}}",
	 "one.json: line 1: V: child \"a@b\": expected a name of 1 to 100 letters, digits, \"_\" or \"-\""},
	{"{\"V\": {\"type\": \"branch\", \"children\": {\"..\": {}}}}",
	 "one.json: line 1: V: child \"..\": expected a name of 1 to 100 letters, digits, \"_\" or \"-\""},
	{"{\"ComplexDataTypes\": {\"S\": {\"type\": \"struct\", \"children\": {"
	 "\"A\": {\"type\": \"property\", \"datatype\": \"S\"}}}}}",
	 "one.json: line 1: S: expected at most 8 structs within each other, and none within itself"},
};

START_TEST(what_is_broken_is_named_with_its_line)
{
	const char *layers[] = {BROKEN[_i].text};
	struct err err = {0};
	scoped(catalogue_free) struct catalogue *catalogue = NULL;
	ck_assert_int_eq(load(layers, 1, &catalogue, &err), -EINVAL);
	ck_assert_str_eq(err.message, BROKEN[_i].message);
	ck_assert_ptr_null(catalogue);
}
END_TEST

START_TEST(patterns_of_other_dialects)
{
	const char *layers[] = {LEAF("\"type\": \"sensor\", \"datatype\": \"string\", \"pattern\": \"^(?:[A-Z]\\\\d)+$\"")};
	struct err err = {0};
	scoped(catalogue_free) struct catalogue *catalogue = NULL;
	ck_assert_msg(load(layers, 1, &catalogue, &err) == 0, "%s", err.message);
	const struct value_rule *rule = &catalogue_node(catalogue, catalogue_find(catalogue, "V.L"))->leaf->rule;
	scoped_done(buf_done) struct buf text = {.max = 100};
	double number = 0;
	ck_assert_int_eq(value_parse(rule, "A1B2", 4, &text, &number, NULL), 0);
	ck_assert_int_eq(value_parse(rule, "A1B", 3, &text, &number, NULL), -ERANGE);
}
END_TEST

/* The C library writes repetitions out: what would become too large is refused before it tries. */
START_TEST(patterns_that_explode_are_refused)
{
	static const char *const LARGE[] = {"x+++++++++++++++++++++++++++++++", "(((((((((((((((x+)+)+)+)+)+)+)+)+)+)+)+)+)+)+",
					    "x{200}{200}", "((x{40}){40}){40}", "(a|b|[]+x]{9999}){9}", "x)++++++++++++++++++",
					    "[[:alpha:]x]{5001}{3}", "\\d{10001}"};
	static const char *const SMALL[] = {"^([0-9A-HJ-NPR-Z]{3})([0-9A-HJ-NPR-Z]{6})([0-9A-HJ-NPR-Z]{4}[0-9]{4})$", "[+]{5}", "a{,3}b?c*",
					    "[^]+++++++++++++++++++++++++++]", "\\+\\+\\+(?:x|y)+", ""};
	regex_t pattern;
	for (size_t i = 0; i < ARRAY_COUNT(LARGE); i++)
		ck_assert_int_eq(string_pattern_compile(LARGE[i], strlen(LARGE[i]), &pattern), -EMSGSIZE);
	for (size_t i = 0; i < ARRAY_COUNT(SMALL); i++) {
		ck_assert_int_eq(string_pattern_compile(SMALL[i], strlen(SMALL[i]), &pattern), 0);
		regfree(&pattern);
	}
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, a_tree_with_all_members);
	tcase_add_test(cases, overlays_add_change_and_delete);
	tcase_add_test(cases, a_deleted_node_comes_back_empty);
	tcase_add_test(cases, structs_of_complex_data_types);
	tcase_add_loop_test(cases, what_is_broken_is_named_with_its_line, 0, ARRAY_COUNT(BROKEN));
	tcase_add_test(cases, patterns_of_other_dialects);
	tcase_add_test(cases, patterns_that_explode_are_refused);
}

TEST_MAIN("catalogue", add_tests)
