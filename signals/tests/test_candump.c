#include "signals/adaptors/can/frame.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/test_main.h"
#include "signals/adaptors/pace.h"

static const struct {
	const char *line;
	int64_t time_ns;
	const char *interface;
	uint32_t id;
	bool extended, fd, remote;
	uint8_t length;
	const char *data;
} READ[] = {
	{"(1436509052.249713) vcan0 044#2A366C2BBA", 1436509052249713000, "vcan0", 0x44, false, false, false, 5,
		"\x2a\x36\x6c\x2b\xba"},
	{"(0.000001) can0 18FEF1FE#DEADBEEF00000001 R", 1000, "can0", 0x18fef1fe, true, false, false, 8,
		"\xde\xad\xbe\xef\0\0\0\1"},
	{"123#", -1, "", 0x123, false, false, false, 0, ""},
	{"123#R", -1, "", 0x123, false, false, true, 0, ""},
	{"123#11.22.33", -1, "", 0x123, false, false, false, 3, "\x11\x22\x33"},
	{"can1 123##5AABBCCDDEEFF00112233445566", -1, "can1", 0x123, false, true, false, 12, NULL},
	{"  vcan0  7FF   [3]  01 02 03", -1, "vcan0", 0x7ff, false, false, false, 3, "\1\2\3"},
	{" (001.500000)  can0  1F334455   [0] ", 1500000000, "can0", 0x1f334455, true, false, false, 0, ""},
	{"can0  123  [02]  AA BB", -1, "can0", 0x123, false, true, false, 2, "\xaa\xbb"},
	{"can0  123   [2]  remote request", -1, "can0", 0x123, false, false, true, 0, ""},
};

START_TEST(lines_of_every_form_are_read)
{
	char line[200];
	(void)snprintf(line, sizeof line, "%s", READ[_i].line);
	if (!READ[_i].data) /* one byte more than a length of FD */
		line[strlen(line) - 2] = '\0';
	struct can_frame_data frame = {0};
	int64_t time_ns = 0;
	char interface[16];
	struct err err = {0};
	int r = candump_parse(line, &frame, &time_ns, interface, &err);
	if (!READ[_i].data) {
		ck_assert_int_eq(r, 1);
		ck_assert_uint_eq(frame.length, 12);
		ck_assert_uint_eq(frame.flags, 5);
		return;
	}
	ck_assert_msg(r == 1, "%s", err.message);
	ck_assert_int_eq(time_ns, READ[_i].time_ns);
	ck_assert_str_eq(interface, READ[_i].interface);
	ck_assert_uint_eq(frame.id, READ[_i].id);
	ck_assert_int_eq(frame.extended, READ[_i].extended);
	ck_assert_int_eq(frame.fd, READ[_i].fd);
	ck_assert_int_eq(frame.remote, READ[_i].remote);
	ck_assert_uint_eq(frame.length, READ[_i].length);
	ck_assert_mem_eq(frame.data, READ[_i].data, READ[_i].length);
}
END_TEST

static const char *const REFUSED[] = {
	"(1436509052.249713 vcan0 044#2A", "vcan0", "vcan0 44#2A", "800#00", "vcan0 044#2", "044#2A36ZZ", "044#112233445566778899",
	"can0 123 [9] 00", "can0 123 [2] 00", "can0 123 [x] 00", "can0 123##5112233445566778899", "name_that_is_too_long 123#00",
	"(99999999999999999999.0) can0 123#00", "123##G00", "can0 123 [13] remote request",
};

START_TEST(what_is_no_frame_is_refused)
{
	struct can_frame_data frame = {.id = 7};
	int64_t time_ns = 0;
	char interface[16];
	struct err err = {0};
	ck_assert_int_eq(candump_parse(REFUSED[_i], &frame, &time_ns, interface, &err), -EINVAL);
	ck_assert_uint_eq(frame.id, 7);
	ck_assert_ptr_nonnull(err.reason);
}
END_TEST

START_TEST(blank_lines_are_passed_over)
{
	struct can_frame_data frame;
	int64_t time_ns = 0;
	char interface[16];
	static const char *const BLANK[] = {"", "   ", "# a comment", "\r"};
	for (size_t i = 0; i < ARRAY_COUNT(BLANK); i++)
		ck_assert_int_eq(candump_parse(BLANK[i], &frame, &time_ns, interface, NULL), 0);
}
END_TEST

START_TEST(a_line_written_is_the_one_read)
{
	static const char *const LINES[] = {"(1436509052.249713) vcan0 044#2A366C2BBA\n", "(0.000001) can0 18FEF1FE#\n",
					    "(5.000000) can0 123##5AABBCCDDEEFF001122334455\n", "(5.000000) can0 123#R\n"};
	for (size_t i = 0; i < ARRAY_COUNT(LINES); i++) {
		struct can_frame_data frame;
		int64_t time_ns = 0;
		char interface[16];
		ck_assert_int_eq(candump_parse(LINES[i], &frame, &time_ns, interface, NULL), 1);
		struct buf out = {.max = CANDUMP_LINE_MAX};
		ck_assert_int_eq(candump_add(&out, &frame, time_ns, interface), 0);
		ck_assert_str_eq(out.data, LINES[i]);
		buf_done(&out);
	}
}
END_TEST

START_TEST(records_are_due_at_their_pace)
{
	struct pace pace = {.speed = 2};
	ck_assert_int_eq(pace_due(&pace, 5000000000, 100), 100);
	ck_assert_int_eq(pace_due(&pace, 7000000000, 100), 1000000100);
	ck_assert_int_eq(pace_due(&pace, 4000000000, 100), 100); /* back: at once */
	struct pace seeking = {.speed = 1, .seek = 1.5};
	ck_assert_int_eq(pace_due(&seeking, 1000000000, 0), INT64_MIN);
	ck_assert_int_eq(pace_due(&seeking, 2000000000, 0), INT64_MIN);
	ck_assert_int_eq(pace_due(&seeking, 3000000000, 0), 500000000);
	struct pace all = {.speed = 0};
	ck_assert_int_eq(pace_due(&all, 1, 9), 9);
	ck_assert_int_eq(pace_due(&all, 1000000000000, 9), 9);
	double number = 0;
	ck_assert_int_eq(pace_parse_speed("max", &number), 0);
	ck_assert_int_eq(pace_parse_speed("0", &number), -EINVAL);
	ck_assert_int_eq(pace_parse_speed("-1", &number), -EINVAL);
	ck_assert_int_eq(pace_parse_speed("2x", &number), -EINVAL);
	ck_assert_int_eq(pace_parse_seconds("nan", &number), -EINVAL);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_loop_test(cases, lines_of_every_form_are_read, 0, ARRAY_COUNT(READ));
	tcase_add_loop_test(cases, what_is_no_frame_is_refused, 0, ARRAY_COUNT(REFUSED));
	tcase_add_test(cases, blank_lines_are_passed_over);
	tcase_add_test(cases, a_line_written_is_the_one_read);
	tcase_add_test(cases, records_are_due_at_their_pace);
}
TEST_MAIN("candump", add_tests)
