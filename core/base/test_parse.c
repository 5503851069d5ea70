#include "core/base/parse.h"

#include <errno.h>

#include "core/base/array.h"
#include "core/base/test_main.h"

static const struct {
	const char *text;
	int code;
	int64_t value;
} NUMBERS[] = {
	{"0", 0, 0},
	{"-9223372036854775808", 0, INT64_MIN},
	{"9223372036854775807", 0, INT64_MAX},
	{"9223372036854775808", -ERANGE, 0},
	{"-9223372036854775809", -ERANGE, 0},
	{"99999999999999999999999", -ERANGE, 0},
	{"", -EINVAL, 0},
	{"-", -EINVAL, 0},
	{"+1", -EINVAL, 0},
	{" 1", -EINVAL, 0},
	{"1 ", -EINVAL, 0},
	{"0x10", -EINVAL, 0},
};

START_TEST(numbers_are_exact_and_whole)
{
	int64_t value = 77;
	ck_assert_int_eq(parse_i64(NUMBERS[_i].text, INT64_MIN, INT64_MAX, &value), NUMBERS[_i].code);
	ck_assert_int_eq(value, NUMBERS[_i].code ? 77 : NUMBERS[_i].value);
}
END_TEST

START_TEST(ranges_hold)
{
	uint64_t value = 0;
	ck_assert_int_eq(parse_u64("5", 6, 9, &value), -ERANGE);
	ck_assert_int_eq(parse_u64("10", 6, 9, &value), -ERANGE);
	ck_assert_int_eq(parse_u64("6", 6, 9, &value), 0);
	ck_assert_int_eq(parse_u64("18446744073709551615", 0, UINT64_MAX, &value), 0);
	ck_assert(value == UINT64_MAX);
	ck_assert_int_eq(parse_u64("18446744073709551616", 0, UINT64_MAX, &value), -ERANGE);
}
END_TEST

static const struct {
	const char *text;
	int code;
	uint64_t bytes;
} SIZES[] = {
	{"0", 0, 0},		   {"512", 0, 512},	   {"1k", 0, 1024},
	{"1.5K", 0, 1536},	   {"100m", 0, 104857600}, {"2GiB", 0, 2147483648},
	{"16777216t", -ERANGE, 0}, {"", -EINVAL, 0},	   {"m", -EINVAL, 0},
	{"1x", -EINVAL, 0},	   {"1.2.3k", -EINVAL, 0}, {"-1", -EINVAL, 0},
};

START_TEST(sizes_take_units)
{
	uint64_t bytes = 77;
	ck_assert_int_eq(parse_bytes(SIZES[_i].text, &bytes), SIZES[_i].code);
	ck_assert_uint_eq(bytes, SIZES[_i].code ? 77 : SIZES[_i].bytes);
}
END_TEST

START_TEST(thousandths_modes_and_truth)
{
	uint64_t thousandths = 0;
	ck_assert_int_eq(parse_thousandths("0.5", &thousandths), 0);
	ck_assert_uint_eq(thousandths, 500);
	ck_assert_int_eq(parse_thousandths("2.0019", &thousandths), 0);
	ck_assert_uint_eq(thousandths, 2001);
	ck_assert_int_eq(parse_thousandths("x", &thousandths), -EINVAL);

	uint32_t mode = 0;
	ck_assert_int_eq(parse_mode("0755", &mode), 0);
	ck_assert_uint_eq(mode, 0755);
	ck_assert_int_eq(parse_mode("8", &mode), -EINVAL);
	ck_assert_int_eq(parse_mode("10000", &mode), -ERANGE);

	bool truth = false;
	ck_assert_int_eq(parse_bool("true", &truth), 0);
	ck_assert(truth);
	ck_assert_int_eq(parse_bool("yes", &truth), -EINVAL);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_loop_test(cases, numbers_are_exact_and_whole, 0, ARRAY_COUNT(NUMBERS));
	tcase_add_test(cases, ranges_hold);
	tcase_add_loop_test(cases, sizes_take_units, 0, ARRAY_COUNT(SIZES));
	tcase_add_test(cases, thousandths_modes_and_truth);
}

TEST_MAIN("parse", add_tests)
