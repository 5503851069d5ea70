#include "core/base/log.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/test_main.h"

/* What @log has written to the pipe so far. */
static char *written(int fd)
{
	static char text[8192];
	ssize_t size = read(fd, text, sizeof text - 1);
	text[size > 0 ? size : 0] = '\0';
	return text;
}

START_TEST(one_event_is_one_line_whatever_the_names_hold)
{
	int ends[2];
	ck_assert_int_eq(pipe(ends), 0);
	struct log log = {.program = "test", .fd = ends[1], .level = LOG_INFO};
	log_info(&log, "pod.started", "pod %s", "a\nb\x1b[2J");
	char *text = written(ends[0]);
	ck_assert_ptr_nonnull(strstr(text, " info test pod.started: pod a\\x0ab\\x1b[2J\n"));
	ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
}
END_TEST

START_TEST(json_lines_are_escaped)
{
	int ends[2];
	ck_assert_int_eq(pipe(ends), 0);
	struct log log = {.program = "test", .fd = ends[1], .level = LOG_INFO, .format = LOG_JSON};
	log_error(&log, "x", "say \"hi\"\n");
	ck_assert_ptr_nonnull(strstr(written(ends[0]), "\"level\":\"error\",\"program\":\"test\",\"event\":\"x\","
						       "\"msg\":\"say \\\"hi\\\"\\u000a\"}\n"));
}
END_TEST

START_TEST(levels_below_the_chosen_one_are_silent)
{
	int ends[2];
	ck_assert_int_eq(pipe(ends), 0);
	struct log log = {.program = "test", .fd = ends[1], .level = LOG_WARNING};
	log_info(&log, "x", "not this");
	log_info(NULL, "x", "nor this");
	struct err err = {0};
	(void)err_set(&err, -EIO, "disk.bad", "sector 7");
	log_err(&log, &err, -EIO, "pod %d", 1);
	char *text = written(ends[0]);
	ck_assert_ptr_null(strstr(text, "this"));
	ck_assert_ptr_nonnull(strstr(text, "error test disk.bad: pod 1: sector 7\n"));
}
END_TEST

START_TEST(an_overlong_sentence_is_cut_to_one_line)
{
	int ends[2];
	ck_assert_int_eq(pipe(ends), 0);
	struct log log = {.program = "test", .fd = ends[1], .level = LOG_INFO};
	char sentence[10000];
	memset(sentence, '\n', sizeof sentence - 1);
	sentence[sizeof sentence - 1] = '\0';
	log_info(&log, "x", "%s", sentence);
	char *text = written(ends[0]);
	ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
}
END_TEST

START_TEST(level_names)
{
	enum log_level level = LOG_ERROR;
	ck_assert_int_eq(log_level_parse("debug", &level), 0);
	ck_assert_int_eq(level, LOG_DEBUG);
	ck_assert_int_eq(log_level_parse("loud", &level), -EINVAL);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, one_event_is_one_line_whatever_the_names_hold);
	tcase_add_test(cases, json_lines_are_escaped);
	tcase_add_test(cases, levels_below_the_chosen_one_are_silent);
	tcase_add_test(cases, an_overlong_sentence_is_cut_to_one_line);
	tcase_add_test(cases, level_names);
}

TEST_MAIN("log", add_tests)
