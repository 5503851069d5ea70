#include "cli/src/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/test_main.h"
#include "core/sys/fd.h"
#include "core/sys/path.h"

static char folder[] = "/tmp/axle-archive-XXXXXX";

static void make_folder(void)
{
	memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void remove_folder(void)
{
	(void)path_remove_tree(AT_FDCWD, folder, NULL);
}

static void put(const char *name, const char *text)
{
	int dir = open(folder, O_RDONLY | O_DIRECTORY);
	ck_assert_int_eq(file_replace_at(dir, name, text, strlen(text), 0644, FILE_VOLATILE, NULL), 0);
	(void)close(dir);
}

static void read_all(struct archive *archive, size_t piece, struct buf *ret)
{
	uint8_t bytes[4096];
	size_t size = 0;
	do {
		ck_assert_int_eq(archive_read(archive, bytes, piece, &size, NULL), 0);
		ck_assert_int_eq(buf_add(ret, bytes, size), 0);
	} while (size > 0);
}

START_TEST(a_folder_is_a_tar_archive_however_it_is_read)
{
	make_folder();
	put("oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
	put("index.json", "");
	struct buf first = {.max = 1 << 20};
	for (size_t piece = 1; piece <= 4096; piece = piece * 3 + 1) {
		struct archive *archive = NULL;
		struct buf bytes = {.max = 1 << 20};
		ck_assert_int_eq(archive_open(folder, &archive, NULL), 0);
		read_all(archive, piece, &bytes);
		archive_free(archive);
		ck_assert_uint_eq(bytes.size, 512 * 5); /* two headers, one block, two of zeroes */
		ck_assert_mem_eq(bytes.data + 257, "ustar\00000", 8);
		if (first.size > 0)
			ck_assert_mem_eq(bytes.data, first.data, bytes.size);
		else
			ck_assert_int_eq(buf_add(&first, bytes.data, bytes.size), 0);
		buf_done(&bytes);
	}
	buf_done(&first);
	remove_folder();
}
END_TEST

START_TEST(a_folder_that_is_no_layout_is_refused)
{
	make_folder();
	put("index.json", "{}");
	struct archive *archive = NULL;
	struct err err = {0};
	ck_assert_int_eq(archive_open(folder, &archive, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.message, "oci-layout"));
	remove_folder();
}
END_TEST

START_TEST(a_file_is_sent_as_it_is)
{
	make_folder();
	put("archive", "not a tar at all");
	char path[64];
	(void)snprintf(path, sizeof path, "%s/archive", folder);
	struct archive *archive = NULL;
	struct buf bytes = {.max = 1 << 20};
	ck_assert_int_eq(archive_open(path, &archive, NULL), 0);
	read_all(archive, 7, &bytes);
	ck_assert_str_eq(bytes.data, "not a tar at all");
	archive_free(archive);
	buf_done(&bytes);
	remove_folder();
}
END_TEST

START_TEST(what_is_not_there_is_named)
{
	struct archive *archive = NULL;
	struct err err = {0};
	ck_assert_int_eq(archive_open("/no/such/archive", &archive, &err), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.message, "/no/such/archive"));
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, a_folder_is_a_tar_archive_however_it_is_read);
	tcase_add_test(cases, a_folder_that_is_no_layout_is_refused);
	tcase_add_test(cases, a_file_is_sent_as_it_is);
	tcase_add_test(cases, what_is_not_there_is_named);
}

TEST_MAIN("cli-archive", add_tests)
