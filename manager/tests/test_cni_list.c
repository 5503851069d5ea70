#include "manager/src/cni_list.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/base/test_main.h"
#include "core/sys/path.h"

static int parse(const char *text, struct arena *arena, struct cni_list *ret_list, struct err *err)
{
	return cni_list_parse("10-x.conflist", text, strlen(text), arena, ret_list, err);
}

START_TEST(a_list_and_one_plugin_are_both_lists)
{
	static const char *const TEXTS[] = {
		"{\"cniVersion\":\"0.4.0\",\"name\":\"net.1\",\"plugins\":[{\"type\":\"bridge\",\"capabilities\":{\"mac\":true}}]}",
		"{\"cniVersion\":\"0.4.0\",\"name\":\"net.1\",\"type\":\"bridge\",\"capabilities\":{\"mac\":true}}",
	};
	for (size_t i = 0; i < ARRAY_COUNT(TEXTS); i++) {
		struct arena arena = {.max = 1 << 20};
		struct cni_list list = {0};
		ck_assert_int_eq(parse(TEXTS[i], &arena, &list, NULL), 0);
		ck_assert_str_eq(list.name, "net.1");
		ck_assert_str_eq(list.version, "0.4.0");
		ck_assert_uint_eq(list.plugins_count, 1);
		ck_assert_str_eq(list.plugins[0].type, "bridge");
		ck_assert(json_is_true(json_object_get(list.plugins[0].capabilities, "mac")));
		ck_assert(list.may_check && list.may_gc);
		ck_assert(cni_list_speaks(&list, "0.4.0"));
		ck_assert(!cni_list_speaks(&list, "1.0.0"));
		cni_list_done(&list);
		arena_done(&arena);
	}
}
END_TEST

START_TEST(the_highest_version_that_is_known_is_spoken)
{
	struct arena arena = {.max = 1 << 20};
	struct cni_list list = {0};
	ck_assert_int_eq(parse("{\"cniVersion\":\"0.4.0\",\"cniVersions\":[\"1.0.0\",\"1.1.0\",\"2.0.0\"],\"name\":\"a\","
			       "\"disableCheck\":\"true\",\"disableGC\":true,\"plugins\":[{\"type\":\"x\"}]}",
			       &arena, &list, NULL), 0);
	ck_assert_str_eq(list.version, "1.1.0");
	ck_assert(!list.may_check && !list.may_gc);
	cni_list_done(&list);
	arena_done(&arena);
}
END_TEST

static const struct {
	const char *text;
	const char *words;
} REFUSED[] = {
	{"", "10-x.conflist"},
	{"[]", "expected an object"},
	{"{\"cniVersion\":\"1.0.0\",\"plugins\":[{\"type\":\"x\"}]}", "name"},
	{"{\"cniVersion\":\"1.0.0\",\"name\":\"-a\",\"plugins\":[{\"type\":\"x\"}]}", "letter or digit first"},
	{"{\"cniVersion\":\"1.0.0\",\"name\":\"a/b\",\"plugins\":[{\"type\":\"x\"}]}", "letter or digit first"},
	{"{\"cniVersion\":\"1.0.0\",\"name\":\"\",\"plugins\":[{\"type\":\"x\"}]}", "letter or digit first"},
	{"{\"name\":\"a\",\"plugins\":[{\"type\":\"x\"}]}", "expected 0.3.0 to 1.1.0, found none"},
	{"{\"cniVersion\":\"0.2.0\",\"name\":\"a\",\"plugins\":[{\"type\":\"x\"}]}", "found 0.2.0"},
	{"{\"cniVersion\":\"1.0.0\",\"name\":\"a\",\"plugins\":[]}", "expected 1 to 32, found 0"},
	{"{\"cniVersion\":\"1.0.0\",\"name\":\"a\",\"plugins\":[{}]}", "plugins[0].type"},
	{"{\"cniVersion\":\"1.0.0\",\"name\":\"a\",\"plugins\":[{\"type\":\"../x\"}]}", "plugins[0].type"},
	{"{\"cniVersion\":\"1.0.0\",\"name\":\"a\",\"plugins\":[{\"type\":\"..\"}]}", "plugins[0].type"},
	{"{\"cniVersion\":\"1.0.0\",\"name\":\"a\"}", "type"},
};

START_TEST(what_is_wrong_is_named)
{
	struct arena arena = {.max = 1 << 20};
	struct cni_list list = {0};
	struct err err = {0};
	ck_assert_int_eq(parse(REFUSED[_i].text, &arena, &list, &err), -EINVAL);
	ck_assert_msg(strstr(err.message, REFUSED[_i].words) && strstr(err.message, "10-x.conflist"), "%s", err.message);
	arena_done(&arena);
}
END_TEST

static void write_text(const char *folder, const char *name, const char *text)
{
	scoped_free char *path = str_printf("%s/%s", folder, name);
	FILE *file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert(fputs(text, file) >= 0 && fclose(file) == 0);
}

#define NETWORK(name) "{\"cniVersion\":\"1.0.0\",\"name\":\"" name "\",\"type\":\"x\"}"

static int load(const char *folder, const char *network, char ret_name[64], struct err *err)
{
	struct arena arena = {.max = 1 << 20};
	struct cni_list list = {0};
	const char *file = NULL;
	int r = cni_list_load(folder, network, &arena, &list, &file, err);
	if (r == 0)
		(void)snprintf(ret_name, 64, "%s", list.name);
	cni_list_done(&list);
	arena_done(&arena);
	return r;
}

START_TEST(the_first_file_by_its_name_holds)
{
	char folder[] = "/tmp/axle-cni-XXXXXX";
	char name[64] = "";
	struct err err = {0};
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(load("/nonexistent/net.d", NULL, name, &err), -ENOENT);
	ck_assert_int_eq(load(folder, NULL, name, &err), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.message, folder));
	write_text(folder, "20-b.conf", NETWORK("b"));
	write_text(folder, "10-a.json", NETWORK("a"));
	write_text(folder, ".05-hidden.conf", NETWORK("hidden"));
	write_text(folder, "00-not-one.txt", NETWORK("text"));
	ck_assert_int_eq(load(folder, NULL, name, &err), 0);
	ck_assert_str_eq(name, "a");
	ck_assert_int_eq(load(folder, "b", name, &err), 0);
	ck_assert_str_eq(name, "b");
	ck_assert_int_eq(load(folder, "c", name, &err), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.message, "\"c\""));
	/* a broken one is no reason to give pods another network; one that was asked for by name is found all the same */
	write_text(folder, "05-broken.conflist", "{");
	ck_assert_int_eq(load(folder, NULL, name, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.message, "05-broken.conflist"));
	ck_assert_int_eq(load(folder, "b", name, &err), 0);
	ck_assert_int_eq(load(folder, "c", name, &err), -EINVAL);
	/* nobody reads a pipe to its end */
	scoped_free char *fifo = str_printf("%s/01-pipe.conf", folder);
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	ck_assert_int_eq(load(folder, NULL, name, &err), -EINVAL);
	ck_assert_int_eq(path_remove_tree(AT_FDCWD, folder, NULL), 0);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, a_list_and_one_plugin_are_both_lists);
	tcase_add_test(cases, the_highest_version_that_is_known_is_spoken);
	tcase_add_loop_test(cases, what_is_wrong_is_named, 0, ARRAY_COUNT(REFUSED));
	tcase_add_test(cases, the_first_file_by_its_name_holds);
}

TEST_MAIN("cni-list", add_tests)
