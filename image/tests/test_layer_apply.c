/* The privileged half against a worker that lies: its list says one thing, its tree is another. */
#include "image/src/layer_apply.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/test_main.h"
#include "core/sys/fd.h"
#include "core/sys/path.h"
#include "image/src/tree_list.h"

/* A tree and what must stay as it is, side by side in one directory. */
struct place {
	char path[64];
	int dir_fd;
	int tree_fd;
};

static struct place make_place(void)
{
	struct place place = {.path = "/tmp/axle-apply-XXXXXX"};
	ck_assert_ptr_nonnull(mkdtemp(place.path));
	place.dir_fd = open(place.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(place.dir_fd, 0);
	ck_assert_int_eq(mkdirat(place.dir_fd, "fs", 0755), 0);
	ck_assert_int_eq(mkdirat(place.dir_fd, "outside", 0751), 0);
	ck_assert_int_eq(file_replace_at(place.dir_fd, "outside/victim", "keep", 4, 0640, FILE_VOLATILE, NULL), 0);
	place.tree_fd = openat(place.dir_fd, "fs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return place;
}

static void remove_place(struct place *place)
{
	(void)close(place->tree_fd);
	(void)close(place->dir_fd);
	ck_assert_int_eq(path_remove_tree(AT_FDCWD, place->path, NULL), 0);
}

static int apply_records(const struct place *place, const struct tree_record *records, size_t count, struct err *err)
{
	scoped_done(buf_done) struct buf list = {.max = 65536};
	struct tree_totals totals = {0};
	ck_assert_int_eq(tree_list_begin(&list), 0);
	for (size_t i = 0; i < count; i++)
		ck_assert_int_eq(tree_list_add(&list, &records[i], &totals), 0);
	ck_assert_int_eq(tree_list_end(&list, &totals), 0);
	struct layer_apply apply = {.tree_fd = place->tree_fd, .privileged = geteuid() == 0};
	return layer_apply(&apply, list.data, list.size, err);
}

static void assert_outside_untouched(const struct place *place)
{
	struct stat st;
	ck_assert_int_eq(fstatat(place->dir_fd, "outside/victim", &st, 0), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0640);
	ck_assert_int_eq(st.st_size, 4);
	ck_assert_uint_eq(st.st_nlink, 1);
	ck_assert_int_eq(fstatat(place->dir_fd, "outside", &st, 0), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0751);
	ck_assert_int_eq(faccessat(place->dir_fd, "outside/new", F_OK, 0), -1);
}

static const struct tree_record THROUGH_LINK[] = {
	{.type = TREE_FILE, .path = "d/victim", .target = "", .size = 4, .mode = 04777},
	{.type = TREE_DIRECTORY, .path = "d", .target = "", .mode = 0777},
	{.type = TREE_WHITEOUT, .path = "d/new", .target = ""},
	{.type = TREE_FIFO, .path = "d/new", .target = "", .mode = 0777},
	{.type = TREE_HARD_LINK, .path = "x", .target = "d/victim"},
	{.type = TREE_SYMLINK, .path = "d/victim", .target = "x"},
	{.type = TREE_COPY, .path = "d/new", .target = "a", .source = 0, .size = 1},
};

START_TEST(a_link_in_place_of_a_folder_is_not_followed)
{
	struct place place = make_place();
	ck_assert_int_eq(symlinkat("../outside", place.tree_fd, "d"), 0);
	ck_assert_int_lt(apply_records(&place, &THROUGH_LINK[_i], 1, NULL), 0);
	assert_outside_untouched(&place);
	remove_place(&place);
}
END_TEST

START_TEST(a_link_in_place_of_a_file_is_not_followed)
{
	struct place place = make_place();
	ck_assert_int_eq(symlinkat("../outside/victim", place.tree_fd, "f"), 0);
	struct tree_record record = {.type = TREE_FILE, .path = "f", .target = "", .size = 4, .mode = 04777};
	ck_assert_int_lt(apply_records(&place, &record, 1, NULL), 0);
	assert_outside_untouched(&place);
	remove_place(&place);
}
END_TEST

START_TEST(a_file_of_another_type_is_refused)
{
	struct place place = make_place();
	ck_assert_int_eq(mkfifoat(place.tree_fd, "fifo", 0600), 0);
	ck_assert_int_eq(mkdirat(place.tree_fd, "folder", 0700), 0);
	ck_assert_int_eq(file_replace_at(place.tree_fd, "short", "abc", 3, 0600, FILE_VOLATILE, NULL), 0);
	static const struct tree_record RECORDS[] = {
		{.type = TREE_FILE, .path = "fifo", .target = "", .size = 0},
		{.type = TREE_FILE, .path = "folder", .target = "", .size = 0},
		{.type = TREE_FILE, .path = "short", .target = "", .size = 4},
		{.type = TREE_SYMLINK, .path = "folder", .target = "x"},
		{.type = TREE_HARD_LINK, .path = "y", .target = "folder"},
		{.type = TREE_COPY, .path = "y", .target = "a", .source = 3, .size = 1},
	};
	for (size_t i = 0; i < ARRAY_COUNT(RECORDS); i++) {
		struct err err = {0};
		ck_assert_int_eq(apply_records(&place, &RECORDS[i], 1, &err), -EUCLEAN);
		ck_assert_str_eq(err.reason, "store.damaged");
	}
	remove_place(&place);
}
END_TEST

START_TEST(an_attribute_that_layers_may_not_have_is_refused)
{
	struct place place = make_place();
	ck_assert_int_eq(file_replace_at(place.tree_fd, "f", "", 0, 0600, FILE_VOLATILE, NULL), 0);
	struct tar_xattr xattr = {"trusted.overlay.redirect", "/outside", 8};
	struct tree_record record = {
		.type = TREE_FILE, .path = "f", .target = "", .xattrs = &xattr, .xattrs_count = 1};
	ck_assert_int_eq(apply_records(&place, &record, 1, NULL), -EUCLEAN);
	remove_place(&place);
}
END_TEST

START_TEST(modes_and_times_are_what_the_list_says)
{
	struct place place = make_place();
	ck_assert_int_eq(mkdirat(place.tree_fd, "d", 0700), 0);
	ck_assert_int_eq(file_replace_at(place.tree_fd, "d/f", "abc", 3, 0600, FILE_VOLATILE, NULL), 0);
	uint32_t uid = geteuid() ? geteuid() : 7;
	const struct tree_record records[] = {
		{.type = TREE_DIRECTORY, .path = "d", .target = "", .mode = 0555, .mtime_s = 1000, .mtime_ns = 5, .uid = uid},
		{.type = TREE_FILE, .path = "d/f", .target = "", .size = 3, .mode = 04711, .mtime_s = -3, .uid = uid},
		{.type = TREE_HARD_LINK, .path = "d/g", .target = "d/f"},
	};
	struct err err = {0};
	int r = apply_records(&place, records, ARRAY_COUNT(records), &err);
	ck_assert_msg(r == 0, "%s", err.message);
	struct stat st;
	ck_assert_int_eq(fstatat(place.tree_fd, "d", &st, 0), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0555);
	ck_assert_int_eq(st.st_mtim.tv_sec, 1000); /* though a link was made in it */
	ck_assert_int_eq(st.st_mtim.tv_nsec, 5);
	ck_assert_uint_eq(st.st_uid, uid);
	ck_assert_int_eq(fstatat(place.tree_fd, "d/g", &st, 0), 0);
	ck_assert_int_eq(st.st_mode & 07777, 04711);
	ck_assert_uint_eq(st.st_nlink, 2);
	ck_assert_int_eq(st.st_mtim.tv_sec, -3);
	ck_assert_int_eq(fchmodat(place.tree_fd, "d", 0755, 0), 0);
	remove_place(&place);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_loop_test(cases, a_link_in_place_of_a_folder_is_not_followed, 0, ARRAY_COUNT(THROUGH_LINK));
	tcase_add_test(cases, a_link_in_place_of_a_file_is_not_followed);
	tcase_add_test(cases, a_file_of_another_type_is_refused);
	tcase_add_test(cases, an_attribute_that_layers_may_not_have_is_refused);
	tcase_add_test(cases, modes_and_times_are_what_the_list_says);
}

TEST_MAIN("layer_apply", add_tests)
