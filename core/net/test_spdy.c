#include "core/net/spdy.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/test_main.h"
#include "core/net/spdy_dictionary.h"

static struct spdy_reader *new_reader(void)
{
	struct spdy_reader *reader = NULL;
	ck_assert_int_eq(spdy_reader_new(&reader), 0);
	return reader;
}

/* Reads one frame out of @size bytes, which must hold no more than that. */
static int read_one(struct spdy_reader *reader, const void *bytes, size_t size, struct spdy_frame *ret_frame,
		    struct err *err)
{
	size_t used = 0;
	int r = spdy_read(reader, bytes, size, &used, ret_frame, err);
	if (r >= 0)
		ck_assert_uint_eq(used, size);
	return r;
}

START_TEST(the_dictionary_is_the_specifications)
{
	ck_assert_uint_eq(adler32(adler32(0, NULL, 0), SPDY_DICTIONARY, SPDY_DICTIONARY_SIZE), SPDY_DICTIONARY_ID);
}
END_TEST

/* SYN_STREAM of stream 1 with streamtype: error, as moby/spdystream writes it. */
static const uint8_t GO_SYN_STREAM[] = {
	0x80, 0x03, 0x00, 0x01, 0x00, 0x00, 0x00, 0x29, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x78, 0xf9, 0xe3, 0xc6, 0xa7, 0xc2, 0x62, 0x60, 0x60, 0x60, 0x04, 0xa7, 0xb3, 0x92, 0xa2, 0xd4, 0xc4, 0x5c,
	0x68, 0x51, 0xc2, 0x9a, 0x0a, 0x0a, 0x68, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff,
};

START_TEST(a_stream_as_the_go_library_opens_it)
{
	scoped(spdy_reader_free) struct spdy_reader *reader = new_reader();
	struct spdy_frame frame = {0};
	ck_assert_int_eq(read_one(reader, GO_SYN_STREAM, sizeof GO_SYN_STREAM, &frame, NULL), 1);
	ck_assert_int_eq(frame.type, SPDY_SYN_STREAM);
	ck_assert_uint_eq(frame.stream, 1);
	ck_assert(!frame.fin);
	ck_assert_uint_eq(frame.pairs_count, 1);
	ck_assert_str_eq(spdy_header(&frame, "streamtype"), "error");
	ck_assert_ptr_null(spdy_header(&frame, "port"));
}
END_TEST

static const struct spdy_pair PAIRS[] = {
	{"streamtype", "data", 4},
	{"port", "8080", 4},
	{"several", "one\0two", 7},
	{"empty", "", 0},
};
static const struct spdy_setting SETTINGS[] = {{SPDY_SETTING_INITIAL_WINDOW, 1 << 20}, {4, 100}};

static const struct spdy_frame FRAMES[] = {
	{.type = SPDY_SYN_STREAM, .stream = 1, .associated = 7, .priority = 5, .unidirectional = true, .pairs = PAIRS, .pairs_count = 4},
	{.type = SPDY_SYN_REPLY, .stream = 3, .pairs = PAIRS, .pairs_count = 1, .fin = true},
	{.type = SPDY_SYN_REPLY, .stream = 5},
	{.type = SPDY_RST_STREAM, .stream = 5, .value = SPDY_CANCEL},
	{.type = SPDY_SETTINGS, .settings = SETTINGS, .settings_count = 2},
	{.type = SPDY_PING, .value = 77},
	{.type = SPDY_GOAWAY, .stream = 9, .value = 2},
	{.type = SPDY_HEADERS, .stream = 1, .pairs = PAIRS, .pairs_count = 3, .fin = true},
	{.type = SPDY_WINDOW_UPDATE, .stream = 0, .value = 0x7fffffff},
	{.type = SPDY_WINDOW_UPDATE, .stream = 11, .value = 1},
	{.type = SPDY_DATA, .stream = 1, .data = (const uint8_t *)"hello", .size = 5},
	{.type = SPDY_DATA, .stream = 0x7fffffff, .fin = true},
};

static void assert_same(const struct spdy_frame *a, const struct spdy_frame *b)
{
	ck_assert_int_eq(a->type, b->type);
	ck_assert_uint_eq(a->stream, b->stream);
	ck_assert_uint_eq(a->associated, b->associated);
	ck_assert_uint_eq(a->priority, b->priority);
	ck_assert_int_eq(a->fin, b->fin);
	ck_assert_int_eq(a->unidirectional, b->unidirectional);
	ck_assert_uint_eq(a->value, b->value);
	ck_assert_uint_eq(a->pairs_count, b->pairs_count);
	for (size_t i = 0; i < a->pairs_count; i++) {
		ck_assert_str_eq(a->pairs[i].name, b->pairs[i].name);
		ck_assert_uint_eq(a->pairs[i].value_size, b->pairs[i].value_size);
		ck_assert_mem_eq(a->pairs[i].value, b->pairs[i].value, a->pairs[i].value_size);
	}
	ck_assert_uint_eq(a->settings_count, b->settings_count);
	for (size_t i = 0; i < a->settings_count; i++) {
		ck_assert_uint_eq(a->settings[i].id, b->settings[i].id);
		ck_assert_uint_eq(a->settings[i].value, b->settings[i].value);
	}
	ck_assert_uint_eq(a->size, b->size);
	if (a->size)
		ck_assert_mem_eq(a->data, b->data, a->size);
}

START_TEST(what_is_written_can_be_read)
{
	scoped(spdy_reader_free) struct spdy_reader *reader = new_reader();
	scoped(spdy_writer_free) struct spdy_writer *writer = NULL;
	scoped_done(buf_done) struct buf bytes = {.max = 1 << 20};
	ck_assert_int_eq(spdy_writer_new(&writer), 0);
	for (size_t i = 0; i < ARRAY_COUNT(FRAMES); i++)
		ck_assert_int_eq(spdy_write(writer, &FRAMES[i], &bytes), 0);
	size_t at = 0;
	for (size_t i = 0; i < ARRAY_COUNT(FRAMES); i++) {
		struct spdy_frame frame = {0};
		size_t used = 0;
		ck_assert_int_eq(spdy_read(reader, (const uint8_t *)bytes.data + at, bytes.size - at, &used, &frame, NULL), 1);
		assert_same(&FRAMES[i], &frame);
		at += used;
	}
	ck_assert_uint_eq(at, bytes.size);
}
END_TEST

START_TEST(bytes_may_come_one_by_one)
{
	scoped(spdy_reader_free) struct spdy_reader *reader = new_reader();
	scoped(spdy_writer_free) struct spdy_writer *writer = NULL;
	scoped_done(buf_done) struct buf bytes = {.max = 1 << 20};
	ck_assert_int_eq(spdy_writer_new(&writer), 0);
	ck_assert_int_eq(spdy_write(writer, &FRAMES[0], &bytes), 0);
	size_t control = bytes.size;
	const struct spdy_frame data = {.type = SPDY_DATA, .stream = 1, .fin = true, .data = (const uint8_t *)"ab", .size = 2};
	ck_assert_int_eq(spdy_write(writer, &data, &bytes), 0);
	for (size_t i = 0; i < bytes.size; i++) {
		struct spdy_frame frame = {0};
		int r = read_one(reader, bytes.data + i, 1, &frame, NULL);
		if (i < control + 8) {
			ck_assert_int_eq(r, i == control - 1);
			continue;
		}
		ck_assert_int_eq(r, 1); /* data comes out as it comes in */
		ck_assert_uint_eq(frame.size, 1);
		ck_assert_int_eq(frame.fin, i == bytes.size - 1);
	}
}
END_TEST

START_TEST(unknown_frames_are_skipped)
{
	scoped(spdy_reader_free) struct spdy_reader *reader = new_reader();
	struct spdy_frame frame = {0};
	const uint8_t unknown[] = {0x80, 3, 0, 10, 0, 0, 0, 3, 1, 2, 3, 0x80, 3, 0x12, 0x34, 0xff, 0, 0, 0};
	const uint8_t ping[] = {0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1};
	ck_assert_int_eq(read_one(reader, unknown, sizeof unknown, &frame, NULL), 0);
	ck_assert_int_eq(read_one(reader, ping, sizeof ping, &frame, NULL), 1);
	ck_assert_int_eq(frame.type, SPDY_PING);
	ck_assert_uint_eq(frame.value, 1);
}
END_TEST

static const struct {
	const char *what;
	uint8_t bytes[20];
	size_t size;
	int code;
} BAD[] = {
	{"another version", {0x80, 2, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1}, 12, -EPROTO},
	{"data of stream 0", {0, 0, 0, 0, 0, 0, 0, 1, 'a'}, 9, -EPROTO},
	{"a stream 0", {0x80, 3, 0, 3, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1}, 16, -EPROTO},
	{"a short ping", {0x80, 3, 0, 6, 0, 0, 0, 3, 0, 0, 0}, 11, -EPROTO},
	{"a long ping", {0x80, 3, 0, 6, 0, 0, 0, 5, 0, 0, 0, 1, 0}, 13, -EMSGSIZE},
	{"a window that grows by nothing", {0x80, 3, 0, 9, 0, 0, 0, 8, 0, 0, 0, 1, 0x80, 0, 0, 0}, 16, -EPROTO},
	{"settings of a wrong length", {0x80, 3, 0, 4, 0, 0, 0, 4, 0, 0, 0, 1}, 12, -EPROTO},
	{"settings without end", {0x80, 3, 0, 4, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff}, 12, -EMSGSIZE},
	{"no zlib", {0x80, 3, 0, 2, 0, 0, 0, 8, 0, 0, 0, 1, 'a', 'b', 'c', 'd'}, 16, -EPROTO},
	{"another dictionary", {0x80, 3, 0, 2, 0, 0, 0, 10, 0, 0, 0, 1, 0x78, 0xbb, 1, 2, 3, 4}, 18, -EPROTO},
	{"no headers at all", {0x80, 3, 0, 2, 0, 0, 0, 4, 0, 0, 0, 1}, 12, -EPROTO},
	{"a control frame without end", {0x80, 3, 0, 1, 0, 0xff, 0xff, 0xff}, 8, -EMSGSIZE},
};

START_TEST(what_breaks_the_rules_is_refused)
{
	scoped(spdy_reader_free) struct spdy_reader *reader = new_reader();
	struct spdy_frame frame = {0};
	struct err err = {0};
	size_t used = 0;
	int r = spdy_read(reader, BAD[_i].bytes, BAD[_i].size, &used, &frame, &err);
	ck_assert_msg(r == BAD[_i].code, "%s: %d", BAD[_i].what, r);
	ck_assert_str_eq(err.reason, r == -EPROTO ? "spdy.malformed" : "spdy.limit");
}
END_TEST

/* A SYN_REPLY of stream 1 with this block, compressed by the test itself. */
static void add_block(struct buf *bytes, const void *block, size_t size)
{
	uint8_t packed[8192];
	z_stream stream = {0};
	ck_assert_int_eq(deflateInit(&stream, 9), Z_OK);
	ck_assert_int_eq(deflateSetDictionary(&stream, SPDY_DICTIONARY, SPDY_DICTIONARY_SIZE), Z_OK);
	stream.next_in = (Bytef *)block;
	stream.avail_in = (uInt)size;
	stream.next_out = packed;
	stream.avail_out = sizeof packed;
	ck_assert_int_eq(deflate(&stream, Z_SYNC_FLUSH), Z_OK);
	size_t length = sizeof packed - stream.avail_out;
	(void)deflateEnd(&stream);
	const uint8_t header[] = {0x80, 3, 0, 2, 0, 0, (uint8_t)((length + 4) >> 8), (uint8_t)(length + 4), 0, 0, 0, 1};
	ck_assert_int_eq(buf_add(bytes, header, sizeof header), 0);
	ck_assert_int_eq(buf_add(bytes, packed, length), 0);
}

static int read_block(const void *block, size_t size, struct err *err)
{
	scoped(spdy_reader_free) struct spdy_reader *reader = new_reader();
	scoped_done(buf_done) struct buf bytes = {.max = 1 << 20};
	struct spdy_frame frame = {0};
	size_t used = 0;
	add_block(&bytes, block, size);
	return spdy_read(reader, (const uint8_t *)bytes.data, bytes.size, &used, &frame, err);
}

START_TEST(header_blocks_that_lie_are_refused)
{
	struct err err = {0};
	ck_assert_int_eq(read_block("\0\0\0\1\0\0\0\1a\0\0\0\1b", 14, &err), 1);
	ck_assert_int_eq(read_block("\0\0\0\2\0\0\0\1a\0\0\0\1b", 14, &err), -EPROTO);			    /* fewer than said */
	ck_assert_int_eq(read_block("\0\0\0\1\0\0\0\1a\0\0\0\1b ", 15, &err), -EPROTO);			    /* more */
	ck_assert_int_eq(read_block("\0\0\0\1\0\0\0\1A\0\0\0\1b", 14, &err), -EPROTO);			    /* upper case */
	ck_assert_int_eq(read_block("\0\0\0\1\0\0\0\0\0\0\0\1b", 13, &err), -EPROTO);			    /* no name */
	ck_assert_int_eq(read_block("\0\0\0\1\0\0\0\2a\0\0\0\0\1b", 15, &err), -EPROTO);			    /* a zero in it */
	ck_assert_int_eq(read_block("\0\0\0\1\xff\xff\xff\xff" "a\0\0\0\1b", 14, &err), -EPROTO);		    /* a wild length */
	ck_assert_int_eq(read_block("\0\0\0\2\0\0\0\1a\0\0\0\1b\0\0\0\1a\0\0\0\1b", 24, &err), -EPROTO); /* twice */
	ck_assert_int_eq(read_block("\0\0\0\x41", 4, &err), -EMSGSIZE);
	ck_assert_str_eq(err.reason, "spdy.limit");
}
END_TEST

START_TEST(a_block_that_swells_is_refused)
{
	size_t size = 1 << 20;
	uint8_t *zeros = calloc(1, size);
	ck_assert_ptr_nonnull(zeros);
	memcpy(zeros, "\0\0\0\1\0\0\0\1a\0\xff\xff\xff", 13);
	struct err err = {0};
	ck_assert_int_eq(read_block(zeros, SPDY_HEADERS_MAX + 1, &err), -EMSGSIZE);
	ck_assert_int_eq(read_block(zeros, size, &err), -EMSGSIZE);
	ck_assert_str_eq(err.reason, "spdy.limit");
	free(zeros);
}
END_TEST

START_TEST(a_block_as_large_as_allowed_is_read)
{
	uint8_t *block = calloc(1, SPDY_HEADERS_MAX);
	ck_assert_ptr_nonnull(block);
	size_t value = SPDY_HEADERS_MAX - 13;
	memcpy(block, "\0\0\0\1\0\0\0\1a\0\0", 11);
	block[11] = (uint8_t)(value >> 8);
	block[12] = (uint8_t)value;
	ck_assert_int_eq(read_block(block, SPDY_HEADERS_MAX, NULL), 1);
	free(block);
}
END_TEST

START_TEST(too_much_is_not_written)
{
	scoped(spdy_writer_free) struct spdy_writer *writer = NULL;
	scoped_done(buf_done) struct buf small = {.max = 10};
	struct spdy_pair pairs[SPDY_PAIRS_MAX + 1];
	for (size_t i = 0; i < ARRAY_COUNT(pairs); i++)
		pairs[i] = (struct spdy_pair){"a", "b", 1};
	ck_assert_int_eq(spdy_writer_new(&writer), 0);
	ck_assert_int_eq(spdy_write(writer, &FRAMES[5], &small), -EMSGSIZE);
	ck_assert_uint_eq(small.size, 0);
	ck_assert_int_eq(spdy_write(writer, &(struct spdy_frame){.type = (enum spdy_type)5}, &small), -EINVAL);
	const struct spdy_frame many = {.type = SPDY_SYN_REPLY, .stream = 1, .pairs = pairs, .pairs_count = ARRAY_COUNT(pairs)};
	ck_assert_int_eq(spdy_write(writer, &many, &small), -EINVAL);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, the_dictionary_is_the_specifications);
	tcase_add_test(cases, a_stream_as_the_go_library_opens_it);
	tcase_add_test(cases, what_is_written_can_be_read);
	tcase_add_test(cases, bytes_may_come_one_by_one);
	tcase_add_test(cases, unknown_frames_are_skipped);
	tcase_add_loop_test(cases, what_breaks_the_rules_is_refused, 0, ARRAY_COUNT(BAD));
	tcase_add_test(cases, header_blocks_that_lie_are_refused);
	tcase_add_test(cases, a_block_that_swells_is_refused);
	tcase_add_test(cases, a_block_as_large_as_allowed_is_read);
	tcase_add_test(cases, too_much_is_not_written);
}

TEST_MAIN("spdy", add_tests)
