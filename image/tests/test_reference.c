#include <errno.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/test_main.h"
#include "image/include/axle/image.h"

#define DIGEST "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const struct {
	const char *text;
	const char *canonical;
} ACCEPTED[] = {
	{"busybox", "docker.io/library/busybox:latest"},
	{"busybox:1.36", "docker.io/library/busybox:1.36"},
	{"library/busybox", "docker.io/library/busybox:latest"},
	{"user/app", "docker.io/user/app:latest"},
	{"docker.io/busybox", "docker.io/library/busybox:latest"},
	{"index.docker.io/busybox", "docker.io/library/busybox:latest"},
	{"localhost/app", "localhost/app:latest"},
	{"localhost:5000/app", "localhost:5000/app:latest"},
	{"localhost:5000/a/b/c:t", "localhost:5000/a/b/c:t"},
	{"quay.io/x/y", "quay.io/x/y:latest"},
	{"HOST.example:443/x", "HOST.example:443/x:latest"},
	{"[::1]:5000/x", "[::1]:5000/x:latest"},
	{"127.0.0.1:80/x@" DIGEST, "127.0.0.1:80/x@" DIGEST},
	{"x:tag@" DIGEST, "docker.io/library/x:tag@" DIGEST},
	{"a__b/c-d--e/f.g", "docker.io/a__b/c-d--e/f.g:latest"},
	{"x:_A.b-9", "docker.io/library/x:_A.b-9"},
};

START_TEST(is_read_as_docker_reads_it)
{
	struct image_reference reference;
	struct err err = {0};
	int r = image_reference_parse(ACCEPTED[_i].text, &reference, &err);
	ck_assert_msg(r == 0, "%s", err.message);
	char text[IMAGE_REFERENCE_MAX];
	image_reference_format(&reference, text);
	ck_assert_str_eq(text, ACCEPTED[_i].canonical);
	struct image_reference again;
	ck_assert_int_eq(image_reference_parse(text, &again, NULL), 0);
	ck_assert_int_eq(memcmp(&again, &reference, sizeof again), 0);
}
END_TEST

static const struct {
	const char *text;
	const char *says;
} REFUSED[] = {
	{NULL, "empty"},
	{"", "empty"},
	{"Busybox", "lower case"},
	{"quay.io/Upper/x", "lower case"},
	{"x:", "tag"},
	{"x:-a", "tag"},
	{"x:a b", "tag"},
	{"x@sha256:123", "digest"},
	{"x@", "digest"},
	{"a//b", "parts"},
	{"/x", "parts"},
	{"x/", "parts"},
	{"a..b", "parts"},
	{"a___b", "parts"},
	{"-a", "parts"},
	{"../x", "registry"},
	{"host:99999/x", "registry"},
	{"host:/x", "registry"},
	{"[x]/y", "registry"},
	{"a.b:1:2/x", "registry"},
};

START_TEST(is_refused_with_what_was_expected)
{
	struct image_reference reference = {.tag = "kept"};
	struct err err = {0};
	ck_assert_int_eq(image_reference_parse(REFUSED[_i].text, &reference, &err), -EINVAL);
	ck_assert_str_eq(err.reason, "reference.malformed");
	ck_assert_msg(strstr(err.message, REFUSED[_i].says) != NULL, "%s", err.message);
	ck_assert_str_eq(reference.tag, "kept");
}
END_TEST

START_TEST(the_longest_parts_fit_and_longer_ones_do_not)
{
	char text[400] = "r.example/";
	memset(text + 10, 'a', 255);
	struct image_reference reference;
	ck_assert_int_eq(image_reference_parse(text, &reference, NULL), 0);
	text[265] = 'a';
	ck_assert_int_eq(image_reference_parse(text, &reference, NULL), -EINVAL);
	memcpy(text, "x:", 2);
	memset(text + 2, 't', 128);
	text[130] = '\0';
	ck_assert_int_eq(image_reference_parse(text, &reference, NULL), 0);
	memcpy(text + 130, "t", 2);
	ck_assert_int_eq(image_reference_parse(text, &reference, NULL), -EINVAL);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_loop_test(cases, is_read_as_docker_reads_it, 0, ARRAY_COUNT(ACCEPTED));
	tcase_add_loop_test(cases, is_refused_with_what_was_expected, 0, ARRAY_COUNT(REFUSED));
	tcase_add_test(cases, the_longest_parts_fit_and_longer_ones_do_not);
}

TEST_MAIN("reference", add_tests)
