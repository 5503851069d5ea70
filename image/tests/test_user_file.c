#include "image/src/user_file.h"

#include <errno.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/test_main.h"

static const char PASSWD[] = "# comment\nroot:x:0:0:root:/root:/bin/sh\nbroken\nbad:x:abc:1:::\n"
			     "app:x:1000:1001:App:/home/app:/bin/sh\nnohome:x:7:7\n";
static const char GROUP[] = "root:x:0:\nstaff:x:50:other,app\napp:x:1001:app\nwheel:x:10:app\nnearly:x:11:apple\n";

static const struct {
	const char *spec;
	uint32_t uid;
	uint32_t gid;
	size_t groups;
	const char *home;
} FOUND[] = {
	{NULL, 0, 0, 0, "/root"},
	{"", 0, 0, 0, "/root"},
	{"root", 0, 0, 0, "/root"},
	{"app", 1000, 1001, 2, "/home/app"},
	{"1000", 1000, 1001, 2, "/home/app"},
	{"app:staff", 1000, 50, 0, "/home/app"},
	{"app:0", 1000, 0, 0, "/home/app"},
	{"4242", 4242, 0, 0, "/"},
	{"4242:4343", 4242, 4343, 0, "/"},
	{"nohome", 7, 7, 0, "/"},
};

START_TEST(resolves)
{
	struct image_user user = {0};
	struct err err = {0};
	int r = user_file_resolve(PASSWD, GROUP, FOUND[_i].spec, &user, &err);
	ck_assert_msg(r == 0, "%s", err.message);
	ck_assert_uint_eq(user.uid, FOUND[_i].uid);
	ck_assert_uint_eq(user.gid, FOUND[_i].gid);
	ck_assert_uint_eq(user.groups_count, FOUND[_i].groups);
	ck_assert_str_eq(user.home, FOUND[_i].home);
	if (FOUND[_i].groups == 2) {
		ck_assert_uint_eq(user.groups[0], 50);
		ck_assert_uint_eq(user.groups[1], 10);
	}
}
END_TEST

static const char *const MISSING[] = {"nobody", "bad", "app:nogroup", "-1", "app:-1"};

START_TEST(names_what_is_missing)
{
	struct image_user user = {.uid = 77};
	struct err err = {0};
	ck_assert_int_eq(user_file_resolve(PASSWD, GROUP, MISSING[_i], &user, &err), -ENOENT);
	ck_assert_str_eq(err.reason, "user.not-found");
	ck_assert_uint_eq(user.uid, 77);
}
END_TEST

/* CVE-2026-46680: the image says that root has such a name. */
static const char *const BEYOND[] = {"4294967295", "4294967296", "99999999999999999999", "4294967295:0", "7:4294967295",
				     "app:4294967296"};

START_TEST(a_number_beyond_all_users_is_no_name)
{
	static const char passwd[] = "4294967295:x:0:0::/:/bin/sh\n4294967296:x:0:0::/:/bin/sh\n"
				     "99999999999999999999:x:0:0::/:/bin/sh\napp:x:1000:1000::/:/bin/sh\n";
	static const char group[] = "4294967295:x:0:\n4294967296:x:0:\n";
	struct image_user user = {.uid = 77};
	struct err err = {0};
	ck_assert_int_eq(user_file_resolve(passwd, group, BEYOND[_i], &user, &err), -EINVAL);
	ck_assert_str_eq(err.reason, "user.not-found");
	ck_assert_uint_eq(user.uid, 77);
}
END_TEST

START_TEST(an_image_without_the_files)
{
	struct image_user user;
	ck_assert_int_eq(user_file_resolve("", "", "12:34", &user, NULL), 0);
	ck_assert_int_eq(user_file_resolve("", "", "app", &user, NULL), -ENOENT);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_loop_test(cases, resolves, 0, ARRAY_COUNT(FOUND));
	tcase_add_loop_test(cases, names_what_is_missing, 0, ARRAY_COUNT(MISSING));
	tcase_add_loop_test(cases, a_number_beyond_all_users_is_no_name, 0, ARRAY_COUNT(BEYOND));
	tcase_add_test(cases, an_image_without_the_files);
}

TEST_MAIN("user_file", add_tests)
