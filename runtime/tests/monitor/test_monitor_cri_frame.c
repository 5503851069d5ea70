#include "runtime/src/monitor/cri_frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/scoped.h"
#include "core/base/test_main.h"

/* Collects records as "TAG content|"; takes at most @room of them. */
struct sink {
	struct buf text;
	size_t room;
	char header[64]; /* of the last */
};

static bool take(void *owner, const struct cri_record *record)
{
	struct sink *sink = owner;
	if (sink->room == 0)
		return false;
	sink->room--;
	(void)snprintf(sink->header, sizeof sink->header, "%s", record->header);
	ck_assert_uint_eq(strlen(record->header), CRI_HEADER_BYTES);
	ck_assert_int_eq(buf_add_char(&sink->text, record->header[CRI_HEADER_BYTES - 2]), 0);
	for (size_t i = 0; i < 2; i++)
		if (record->parts[i].size > 0)
			ck_assert_int_eq(buf_add(&sink->text, record->parts[i].bytes, record->parts[i].size), 0);
	return buf_add_char(&sink->text, '|') == 0;
}

static struct sink make_sink(void)
{
	return (struct sink){.text.max = 1 << 20, .room = SIZE_MAX};
}

static void feed(struct cri_framer *framer, struct sink *sink, const char *text)
{
	ck_assert_int_eq(cri_frame(framer, text, strlen(text), 0, take, sink), (ptrdiff_t)strlen(text));
}

START_TEST(a_header_has_its_time_in_nanoseconds)
{
	struct cri_record record;
	cri_record_make(&record, "stdout", 'F', 1475712000000000000 + 1029669794202);
	ck_assert_str_eq(record.header, "2016-10-06T00:17:09.669794202Z stdout F ");
	cri_record_make(&record, "stderr", 'P', 0);
	ck_assert_str_eq(record.header, "1970-01-01T00:00:00.000000000Z stderr P ");
	cri_record_make(&record, "stderr", 'P', -5);
	ck_assert_uint_eq(strlen(record.header), CRI_HEADER_BYTES);
}
END_TEST

START_TEST(lines_are_records_however_they_arrive)
{
	struct cri_framer framer = {.stream = "stdout"};
	struct sink sink = make_sink();
	feed(&framer, &sink, "one\ntwo");
	ck_assert_str_eq(sink.text.data, "Fone|");
	feed(&framer, &sink, "");
	feed(&framer, &sink, " and\n\nthree\n");
	ck_assert_str_eq(sink.text.data, "Fone|Ftwo and|F|Fthree|");
	ck_assert_uint_eq(framer.tail_size, 0);
	cri_framer_done(&framer);
	buf_done(&sink.text);
}
END_TEST

START_TEST(what_never_ends_is_flushed_as_a_part)
{
	struct cri_framer framer = {.stream = "stdout"};
	struct sink sink = make_sink();
	feed(&framer, &sink, "prompt");
	ck_assert(cri_flush(&framer, 0, take, &sink));
	ck_assert(cri_flush(&framer, 0, take, &sink)); /* nothing left: no record */
	feed(&framer, &sink, "> \n");
	ck_assert_str_eq(sink.text.data, "Pprompt|F> |");
	cri_framer_done(&framer);
	buf_done(&sink.text);
}
END_TEST

/* @_i more bytes than the limit, newline behind, in pieces of 1000 bytes: each record holds at most the limit. */
START_TEST(a_long_line_is_cut_at_the_limit)
{
	struct cri_framer framer = {.stream = "stderr"};
	struct sink sink = make_sink();
	size_t size = (size_t)(2 * CRI_CONTENT_MAX + _i);
	scoped_free char *line = malloc(size + 1);
	ck_assert_ptr_nonnull(line);
	memset(line, 'x', size);
	line[size] = '\n';
	for (size_t at = 0; at <= size;) {
		size_t part = size + 1 - at < 1000 ? size + 1 - at : 1000;
		ck_assert_int_eq(cri_frame(&framer, line + at, part, 0, take, &sink), (ptrdiff_t)part);
		at += part;
	}
	size_t records = 0;
	size_t length = 0;
	for (size_t i = 0; i < sink.text.size; i++) {
		length++;
		if (sink.text.data[i] != '|')
			continue;
		ck_assert_uint_le(length, CRI_CONTENT_MAX + 2);
		length = 0;
		records++;
	}
	ck_assert_uint_eq(records, _i > 0 ? 3 : 2);
	ck_assert_uint_eq(sink.text.size, size + 2 * records);
	ck_assert_uint_eq(framer.tail_size, 0);
	cri_framer_done(&framer);
	buf_done(&sink.text);
}
END_TEST

START_TEST(without_room_nothing_is_lost_or_doubled)
{
	struct cri_framer framer = {.stream = "stdout"};
	struct sink sink = make_sink();
	const char *text = "a\nb\nc\nd";
	size_t at = 0;
	for (sink.room = 0; at < strlen(text); sink.room = 1)
		at += (size_t)cri_frame(&framer, text + at, strlen(text) - at, 0, take, &sink);
	sink.room = 0;
	ck_assert(!cri_flush(&framer, 0, take, &sink));
	ck_assert_uint_eq(framer.tail_size, 1);
	sink.room = 1;
	ck_assert(cri_flush(&framer, 0, take, &sink));
	ck_assert_str_eq(sink.text.data, "Fa|Fb|Fc|Pd|");
	cri_framer_done(&framer);
	buf_done(&sink.text);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, a_header_has_its_time_in_nanoseconds);
	tcase_add_test(cases, lines_are_records_however_they_arrive);
	tcase_add_test(cases, what_never_ends_is_flushed_as_a_part);
	tcase_add_loop_test(cases, a_long_line_is_cut_at_the_limit, -1, 2);
	tcase_add_test(cases, without_room_nothing_is_lost_or_doubled);
}

TEST_MAIN("monitor-cri-frame", add_tests)
