/* The mapping of KUKSA's CAN provider, and what becomes of values on their way. */
#include "signals/adaptors/can/mapping.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/base/test_main.h"

static const char BUS[] = "BO_ 256 Drive: 8 E\n"
			  " SG_ Speed : 0|16@1+ (0.01,0) [0|0] \"km/h\" E\n"
			  " SG_ Gear : 16|3@1+ (1,0) [0|0] \"\" E\n"
			  " SG_ Tilt : 24|8@1+ (0.02,0) [0|5] \"V\" E\n"
			  " SG_ Place : 32|4@1+ (1,0) [0|0] \"\" E\n"
			  "BO_ 512 Wish: 8 E\n"
			  " SG_ WishedTilt : 0|8@1+ (0.02,0) [0|5] \"V\" E\n"
			  " SG_ WishedMode : 8|2@1+ (1,0) [0|0] \"\" E\n"
			  "BO_ 513 Other: 8 E\n"
			  " SG_ Place : 0|4@1+ (1,0) [0|0] \"\" E\n"
			  "VAL_ 256 Gear 0 \"GEAR_INVALID\" 1 \"GEAR_P\" 2 \"GEAR_R\" 4 \"GEAR_D\" 7 \"SNA\" ;\n"
			  "VAL_ 512 WishedMode 0 \"OFF\" 1 \"ECO\" 2 \"FAST\" ;\n";

static struct mapping *load(struct dbc *dbc, const char *text, struct err *ret_err)
{
	struct mapping *mapping = NULL;
	struct err err = {0};
	int r = mapping_parse("map.json", text, strlen(text), dbc, &mapping, &err);
	if (ret_err)
		*ret_err = err;
	else
		ck_assert_msg(r == 0, "%s", err.message);
	return mapping;
}

static struct dbc *load_bus(void)
{
	struct dbc *dbc = NULL;
	ck_assert_int_eq(dbc_parse("bus.dbc", BUS, strlen(BUS), &dbc, NULL), 0);
	return dbc;
}

/* One rule from CAN, of this datatype and with these members. */
static struct mapping *load_rule(struct dbc *dbc, const char *datatype, const char *members)
{
	scoped_free char *text = str_printf("{\"Vehicle\":{\"type\":\"branch\",\"children\":{\"X\":{\"type\":\"sensor\","
					    "\"datatype\":\"%s\",\"dbc2vss\":{%s}}}}}", datatype, members);
	return load(dbc, text, NULL);
}

static const struct {
	const char *datatype, *members;
	int64_t raw;
	bool j1939;
	int result;
	const char *value;
} VALUES[] = {
	{"float", "\"signal\":\"Speed\"", 8850, false, 0, "88.5"},
	{"uint16", "\"signal\":\"Speed\"", 8850, false, 0, "88"},
	{"boolean", "\"signal\":\"Speed\"", 0, false, 0, "false"},
	{"float", "\"signal\":\"Speed\"", 0xfffe, true, 1, NULL},
	{"float", "\"signal\":\"Speed\"", 0xfffe, false, 0, "655.34"},
	{"float", "\"signal\":\"Speed\",\"unavailable\":[65535,65534]", 0xfffe, false, 1, NULL},
	{"int8", "\"signal\":\"Tilt\",\"transform\":{\"math\":\"floor((x*40)-100)\"}", 100, false, 0, "-20"},
	{"float", "\"signal\":\"Tilt\",\"transform\":{\"math\":\"1/x\"}", 0, false, 2, NULL},
	{"string", "\"signal\":\"Gear\"", 4, false, 0, "GEAR_D"},
	{"int8", "\"signal\":\"Gear\"", 4, false, 0, "4"},
	{"string", "\"signal\":\"Gear\"", 7, false, 1, NULL},
	{"int8", "\"signal\":\"Gear\",\"transform\":{\"mapping\":[{\"from\":\"GEAR_D\",\"to\":1},{\"from\":2,"
		"\"to\":-1}]}", 4, false, 0, "1"},
	{"int8", "\"signal\":\"Gear\",\"transform\":{\"mapping\":[{\"from\":\"GEAR_D\",\"to\":1},{\"from\":2,"
		"\"to\":-1}]}", 2, false, 0, "-1"},
	{"int8", "\"signal\":\"Gear\",\"transform\":{\"mapping\":[{\"from\":\"GEAR_D\",\"to\":1}]}", 1, false, 2, NULL},
	{"int8", "\"signal\":\"Gear\",\"transform\":{\"mapping\":[{\"from\":\"GEAR_D\",\"to\":1}]}", 7, false, 1, NULL},
	{"int8", "\"signal\":\"Gear\",\"transform\":{\"mapping\":[{\"from\":\"SNA\",\"to\":0}]}", 7, false, 0, "0"},
	{"boolean", "\"signal\":\"Gear\",\"transform\":{\"mapping\":[{\"from\":\"GEAR_P\",\"to\":true}]}", 1, false, 0, "true"},
};

START_TEST(raw_values_become_values)
{
	scoped(dbc_free) struct dbc *dbc = load_bus();
	scoped(mapping_free) struct mapping *mapping = load_rule(dbc, VALUES[_i].datatype, VALUES[_i].members);
	char text[MAPPING_TEXT_MAX] = "";
	ck_assert_uint_eq(mapping->from_count, 1);
	ck_assert_str_eq(mapping->from_can[0].path, "Vehicle.X");
	ck_assert_int_eq(mapping_value(&mapping->from_can[0], VALUES[_i].raw, VALUES[_i].j1939, text), VALUES[_i].result);
	if (VALUES[_i].value)
		ck_assert_str_eq(text, VALUES[_i].value);
}
END_TEST

START_TEST(intervals_are_as_kuksa_reads_them)
{
	static const struct {
		const char *members;
		int64_t interval_ms;
		bool on_change;
	} RULES[] = {{"\"signal\":\"Speed\"", 1000, false},
		     {"\"signal\":\"Speed\",\"on_change\":true", 0, true},
		     {"\"signal\":\"Speed\",\"interval_ms\":50", 50, false},
		     {"\"signal\":\"Speed\",\"interval_ms\":50,\"on_change\":true", 50, true}};
	scoped(dbc_free) struct dbc *dbc = load_bus();
	for (size_t i = 0; i < ARRAY_COUNT(RULES); i++) {
		scoped(mapping_free) struct mapping *mapping = load_rule(dbc, "float", RULES[i].members);
		ck_assert_int_eq(mapping->from_can[0].interval_ms, RULES[i].interval_ms);
		ck_assert_int_eq(mapping->from_can[0].on_change, RULES[i].on_change);
	}
}
END_TEST

START_TEST(selectors_must_all_hold)
{
	scoped(dbc_free) struct dbc *dbc = load_bus();
	scoped(mapping_free) struct mapping *mapping =
		load_rule(dbc, "float", "\"signal\":\"Speed\",\"multiplexer\":[{\"signal\":\"Place\",\"value\":2},"
					"{\"signal\":\"Gear\",\"value\":4}]");
	struct can_frame_data frame = {.length = 8, .data = {0, 0, 4, 0, 2}};
	ck_assert(mapping_selects(&mapping->from_can[0], &frame));
	frame.data[4] = 1;
	ck_assert(!mapping_selects(&mapping->from_can[0], &frame));
}
END_TEST

static const struct {
	const char *members;
	const char *text;
	int result;
	int64_t raw;
} TARGETS[] = {
	{"\"signal\":\"WishedTilt\",\"transform\":{\"math\":\"(x+100)/40\"}", "-20", 0, 100},
	{"\"signal\":\"WishedTilt\",\"transform\":{\"math\":\"(x+100)/40\"}", "101", -ERANGE, 0},
	{"\"signal\":\"WishedTilt\"", "fast", -EINVAL, 0},
	{"\"signal\":\"WishedMode\"", "ECO", 0, 1},
	{"\"signal\":\"WishedMode\"", "true", 0, 1},
	{"\"signal\":\"WishedMode\"", "4", -ERANGE, 0},
	{"\"signal\":\"WishedMode\",\"transform\":{\"mapping\":[{\"from\":\"SPORT\",\"to\":\"FAST\"},{\"from\":5,"
		"\"to\":1}]}", "SPORT", 0, 2},
	{"\"signal\":\"WishedMode\",\"transform\":{\"mapping\":[{\"from\":\"SPORT\",\"to\":\"FAST\"},{\"from\":5,"
		"\"to\":1}]}", "5", 0, 1},
	{"\"signal\":\"WishedMode\",\"transform\":{\"mapping\":[{\"from\":\"SPORT\",\"to\":\"FAST\"}]}", "ECO", -EINVAL, 0},
};

START_TEST(targets_become_raw_values)
{
	scoped(dbc_free) struct dbc *dbc = load_bus();
	scoped_free char *text = str_printf("{\"A.B\":{\"type\":\"actuator\",\"datatype\":\"float\",\"vss2dbc\":{%s}}}",
					    TARGETS[_i].members);
	scoped(mapping_free) struct mapping *mapping = load(dbc, text, NULL);
	ck_assert_uint_eq(mapping->to_count, 1);
	int64_t raw = -1;
	ck_assert_int_eq(mapping_raw(&mapping->to_can[0], TARGETS[_i].text, &raw), TARGETS[_i].result);
	if (TARGETS[_i].result == 0)
		ck_assert_int_eq(raw, TARGETS[_i].raw);
}
END_TEST

static const struct {
	const char *text, *message;
} REFUSED[] = {
	{"[]", "expected an object"},
	{"{\"X\":{\"dbc2vss\":{}}}", "map.json: X: dbc2vss.signal: expected the name"},
	{"{\"X\":{\"dbc2vss\":{\"signal\":\"Nothing\"}}}", "expected a signal of the DBC file"},
	{"{\"X\":{\"dbc2vss\":{\"signal\":\"Place\"}}}", "expected MESSAGE.Place, as several have it"},
	{"{\"X\":{\"dbc2vss\":{\"signal\":\"Speed\",\"transform\":{}}}}", "either \"math\" or \"mapping\""},
	{"{\"X\":{\"dbc2vss\":{\"signal\":\"Speed\",\"transform\":{\"math\":\"x+\"}}}}", "expected x, a number"},
	{"{\"X\":{\"dbc2vss\":{\"signal\":\"Speed\",\"transform\":{\"mapping\":[{\"from\":1}]}}}}", "\"from\" and \"to\""},
	{"{\"X\":{\"dbc2vss\":{\"signal\":\"Speed\",\"interval_ms\":\"1\"}}}", "interval_ms: expected a whole number"},
	{"{\"X\":{\"dbc2vss\":{\"signal\":\"Speed\",\"multiplexer\":[{\"signal\":\"WishedMode\",\"value\":1}]}}}",
		"of the same message"},
	{"{\"X\":{\"type\":\"sensor\",\"vss2dbc\":{\"signal\":\"WishedTilt\"}}}", "expected an actuator"},
	{"{\"V\":{\"children\":{\"X\":{\"dbc\":7}}}}", "map.json: V.X: dbc: expected an object"},
};

START_TEST(what_is_wrong_is_told_with_its_path)
{
	scoped(dbc_free) struct dbc *dbc = load_bus();
	struct err err = {0};
	scoped(mapping_free) struct mapping *mapping = load(dbc, REFUSED[_i].text, &err);
	ck_assert_ptr_null(mapping);
	ck_assert_msg(strstr(err.message, REFUSED[_i].message) != NULL, "%s", err.message);
}
END_TEST

START_TEST(a_name_that_several_messages_have_is_told_apart)
{
	scoped(dbc_free) struct dbc *dbc = load_bus();
	scoped(mapping_free) struct mapping *mapping = load_rule(dbc, "uint8", "\"signal\":\"Other.Place\"");
	ck_assert_str_eq(mapping->from_can[0].message->name, "Other");
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_loop_test(cases, raw_values_become_values, 0, ARRAY_COUNT(VALUES));
	tcase_add_test(cases, intervals_are_as_kuksa_reads_them);
	tcase_add_test(cases, selectors_must_all_hold);
	tcase_add_loop_test(cases, targets_become_raw_values, 0, ARRAY_COUNT(TARGETS));
	tcase_add_loop_test(cases, what_is_wrong_is_told_with_its_path, 0, ARRAY_COUNT(REFUSED));
	tcase_add_test(cases, a_name_that_several_messages_have_is_told_apart);
}
TEST_MAIN("mapping", add_tests)
