#include "core/codec/json.h"

#include <check.h>
#include <errno.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/test_main.h"

struct mount {
	const char *path;
	const char *const *options;
	const uint32_t *mode;
};

struct sample {
	bool on;
	int64_t big;
	uint64_t huge;
	uint32_t small;
	const char *name;
	struct mount root;
	const struct mount *extra;
	struct mount *mounts;
	size_t mounts_count;
	struct mount *places; /* by key */
	size_t places_count;
	struct json_pair *labels;
	size_t labels_count;
	const uint32_t *gids;
	size_t gids_count;
};

static const struct json_field MOUNT_FIELDS[] = {
	JSON_FIELD(struct mount, path, "path", JSON_STRING_T, 0),
	JSON_FIELD(struct mount, options, "options", JSON_STRINGS, 0),
	JSON_FIELD(struct mount, mode, "mode", JSON_U32_OPT, 0),
};
static const struct json_table MOUNT = JSON_TABLE_STRICT(struct mount, MOUNT_FIELDS);

static const struct json_field SAMPLE_FIELDS[] = {
	JSON_FIELD(struct sample, on, "on", JSON_BOOL_T, 0),
	JSON_FIELD(struct sample, big, "big", JSON_I64, 0),
	JSON_FIELD(struct sample, huge, "huge", JSON_U64, 0),
	JSON_FIELD(struct sample, small, "small", JSON_U32, 0),
	JSON_FIELD(struct sample, name, "name", JSON_STRING_T, JSON_REQUIRED),
	JSON_NESTED(struct sample, root, "root", JSON_STRUCT, &MOUNT, 0),
	JSON_NESTED(struct sample, extra, "extra", JSON_STRUCT_OPT, &MOUNT, 0),
	JSON_NESTED_COUNTED(struct sample, mounts, "mounts", JSON_STRUCTS, &MOUNT, 0),
	JSON_NESTED_COUNTED(struct sample, places, "places", JSON_STRUCT_MAP, &MOUNT, 0),
	JSON_COUNTED(struct sample, labels, "labels", JSON_PAIRS, 0),
	JSON_COUNTED(struct sample, gids, "gids", JSON_U32S, 0),
};
static const struct json_table SAMPLE = JSON_TABLE(struct sample, SAMPLE_FIELDS);

static int decode(const char *text, struct arena *arena, struct sample *ret_sample, struct err *err)
{
	return json_decode("sample", text, strlen(text), &SAMPLE, arena, ret_sample, err);
}

#define FULL                                                                                                           \
	"{\"on\":true,\"big\":-9223372036854775808,\"huge\":18446744073709551615,\"small\":4294967295,"                \
	"\"name\":\"a\\\"\\n\xc3\xa9\",\"root\":{\"path\":\"/\"},\"extra\":{\"options\":[\"ro\",\"nosuid\"],\"mode\":0}," \
	"\"mounts\":[{\"path\":\"/a\"},{\"path\":\"/b\"}],\"labels\":{\"k\":\"v\"},\"gids\":[1,2]}"

START_TEST(decodes_every_type_and_encodes_it_to_the_same_text)
{
	struct arena arena = {.max = 65536};
	struct sample sample = {0};
	struct err err = {0};
	ck_assert_msg(decode(FULL, &arena, &sample, &err) == 0, "%s", err.message);
	ck_assert(sample.on);
	ck_assert_int_eq(sample.big, INT64_MIN);
	ck_assert_uint_eq(sample.huge, UINT64_MAX);
	ck_assert_str_eq(sample.extra->options[1], "nosuid");
	ck_assert_ptr_null(sample.extra->options[2]);
	ck_assert_uint_eq(*sample.extra->mode, 0);
	ck_assert_uint_eq(sample.mounts_count, 2);
	ck_assert_str_eq(sample.labels[0].value, "v");
	ck_assert_uint_eq(sample.gids[1], 2);

	struct buf text = {.max = 65536};
	ck_assert_int_eq(json_encode(&SAMPLE, &sample, &text), 0);
	ck_assert_str_eq(text.data, FULL);
	buf_done(&text);
	arena_done(&arena);
}
END_TEST

START_TEST(a_map_of_structs_takes_the_key_as_first_member)
{
	struct arena arena = {.max = 65536};
	struct sample sample = {0};
	ck_assert_int_eq(decode("{\"name\":\"x\",\"places\":{\"/etc\":{\"mode\":7}}}", &arena, &sample, NULL), 0);
	ck_assert_uint_eq(sample.places_count, 1);
	ck_assert_str_eq(sample.places[0].path, "/etc");
	ck_assert_uint_eq(*sample.places[0].mode, 7);
	arena_done(&arena);
}
END_TEST

START_TEST(absent_and_null_members_leave_the_defaults)
{
	struct arena arena = {.max = 65536};
	struct sample sample = {.small = 5, .on = true};
	ck_assert_int_eq(decode("{\"name\":\"x\",\"small\":null,\"unknown\":[{}]}", &arena, &sample, NULL), 0);
	ck_assert_uint_eq(sample.small, 5);
	ck_assert(sample.on);
	ck_assert_ptr_null(sample.extra);
	arena_done(&arena);
}
END_TEST

static const struct {
	const char *text;
	const char *message;
} REFUSED[] = {
	{"", "sample: line 1, column 0: unexpected token near end of file"},
	{"[]", "sample: (document): expected an object, found a list"},
	{"{}", "sample: name: expected a value (it is required), found null"},
	{"{\"name\":7}", "sample: name: expected a string, found 7"},
	{"{\"name\":\"a\\u0000b\"}", "sample: name: expected a string without zero bytes, found \"a\""},
	{"{\"name\":\"x\",\"name\":\"y\"}", NULL},
	{"{\"name\":\"x\",\"small\":4294967296}",
	 "sample: small: expected a whole number from 0 to 4294967295, found 4294967296"},
	{"{\"name\":\"x\",\"small\":-1}", "sample: small: expected a whole number from 0 to 4294967295, found -1"},
	{"{\"name\":\"x\",\"small\":1.0}", "sample: small: expected a whole number from 0 to 4294967295, found 1"},
	{"{\"name\":\"x\",\"huge\":18446744073709551616}", NULL},
	{"{\"name\":\"x\",\"big\":9223372036854775808}", NULL},
	{"{\"name\":\"x\",\"mounts\":[{},{\"options\":[\"a\",2]}]}",
	 "sample: mounts[1].options[1]: expected a string, found 2"},
	{"{\"name\":\"x\",\"root\":{\"pth\":\"/\"}}", "sample: root.pth: unknown key"},
	{"{\"name\":\"x\"} x", NULL},
};

START_TEST(refuses_what_does_not_fit_and_says_where)
{
	struct arena arena = {.max = 65536};
	struct sample sample = {0};
	struct err err = {0};
	ck_assert_int_eq(decode(REFUSED[_i].text, &arena, &sample, &err), -EINVAL);
	ck_assert_int_eq(err.code, -EINVAL);
	if (REFUSED[_i].message)
		ck_assert_str_eq(err.message, REFUSED[_i].message);
	arena_done(&arena);
}
END_TEST

START_TEST(refuses_deep_nesting)
{
	char text[2 * (JSON_DEPTH_MAX + 1) + 1] = {0};
	memset(text, '[', JSON_DEPTH_MAX + 1);
	memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
	json_t *value = NULL;
	struct err err = {0};
	ck_assert_int_eq(json_parse("deep", text, strlen(text), &value, &err), -EINVAL);
	ck_assert_int_eq(json_parse("deep", text + 1, strlen(text) - 2, &value, &err), 0);
	json_decref(value);
}
END_TEST

START_TEST(a_document_larger_than_the_arena_is_out_of_memory)
{
	struct arena arena = {.max = 64};
	struct sample sample = {0};
	ck_assert_int_eq(decode(FULL, &arena, &sample, NULL), -ENOMEM);
	arena_done(&arena);
}
END_TEST

START_TEST(quotes_text_and_replaces_invalid_bytes)
{
	struct buf text = {.max = 256};
	ck_assert_int_eq(json_add_string(&text, "a\"b\\\x01\xff\xc3\xa9\xe2\x82"), 0);
	ck_assert_str_eq(text.data, "\"a\\\"b\\\\\\u0001\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\"");
	buf_done(&text);
}
END_TEST

START_TEST(an_encoding_that_does_not_fit_leaves_the_buffer_alone)
{
	struct buf text = {.max = 8};
	ck_assert_int_eq(buf_add_text(&text, "abc"), 0);
	struct sample sample = {.name = "long enough"};
	ck_assert_int_eq(json_encode(&SAMPLE, &sample, &text), -EMSGSIZE);
	ck_assert_str_eq(text.data, "abc");
	buf_done(&text);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, decodes_every_type_and_encodes_it_to_the_same_text);
	tcase_add_test(cases, a_map_of_structs_takes_the_key_as_first_member);
	tcase_add_test(cases, absent_and_null_members_leave_the_defaults);
	tcase_add_loop_test(cases, refuses_what_does_not_fit_and_says_where, 0, ARRAY_COUNT(REFUSED));
	tcase_add_test(cases, refuses_deep_nesting);
	tcase_add_test(cases, a_document_larger_than_the_arena_is_out_of_memory);
	tcase_add_test(cases, quotes_text_and_replaces_invalid_bytes);
	tcase_add_test(cases, an_encoding_that_does_not_fit_leaves_the_buffer_alone);
}

TEST_MAIN("json", add_tests)
