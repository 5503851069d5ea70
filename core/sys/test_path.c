#include "core/sys/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/base/test_main.h"

/* A tree of the test's own with links that try to leave it. */
struct tree {
	char path[64];
	int fd;
};

static struct tree tree_new(void)
{
	struct tree tree = {.path = "/tmp/axle-test-path.XXXXXX"};
	ck_assert_ptr_nonnull(mkdtemp(tree.path));
	tree.fd = open(tree.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(tree.fd, 0);
	ck_assert_int_eq(mkdirat(tree.fd, "etc", 0755), 0);
	ck_assert_int_eq(symlinkat("/etc", tree.fd, "absolute"), 0);
	ck_assert_int_eq(symlinkat("../../../../etc", tree.fd, "upwards"), 0);
	ck_assert_int_eq(symlinkat("/proc/self/root", tree.fd, "magic"), 0);
	return tree;
}

static void tree_free(struct tree *tree)
{
	(void)close(tree->fd);
	ck_assert_int_eq(path_remove_tree(AT_FDCWD, tree->path, NULL), 0);
	ck_assert_int_lt(access(tree->path, F_OK), 0);
}

static ino_t inode(int fd)
{
	struct stat st = {0};
	ck_assert_int_eq(fstat(fd, &st), 0);
	return st.st_ino;
}

START_TEST(beneath_refuses_every_way_out)
{
	struct tree tree = tree_new();
	static const char *const OUT[] = {"absolute", "upwards", "..", "/etc", "etc/../.."};
	for (size_t i = 0; i < sizeof OUT / sizeof *OUT; i++)
		ck_assert_int_eq(path_open_beneath(tree.fd, OUT[i], O_PATH, 0), -EXDEV);
	int fd = path_open_beneath(tree.fd, "etc", O_PATH | O_DIRECTORY, 0);
	ck_assert_int_ge(fd, 0);
	(void)close(fd);
	tree_free(&tree);
}
END_TEST

START_TEST(in_root_reads_links_as_chroot_would)
{
	struct tree tree = tree_new();
	int etc = path_open_in_root(tree.fd, "etc", O_PATH, 0);
	static const char *const SAME[] = {"absolute", "upwards", "/etc", "../../etc"};
	for (size_t i = 0; i < sizeof SAME / sizeof *SAME; i++) {
		int fd = path_open_in_root(tree.fd, SAME[i], O_PATH, 0);
		ck_assert_int_ge(fd, 0);
		ck_assert_uint_eq(inode(fd), inode(etc));
		(void)close(fd);
	}
	ck_assert_int_eq(path_open_in_root(tree.fd, "magic/etc", O_PATH, 0), -ENOENT);
	(void)close(etc);
	tree_free(&tree);
}
END_TEST

START_TEST(directories_are_made_inside_the_root_through_its_links)
{
	struct tree tree = tree_new();
	int fd = -1;
	ck_assert_int_eq(path_make_directories_in_root(tree.fd, "/absolute/a//b/", 0755, &fd), 0);
	int direct = path_open_beneath(tree.fd, "etc/a/b", O_PATH | O_DIRECTORY, 0);
	ck_assert_uint_eq(inode(fd), inode(direct));
	(void)close(fd);
	(void)close(direct);
	ck_assert_int_eq(path_make_directories_in_root(tree.fd, "/", 0755, &fd), 0);
	ck_assert_uint_eq(inode(fd), inode(tree.fd));
	(void)close(fd);
	(void)close(openat(tree.fd, "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	ck_assert_int_eq(path_make_directories_in_root(tree.fd, "file/x", 0755, &fd), -ENOTDIR);
	tree_free(&tree);
}
END_TEST

START_TEST(removal_follows_no_link_and_takes_the_missing_for_done)
{
	struct tree tree = tree_new();
	ck_assert_int_eq(mkdirat(tree.fd, "keep", 0755), 0);
	ck_assert_int_eq(mkdirat(tree.fd, "gone", 0755), 0);
	ck_assert_int_eq(symlinkat("../keep", tree.fd, "gone/link"), 0);
	(void)close(openat(tree.fd, "keep/file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	ck_assert_int_eq(path_remove_tree(tree.fd, "gone", NULL), 0);
	ck_assert_int_eq(path_remove_tree(tree.fd, "gone", NULL), 0);
	ck_assert_int_eq(faccessat(tree.fd, "keep/file", F_OK, 0), 0);
	tree_free(&tree);
}
END_TEST

START_TEST(a_very_deep_tree_is_removed_with_few_descriptors)
{
	struct tree tree = tree_new();
	struct rlimit few = {.rlim_cur = 64, .rlim_max = 64};
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	int here = openat(tree.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < 3000; i++) {
		ck_assert_int_eq(mkdirat(here, "d", 0755), 0);
		int next = openat(here, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		ck_assert_int_ge(next, 0);
		(void)close(here);
		here = next;
	}
	(void)close(here);
	tree_free(&tree);
}
END_TEST

START_TEST(directories_of_our_own_are_made_with_their_parents)
{
	struct tree tree = tree_new();
	scoped_free char *path = str_printf("%s/x/y/z", tree.path);
	ck_assert_int_eq(path_make_directories(path, 0755, NULL), 0);
	ck_assert_int_eq(path_make_directories(path, 0755, NULL), 0);
	ck_assert_int_eq(access(path, F_OK), 0);
	scoped_free char *file = str_printf("%s/f", tree.path);
	(void)close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	scoped_free char *below = str_printf("%s/f/g", tree.path);
	ck_assert_int_eq(path_make_directories(below, 0755, NULL), -ENOTDIR);
	tree_free(&tree);
}
END_TEST

START_TEST(the_own_folder_is_found_and_a_missing_sibling_is_left_to_path)
{
	scoped_free char *dir = path_of_own_program_dir();
	ck_assert_int_eq(dir[0], '/');
	scoped_free char *none = path_of_sibling_program("no-such-program");
	ck_assert_str_eq(none, "no-such-program");
	scoped_free char *self = path_of_sibling_program("test_core_path");
	ck_assert_ptr_nonnull(strchr(self, '/'));
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, beneath_refuses_every_way_out);
	tcase_add_test(cases, in_root_reads_links_as_chroot_would);
	tcase_add_test(cases, directories_are_made_inside_the_root_through_its_links);
	tcase_add_test(cases, removal_follows_no_link_and_takes_the_missing_for_done);
	tcase_add_test(cases, a_very_deep_tree_is_removed_with_few_descriptors);
	tcase_add_test(cases, directories_of_our_own_are_made_with_their_parents);
	tcase_add_test(cases, the_own_folder_is_found_and_a_missing_sibling_is_left_to_path);
}

TEST_MAIN("path", add_tests)
