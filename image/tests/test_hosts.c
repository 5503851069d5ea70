#include "image/src/hosts.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/base/test_main.h"
#include "core/sys/path.h"

static struct arena arena;
static struct hosts hosts;
static struct err err;

static void set_up(void)
{
	arena = (struct arena){.max = 4 << 20};
	hosts = (struct hosts){0};
	err = (struct err){0};
}

static void tear_down(void)
{
	arena_done(&arena);
}

static int parse(const char *text, const char *registry)
{
	return hosts_parse("hosts.toml", text, strlen(text), registry, &arena, &hosts, &err);
}

START_TEST(mirrors_in_the_order_of_the_file_and_the_server_last)
{
	ck_assert_msg(parse("server = \"https://registry-1.docker.io\"\n"
			    "[host.\"https://z.example\"]\ncapabilities = [\"pull\"]\n"
			    "[host.\"a.example:5000\"]\nskip_verify = true\ndial_timeout = \"1500ms\"\n"
			    "[host.\"http://m.example/some/path/\"]\ncapabilities = [\"resolve\", \"push\"]\n",
			    "docker.io") == 0, "%s", err.message);
	ck_assert_uint_eq(hosts.count, 4);
	const struct hosts_entry *entries = hosts.entries;
	ck_assert_str_eq(entries[0].base, "https://z.example/v2");
	ck_assert_str_eq(entries[0].name, "z.example");
	ck_assert(entries[0].pull && !entries[0].resolve && !entries[0].is_server);
	ck_assert_str_eq(entries[1].base, "https://a.example:5000/v2");
	ck_assert(entries[1].pull && entries[1].resolve && entries[1].skip_verify);
	ck_assert_uint_eq(entries[1].connect_timeout_s, 2);
	ck_assert_str_eq(entries[2].base, "http://m.example/some/path/v2");
	ck_assert(!entries[2].pull && entries[2].resolve);
	ck_assert_str_eq(entries[3].base, "https://registry-1.docker.io/v2");
	ck_assert(entries[3].is_server && entries[3].pull && entries[3].resolve);
}
END_TEST

START_TEST(without_a_server_the_registry_itself_is_last)
{
	ck_assert_int_eq(parse("[host.\"http://localhost:5001\"]\n", "registry:5000"), 0);
	ck_assert_uint_eq(hosts.count, 2);
	ck_assert_ptr_null(hosts.entries[1].base);
	ck_assert_str_eq(hosts.entries[1].name, "registry:5000");
	ck_assert(hosts.entries[1].is_server);
	ck_assert_int_eq(parse("", "registry:5000"), 0);
	ck_assert_uint_eq(hosts.count, 1);
}
END_TEST

START_TEST(a_path_may_be_the_apis_own)
{
	ck_assert_int_eq(parse("[host.\"https://m/proxy/\"]\noverride_path = true\n[host.\"https://n\"]\noverride_path = true\n"
			       "[host.\"https://o/v2/\"]\n", "r"), 0);
	ck_assert_str_eq(hosts.entries[0].base, "https://m/proxy");
	ck_assert_str_eq(hosts.entries[1].base, "https://n");
	ck_assert_str_eq(hosts.entries[2].base, "https://o/v2");
}
END_TEST

START_TEST(headers_and_certificates)
{
	ck_assert_msg(parse("ca = \"/root.pem\"\n[host.\"m\"]\nca = [\"a.pem\", \"b.pem\"]\nclient = [[\"c.cert\", \"c.key\"]]\n"
			    "[host.\"m\".header]\nX-One = \"1\"\nx-two = [\"2\", \"3\"]\n[host.\"n\"]\nclient = \"both.pem\"\n", "r") == 0,
		      "%s", err.message);
	const struct hosts_entry *m = &hosts.entries[0];
	ck_assert_str_eq(m->ca_files[0], "a.pem");
	ck_assert_str_eq(m->ca_files[1], "b.pem");
	ck_assert_ptr_null(m->ca_files[2]);
	ck_assert_str_eq(m->certificate_file, "c.cert");
	ck_assert_str_eq(m->key_file, "c.key");
	ck_assert_str_eq(m->headers[0], "X-One: 1");
	ck_assert_str_eq(m->headers[1], "x-two: 2");
	ck_assert_str_eq(m->headers[2], "x-two: 3");
	ck_assert_ptr_null(m->headers[3]);
	ck_assert_str_eq(hosts.entries[1].certificate_file, "both.pem");
	ck_assert_ptr_null(hosts.entries[1].key_file);
	ck_assert_str_eq(hosts.entries[2].ca_files[0], "/root.pem");
}
END_TEST

static const struct {
	const char *text;
	const char *words;
} REFUSED[] = {
	{"server = 5\n", "server"},
	{"server = \"https://\"\n", "server"},
	{"server = \"ftp://x\"\n", "server"},
	{"server = \"https://user@x\"\n", "server"},
	{"host = \"x\"\n", "host"},
	{"[host.\"\"]\n", "host.\"\""},
	{"[host.\"a b\"]\n", "address"},
	{"[host.\"m\"]\ncapabilities = [\"fly\"]\n", "host.\"m\".capabilities"},
	{"[host.\"m\"]\nskip_verify = \"yes\"\n", "host.\"m\".skip_verify"},
	{"[host.\"m\"]\nskip-verify = true\n", "host.\"m\".skip-verify"},
	{"[host.\"m\"]\nca = 1\n", "host.\"m\".ca"},
	{"[host.\"m\"]\nclient = []\n", "host.\"m\".client"},
	{"[host.\"m\"]\nclient = [[\"a\", \"b\"], [\"c\", \"d\"]]\n", "host.\"m\".client"},
	{"[host.\"m\"]\nheader = {\"a b\" = \"x\"}\n", "host.\"m\".header"},
	{"[host.\"m\"]\nheader = {a = \"x\\r\\ny: z\"}\n", "host.\"m\".header"},
	{"[host.\"m\"]\ndial_timeout = \"soon\"\n", "host.\"m\".dial_timeout"},
	{"[host.\"m\"]\ndial_timeout = \"0s\"\n", "host.\"m\".dial_timeout"},
	{"unknown = 1\n", "unknown"},
	{"server = \"a\"\nserver = \"b\"\n", "line 2"},
};

START_TEST(what_is_wrong_is_named)
{
	ck_assert_int_eq(parse(REFUSED[_i].text, "r"), -EINVAL);
	ck_assert_msg(strstr(err.message, REFUSED[_i].words), "%s: %s", REFUSED[_i].text, err.message);
	ck_assert_ptr_nonnull(strstr(err.message, "hosts.toml"));
}
END_TEST

START_TEST(more_hosts_than_are_asked)
{
	char text[2048] = "";
	for (int i = 0; i < HOSTS_MAX; i++)
		(void)snprintf(text + strlen(text), sizeof text - strlen(text), "[host.\"m%d\"]\n", i);
	ck_assert_int_eq(parse(text, "r"), -EINVAL);
}
END_TEST

static void put(const char *folder, const char *name, const char *file, const char *text)
{
	char path[256];
	(void)snprintf(path, sizeof path, "%s/%s", folder, name);
	(void)mkdir(path, 0700);
	(void)snprintf(path, sizeof path, "%s/%s/%s", folder, name, file);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	(void)close(fd);
}

static int load(const char *folder, const char *registry)
{
	return hosts_load(folder, registry, &arena, &hosts, &err);
}

START_TEST(which_file_counts)
{
	char folder[] = "/tmp/axle-hosts-XXXXXX";
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(load("/nonexistent", "r"), 0);
	ck_assert_uint_eq(hosts.count, 0);
	ck_assert_int_eq(load(folder, "r"), 0);
	ck_assert_uint_eq(hosts.count, 0);
	put(folder, "_default", HOSTS_FILE, "server = \"any\"\n");
	ck_assert_int_eq(load(folder, "r:5000"), 0);
	ck_assert_str_eq(hosts.entries[0].name, "any");
	put(folder, "r:5000", HOSTS_FILE, "server = \"colon\"\nca = \"ca.pem\"\n");
	ck_assert_int_eq(load(folder, "r:5000"), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.message, "ca.pem"));
	put(folder, "r:5000", "ca.pem", "PEM\n");
	ck_assert_int_eq(load(folder, "r:5000"), 0);
	ck_assert_str_eq(hosts.entries[0].name, "colon");
	ck_assert_str_eq(hosts.entries[0].ca_pem, "PEM\n");
	put(folder, "r_5000_", HOSTS_FILE, "server = \"spelled\"\n");
	ck_assert_int_eq(load(folder, "r:5000"), 0);
	ck_assert_str_eq(hosts.entries[0].name, "spelled");
	put(folder, "r_5000_", HOSTS_FILE, "server = 1\n");
	ck_assert_int_eq(load(folder, "r:5000"), -EINVAL);
	ck_assert_int_eq(path_remove_tree(AT_FDCWD, folder, NULL), 0);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_checked_fixture(cases, set_up, tear_down);
	tcase_add_test(cases, mirrors_in_the_order_of_the_file_and_the_server_last);
	tcase_add_test(cases, without_a_server_the_registry_itself_is_last);
	tcase_add_test(cases, a_path_may_be_the_apis_own);
	tcase_add_test(cases, headers_and_certificates);
	tcase_add_loop_test(cases, what_is_wrong_is_named, 0, (int)ARRAY_COUNT(REFUSED));
	tcase_add_test(cases, more_hosts_than_are_asked);
	tcase_add_test(cases, which_file_counts);
}

TEST_MAIN("hosts", add_tests)
