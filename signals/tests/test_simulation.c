#include "signals/adaptors/simulation/model.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/test_main.h"

static struct simulation *load(const char *text)
{
	struct simulation *simulation = NULL;
	struct err err = {0};
	ck_assert_msg(simulation_parse("sim.toml", text, strlen(text), &simulation, &err) == 0, "%s", err.message);
	return simulation;
}

static const struct {
	const char *members;
	double seconds;
	const char *value; /* NULL: unavailable */
} VALUES[] = {
	{"kind = \"ramp\"\nfrom = 0\nto = 120\nperiod = 60", 0, "0"},
	{"kind = \"ramp\"\nfrom = 0\nto = 120\nperiod = 60", 30, "60"},
	{"kind = \"ramp\"\nfrom = 0\nto = 120\nperiod = 60", 75, "30"},
	{"kind = \"ramp\"\nfrom = 0\nto = 120\nperiod = 60\nbounce = true", 45, "60"},
	{"kind = \"ramp\"\nfrom = 0\nto = 120\nperiod = 60\ndelay = 10", 40, "60"},
	{"kind = \"sine\"\nfrom = -1\nto = 1\nperiod = 4\ndecimals = 2", 1, "1.00"},
	{"kind = \"sine\"\nfrom = -1\nto = 1\nperiod = 4\ndecimals = 2", 3, "-1.00"},
	{"kind = \"constant\"\nvalue = \"LOW\"", 9, "LOW"},
	{"kind = \"constant\"\nvalue = true", 9, "true"},
	{"kind = \"steps\"\nvalues = [1, 2.5, \"x\"]\nperiod = 2", 3, "2.5"},
	{"kind = \"steps\"\nvalues = [1, 2.5, \"x\"]\nperiod = 2", 5, "x"},
	{"kind = \"steps\"\nvalues = [1, 2.5, \"x\"]\nperiod = 2", 6, "1"},
	{"kind = \"constant\"\nvalue = 1\ndropout = {every = 10, for = 2}", 7.9, "1"},
	{"kind = \"constant\"\nvalue = 1\ndropout = {every = 10, for = 2}", 8.1, NULL},
	{"kind = \"constant\"\nvalue = 1\ndropout = {every = 10, for = 2}", 10.1, "1"},
};

START_TEST(values_are_those_of_their_time)
{
	scoped_free char *text = NULL;
	ck_assert_int_gt(asprintf(&text, "[[signal]]\npath = \"A\"\n%s\n", VALUES[_i].members), 0);
	scoped(simulation_free) struct simulation *simulation = load(text);
	char value[SIMULATION_TEXT_MAX];
	int r = sim_signal_value(&simulation->signals[0], VALUES[_i].seconds, value);
	ck_assert_int_eq(r, VALUES[_i].value ? 0 : 1);
	if (VALUES[_i].value)
		ck_assert_str_eq(value, VALUES[_i].value);
}
END_TEST

START_TEST(a_walk_keeps_within_its_bounds_and_repeats_by_its_seed)
{
	static const char WALK[] = "[[signal]]\npath = \"A\"\nkind = \"walk\"\nfrom = 0\nto = 10\nstart = 5\nstep = 3\nseed = 7\n";
	scoped(simulation_free) struct simulation *a = load(WALK);
	scoped(simulation_free) struct simulation *b = load(WALK);
	char x[SIMULATION_TEXT_MAX];
	char y[SIMULATION_TEXT_MAX];
	double low = 10;
	double high = 0;
	for (int i = 0; i < 1000; i++) {
		ck_assert_int_eq(sim_signal_value(&a->signals[0], i, x), 0);
		ck_assert_int_eq(sim_signal_value(&b->signals[0], i, y), 0);
		ck_assert_str_eq(x, y);
		double value = strtod(x, NULL);
		ck_assert(value >= 0 && value <= 10);
		low = value < low ? value : low;
		high = value > high ? value : high;
	}
	ck_assert(low < 2 && high > 8);
}
END_TEST

START_TEST(what_is_stuck_keeps_its_value)
{
	scoped(simulation_free) struct simulation *simulation =
		load("[[signal]]\npath = \"A\"\nkind = \"ramp\"\nfrom = 0\nto = 100\nperiod = 100\nstuck = {every = "
			"20, for = 10}\n");
	char value[SIMULATION_TEXT_MAX];
	static const struct {
		double seconds;
		const char *value;
	} SEEN[] = {{5, "5"}, {9, "9"}, {11, "9"}, {19, "9"}, {21, "21"}};
	for (size_t i = 0; i < ARRAY_COUNT(SEEN); i++) {
		ck_assert_int_eq(sim_signal_value(&simulation->signals[0], SEEN[i].seconds, value), 0);
		ck_assert_str_eq(value, SEEN[i].value);
	}
}
END_TEST

START_TEST(actuators_have_their_script)
{
	scoped(simulation_free) struct simulation *simulation =
		load("interval = 0.5\n[[actuator]]\npath = \"A\"\nanswer = \"error\"\ntext = \"stuck\"\nafter = 0.2\n"
		     "[[actuator]]\npath = \"B\"\nrate = 2\ninitial = 5\nrefuse_every = 3\n");
	ck_assert_uint_eq(simulation->actuator_count, 2);
	ck_assert_int_eq(simulation->actuators[0].answer, SIM_REFUSE);
	ck_assert_double_eq(simulation->actuators[1].interval, 0.5);
	ck_assert_str_eq(simulation->actuators[1].initial, "5");
	ck_assert_int_eq(simulation->actuators[1].decimals, -1);
}
END_TEST

static const struct {
	const char *text, *message;
} REFUSED[] = {
	{"", "expected [[signal]] or [[actuator]]"},
	{"[[signal]]\npath = \"A\"\nkind = \"zigzag\"", "A: expected kind = constant, ramp"},
	{"[[signal]]\nkind = \"ramp\"", "path"},
	{"[[signal]]\npath = \"A\"\nkind = \"ramp\"", "A: expected period"},
	{"[[signal]]\npath = \"A\"\nkind = \"constant\"", "expected value"},
	{"[[signal]]\npath = \"A\"\nkind = \"walk\"\nfrom = 5\nto = 1\nstep = 1", "from below to"},
	{"[[signal]]\npath = \"A\"\nkind = \"constant\"\nvalue = 1\ninterval = -1", "interval: seconds"},
	{"[[signal]]\npath = \"A\"\nkind = \"constant\"\nvalue = 1\ndropout = {every = 1, for = 2}", "for at most every"},
	{"[[signal]]\npath = \"A\"\nkind = \"constant\"\nvalue = 1\ncolour = 2", "colour"},
	{"[[actuator]]\npath = \"A\"\nanswer = \"maybe\"", "answer = ok, error or none"},
	{"[[signal", "sim.toml: line 1"},
};

START_TEST(what_is_wrong_is_told)
{
	struct simulation *simulation = NULL;
	struct err err = {0};
	ck_assert_int_eq(simulation_parse("sim.toml", REFUSED[_i].text, strlen(REFUSED[_i].text), &simulation, &err), -EINVAL);
	ck_assert_msg(strstr(err.message, REFUSED[_i].message) != NULL, "%s", err.message);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_loop_test(cases, values_are_those_of_their_time, 0, ARRAY_COUNT(VALUES));
	tcase_add_test(cases, a_walk_keeps_within_its_bounds_and_repeats_by_its_seed);
	tcase_add_test(cases, what_is_stuck_keeps_its_value);
	tcase_add_test(cases, actuators_have_their_script);
	tcase_add_loop_test(cases, what_is_wrong_is_told, 0, ARRAY_COUNT(REFUSED));
}
TEST_MAIN("simulation", add_tests)
