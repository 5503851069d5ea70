#include "image/src/wire.h"

#include <errno.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/test_main.h"

START_TEST(a_line_of_progress_comes_back_as_it_was)
{
	struct image_progress sent = {.event = IMAGE_PROGRESS_LAYER,
				      .state = IMAGE_LAYER_DOWNLOADING,
				      .digest = "sha256:x",
				      .done = 1,
				      .total = UINT64_C(1) << 40};
	scoped_done(buf_done) struct buf line = {.max = WIRE_LINE_MAX};
	ck_assert_int_eq(wire_progress_encode(&sent, &line), 0);
	ck_assert_int_eq(line.data[line.size - 1], '\n');
	ck_assert_ptr_null(memchr(line.data, '\n', line.size - 1));
	scoped_done(arena_done) struct arena arena = {.max = 65536};
	struct image_progress got;
	ck_assert_int_eq(wire_progress_decode(line.data, line.size - 1, &arena, &got), 0);
	ck_assert_int_eq(got.event, sent.event);
	ck_assert_int_eq(got.state, sent.state);
	ck_assert_str_eq(got.digest, sent.digest);
	ck_assert_uint_eq(got.total, sent.total);
}
END_TEST

START_TEST(an_error_with_any_bytes_is_a_line)
{
	struct image_progress sent = {
		.event = IMAGE_PROGRESS_ERROR, .reason = "image.malformed", .message = "a\nb\xff", .code = -EBADMSG};
	scoped_done(buf_done) struct buf line = {.max = WIRE_LINE_MAX};
	ck_assert_int_eq(wire_progress_encode(&sent, &line), 0);
	ck_assert_ptr_eq(memchr(line.data, '\n', line.size), line.data + line.size - 1);
	scoped_done(arena_done) struct arena arena = {.max = 65536};
	struct image_progress got;
	ck_assert_int_eq(wire_progress_decode(line.data, line.size - 1, &arena, &got), 0);
	ck_assert_int_eq(got.code, -EBADMSG);
}
END_TEST

static const char *const REFUSED[] = {
	"", "{}", "{\"v\":1}", "{\"v\":2,\"event\":\"done\"}", "{\"v\":1,\"event\":\"other\"}",
	"{\"v\":1,\"event\":\"layer\",\"state\":\"other\"}", "{\"v\":1,\"event\":\"done\",\"total\":-1}", "text",
};

START_TEST(lines_that_are_none_of_ours)
{
	scoped_done(arena_done) struct arena arena = {.max = 65536};
	struct image_progress got;
	ck_assert_int_eq(wire_progress_decode(REFUSED[_i], strlen(REFUSED[_i]), &arena, &got), -EPROTO);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, a_line_of_progress_comes_back_as_it_was);
	tcase_add_test(cases, an_error_with_any_bytes_is_a_line);
	tcase_add_loop_test(cases, lines_that_are_none_of_ours, 0, ARRAY_COUNT(REFUSED));
}

TEST_MAIN("wire", add_tests)
