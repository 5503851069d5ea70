#include "signals/src/line/line.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/test_main.h"

static void feed(struct line_reader *reader, const void *bytes, size_t size)
{
	char *tail = NULL;
	size_t room = 0;
	ck_assert_int_eq(line_reader_tail(reader, &tail, &room), 0);
	ck_assert_uint_ge(room, size);
	memcpy(tail, bytes, size);
	line_reader_claim(reader, size);
}

static const char STREAM[] = "get Vehicle.Speed\n\n12 88.5\r\nset Vehicle.A x y  z \n7\n8 \n";
static const char *const LINES[] = {"get Vehicle.Speed", "12 88.5", "set Vehicle.A x y  z ", "7", "8 "};

START_TEST(lines_are_the_same_however_the_stream_is_cut)
{
	size_t chunk = (size_t)_i;
	scoped_done(line_reader_done) struct line_reader reader = LINE_READER_INIT;
	size_t seen = 0;
	for (size_t at = 0; at < sizeof STREAM - 1; at += chunk) {
		size_t size = sizeof STREAM - 1 - at < chunk ? sizeof STREAM - 1 - at : chunk;
		feed(&reader, STREAM + at, size);
		char *line = NULL;
		size_t length = 0;
		while (line_reader_next(&reader, &line, &length) == 1) {
			ck_assert_uint_lt(seen, ARRAY_COUNT(LINES));
			ck_assert_str_eq(line, LINES[seen++]);
			ck_assert_uint_eq(length, strlen(line));
		}
	}
	ck_assert_uint_eq(seen, ARRAY_COUNT(LINES));
	ck_assert_ptr_null(reader.bytes.data); /* at rest it holds no memory */
}
END_TEST

START_TEST(a_line_that_is_too_long_is_skipped_and_told_once)
{
	scoped_done(line_reader_done) struct line_reader reader = LINE_READER_INIT;
	char *line = NULL;
	size_t length = 0;
	char block[8192];
	memset(block, 'x', sizeof block);
	int told = 0;
	for (int i = 0; i < 64; i++) {
		feed(&reader, block, sizeof block);
		int r = line_reader_next(&reader, &line, &length);
		told += r == -EMSGSIZE;
		ck_assert_int_le(r, 0);
		ck_assert_uint_le(reader.bytes.capacity, 2 * LINE_BYTES_MAX + 1);
	}
	ck_assert_int_eq(told, 1);
	feed(&reader, "tail\nping\n", 10);
	ck_assert_int_eq(line_reader_next(&reader, &line, &length), 1);
	ck_assert_str_eq(line, "ping");
}
END_TEST

START_TEST(the_longest_line_passes_and_one_more_byte_does_not)
{
	for (size_t over = 0; over < 2; over++) {
		scoped_done(line_reader_done) struct line_reader reader = LINE_READER_INIT;
		size_t left = LINE_BYTES_MAX - 1 + over;
		char block[4096];
		memset(block, 'y', sizeof block);
		char *line = NULL;
		size_t length = 0;
		int told = 0;
		while (left > 0) {
			size_t size = left < sizeof block ? left : sizeof block;
			feed(&reader, block, size);
			left -= size;
			told += line_reader_next(&reader, &line, &length) == -EMSGSIZE;
		}
		feed(&reader, "\n", 1);
		int r = line_reader_next(&reader, &line, &length);
		if (over) {
			ck_assert_int_eq(told + (r == -EMSGSIZE), 1);
		} else {
			ck_assert_int_eq(r, 1);
			ck_assert_uint_eq(length, LINE_BYTES_MAX - 1);
		}
	}
}
END_TEST

START_TEST(a_zero_byte_is_refused_and_the_next_line_is_read)
{
	scoped_done(line_reader_done) struct line_reader reader = LINE_READER_INIT;
	char *line = NULL;
	size_t length = 0;
	feed(&reader, "se\0t x\nping\n", 12);
	ck_assert_int_eq(line_reader_next(&reader, &line, &length), -EBADMSG);
	ck_assert_int_eq(line_reader_next(&reader, &line, &length), 1);
	ck_assert_str_eq(line, "ping");
}
END_TEST

static const struct {
	bool event;
	const char *line;
	enum line_verb verb;
	uint64_t numbers[3];
	int64_t time_ns;
	const char *word;
	const char *text;
} READ[] = {
	{false, "12 88.5", LINE_DATA, {12}, LINE_NO_TIME, NULL, "88.5"},
	{false, "12", LINE_DATA, {12}, LINE_NO_TIME, NULL, NULL},
	{false, "12 ", LINE_DATA, {12}, LINE_NO_TIME, NULL, ""},
	{true, "4294967295@1700000000123456789 a b", LINE_DATA, {4294967295}, 1700000000123456789, NULL, "a b"},
	{true, "3@0", LINE_DATA, {3}, 0, NULL, NULL},
	{false, "hello 1", LINE_HELLO, {1}, LINE_NO_TIME, NULL, NULL},
	{false, "hello 1 my app", LINE_HELLO, {1}, LINE_NO_TIME, NULL, "my app"},
	{false, "get Vehicle/Speed", LINE_GET, {0}, LINE_NO_TIME, "Vehicle/Speed", NULL},
	{false, "set A.B  two blanks ", LINE_SET, {0}, LINE_NO_TIME, "A.B", " two blanks "},
	{false, "set A.B ", LINE_SET, {0}, LINE_NO_TIME, "A.B", ""},
	{false, "sub A.**@rate=10 time", LINE_SUB, {0}, LINE_NO_TIME, "A.**@rate=10", "time"},
	{false, "force A.B 10000 5", LINE_FORCE, {10000}, LINE_NO_TIME, "A.B", "5"},
	{false, "ok 77", LINE_DONE, {77}, LINE_NO_TIME, NULL, NULL},
	{false, "error 77 stuck fast", LINE_FAILED, {77}, LINE_NO_TIME, NULL, "stuck fast"},
	{true, "ok", LINE_OK, {0}, LINE_NO_TIME, NULL, NULL},
	{true, "ok 88.5", LINE_OK, {0}, LINE_NO_TIME, NULL, "88.5"},
	{true, "error unknown no such signal", LINE_ERROR, {0}, LINE_NO_TIME, "unknown", "no such signal"},
	{true, "name 2 4 Vehicle.Speed", LINE_NAME, {2, 4}, LINE_NO_TIME, "Vehicle.Speed", NULL},
	{true, "request 9 4 5000 21.5", LINE_REQUEST, {9, 4, 5000}, LINE_NO_TIME, NULL, "21.5"},
	{true, "outcome 9 ok", LINE_OUTCOME, {9}, LINE_NO_TIME, "ok", NULL},
	{true, "lost 4 100", LINE_LOST, {4, 100}, LINE_NO_TIME, NULL, NULL},
	{true, "surprise of a later version", LINE_UNKNOWN_EVENT, {0}, LINE_NO_TIME, NULL, NULL},
};

START_TEST(reads_what_the_page_says)
{
	scoped_free char *line = strdup(READ[_i].line);
	struct line_message message = {0};
	struct err err = {0};
	int r = (READ[_i].event ? line_parse_event : line_parse_request)(line, strlen(line), &message, &err);
	ck_assert_msg(r == 0, "%s: %s", READ[_i].line, err.message);
	ck_assert_int_eq(message.verb, READ[_i].verb);
	ck_assert_mem_eq(message.numbers, READ[_i].numbers, sizeof message.numbers);
	ck_assert_int_eq(message.time_ns, READ[_i].time_ns);
	ck_assert_pstr_eq(message.word, READ[_i].word);
	ck_assert_pstr_eq(message.text, READ[_i].text);
	if (message.text)
		ck_assert_uint_eq(message.text_length, strlen(message.text));
}
END_TEST

static const char *const REFUSED[] = {
	"jump",	      "get",	    "get ",    "set A",	     "hello",	  "hello one", "12x", "12@ 4", "12@x 4", "4294967296 1",
	"99999999999999999999 1", "unsub", "unsub -1", "force A 5", "get A B", "ping now", " get A",	  "release 1 2",
};

START_TEST(refuses_what_is_no_request)
{
	scoped_free char *line = strdup(REFUSED[_i]);
	struct line_message message = {.verb = LINE_STATS};
	struct err err = {0};
	ck_assert_int_eq(line_parse_request(line, strlen(line), &message, &err), -EINVAL);
	ck_assert_str_eq(err.reason, "line.syntax");
	ck_assert_int_eq(message.verb, LINE_STATS);
}
END_TEST

START_TEST(a_data_line_written_is_the_one_read)
{
	scoped_done(buf_done) struct buf out = {.max = 256};
	ck_assert_int_eq(line_add_data(&out, 4294967295, 1700000000123456789, "a b", 3), 0);
	ck_assert_int_eq(line_add_data(&out, 7, LINE_NO_TIME, NULL, 0), 0);
	ck_assert_int_eq(line_add_data(&out, 0, 0, "", 0), 0);
	ck_assert_str_eq(out.data, "4294967295@1700000000123456789 a b\n7\n0@0 \n");
	char big[250] = {0};
	ck_assert_int_eq(line_add_data(&out, 1, LINE_NO_TIME, big, sizeof big), -EMSGSIZE);
	ck_assert_uint_eq(out.size, strlen("4294967295@1700000000123456789 a b\n7\n0@0 \n"));
}
END_TEST

START_TEST(codes_and_errors_stand_for_each_other)
{
	static const int NUMBERS[] = {-EINVAL, -EPROTONOSUPPORT, -EMSGSIZE, -ENOENT, -EACCES, -ERANGE,	  -ENODATA,
				      -ENXIO,  -EBUSY,		 -EAGAIN,   -EBADF,  -ENOSPC, -ETIMEDOUT, -ECONNRESET};
	for (size_t i = 0; i < ARRAY_COUNT(NUMBERS); i++)
		ck_assert_int_eq(line_errno_of(line_code_of(NUMBERS[i])), NUMBERS[i]);
	ck_assert_str_eq(line_code_of(-ENOMEM), "internal");
	ck_assert_int_eq(line_errno_of("a code of a later version"), -EIO);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_loop_test(cases, lines_are_the_same_however_the_stream_is_cut, 1, sizeof STREAM);
	tcase_add_test(cases, a_line_that_is_too_long_is_skipped_and_told_once);
	tcase_add_test(cases, the_longest_line_passes_and_one_more_byte_does_not);
	tcase_add_test(cases, a_zero_byte_is_refused_and_the_next_line_is_read);
	tcase_add_loop_test(cases, reads_what_the_page_says, 0, ARRAY_COUNT(READ));
	tcase_add_loop_test(cases, refuses_what_is_no_request, 0, ARRAY_COUNT(REFUSED));
	tcase_add_test(cases, a_data_line_written_is_the_one_read);
	tcase_add_test(cases, codes_and_errors_stand_for_each_other);
}
TEST_MAIN("line", add_tests)
