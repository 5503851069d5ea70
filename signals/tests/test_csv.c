#include "signals/adaptors/replay/csv.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/test_main.h"

static const struct {
	const char *line;
	int64_t time_ns;
	const char *path, *value;
} READ[] = {
	{"12.5,Vehicle.Speed,88.5", 12500000000, "Vehicle.Speed", "88.5"},
	{"1700000000.123456789123,A/B,", 1700000000123456789, "A/B", NULL},
	{"0,A,\"\"", 0, "A", ""},
	{"0,A,\"a \"\"b\"\", c\"\r", 0, "A", "a \"b\", c"},
	{"3,\"A\",[1 2]", 3000000000, "A", "[1 2]"},
};

START_TEST(records_are_read)
{
	scoped_free char *line = strdup(READ[_i].line);
	struct csv_record record = {0};
	ck_assert_int_eq(csv_parse(line, &record, NULL), 1);
	ck_assert_int_eq(record.time_ns, READ[_i].time_ns);
	ck_assert_str_eq(record.path, READ[_i].path);
	ck_assert_pstr_eq(record.value, READ[_i].value);
	struct buf out = {.max = 200};
	ck_assert_int_eq(csv_add(&out, &record), 0);
	out.data[out.size - 1] = '\0';
	struct csv_record again = {0};
	ck_assert_int_eq(csv_parse(out.data, &again, NULL), 1);
	ck_assert_int_eq(again.time_ns, READ[_i].time_ns);
	ck_assert_pstr_eq(again.value, READ[_i].value);
	buf_done(&out);
}
END_TEST

static const char *const REFUSED[] = {"1", "1,A", "1,A,2,3", "x,A,2", "-1,A,2", "1,,2", "1,A B,2", "1,A,\"2", "1,A,\"2\"3",
				      ",A,1", "1.2.3,A,1", "99999999999999999999,A,1"};

START_TEST(what_is_no_record_is_refused)
{
	scoped_free char *line = strdup(REFUSED[_i]);
	struct csv_record record = {.time_ns = 7};
	struct err err = {0};
	ck_assert_int_eq(csv_parse(line, &record, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.message, "expected"));
	ck_assert_int_eq(record.time_ns, 7);
}
END_TEST

START_TEST(headers_and_comments_are_passed_over)
{
	static const char *const BLANK[] = {"", "\r", "# a comment", CSV_HEADER, CSV_HEADER "\r"};
	for (size_t i = 0; i < ARRAY_COUNT(BLANK); i++) {
		scoped_free char *line = strdup(BLANK[i]);
		struct csv_record record;
		ck_assert_int_eq(csv_parse(line, &record, NULL), 0);
	}
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_loop_test(cases, records_are_read, 0, ARRAY_COUNT(READ));
	tcase_add_loop_test(cases, what_is_no_record_is_refused, 0, ARRAY_COUNT(REFUSED));
	tcase_add_test(cases, headers_and_comments_are_passed_over);
}
TEST_MAIN("csv", add_tests)
