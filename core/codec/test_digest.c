#include "core/codec/digest.h"

#include <errno.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/test_main.h"

#define EMPTY_SHA256 "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ABC_SHA256 "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

START_TEST(parse_then_format_gives_the_same_text)
{
	struct digest digest;
	ck_assert_int_eq(digest_parse_text(EMPTY_SHA256, &digest, NULL), 0);
	char text[DIGEST_TEXT_MAX];
	digest_format(&digest, text);
	ck_assert_str_eq(text, EMPTY_SHA256);
	digest_format_hex(&digest, text);
	ck_assert_str_eq(text, &EMPTY_SHA256[7]);
	ck_assert_str_eq(digest_algorithm_name(&digest), "sha256");
}
END_TEST

static const struct {
	const char *text;
	int code;
	const char *reason;
} REFUSED[] = {
	{"", -EINVAL, "digest.malformed"},
	{NULL, -EINVAL, "digest.malformed"},
	{":e3b0", -EINVAL, "digest.malformed"},
	{"sha256", -EINVAL, "digest.malformed"},
	{"sha256:", -EINVAL, "digest.malformed"},
	{"sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855", -EINVAL, "digest.malformed"},
	{EMPTY_SHA256 "0", -EINVAL, "digest.malformed"},
	{"sha256:../../../etc/passwd/////////////////////////////////////////////", -EINVAL, "digest.malformed"},
	{"md5:d41d8cd98f00b204e9800998ecf8427e", -ENOTSUP, "digest.algorithm"},
};

START_TEST(refuses_what_is_no_digest_and_leaves_the_result_alone)
{
	struct digest digest = {.algorithm = DIGEST_SHA512, .bytes = {42}};
	struct digest before = digest;
	struct err err = {0};
	int r = digest_parse_text(REFUSED[_i].text, &digest, &err);
	ck_assert_int_eq(r, REFUSED[_i].code);
	ck_assert_int_eq(err.code, r);
	ck_assert_str_eq(err.reason, REFUSED[_i].reason);
	ck_assert(digest_equal(&digest, &before));
}
END_TEST

START_TEST(pieces_have_the_digest_of_the_whole_and_the_digester_begins_again)
{
	scoped(digester_free) struct digester *digester = NULL;
	ck_assert_int_eq(digester_new(DIGEST_SHA256, &digester), 0);
	struct digest got, whole;
	digester_add(digester, "a", 1);
	digester_add(digester, "bc", 2);
	digester_finish(digester, &got);
	char text[DIGEST_TEXT_MAX];
	digest_format(&got, text);
	ck_assert_str_eq(text, ABC_SHA256);
	ck_assert_int_eq(digest_of(DIGEST_SHA256, "abc", 3, &whole), 0);
	ck_assert(digest_equal(&got, &whole));
	digester_finish(digester, &got);
	digest_format(&got, text);
	ck_assert_str_eq(text, EMPTY_SHA256);
}
END_TEST

START_TEST(another_algorithm_is_another_digest)
{
	struct digest a, b;
	ck_assert_int_eq(digest_of(DIGEST_SHA256, "", 0, &a), 0);
	ck_assert_int_eq(digest_of(DIGEST_SHA512, "", 0, &b), 0);
	ck_assert(!digest_equal(&a, &b));
	char text[DIGEST_TEXT_MAX];
	digest_format(&b, text);
	ck_assert_uint_eq(strlen(text), DIGEST_TEXT_MAX - 1);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, parse_then_format_gives_the_same_text);
	tcase_add_loop_test(cases, refuses_what_is_no_digest_and_leaves_the_result_alone, 0, ARRAY_COUNT(REFUSED));
	tcase_add_test(cases, pieces_have_the_digest_of_the_whole_and_the_digester_begins_again);
	tcase_add_test(cases, another_algorithm_is_another_digest);
}

TEST_MAIN("digest", add_tests)
