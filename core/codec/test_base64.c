#include "core/codec/base64.h"

#include <errno.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/scoped.h"
#include "core/base/test_main.h"

static const struct {
	const char *bytes;
	const char *text;
} PAIRS[] = {
	{"", ""},	  {"f", "Zg=="},	 {"fo", "Zm8="},	 {"foo", "Zm9v"},
	{"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}, {"\xff\xfe?", "//4/"},
};

START_TEST(the_vectors_of_rfc_4648_hold_both_ways)
{
	scoped_free char *text = base64_encode((const uint8_t *)PAIRS[_i].bytes, strlen(PAIRS[_i].bytes));
	ck_assert_str_eq(text, PAIRS[_i].text);
	uint8_t bytes[16];
	size_t size = 99;
	ck_assert_int_eq(base64_decode(text, strlen(text), bytes, &size), 0);
	ck_assert_uint_eq(size, strlen(PAIRS[_i].bytes));
	ck_assert_mem_eq(bytes, PAIRS[_i].bytes, size);
}
END_TEST

static const char *const REFUSED[] = {"Z", "Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==", "Zm 9", "Zm-_"};

START_TEST(refuses_what_is_not_canonical)
{
	uint8_t bytes[16];
	size_t size = 0;
	ck_assert_int_eq(base64_decode(REFUSED[_i], strlen(REFUSED[_i]), bytes, &size), -EINVAL);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_loop_test(cases, the_vectors_of_rfc_4648_hold_both_ways, 0, ARRAY_COUNT(PAIRS));
	tcase_add_loop_test(cases, refuses_what_is_not_canonical, 0, ARRAY_COUNT(REFUSED));
}

TEST_MAIN("base64", add_tests)
