#include "manager/src/config.h"

#include <errno.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/test_main.h"

static int parse(const char *text, struct arena *arena, struct config *ret_config, struct err *err)
{
	return config_parse("axled.toml", text, strlen(text), arena, ret_config, err);
}

START_TEST(an_empty_file_is_the_defaults)
{
	struct arena arena = {.max = 1 << 20};
	struct config config = {0};
	ck_assert_int_eq(parse("", &arena, &config, NULL), 0);
	ck_assert_str_eq(config_find_runtime(&config, "")->name, "axrun");
	ck_assert_ptr_nonnull(config_find_runtime(&config, "crun"));
	ck_assert_ptr_nonnull(config_find_runtime(&config, "runc"));
	ck_assert_ptr_null(config_find_runtime(&config, "other"));
	ck_assert_uint_eq(config.images.worker_uid, 65534);
	ck_assert(config.cni.enabled);
	ck_assert_str_eq(config.cni.conf_dir, "/etc/cni/net.d");
	ck_assert_str_eq(config.cni.plugin_dirs[1], "/usr/lib/cni");
	ck_assert_ptr_null(config.cni.network);
	arena_done(&arena);
}
END_TEST

START_TEST(every_table_is_read)
{
	struct arena arena = {.max = 1 << 20};
	struct config config = {0};
	struct err err = {0};
	int r = parse("default-runtime = 'own'\n"
		      "[log]\nlevel = 'debug'\nformat = 'json'\n"
		      "[socket]\ngroup = 'axle'\nmode = '0660'\n"
		      "[images]\nworker-uid = 7\nstall-timeout-s = 5\n"
		      "[container-logs]\nmax-bytes = 100\nfiles = 2\n"
		      "[cni]\nenabled = false\nconf-dir = '/c'\nplugin-dirs = ['/p']\nnetwork = 'n'\nplugin-timeout-s = 3\n"
		      "[runtimes.own]\npath = '/opt/own'\nroot = '/run/own'\nargs = ['--debug']\n"
		      "[runtimes.crun]\npath = '/opt/crun'\n"
		      "[[ulimits]]\nname = 'nofile'\nsoft = 1\nhard = 2\n"
		      "[[registries]]\nhost = 'localhost:5000'\nplain-http = true\n",
		      &arena, &config, &err);
	ck_assert_msg(r == 0, "%s", err.message);
	ck_assert_str_eq(config_find_runtime(&config, "")->path, "/opt/own");
	ck_assert_str_eq(config_find_runtime(&config, "own")->args[0], "--debug");
	ck_assert_str_eq(config_find_runtime(&config, "crun")->path, "/opt/crun");
	ck_assert_uint_eq(config.runtimes_count, 4);
	ck_assert(config_find_registry(&config, "localhost:5000")->plain_http);
	ck_assert_ptr_null(config_find_registry(&config, "localhost"));
	ck_assert_uint_eq(config.ulimits[0].hard, 2);
	ck_assert_uint_eq(config.container_logs.files, 2);
	ck_assert(!config.cni.enabled);
	ck_assert_str_eq(config.cni.conf_dir, "/c");
	ck_assert_str_eq(config.cni.plugin_dirs[0], "/p");
	ck_assert_str_eq(config.cni.network, "n");
	ck_assert_uint_eq(config.cni.plugin_timeout_s, 3);
	arena_done(&arena);
}
END_TEST

static const struct {
	const char *text;
	const char *words;
} REFUSED[] = {
	{"unknown = 1\n", "unknown"},
	{"[log]\nlevel = 'loud'\n", "expected error, warning, info or debug"},
	{"[log]\nformat = 'xml'\n", "expected text or json"},
	{"[socket]\nmode = '7777777'\n", "octal mode"},
	{"default-runtime = 'x'\n", "no [runtimes] table"},
	{"[cni]\nconf-dir = 'net.d'\n", "absolute"},
	{"[cni]\nplugin-dirs = ['/a', 'b']\n", "absolute"},
	{"[cni]\nplugin-timeout-s = 0\n", "cni.plugin-timeout-s"},
	{"[cni]\nconf-template = 'net.d'\n", "absolute"},
	{"[pods]\nshm-size = 'much'\n", "pods.shm-size"},
	{"[pods]\nshm-size = '1k'\n", "at least 4k"},
	{"[pods]\nsysctls = ['*']\n", "sysctls"},
	{"[runtimes.x]\ncgroups = 'v3'\n", "runtimes.x.cgroups: expected v1 or all"},
	{"[runtimes.x]\nprogram = 'y'\n", "program"},
	{"[[ulimits]]\nname = 'files'\nsoft = 1\nhard = 1\n", "ulimits[0]"},
	{"[[registries]]\nplain-http = true\n", "host"},
};

START_TEST(what_is_wrong_is_named)
{
	struct arena arena = {.max = 1 << 20};
	struct config config = {0};
	struct err err = {0};
	ck_assert_int_eq(parse(REFUSED[_i].text, &arena, &config, &err), -EINVAL);
	ck_assert_msg(strstr(err.message, REFUSED[_i].words) && strstr(err.message, "axled.toml"), "%s", err.message);
	arena_done(&arena);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, an_empty_file_is_the_defaults);
	tcase_add_test(cases, every_table_is_read);
	tcase_add_loop_test(cases, what_is_wrong_is_named, 0, ARRAY_COUNT(REFUSED));
}

TEST_MAIN("config", add_tests)
