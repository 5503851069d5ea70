#include "manager/src/cni_result.h"

#include <errno.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/base/test_main.h"

static const char BRIDGE[] =
	"{\"cniVersion\":\"1.0.0\",\"interfaces\":[{\"name\":\"br0\"},{\"name\":\"eth0\",\"sandbox\":\"/run/ns/a\"},"
	"{\"name\":\"net1\",\"sandbox\":\"/run/ns/a\"}],\"ips\":[{\"address\":\"10.9.0.9/24\",\"interface\":0},"
	"{\"address\":\"10.1.0.2/24\",\"interface\":1,\"gateway\":\"10.1.0.1\"},{\"address\":\"fd00::2/64\",\"interface\":1},"
	"{\"address\":\"10.2.0.2/24\",\"interface\":2}],"
	"\"dns\":{\"nameservers\":[\"10.0.0.53\"],\"search\":[\"a.b\"]},\"more\":7}";

static int parse(const char *text, const char *version, struct arena *arena, struct cni_result *ret_result,
		 json_t **ret_document, struct err *err)
{
	return cni_result_parse("result", text, strlen(text), version, arena, ret_result, ret_document, err);
}

START_TEST(the_addresses_of_the_interface_are_the_pods)
{
	struct arena arena = {.max = 1 << 20};
	struct cni_result result = {0};
	json_t *document = NULL;
	const char **texts = NULL;
	size_t count = 0;
	ck_assert_int_eq(parse(BRIDGE, "1.0.0", &arena, &result, &document, NULL), 0);
	ck_assert_str_eq(result.dns.nameservers[0], "10.0.0.53");
	ck_assert_int_eq(cni_result_addresses(&result, "eth0", &arena, &texts, &count), 0);
	ck_assert_uint_eq(count, 2);
	ck_assert_str_eq(texts[0], "10.1.0.2");
	ck_assert_str_eq(texts[1], "fd00::2");
	ck_assert_ptr_nonnull(json_object_get(document, "more"));
	json_decref(document);
	arena_done(&arena);
}
END_TEST

START_TEST(addresses_on_no_interface_in_particular_are_the_pods)
{
	struct arena arena = {.max = 1 << 20};
	struct cni_result result = {0};
	json_t *document = NULL;
	const char **texts = NULL;
	size_t count = 0;
	ck_assert_int_eq(parse("{\"ips\":[{\"address\":\"10.1.0.2/24\"}]}", "1.0.0", &arena, &result, &document, NULL), 0);
	ck_assert_int_eq(cni_result_addresses(&result, "eth0", &arena, &texts, &count), 0);
	ck_assert_uint_eq(count, 1);
	json_decref(document);
	arena_done(&arena);
}
END_TEST

/* What a plugin of one version says is handed to the next in the list's. */
START_TEST(a_result_is_spelled_in_the_lists_version)
{
	static const struct {
		const char *version;
		const char *of_first;
		const char *of_second;
	} CASES[] = {{"0.4.0", "4", "6"}, {"1.0.0", NULL, NULL}};
	static const char *const TEXTS[] = {
		"{\"cniVersion\":\"1.0.0\",\"ips\":[{\"address\":\"10.1.0.2/24\"},{\"address\":\"fd00::2/64\"}]}",
		"{\"cniVersion\":\"0.3.1\",\"ips\":[{\"version\":\"4\",\"address\":\"10.1.0.2/24\"},"
		"{\"version\":\"6\",\"address\":\"fd00::2/64\"}]}",
	};
	for (size_t i = 0; i < ARRAY_COUNT(CASES); i++)
		for (size_t j = 0; j < ARRAY_COUNT(TEXTS); j++) {
			struct arena arena = {.max = 1 << 20};
			struct cni_result result = {0};
			json_t *document = NULL;
			ck_assert_int_eq(parse(TEXTS[j], CASES[i].version, &arena, &result, &document, NULL), 0);
			const json_t *ips = json_object_get(document, "ips");
			const char *versions[] = {json_string_value(json_object_get(json_array_get(ips, 0), "version")),
						  json_string_value(json_object_get(json_array_get(ips, 1), "version"))};
			ck_assert(str_equal(versions[0], CASES[i].of_first) && str_equal(versions[1], CASES[i].of_second));
			ck_assert_str_eq(json_string_value(json_object_get(document, "cniVersion")), CASES[i].version);
			json_decref(document);
			arena_done(&arena);
		}
}
END_TEST

static const struct {
	const char *text;
	const char *words;
} REFUSED[] = {
	{"", "result"},
	{"7", "expected an object"},
	{"{\"ips\":7}", "ips"},
	{"{\"ips\":[{}]}", "ips[0].address"},
	{"{\"ips\":[{\"address\":\"10.1.0.2\"}]}", "prefix length, found \"10.1.0.2\""},
	{"{\"ips\":[{\"address\":\"10.1.0.2/33\"}]}", "10.1.0.2/33"},
	{"{\"ips\":[{\"address\":\"fd00::2/129\"}]}", "fd00::2/129"},
	{"{\"ips\":[{\"address\":\"10.1.0.256/24\"}]}", "10.1.0.256"},
	{"{\"ips\":[{\"address\":\"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb/64\"}]}", "ips[0].address"},
	{"{\"ips\":[{\"address\":\"10.1.0.2/24\",\"interface\":0}]}", "ips[0].interface: 0"},
	{"{\"interfaces\":[{}],\"ips\":[{\"address\":\"10.1.0.2/24\",\"interface\":-1}]}", "ips[0].interface: -1"},
};

START_TEST(what_is_no_result_is_named)
{
	struct arena arena = {.max = 1 << 20};
	struct cni_result result = {0};
	json_t *document = NULL;
	struct err err = {0};
	ck_assert_int_eq(parse(REFUSED[_i].text, "1.0.0", &arena, &result, &document, &err), -EINVAL);
	ck_assert_msg(strstr(err.message, REFUSED[_i].words) != NULL, "%s", err.message);
	arena_done(&arena);
}
END_TEST

START_TEST(failures_and_versions_are_read)
{
	static const char FAILED[] = "{\"cniVersion\":\"1.0.0\",\"code\":11,\"msg\":\"try later\",\"details\":\"no lease\"}";
	static const char KNOWN[] = "{\"cniVersion\":\"1.1.0\",\"supportedVersions\":[\"1.0.0\",\"1.1.0\"]}";
	struct arena arena = {.max = 1 << 20};
	struct cni_failure failure = {0};
	ck_assert_int_eq(cni_failure_parse(FAILED, strlen(FAILED), &arena, &failure), 0);
	ck_assert_int_eq(failure.code, 11);
	ck_assert_str_eq(failure.message, "try later");
	ck_assert_str_eq(failure.details, "no lease");
	ck_assert_int_eq(cni_failure_parse("panic", 5, &arena, &failure), -EINVAL);
	ck_assert_int_eq(cni_failure_parse("{}", 2, &arena, &failure), -EINVAL);
	ck_assert(cni_versions_have(KNOWN, strlen(KNOWN), "1.1.0"));
	ck_assert(!cni_versions_have(KNOWN, strlen(KNOWN), "0.4.0"));
	ck_assert(!cni_versions_have("", 0, "1.1.0"));
	arena_done(&arena);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, the_addresses_of_the_interface_are_the_pods);
	tcase_add_test(cases, addresses_on_no_interface_in_particular_are_the_pods);
	tcase_add_test(cases, a_result_is_spelled_in_the_lists_version);
	tcase_add_loop_test(cases, what_is_no_result_is_named, 0, ARRAY_COUNT(REFUSED));
	tcase_add_test(cases, failures_and_versions_are_read);
}

TEST_MAIN("cni-result", add_tests)
