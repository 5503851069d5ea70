/* What the kernel and runtimes say, as text. */
#include <errno.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/str.h"
#include "core/base/test_main.h"
#include "runtime/src/monitor/oom.h"
#include "runtime/src/monitor/proc_status.h"
#include "runtime/src/monitor/runtime_log.h"

static const struct {
	const char *log, *text, *expected;
} MESSAGES[] = {
	{"", "", ""},
	{"{\"level\":\"error\",\"msg\":\"bad thing\"}\n", "ignored", "bad thing"},
	{"{\"level\":\"error\",\"msg\":\"cause\"}\n{\"level\":\"warning\",\"msg\":\"after\"}\n", "", "cause"},
	{"{\"level\":\"error\",\"msg\":\"first\"}\n{\"level\":\"fatal\",\"msg\":\"second\"}\n", "", "second"},
	{"{\"level\":\"info\",\"msg\":\"only\"}", "", "only"},
	{"{\"msg\":\"no level\"}\nno json\n", "", "no json"},
	{"{\"level\":\"error\",\"msg\":\"x\"}\nno json\n", "", "x"},
	{"{\"level\":\"error\"}\n", "", "{\"level\":\"error\"}"},
	{"", "one\ntwo\n\n", "two"},
	{"", "tab\tand\x1b[31mred\r\n", "tab and [31mred"},
	{"", "\xff\xfe?", "???"},
	{"{\"level\":\"error\",\"msg\":\"a\\nb\\u0007c\"}", "", "a b c"},
};

START_TEST(the_last_error_of_a_runtime_is_found)
{
	char message[RUNTIME_MESSAGE_MAX];
	runtime_log_last_error(MESSAGES[_i].log, strlen(MESSAGES[_i].log), MESSAGES[_i].text, strlen(MESSAGES[_i].text),
			       message);
	ck_assert_str_eq(message, MESSAGES[_i].expected);
}
END_TEST

START_TEST(a_long_message_is_cut_between_characters)
{
	char text[2 * RUNTIME_MESSAGE_MAX];
	for (size_t i = 0; i + 1 < sizeof text; i += 2)
		memcpy(text + i, "\xc3\xa4", 2);
	char message[RUNTIME_MESSAGE_MAX];
	runtime_log_last_error("", 0, text, sizeof text, message);
	ck_assert_uint_ge(strlen(message), RUNTIME_MESSAGE_MAX - 3);
	ck_assert(str_is_utf8(message, strlen(message)));
	ck_assert_ptr_null(strchr(message, '?'));
}
END_TEST

static const struct {
	const char *text, *expected; /* NULL: -ENOENT */
} GROUPS[] = {
	{"", NULL},
	{"garbage\n:\n", NULL},
	{"4:memory:/n/c\n0::/other\n", "n/c"},
	{"0::/other\n4:cpu,memory:/n/c\n", "n/c"},
	{"4:memoryx,xmemory:/wrong\n0::/v2/c\n", "v2/c"},
	{"0::/v2/c", "v2/c"},
	{"0::/", ""},
	{"4:memory:/with:colon\n", "with:colon"},
};

START_TEST(the_memory_group_is_found)
{
	char path[64] = "";
	int r = oom_find_group(GROUPS[_i].text, "memory", path, sizeof path);
	if (GROUPS[_i].expected) {
		ck_assert_int_eq(r, (int)strlen(GROUPS[_i].expected));
		ck_assert_str_eq(path, GROUPS[_i].expected);
	} else {
		ck_assert_int_eq(r, -ENOENT);
	}
	ck_assert_int_eq(oom_find_group("4:memory:/longer/than/four", "memory", path, 4), -ENOENT);
}
END_TEST

START_TEST(memory_kills_are_counted_in_both_dialects)
{
	ck_assert_uint_eq(oom_parse_kills("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"), 3);
	ck_assert_uint_eq(oom_parse_kills("low 0\nhigh 0\nmax 5\noom 2\noom_kill 1\noom_group_kill 9\n"), 1);
	ck_assert_uint_eq(oom_parse_kills("oom_kill -3\n"), 0);
	ck_assert_uint_eq(oom_parse_kills("oom_kill"), 0);
	ck_assert_uint_eq(oom_parse_kills("oom_kill 99999999999999999999999999999\n"), 0);
	ck_assert_uint_eq(oom_parse_kills(""), 0);
}
END_TEST

#define FIELDS_4_TO_21 "1 7 7 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0"
#define FIELDS_23_TO_51 "0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0"

START_TEST(a_zombies_status_is_read)
{
	char state = 0;
	uint64_t start = 0;
	int code = 0;
	const char *text = "7 (a) Z (b) Z " FIELDS_4_TO_21 " 123456 " FIELDS_23_TO_51 " 1792\n";
	ck_assert_int_eq(proc_stat_parse(text, &state, &start, &code), 0);
	ck_assert_int_eq(state, 'Z');
	ck_assert_uint_eq(start, 123456);
	ck_assert_int_eq(code, 1792);
	struct child_status status = child_status_of_wait(code);
	ck_assert_int_eq(status.exit_code, 7);
	status = child_status_of_wait(9);
	ck_assert_int_eq(status.exit_code, 137);
	ck_assert_int_eq(status.signal, 9);
	ck_assert_int_eq(proc_stat_parse("7 (short) Z 1 2 3", &state, &start, &code), -EINVAL);
	ck_assert_int_eq(proc_stat_parse("no name", &state, &start, &code), -EINVAL);
	ck_assert_int_eq(proc_stat_parse("7 (end)", &state, &start, &code), -EINVAL);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_loop_test(cases, the_last_error_of_a_runtime_is_found, 0, (int)ARRAY_COUNT(MESSAGES));
	tcase_add_test(cases, a_long_message_is_cut_between_characters);
	tcase_add_loop_test(cases, the_memory_group_is_found, 0, (int)ARRAY_COUNT(GROUPS));
	tcase_add_test(cases, memory_kills_are_counted_in_both_dialects);
	tcase_add_test(cases, a_zombies_status_is_read);
}

TEST_MAIN("monitor-parse", add_tests)
