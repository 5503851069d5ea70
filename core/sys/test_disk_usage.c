#include "core/sys/disk_usage.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/test_main.h"
#include "core/sys/path.h"

static char folder[64];

static void set_up(void)
{
	(void)snprintf(folder, sizeof folder, "/tmp/axle-disk-usage-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chdir(folder), 0);
}

static void tear_down(void)
{
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(path_remove_tree(AT_FDCWD, folder, NULL), 0);
}

static void write_file(const char *name, size_t size)
{
	static const char BYTES[4096] = {1};
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_ge(fd, 0);
	for (size_t left = size; left > 0; left -= left < sizeof BYTES ? left : sizeof BYTES)
		ck_assert_int_gt(write(fd, BYTES, left < sizeof BYTES ? left : sizeof BYTES), 0);
	(void)fsync(fd); /* else blocks are not allocated yet */
	(void)close(fd);
}

static struct disk_usage measure(void)
{
	struct disk_usage usage = {0};
	struct err err = {0};
	ck_assert_msg(disk_usage_of(folder, &usage, &err) == 0, "%s", err.message);
	return usage;
}

START_TEST(counts_blocks_and_inodes)
{
	struct disk_usage before = measure();
	ck_assert_uint_eq(before.inodes, 1);
	write_file("a", 100000);
	ck_assert_int_eq(mkdir("b", 0700), 0);
	write_file("b/c", 50000);
	ck_assert_int_eq(symlink("/usr", "b/link"), 0);
	struct disk_usage after = measure();
	ck_assert_uint_eq(after.inodes, 5);
	ck_assert_uint_ge(after.bytes, before.bytes + 150000);
	ck_assert_uint_le(after.bytes, before.bytes + 150000 + 65536);
}
END_TEST

START_TEST(a_file_with_many_names_counts_once)
{
	write_file("a", 100000);
	struct disk_usage before = measure();
	for (int i = 0; i < 600; i++) { /* more than the set's first room, for files with two names each */
		char name[16], other[16];
		(void)snprintf(name, sizeof name, "f%d", i);
		(void)snprintf(other, sizeof other, "g%d", i);
		write_file(name, 1);
		ck_assert_int_eq(link(name, other), 0);
	}
	for (int i = 0; i < 20; i++) {
		char name[16];
		(void)snprintf(name, sizeof name, "a%d", i);
		ck_assert_int_eq(link("a", name), 0);
	}
	ck_assert_uint_eq(measure().inodes, before.inodes + 600);
}
END_TEST

START_TEST(any_depth_and_no_descriptor_for_each_level)
{
	for (int i = 0; i < 1500; i++) { /* longer than PATH_MAX, deeper than descriptors may be open */
		ck_assert_int_eq(mkdir("deep", 0700), 0);
		ck_assert_int_eq(chdir("deep"), 0);
	}
	ck_assert_uint_eq(measure().inodes, 1501);
}
END_TEST

START_TEST(a_missing_tree_is_told)
{
	struct disk_usage usage = {0};
	struct err err = {0};
	ck_assert_int_eq(disk_usage_of("/nonexistent/tree", &usage, &err), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.message, "/nonexistent/tree"));
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_checked_fixture(cases, set_up, tear_down);
	tcase_add_test(cases, counts_blocks_and_inodes);
	tcase_add_test(cases, a_file_with_many_names_counts_once);
	tcase_add_test(cases, any_depth_and_no_descriptor_for_each_level);
	tcase_add_test(cases, a_missing_tree_is_told);
}

TEST_MAIN("disk_usage", add_tests)
