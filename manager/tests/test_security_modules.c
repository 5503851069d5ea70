#include "manager/src/security_modules.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/base/test_main.h"
#include "core/sys/path.h"
#include "manager/src/helper_work.h"

/* A folder that is removed at the end. */
struct place {
	char path[64];
};

static void init(struct place *place)
{
	(void)snprintf(place->path, sizeof place->path, "/tmp/modules-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(place->path));
}

static void done(struct place *place)
{
	struct err err = {0};
	int dir_fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(path_remove_tree(dir_fd, place->path + strlen("/tmp/"), &err), 0);
	(void)close(dir_fd);
}

static void put(const struct place *place, const char *name, const char *text)
{
	char path[256];
	struct err err = {0};
	(void)snprintf(path, sizeof path, "%s/%s", place->path, name);
	char *slash = strrchr(path, '/');
	*slash = '\0';
	ck_assert_int_eq(path_make_directories(path, 0755, &err), 0);
	*slash = '/';
	FILE *file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

START_TEST(what_the_kernel_has_is_found)
{
	struct place place;
	struct security_modules modules = {0};
	init(&place);
	security_modules_find(place.path, &modules);
	ck_assert(!modules.apparmor && !modules.selinux);
	put(&place, "module/apparmor/parameters/enabled", "N\n");
	put(&place, "kernel/security/apparmor/profiles", "axle-default (enforce)\nother thing (complain)\n");
	security_modules_find(place.path, &modules);
	ck_assert(!modules.apparmor);
	put(&place, "module/apparmor/parameters/enabled", "Y\n");
	put(&place, "fs/selinux/context", "");
	security_modules_find(place.path, &modules);
	ck_assert(modules.apparmor && modules.selinux);

	struct err err = {0};
	ck_assert_int_eq(apparmor_is_loaded(&modules, "axle-default", &err), 1);
	ck_assert_int_eq(apparmor_is_loaded(&modules, "other thing", &err), 1);
	ck_assert_int_eq(apparmor_is_loaded(&modules, "axle", &err), 0);
	ck_assert_int_eq(apparmor_is_loaded(&modules, "thing", &err), 0);
	ck_assert_int_eq(selinux_check_label(&modules, "a:b:c:s0", &err), 0);
	done(&place);
}
END_TEST

START_TEST(labels_keep_pods_apart)
{
	struct arena arena = {.max = 1 << 16};
	struct selinux_labels one = {0};
	struct selinux_labels same = {0};
	struct selinux_labels other = {0};
	ck_assert_int_eq(selinux_make_labels(NULL, "pod-one", &arena, &one), 0);
	ck_assert_int_eq(selinux_make_labels(NULL, "pod-one", &arena, &same), 0);
	ck_assert_int_eq(selinux_make_labels(NULL, "pod-two", &arena, &other), 0);
	unsigned low = 0;
	unsigned high = 0;
	ck_assert_int_eq(sscanf(one.process, "system_u:system_r:container_t:s0:c%u,c%u", &low, &high), 2);
	ck_assert(low < high && high < 1024);
	ck_assert_str_eq(one.process, same.process);
	ck_assert_str_ne(one.process, other.process);
	ck_assert(str_after_prefix(one.mount, "system_u:object_r:container_file_t:s0:c"));

	Cri__SELinuxOption options = CRI__SELINUX_OPTION__INIT;
	options.user = (char *)"u";
	options.role = (char *)"r";
	options.type = (char *)"t";
	options.level = (char *)"s0:c4,c5";
	ck_assert_int_eq(selinux_make_labels(&options, "pod-one", &arena, &one), 0);
	ck_assert_str_eq(one.process, "u:r:t:s0:c4,c5");
	ck_assert_str_eq(one.mount, "u:object_r:container_file_t:s0:c4,c5");
	arena_done(&arena);
}
END_TEST

static bool has_label(const struct place *place, const char *name, const char *label)
{
	char path[256];
	char found[64] = "";
	(void)snprintf(path, sizeof path, "%s/%s", place->path, name);
	return lgetxattr(path, "security.selinux", found, sizeof found - 1) >= 0 && str_equal(found, label);
}

/* The attribute can be set by root without SELinux, which alone gives it a meaning. */
START_TEST(every_file_of_a_volume_gets_the_label)
{
	struct place place;
	struct err err = {0};
	init(&place);
	put(&place, "volume/deep/file", "x");
	put(&place, "volume/file", "x");
	put(&place, "outside", "x");
	char path[128];
	char link_path[128];
	(void)snprintf(path, sizeof path, "%s/volume", place.path);
	(void)snprintf(link_path, sizeof link_path, "%s/volume/link", place.path);
	ck_assert_int_eq(symlink("../outside", link_path), 0);
	bool can = geteuid() == 0 && lsetxattr(path, "security.selinux", "a", 2, 0) == 0;
	if (can) {
		const struct helper_relabel request = {path, "u:object_r:t:s0"};
		ck_assert_msg(helper_relabel(&request, &err) == 0, "%s", err.message);
		ck_assert(has_label(&place, "volume", "u:object_r:t:s0"));
		ck_assert(has_label(&place, "volume/file", "u:object_r:t:s0"));
		ck_assert(has_label(&place, "volume/deep/file", "u:object_r:t:s0"));
		ck_assert(!has_label(&place, "outside", "u:object_r:t:s0"));
	}
	const struct helper_relabel host = {"/usr", "u:object_r:t:s0"};
	ck_assert_int_eq(helper_relabel(&host, &err), -EPERM);
	ck_assert_str_eq(err.reason, "relabel.path");
	done(&place);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, what_the_kernel_has_is_found);
	tcase_add_test(cases, labels_keep_pods_apart);
	tcase_add_test(cases, every_file_of_a_volume_gets_the_label);
}
TEST_MAIN("security-modules", add_tests)
