#include "core/codec/zstream.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/test_main.h"

#define PLAIN_SIZE 700001

static int collect(void *user, const void *bytes, size_t size, struct err *err)
{
	(void)err;
	return buf_add(user, bytes, size);
}

/* Text that compresses, but not to nothing. */
static char *plain_text(void)
{
	char *text = malloc(PLAIN_SIZE);
	ck_assert_ptr_nonnull(text);
	unsigned value = 1;
	for (size_t i = 0; i < PLAIN_SIZE; i++) {
		value = value * 1103515245 + 12345;
		text[i] = (char)('a' + (value >> 16) % 20);
	}
	return text;
}

static void gzip(const char *plain, size_t size, struct buf *ret_bytes)
{
	z_stream stream = {0};
	ck_assert_int_eq(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	char *tail;
	uLong bound = deflateBound(&stream, size);
	ck_assert_int_eq(buf_reserve(ret_bytes, bound, &tail), 0);
	stream.next_in = (Bytef *)(uintptr_t)plain;
	stream.avail_in = (uInt)size;
	stream.next_out = (Bytef *)tail;
	stream.avail_out = (uInt)bound;
	ck_assert_int_eq(deflate(&stream, Z_FINISH), Z_STREAM_END);
	buf_claim(ret_bytes, stream.total_out);
	(void)deflateEnd(&stream);
}

static void zstandard(const char *plain, size_t size, struct buf *ret_bytes)
{
	char *tail;
	size_t bound = ZSTD_compressBound(size);
	ck_assert_int_eq(buf_reserve(ret_bytes, bound, &tail), 0);
	size_t made = ZSTD_compress(tail, bound, plain, size, 3);
	ck_assert(!ZSTD_isError(made));
	buf_claim(ret_bytes, made);
}

static void none(const char *plain, size_t size, struct buf *ret_bytes)
{
	ck_assert_int_eq(buf_add(ret_bytes, plain, size), 0);
}

static void (*const COMPRESS[])(const char *plain, size_t size, struct buf *ret_bytes) = {
	[ZSTREAM_NONE] = none, [ZSTREAM_GZIP] = gzip, [ZSTREAM_ZSTD] = zstandard};

/* Decompresses in pieces of @piece bytes. Returns the first error, of finish too. */
static int inflate_in_pieces(enum zstream_format format, const struct buf *bytes, size_t piece, struct buf *ret_plain,
			     struct err *err)
{
	scoped(zstream_free) struct zstream *stream = NULL;
	ck_assert_int_eq(zstream_new(format, collect, ret_plain, &stream), 0);
	for (size_t at = 0; at < bytes->size; at += piece) {
		size_t size = bytes->size - at < piece ? bytes->size - at : piece;
		int r = zstream_push(stream, bytes->data + at, size, err);
		if (r < 0)
			return r;
	}
	return zstream_finish(stream, err);
}

static const size_t PIECES[] = {1, 7, 4096, 1 << 20};

/* Two members or frames behind one another, as pigz, eStargz and `cat` make them. */
START_TEST(members_come_out_whole_whatever_the_pieces)
{
	enum zstream_format format = (enum zstream_format)(_i % 3);
	size_t piece = PIECES[_i / 3];
	scoped_free char *plain = plain_text();
	scoped_done(buf_done) struct buf bytes = {.max = 4 * PLAIN_SIZE};
	scoped_done(buf_done) struct buf got = {.max = 4 * PLAIN_SIZE};
	COMPRESS[format](plain, 1000, &bytes);
	COMPRESS[format](plain + 1000, PLAIN_SIZE - 1000, &bytes);
	ck_assert_int_eq(inflate_in_pieces(format, &bytes, piece, &got, NULL), 0);
	ck_assert_uint_eq(got.size, PLAIN_SIZE);
	ck_assert_int_eq(memcmp(got.data, plain, PLAIN_SIZE), 0);
}
END_TEST

START_TEST(cut_data_is_told)
{
	enum zstream_format format = (enum zstream_format)_i;
	scoped_free char *plain = plain_text();
	scoped_done(buf_done) struct buf bytes = {.max = 4 * PLAIN_SIZE};
	COMPRESS[format](plain, PLAIN_SIZE, &bytes);
	const size_t cuts[] = {0, 1, 5, bytes.size / 2, bytes.size - 8, bytes.size - 1};
	for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
		scoped_done(buf_done) struct buf got = {.max = 4 * PLAIN_SIZE};
		struct buf cut = bytes;
		cut.size = cuts[i];
		struct err err = {0};
		ck_assert_int_eq(inflate_in_pieces(format, &cut, 1000, &got, &err), -EBADMSG);
		ck_assert_str_eq(err.reason, "zstream.truncated");
	}
}
END_TEST

START_TEST(damaged_data_is_told)
{
	enum zstream_format format = (enum zstream_format)_i;
	scoped_free char *plain = plain_text();
	scoped_done(buf_done) struct buf bytes = {.max = 4 * PLAIN_SIZE};
	scoped_done(buf_done) struct buf got = {.max = 64 * PLAIN_SIZE};
	COMPRESS[format](plain, PLAIN_SIZE, &bytes);
	if (format == ZSTREAM_GZIP)
		bytes.data[bytes.size - 6] ^= 1; /* its checksum */
	else
		bytes.data[bytes.size / 2] ^= 1;
	struct err err = {0};
	int r = inflate_in_pieces(format, &bytes, 4096, &got, &err);
	bool same = r == 0 && got.size == PLAIN_SIZE && memcmp(got.data, plain, PLAIN_SIZE) == 0;
	ck_assert(!same); /* zstd without a checksum may give other bytes: the layer's digest tells */
	if (format == ZSTREAM_GZIP)
		ck_assert_int_eq(r, -EBADMSG);
}
END_TEST

START_TEST(garbage_behind_a_member_is_told)
{
	enum zstream_format format = (enum zstream_format)_i;
	scoped_done(buf_done) struct buf bytes = {.max = PLAIN_SIZE};
	scoped_done(buf_done) struct buf got = {.max = PLAIN_SIZE};
	COMPRESS[format]("hello", 5, &bytes);
	ck_assert_int_eq(buf_add_text(&bytes, "this is nothing compressed"), 0);
	ck_assert_int_eq(inflate_in_pieces(format, &bytes, 4096, &got, NULL), -EBADMSG);
}
END_TEST

START_TEST(formats_are_told_by_their_first_bytes)
{
	ck_assert_int_eq(zstream_detect("\x1f\x8b\x08\x00", 4), ZSTREAM_GZIP);
	ck_assert_int_eq(zstream_detect("\x28\xb5\x2f\xfd", 4), ZSTREAM_ZSTD);
	ck_assert_int_eq(zstream_detect("\x28\xb5\x2f", 3), ZSTREAM_NONE);
	ck_assert_int_eq(zstream_detect("file", 4), ZSTREAM_NONE);
	ck_assert_int_eq(zstream_detect("", 0), ZSTREAM_NONE);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_loop_test(cases, members_come_out_whole_whatever_the_pieces, 0, 12);
	tcase_add_loop_test(cases, cut_data_is_told, ZSTREAM_GZIP, ZSTREAM_ZSTD + 1);
	tcase_add_loop_test(cases, damaged_data_is_told, ZSTREAM_GZIP, ZSTREAM_ZSTD + 1);
	tcase_add_loop_test(cases, garbage_behind_a_member_is_told, ZSTREAM_GZIP, ZSTREAM_ZSTD + 1);
	tcase_add_test(cases, formats_are_told_by_their_first_bytes);
}

TEST_MAIN("zstream", add_tests)
