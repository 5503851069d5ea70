/* The log's file and the queue before it. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/test_main.h"
#include "core/sys/fd.h"
#include "core/sys/path.h"
#include "runtime/include/axle/monitor.h"
#include "runtime/src/monitor/log_file.h"
#include "runtime/src/monitor/log_queue.h"

static void make_directory(char dir[static 64], char path[static 128])
{
	(void)snprintf(dir, 64, "/tmp/axle-test-log.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(path, 128, "%s/log", dir);
}

#define HEADER "2016-10-06T00:17:09.669794202Z stdout F "
#define RECORD HEADER "0123456789\n" /* 51 bytes */

static size_t count_in_file(const char *path, const char *part)
{
	scoped_done(buf_done) struct buf text = {.max = 1 << 24};
	if (file_read_at(AT_FDCWD, path, &text, NULL) < 0)
		return 0;
	size_t count = 0;
	for (const char *at = text.data ? strstr(text.data, part) : NULL; at; at = strstr(at + 1, part))
		count++;
	return count;
}

START_TEST(a_cap_loses_whole_records_and_says_so)
{
	char dir[64];
	char path[128];
	make_directory(dir, path);
	struct log_file file;
	ck_assert_int_eq(log_file_open(&file, path, 120, 0, NULL), 0);
	ck_assert_uint_eq(log_file_append(&file, RECORD RECORD RECORD RECORD, 4 * 51),
			  20); /* two fit; content is counted */
	ck_assert_uint_eq(count_in_file(path, RECORD), 2);
	(void)unlink(path);
	ck_assert_int_eq(log_file_reopen(&file, NULL), 0);
	ck_assert_uint_eq(log_file_append(&file, RECORD, 51), 0);
	ck_assert_uint_eq(
		count_in_file(path, "stderr F axle: 20 bytes of output are missing here: the log has reached"), 1);
	ck_assert_uint_eq(count_in_file(path, RECORD), 1);
	log_file_done(&file);
	ck_assert_int_eq(path_remove_tree(AT_FDCWD, dir, NULL), 0);
}
END_TEST

START_TEST(rotation_keeps_so_many_files)
{
	char dir[64];
	char path[128];
	make_directory(dir, path);
	struct log_file file;
	ck_assert_int_eq(log_file_open(&file, path, 120, 2, NULL), 0);
	for (int i = 0; i < 20; i++)
		ck_assert_uint_eq(log_file_append(&file, RECORD, 51), 0);
	for (int i = 1; i <= 3; i++) {
		char older[160];
		(void)snprintf(older, sizeof older, "%s.%d", path, i);
		ck_assert_uint_eq(count_in_file(older, RECORD), i <= 2 ? 2 : 0);
	}
	ck_assert_uint_eq(count_in_file(path, RECORD), 2);
	log_file_done(&file);
	ck_assert_int_eq(path_remove_tree(AT_FDCWD, dir, NULL), 0);
}
END_TEST

/* RLIMIT_FSIZE stands in for a full disk: write(2) takes a part, then fails. */
START_TEST(a_torn_record_is_cut_off)
{
	char dir[64];
	char path[128];
	make_directory(dir, path);
	(void)signal(SIGXFSZ, SIG_IGN);
	struct log_file file;
	ck_assert_int_eq(log_file_open(&file, path, 0, 0, NULL), 0);
	struct rlimit limit = {.rlim_cur = 130, .rlim_max = RLIM_INFINITY};
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	rlim_t before = limit.rlim_cur;
	limit.rlim_cur = 130;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	uint64_t lost = log_file_append(&file, RECORD RECORD RECORD, 3 * 51);
	limit.rlim_cur = before;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_uint_eq(lost, 10);
	struct stat st;
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_size, 2 * 51);
	ck_assert_uint_eq(log_file_append(&file, RECORD, 51), 0);
	ck_assert_uint_eq(count_in_file(path, RECORD), 3);
	ck_assert_uint_eq(count_in_file(path, "axle: 10 bytes"), 1);
	log_file_done(&file);
	ck_assert_int_eq(path_remove_tree(AT_FDCWD, dir, NULL), 0);
}
END_TEST

static struct log_queue *open_queue(const char *path)
{
	const struct monitor_log config = {.path = path};
	struct log_queue *queue = NULL;
	ck_assert_int_eq(log_queue_new(&config, &queue, NULL), 0);
	return queue;
}

static void await(struct log_queue *queue)
{
	struct pollfd poll_fd = {.fd = log_queue_fd(queue), .events = POLLIN};
	ck_assert_int_eq(poll(&poll_fd, 1, 10000), 1);
	log_queue_acknowledge(queue);
}

static struct cri_record make_record(const char *content, size_t size)
{
	struct cri_record record;
	cri_record_make(&record, "stdout", 'F', 0);
	record.parts[0].bytes = content;
	record.parts[0].size = size;
	return record;
}

START_TEST(what_is_pushed_arrives_in_order_and_whole)
{
	char dir[64];
	char path[128];
	make_directory(dir, path);
	struct log_queue *queue = open_queue(path);
	static char content[CRI_CONTENT_MAX];
	uint64_t total = 0;
	for (size_t i = 0; i < 3000; i++) {
		size_t size = i * 7919 % sizeof content;
		memset(content, 'a' + (int)(i % 26), size);
		struct cri_record record = make_record(content, size);
		while (!log_queue_push(queue, &record))
			await(queue);
		total += CRI_HEADER_BYTES + size + 1;
	}
	while (!log_queue_flushed(queue))
		await(queue);
	ck_assert_uint_eq(log_queue_lost(queue), 0);
	log_queue_free(queue);

	scoped_done(buf_done) struct buf text = {.max = 1 << 26};
	ck_assert_int_eq(file_read_at(AT_FDCWD, path, &text, NULL), 0);
	ck_assert_uint_eq(text.size, total);
	size_t at = 0;
	for (size_t i = 0; i < 3000; i++) {
		size_t size = i * 7919 % sizeof content;
		at += CRI_HEADER_BYTES;
		memset(content, 'a' + (int)(i % 26), size);
		ck_assert_int_eq(memcmp(text.data + at, content, size), 0);
		at += size;
		ck_assert_int_eq(text.data[at++], '\n');
	}
	ck_assert_int_eq(path_remove_tree(AT_FDCWD, dir, NULL), 0);
}
END_TEST

START_TEST(a_reopen_comes_behind_what_was_pushed_before)
{
	char dir[64];
	char path[128];
	char moved[160];
	make_directory(dir, path);
	(void)snprintf(moved, sizeof moved, "%s.moved", path);
	struct log_queue *queue = open_queue(path);
	struct cri_record record = make_record("before", 6);
	ck_assert(log_queue_push(queue, &record));
	ck_assert_int_eq(rename(path, moved), 0);
	ck_assert_int_eq(log_queue_reopen(queue), 0);
	struct err err = {0};
	int r = -EINPROGRESS;
	while ((r = log_queue_reopened(queue, &err)) == -EINPROGRESS)
		await(queue);
	ck_assert_int_eq(r, 0);
	record = make_record("after", 5);
	ck_assert(log_queue_push(queue, &record));
	log_queue_free(queue);
	ck_assert_uint_eq(count_in_file(moved, "before"), 1);
	ck_assert_uint_eq(count_in_file(moved, "after"), 0);
	ck_assert_uint_eq(count_in_file(path, "after"), 1);
	ck_assert_int_eq(path_remove_tree(AT_FDCWD, dir, NULL), 0);
}
END_TEST

START_TEST(without_a_log_everything_is_taken)
{
	struct log_queue *queue = NULL;
	ck_assert_int_eq(log_queue_new(NULL, &queue, NULL), 0);
	struct cri_record record = make_record("x", 1);
	for (int i = 0; i < 100000; i++)
		ck_assert(log_queue_push(queue, &record));
	ck_assert(log_queue_flushed(queue));
	ck_assert_int_eq(log_queue_reopen(queue), 0);
	ck_assert_int_eq(log_queue_reopen(queue), -EBUSY);
	ck_assert_int_eq(log_queue_reopened(queue, NULL), 0);
	log_queue_free(queue);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, a_cap_loses_whole_records_and_says_so);
	tcase_add_test(cases, rotation_keeps_so_many_files);
	tcase_add_test(cases, a_torn_record_is_cut_off);
	tcase_add_test(cases, what_is_pushed_arrives_in_order_and_whole);
	tcase_add_test(cases, a_reopen_comes_behind_what_was_pushed_before);
	tcase_add_test(cases, without_a_log_everything_is_taken);
}

TEST_MAIN("monitor-log", add_tests)
