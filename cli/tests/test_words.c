/* Small readers and writers: times, tables, bars, exit codes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/src/exit.h"
#include "cli/src/format.h"
#include "cli/src/moment.h"
#include "cli/src/output.h"
#include "cli/src/progress.h"
#include "cli/src/table.h"
#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/test_main.h"

#define SECOND 1000000000LL

static int64_t moment(const char *text)
{
	int64_t ns = -1;
	return moment_parse("since", text, &ns, NULL) < 0 ? -2 : ns;
}

START_TEST(times_are_read_as_people_type_them)
{
	ck_assert_int_eq(moment("1767225600"), 1767225600 * SECOND);
	ck_assert_int_eq(moment("2026-01-01T00:00:00Z"), 1767225600 * SECOND);
	ck_assert_int_eq(moment("2026-01-01T00:00:00.5Z"), 1767225600 * SECOND + SECOND / 2);
	int64_t ago = now_ns() - moment("1h30m");
	ck_assert_int_ge(ago, 5399 * SECOND);
	ck_assert_int_le(ago, 5410 * SECOND);
	static const char *const BAD[] = {"", "yesterday", "5x", "2026-13-01", "-5", "10m5", "2026-01-01T00:00:00Q"};
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
		ck_assert_msg(moment(BAD[i]) == -2, "%s", BAD[i]);
}
END_TEST

/* What @print writes to standard output. */
static void capture(void (*print)(void *data), void *data, char *ret_text, size_t size)
{
	FILE *file = tmpfile();
	(void)fflush(stdout);
	int before = dup(STDOUT_FILENO);
	(void)dup2(fileno(file), STDOUT_FILENO);
	print(data);
	(void)fflush(stdout);
	(void)dup2(before, STDOUT_FILENO);
	(void)close(before);
	rewind(file);
	ret_text[fread(ret_text, 1, size - 1, file)] = '\0';
	(void)fclose(file);
}

static void print_with_titles(void *table)
{
	table_print(table, true);
}

static void print_without_titles(void *table)
{
	table_print(table, false);
}

START_TEST(columns_are_aligned_by_characters)
{
	static const char *const TITLES[] = {"NAME", "X", NULL};
	struct arena arena = {.max = 1 << 16};
	struct table table = table_begin(&arena, TITLES);
	const char *first[] = {"größe", "1"}, *second[] = {"a", "2"};
	ck_assert_int_eq(table_add(&table, first), 0);
	ck_assert_int_eq(table_add(&table, second), 0);
	char text[256];
	capture(print_with_titles, &table, text, sizeof text);
	ck_assert_str_eq(text, "NAME    X\ngröße   1\na       2\n");
	capture(print_without_titles, &table, text, sizeof text);
	ck_assert_str_eq(text, "größe   1\na       2\n");
	arena_done(&arena);
}
END_TEST

START_TEST(a_table_takes_many_rows)
{
	static const char *const TITLES[] = {"N", NULL};
	struct arena arena = {.max = 1 << 20};
	struct table table = table_begin(&arena, TITLES);
	for (int i = 0; i < 1000; i++) {
		const char *cell = arena_printf(&arena, "%d", i);
		ck_assert_int_eq(table_add(&table, &cell), 0);
	}
	ck_assert_uint_eq(table.rows, 1000);
	ck_assert_str_eq(table.cells[999], "999");
	arena_done(&arena);
}
END_TEST

START_TEST(bars_fill_from_the_left)
{
	char bar[16];
	progress_bar(bar, 10, 0, 100);
	ck_assert_str_eq(bar, "[>         ]");
	progress_bar(bar, 10, 50, 100);
	ck_assert_str_eq(bar, "[=====>    ]");
	progress_bar(bar, 10, 100, 100);
	ck_assert_str_eq(bar, "[==========]");
	progress_bar(bar, 10, 200, 100);
	ck_assert_str_eq(bar, "[==========]");
	progress_bar(bar, 10, 7, 0);
	ck_assert_str_eq(bar, "[          ]");
}
END_TEST

START_TEST(reasons_become_exit_codes)
{
	struct err err = {0};
	(void)err_set(&err, -ENOENT, "runtime.executable-not-found", "x");
	ck_assert_int_eq(exit_code_of_error(&err), 127);
	(void)err_set(&err, -EACCES, "runtime.executable-denied", "x");
	ck_assert_int_eq(exit_code_of_error(&err), 126);
	(void)err_set(&err, -ENOENT, "image.not-found", "x");
	ck_assert_int_eq(exit_code_of_error(&err), 125);
	ck_assert_int_eq(exit_code_of_error(&(struct err){0}), 125);
}
END_TEST

START_TEST(formats_are_table_or_json)
{
	bool json = true;
	ck_assert_int_eq(output_parse(NULL, &json, NULL), 0);
	ck_assert(!json);
	ck_assert_int_eq(output_parse("json", &json, NULL), 0);
	ck_assert(json);
	struct err err = {0};
	ck_assert_int_eq(output_parse("{{.ID}}", &json, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.message, "table or json"));
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, times_are_read_as_people_type_them);
	tcase_add_test(cases, columns_are_aligned_by_characters);
	tcase_add_test(cases, a_table_takes_many_rows);
	tcase_add_test(cases, bars_fill_from_the_left);
	tcase_add_test(cases, reasons_become_exit_codes);
	tcase_add_test(cases, formats_are_table_or_json);
}

TEST_MAIN("cli-words", add_tests)
