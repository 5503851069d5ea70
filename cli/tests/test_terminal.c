#include "cli/src/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/test_main.h"

/* Types @typed in pieces of @piece bytes. Returns whether it detached; @ret_out holds what went through. */
static bool type(const char *keys_text, const char *typed, size_t piece, char *ret_out)
{
	struct detach_keys keys;
	ck_assert_int_eq(detach_keys_parse(keys_text, &keys, NULL), 0);
	size_t at = 0, size = strlen(typed), total = 0;
	while (at < size) {
		size_t part = size - at < piece ? size - at : piece, out = 0;
		bool detached = detach_keys_filter(&keys, (const uint8_t *)typed + at, part,
						   (uint8_t *)ret_out + total, &out);
		total += out;
		ret_out[total] = '\0';
		if (detached)
			return true;
		at += part;
	}
	return false;
}

START_TEST(the_keys_detach_and_nothing_of_them_goes_through)
{
	char out[64] = "";
	for (size_t piece = 1; piece < 8; piece++) {
		ck_assert(type("ctrl-p,ctrl-q", "ls\020\021x", piece, out));
		ck_assert_str_eq(out, "ls");
	}
}
END_TEST

START_TEST(what_only_begins_like_the_keys_goes_through)
{
	char out[64] = "";
	for (size_t piece = 1; piece < 8; piece++) {
		ck_assert(!type("ctrl-p,ctrl-q", "a\020b\020\020c", piece, out));
		ck_assert_str_eq(out, "a\020b\020\020c");
		ck_assert(type("ctrl-p,ctrl-q", "\020\020\021", piece, out));
		ck_assert_str_eq(out, "\020");
	}
}
END_TEST

START_TEST(a_sequence_may_begin_anew_within_itself)
{
	char out[64] = "";
	for (size_t piece = 1; piece < 8; piece++) {
		ck_assert(type("a,a,b", "aaab", piece, out));
		ck_assert_str_eq(out, "a");
		ck_assert(type("a,b,a,c", "ababac", piece, out));
		ck_assert_str_eq(out, "ab");
	}
}
END_TEST

START_TEST(no_keys_let_everything_through)
{
	char out[64] = "";
	ck_assert(!type("", "\020\021", 1, out));
	ck_assert_str_eq(out, "\020\021");
}
END_TEST

START_TEST(keys_that_are_none_are_refused)
{
	static const char *const BAD[] = {"ctrl-", "ctrl-1", "ctrl-pp", "pq", ",", "a,,b", "a,b,c,d,e,f,g,h,i"};
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
		struct detach_keys keys;
		struct err err = {0};
		ck_assert_msg(detach_keys_parse(BAD[i], &keys, &err) == -EINVAL, "%s", BAD[i]);
		ck_assert_ptr_nonnull(strstr(err.message, "ctrl-p,ctrl-q"));
	}
	struct detach_keys keys;
	ck_assert_int_eq(detach_keys_parse("ctrl-@,ctrl-[,ctrl-_", &keys, NULL), 0);
	ck_assert_uint_eq(keys.keys[0], 0);
	ck_assert_uint_eq(keys.keys[1], 27);
	ck_assert_uint_eq(keys.keys[2], 31);
}
END_TEST

static int open_terminal(int *ret_master)
{
	*ret_master = posix_openpt(O_RDWR | O_NOCTTY);
	ck_assert_int_ge(*ret_master, 0);
	ck_assert_int_eq(grantpt(*ret_master), 0);
	ck_assert_int_eq(unlockpt(*ret_master), 0);
	int slave = open(ptsname(*ret_master), O_RDWR | O_NOCTTY);
	ck_assert_int_ge(slave, 0);
	return slave;
}

START_TEST(a_terminal_is_as_before_afterwards)
{
	int master = -1, slave = open_terminal(&master);
	struct termios before, raw, after;
	ck_assert_int_eq(tcgetattr(slave, &before), 0);
	struct terminal terminal = {0};
	ck_assert_int_eq(terminal_make_raw(&terminal, slave, NULL), 0);
	ck_assert_int_eq(tcgetattr(slave, &raw), 0);
	ck_assert_uint_eq(raw.c_lflag & (ICANON | ECHO | ISIG), 0);
	terminal_restore(&terminal);
	terminal_restore(&terminal);
	ck_assert_int_eq(tcgetattr(slave, &after), 0);
	ck_assert_uint_eq(after.c_lflag, before.c_lflag);
	ck_assert_uint_eq(after.c_iflag, before.c_iflag);
	(void)close(slave);
	(void)close(master);
}
END_TEST

START_TEST(a_terminal_says_its_size)
{
	int master = -1, slave = open_terminal(&master);
	uint32_t rows = 0, columns = 0;
	ck_assert(!terminal_size(slave, &rows, &columns));
	struct winsize size = {.ws_row = 24, .ws_col = 80};
	ck_assert_int_eq(ioctl(master, TIOCSWINSZ, &size), 0);
	ck_assert(terminal_size(slave, &rows, &columns));
	ck_assert_uint_eq(rows, 24);
	ck_assert_uint_eq(columns, 80);
	(void)close(slave);
	(void)close(master);
	struct err err = {0};
	struct terminal terminal = {0};
	int null = open("/dev/null", O_RDWR);
	ck_assert_int_eq(terminal_make_raw(&terminal, null, &err), -ENOTTY);
	(void)close(null);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, the_keys_detach_and_nothing_of_them_goes_through);
	tcase_add_test(cases, what_only_begins_like_the_keys_goes_through);
	tcase_add_test(cases, a_sequence_may_begin_anew_within_itself);
	tcase_add_test(cases, no_keys_let_everything_through);
	tcase_add_test(cases, keys_that_are_none_are_refused);
	tcase_add_test(cases, a_terminal_is_as_before_afterwards);
	tcase_add_test(cases, a_terminal_says_its_size);
}

TEST_MAIN("cli-terminal", add_tests)
