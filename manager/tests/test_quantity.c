#include "manager/src/quantity.h"

#include <errno.h>

#include "core/base/array.h"
#include "core/base/test_main.h"

static const struct {
	const char *text;
	uint64_t value;
} READ[] = {
	{"0", 0},	{"7", 7},	  {"+7", 7},	       {"1k", 1000},	      {"10M", 10000000},     {"1.5G", 1500000000},
	{"1Ki", 1024},	{"1.5Ki", 1536},  {".5Mi", 524288},    {"5.", 5},	      {"1e3", 1000},	     {"1E3", 1000},
	{"1e+2", 100},	{"25e-1", 3},	  {"1500m", 2},	       {"1n", 1},	      {"1P", 1000000000000000},
	{"1E", UINT64_C(1000000000000000000)}, {"15Ei", UINT64_C(15) << 60},
};

START_TEST(amounts_are_read)
{
	uint64_t value = 0;
	ck_assert_int_eq(quantity_parse(READ[_i].text, &value), 0);
	ck_assert_uint_eq(value, READ[_i].value);
}
END_TEST

static const struct {
	const char *text;
	int code;
} REFUSED[] = {
	{"", -EINVAL},	   {"k", -EINVAL},   {"-1", -EINVAL},	 {"1 k", -EINVAL}, {"1kk", -EINVAL},	{"1.2.3", -EINVAL},
	{".", -EINVAL},	   {"1e", -EINVAL},  {"1ex", -EINVAL},	 {"1e99", -ERANGE}, {"16Ei", -ERANGE}, {"20E", -ERANGE},
	{"9999999999999999999", -ERANGE}, {"1K", -EINVAL},
};

START_TEST(what_is_no_amount_is_refused)
{
	uint64_t value = 0;
	ck_assert_int_eq(quantity_parse(REFUSED[_i].text, &value), REFUSED[_i].code);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_loop_test(cases, amounts_are_read, 0, ARRAY_COUNT(READ));
	tcase_add_loop_test(cases, what_is_no_amount_is_refused, 0, ARRAY_COUNT(REFUSED));
}

TEST_MAIN("quantity", add_tests)
