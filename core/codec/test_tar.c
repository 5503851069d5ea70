/* The reader against libarchive's writer, and against archives that are damaged byte by byte. */
#include "core/codec/tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/test_main.h"

/* What the reader gave, as text: one line an entry, then its data. */
static int on_entry(void *user, const struct tar_entry *entry, struct err *err)
{
	(void)err;
	int r = buf_printf(user, "\n%d %s -> %s %llu %o %u:%u %lld.%09u %u,%u", (int)entry->type, entry->path, entry->link,
			   (unsigned long long)entry->size, entry->mode, entry->uid, entry->gid,
			   (long long)entry->mtime_s, entry->mtime_ns, entry->dev_major, entry->dev_minor);
	for (size_t i = 0; r == 0 && i < entry->xattrs_count; i++)
		r = buf_printf(user, " %s=%.*s", entry->xattrs[i].name, (int)entry->xattrs[i].size,
			       (const char *)entry->xattrs[i].value);
	return r < 0 ? r : buf_add_char(user, ' ');
}

static int on_data(void *user, const void *bytes, size_t size, struct err *err)
{
	(void)err;
	return buf_add(user, bytes, size);
}

static int read_in_pieces(const char *bytes, size_t size, size_t piece, struct buf *ret_text, struct err *err)
{
	scoped(tar_reader_free) struct tar_reader *reader = NULL;
	struct tar_handler handler = {on_entry, on_data, ret_text};
	ck_assert_int_eq(tar_reader_new(&handler, &reader), 0);
	for (size_t at = 0; at < size; at += piece) {
		int r = tar_reader_push(reader, bytes + at, size - at < piece ? size - at : piece, err);
		if (r < 0)
			return r;
	}
	return tar_reader_finish(reader, err);
}

struct member {
	const char *path;
	const char *link;
	int type; /* AE_IF*, 0: a hard link */
	const char *data;
	int64_t mtime;
	long mtime_ns;
	int64_t uid;
	const char *xattr;
};

static char long_path[300];
static char long_link[250];

static const struct member MEMBERS[] = {
	{"dir/", NULL, AE_IFDIR, NULL, 1, 0, 0, NULL},
	{"dir/file", NULL, AE_IFREG, "hello", 1700000000, 0, 1000, NULL},
	{"dir/empty", NULL, AE_IFREG, "", 0, 0, 0, NULL},
	{"dir/link", "../target", AE_IFLNK, NULL, 2, 0, 0, NULL},
	{"hard", "dir/file", 0, NULL, 3, 0, 0, NULL},
	{"fifo", NULL, AE_IFIFO, NULL, 4, 0, 5, NULL},
	{"null", NULL, AE_IFCHR, NULL, 4, 0, 0, NULL},
	{long_path, NULL, AE_IFREG, "deep", 5, 0, 0, NULL},
	{"to-long", long_link, AE_IFLNK, NULL, 5, 0, 0, NULL},
	{"big-owner", NULL, AE_IFREG, "x", 6, 0, 3000000, NULL},
};
static const struct member PAX_MEMBERS[] = {
	{"\xc3\xa4 name", NULL, AE_IFREG, "x", -5, 0, 4000000000, NULL},
	{"attr", NULL, AE_IFREG, "x", 7, 123456789, 0, "value"},
};

static void write_member(struct archive *archive, const struct member *member)
{
	struct archive_entry *entry = archive_entry_new();
	archive_entry_set_pathname(entry, member->path);
	if (member->type)
		archive_entry_set_filetype(entry, (unsigned)member->type);
	archive_entry_set_perm(entry, 0640);
	archive_entry_set_uid(entry, member->uid);
	archive_entry_set_gid(entry, member->uid);
	archive_entry_set_mtime(entry, member->mtime, member->mtime_ns);
	if (member->type == AE_IFLNK)
		archive_entry_set_symlink(entry, member->link);
	else if (member->link)
		archive_entry_set_hardlink(entry, member->link);
	if (member->type == AE_IFCHR) {
		archive_entry_set_rdevmajor(entry, 1);
		archive_entry_set_rdevminor(entry, 3);
	}
	if (member->xattr)
		archive_entry_xattr_add_entry(entry, "user.note", member->xattr, strlen(member->xattr));
	archive_entry_set_size(entry, member->data ? (int64_t)strlen(member->data) : 0);
	ck_assert_msg(archive_write_header(archive, entry) == ARCHIVE_OK, "%s", archive_error_string(archive));
	if (member->data)
		ck_assert_int_ge(archive_write_data(archive, member->data, strlen(member->data)), 0);
	archive_entry_free(entry);
}

static void expect_member(struct buf *text, const struct member *member)
{
	static const struct {
		int from;
		enum tar_type to;
	} TYPES[] = {{AE_IFDIR, TAR_DIRECTORY}, {AE_IFREG, TAR_FILE}, {AE_IFLNK, TAR_SYMLINK},
		     {AE_IFIFO, TAR_FIFO},	{AE_IFCHR, TAR_CHAR_DEVICE}, {0, TAR_HARD_LINK}};
	enum tar_type type = TAR_FILE;
	for (size_t i = 0; i < ARRAY_COUNT(TYPES); i++)
		type = TYPES[i].from == member->type ? TYPES[i].to : type;
	bool device = member->type == AE_IFCHR;
	ck_assert_int_eq(buf_printf(text, "\n%d %s -> %s %zu 640 %u:%u %lld.%09ld %d,%d", (int)type, member->path,
				    member->link ? member->link : "", member->data ? strlen(member->data) : 0,
				    (unsigned)member->uid, (unsigned)member->uid, (long long)member->mtime,
				    member->mtime_ns, device ? 1 : 0, device ? 3 : 0),
			 0);
	if (member->xattr)
		ck_assert_int_eq(buf_printf(text, " user.note=%s", member->xattr), 0);
	ck_assert_int_eq(buf_printf(text, " %s", member->data ? member->data : ""), 0);
}

/* Writes the members in one of libarchive's formats. */
static size_t make_archive(int format, char *bytes, size_t size, struct buf *expected)
{
	(void)setlocale(LC_ALL, "C.UTF-8"); /* libarchive writes pax names only in a locale that has them */
	memset(long_path, 'p', sizeof long_path - 1);
	for (size_t i = 40; i < sizeof long_path - 1; i += 60)
		long_path[i] = '/';
	memset(long_link, 'l', sizeof long_link - 1);
	size_t used = 0;
	struct archive *archive = archive_write_new();
	ck_assert_int_eq(archive_write_set_format(archive, format), ARCHIVE_OK);
	ck_assert_int_eq(archive_write_set_options(archive, "hdrcharset=UTF-8"), ARCHIVE_OK);
	ck_assert_int_eq(archive_write_open_memory(archive, bytes, size, &used), ARCHIVE_OK);
	for (size_t i = 0; i < ARRAY_COUNT(MEMBERS); i++) {
		write_member(archive, &MEMBERS[i]);
		expect_member(expected, &MEMBERS[i]);
	}
	for (size_t i = 0; format == ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE && i < ARRAY_COUNT(PAX_MEMBERS); i++) {
		write_member(archive, &PAX_MEMBERS[i]);
		expect_member(expected, &PAX_MEMBERS[i]);
	}
	ck_assert_int_eq(archive_write_close(archive), ARCHIVE_OK);
	(void)archive_write_free(archive);
	return used;
}

static const int FORMATS[] = {ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE, ARCHIVE_FORMAT_TAR_GNUTAR};

START_TEST(reads_what_libarchive_writes_whatever_the_pieces)
{
	static char bytes[256 * 1024];
	scoped_done(buf_done) struct buf expected = {.max = 1 << 20};
	size_t size = make_archive(FORMATS[_i], bytes, sizeof bytes, &expected);
	static const size_t PIECES[] = {1, 100, 512, 513, sizeof bytes};
	for (size_t i = 0; i < ARRAY_COUNT(PIECES); i++) {
		scoped_done(buf_done) struct buf text = {.max = 1 << 20};
		struct err err = {0};
		int r = read_in_pieces(bytes, size, PIECES[i], &text, &err);
		ck_assert_msg(r == 0, "%s", err.message);
		ck_assert_str_eq(text.data, expected.data);
	}
}
END_TEST

START_TEST(every_changed_byte_of_a_header_is_told)
{
	static char bytes[256 * 1024];
	scoped_done(buf_done) struct buf expected = {.max = 1 << 20};
	size_t size = make_archive(ARCHIVE_FORMAT_TAR_GNUTAR, bytes, sizeof bytes, &expected);
	for (size_t i = 0; i < 512; i++) {
		if (i >= 148 && i < 156)
			continue; /* the checksum itself: blanks and zeros mean the same */
		scoped_done(buf_done) struct buf text = {.max = 1 << 20};
		struct err err = {0};
		bytes[i] ^= 0x11;
		ck_assert_int_eq(read_in_pieces(bytes, size, size, &text, &err), -EBADMSG);
		ck_assert_str_eq(err.reason, "tar.malformed");
		bytes[i] ^= 0x11;
	}
}
END_TEST

START_TEST(an_archive_that_ends_inside_an_entry_is_told)
{
	static char bytes[256 * 1024];
	scoped_done(buf_done) struct buf expected = {.max = 1 << 20};
	(void)make_archive(ARCHIVE_FORMAT_TAR_GNUTAR, bytes, sizeof bytes, &expected);
	static const size_t CUTS[] = {1, 511, 1024 + 3};
	for (size_t i = 0; i < ARRAY_COUNT(CUTS); i++) {
		scoped_done(buf_done) struct buf text = {.max = 1 << 20};
		struct err err = {0};
		ck_assert_int_eq(read_in_pieces(bytes, CUTS[i], CUTS[i], &text, &err), -EBADMSG);
		ck_assert_str_eq(err.reason, "tar.truncated");
	}
	/* At the end of an entry it is an archive without its end mark: accepted, as others do. */
	scoped_done(buf_done) struct buf text = {.max = 1 << 20};
	ck_assert_int_eq(read_in_pieces(bytes, 512, 512, &text, NULL), 0);
}
END_TEST

/* A header made by hand. */
static void make_header(char block[static 512], const char *name, char type, const char *size)
{
	memset(block, 0, 512);
	(void)snprintf(block, 100, "%s", name);
	memcpy(block + 100, "0000644", 7);
	memcpy(block + 108, "0000000", 7);
	memcpy(block + 116, "0000000", 7);
	memcpy(block + 124, size, strlen(size) < 12 ? strlen(size) : 12);
	memcpy(block + 136, "00000000000", 11);
	memset(block + 148, ' ', 8);
	block[156] = type;
	memcpy(block + 257, "ustar\00000", 8);
	unsigned sum = 0;
	for (size_t i = 0; i < 512; i++)
		sum += (unsigned char)block[i];
	(void)snprintf(block + 148, 8, "%06o", sum);
}

START_TEST(the_last_padding_may_be_missing_but_not_an_extensions)
{
	static char bytes[256 * 1024];
	scoped_done(buf_done) struct buf expected = {.max = 1 << 20};
	(void)make_archive(ARCHIVE_FORMAT_TAR_GNUTAR, bytes, sizeof bytes, &expected);
	scoped_done(buf_done) struct buf text = {.max = 1 << 20};
	ck_assert_int_eq(read_in_pieces(bytes, 1024 + 511, 512, &text, NULL), 0);

	char extension[1024] = "";
	make_header(extension, "pax", 'x', "00000000014");
	memcpy(extension + 512, "12 comment=\n", 12);
	struct err err = {0};
	buf_clear(&text);
	ck_assert_int_eq(read_in_pieces(extension, 1000, 1000, &text, &err), -EBADMSG);
	ck_assert_str_eq(err.reason, "tar.truncated");
}
END_TEST

static const struct {
	const char *records; /* of a pax header in front of a file "x" */
	int code;
	const char *reason;
} PAX[] = {
	{"11 path=a\n", -EBADMSG, "tar.malformed"},	  /* too long */
	{"9 path=a\n", 0, NULL},
	{"9 path=a", -EBADMSG, "tar.malformed"},	  /* no end */
	{"path=a\n", -EBADMSG, "tar.malformed"},	  /* no length */
	{"99999999999 path=a\n", -EBADMSG, "tar.malformed"},
	{"6 =ab\n", -EBADMSG, "tar.malformed"},		  /* no key */
	{"8 pathab\n", -EBADMSG, "tar.malformed"},
	{"12 mtime=1x\n", -EBADMSG, "tar.malformed"},
	{"11 uid=-1\n\n", -EBADMSG, "tar.malformed"},
	{"18 uid=4294967295\n", -EBADMSG, "tar.malformed"},
	{"22 GNU.sparse.major=1\n", -ENOTSUP, "tar.unsupported"},
	{"19 SCHILY.xattr.=x\n", -EBADMSG, "tar.malformed"},
	{"28 size=9223372036854775808\n", -EBADMSG, "tar.malformed"},
	{"30 comment=whatever it may be\n", 0, NULL},
};

START_TEST(pax_records)
{
	char bytes[512 * 5] = {0};
	char size[24];
	size_t length = strlen(PAX[_i].records);
	(void)snprintf(size, sizeof size, "%011zo", length);
	make_header(bytes, "pax", 'x', size);
	memcpy(bytes + 512, PAX[_i].records, length);
	make_header(bytes + 1024, "x", '0', "00000000000");
	scoped_done(buf_done) struct buf text = {.max = 4096};
	struct err err = {0};
	ck_assert_int_eq(read_in_pieces(bytes, sizeof bytes, sizeof bytes, &text, &err), PAX[_i].code);
	if (PAX[_i].reason)
		ck_assert_str_eq(err.reason, PAX[_i].reason);
}
END_TEST

static const struct {
	char type;
	const char *size;
	int code;
} HEADERS[] = {
	{'S', "00000000000", -ENOTSUP}, {'M', "00000000000", -ENOTSUP}, {'Z', "00000000000", -ENOTSUP},
	{'0', "0000000000x", -EBADMSG}, {'L', "77777777777", -EMSGSIZE}, {'x', "77777777777", -EMSGSIZE},
	{'1', "00000000000", -EBADMSG}, {'0', "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", -EBADMSG},
	{'0', "\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", -EBADMSG},
};

START_TEST(headers_that_are_refused)
{
	char bytes[512];
	make_header(bytes, "x", HEADERS[_i].type, HEADERS[_i].size);
	scoped_done(buf_done) struct buf text = {.max = 4096};
	ck_assert_int_eq(read_in_pieces(bytes, sizeof bytes, sizeof bytes, &text, NULL), HEADERS[_i].code);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_loop_test(cases, reads_what_libarchive_writes_whatever_the_pieces, 0, ARRAY_COUNT(FORMATS));
	tcase_add_test(cases, every_changed_byte_of_a_header_is_told);
	tcase_add_test(cases, an_archive_that_ends_inside_an_entry_is_told);
	tcase_add_test(cases, the_last_padding_may_be_missing_but_not_an_extensions);
	tcase_add_loop_test(cases, pax_records, 0, ARRAY_COUNT(PAX));
	tcase_add_loop_test(cases, headers_that_are_refused, 0, ARRAY_COUNT(HEADERS));
}

TEST_MAIN("tar", add_tests)
