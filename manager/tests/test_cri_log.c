#include "manager/src/cri_log.h"

#include <errno.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/test_main.h"

static const struct {
	const char *line;
	int64_t time_ns;
	bool is_stderr;
	bool partial;
	const char *text;
} LINES[] = {
	{"2016-10-06T00:17:09.669794202Z stdout F log content 1", 1475713029669794202, false, false, "log content 1"},
	{"2016-10-06T00:17:09.669794203Z stderr P part", 1475713029669794203, true, true, "part"},
	{"1970-01-01T00:00:01Z stdout F ", 1000000000, false, false, ""},
	{"1970-01-01T00:00:01Z stdout F", 1000000000, false, false, ""},
	{"1970-01-01T02:00:00.5+02:00 stdout F:x  two blanks", 500000000, false, false, " two blanks"},
};

START_TEST(lines_are_taken_apart)
{
	struct cri_log_line line = {0};
	ck_assert_int_eq(cri_log_parse(LINES[_i].line, strlen(LINES[_i].line), &line), 0);
	ck_assert_int_eq(line.time_ns, LINES[_i].time_ns);
	ck_assert(line.stderr_ == LINES[_i].is_stderr);
	ck_assert(line.partial == LINES[_i].partial);
	ck_assert_uint_eq(line.length, strlen(LINES[_i].text));
	ck_assert_mem_eq(line.text, LINES[_i].text, line.length);
}
END_TEST

static const char *const REFUSED[] = {
	"",
	"x",
	"2016-10-06T00:17:09Z",
	"2016-10-06T00:17:09Z stdout",
	"2016-10-06T00:17:09Z stdout ",
	"2016-10-06T00:17:09Z stdin_ F x",
	"2016-10-06 00:17:09Z stdout F x",
	"2016-10-06T00:17:09 stdout F x",
	"2016-10-06T00:17:09+1:00 stdout F x",
	"0016-10-06T00:17:09Z stdout F x",
	"9999-10-06T00:17:09Z stdout F x",
};

START_TEST(what_is_no_record_is_refused)
{
	struct cri_log_line line = {0};
	ck_assert_int_eq(cri_log_parse(REFUSED[_i], strlen(REFUSED[_i]), &line), -EINVAL);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_loop_test(cases, lines_are_taken_apart, 0, ARRAY_COUNT(LINES));
	tcase_add_loop_test(cases, what_is_no_record_is_refused, 0, ARRAY_COUNT(REFUSED));
}

TEST_MAIN("cri-log", add_tests)
