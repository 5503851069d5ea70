#include "cli/src/format.h"

#include "core/base/arena.h"
#include "core/base/test_main.h"

#define SECOND 1000000000LL

static struct arena arena = {.max = 1 << 16};

START_TEST(ids_are_short)
{
	ck_assert_str_eq(format_id(&arena, "sha256:0123456789abcdef", false), "0123456789ab");
	ck_assert_str_eq(format_id(&arena, "0123456789abcdef", false), "0123456789ab");
	ck_assert_str_eq(format_id(&arena, "abc", false), "abc");
	ck_assert_str_eq(format_id(&arena, "sha256:0123456789abcdef", true), "sha256:0123456789abcdef");
}
END_TEST

START_TEST(sizes_have_three_digits)
{
	ck_assert_str_eq(format_size(&arena, 0), "0 B");
	ck_assert_str_eq(format_size(&arena, 999), "999 B");
	ck_assert_str_eq(format_size(&arena, 4270000), "4.27 MB");
	ck_assert_str_eq(format_size(&arena, 42700000), "42.7 MB");
	ck_assert_str_eq(format_size(&arena, 427000000), "427 MB");
	ck_assert_str_eq(format_size(&arena, UINT64_MAX), "18447 PB");
}
END_TEST

START_TEST(durations_use_the_largest_fitting_unit)
{
	static const struct {
		int64_t seconds;
		const char *text;
	} CASES[] = {
		{0, "Less than a second"}, {1, "1 second"},	{59, "59 seconds"},	  {60, "1 minute"},
		{3599, "59 minutes"},	   {3600, "1 hour"},	{47 * 3600, "47 hours"},  {48 * 3600, "2 days"},
		{13 * 86400, "13 days"},   {14 * 86400, "2 weeks"}, {60 * 86400, "2 months"}, {730 * 86400, "2 years"},
	};
	for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
		ck_assert_str_eq(format_duration(&arena, 5 * SECOND, (5 + CASES[i].seconds) * SECOND), CASES[i].text);
	ck_assert_str_eq(format_duration(&arena, 5 * SECOND, 0), "Less than a second");
}
END_TEST

START_TEST(times_are_rfc_3339)
{
	ck_assert_str_eq(format_time(&arena, 1767225600 * SECOND + 42), "2026-01-01T00:00:00.000000042Z");
	ck_assert_str_eq(format_time(&arena, 0), "");
}
END_TEST

START_TEST(states_are_told_as_podman_tells_them)
{
	Axle__ExitStatus status = AXLE__EXIT_STATUS__INIT;
	Axle__ContainerSummary container = AXLE__CONTAINER_SUMMARY__INIT;
	ck_assert_str_eq(format_status(&arena, &container, 0), "Created");
	container.state = CRI__CONTAINER_STATE__CONTAINER_RUNNING;
	container.started_at = SECOND;
	ck_assert_str_eq(format_status(&arena, &container, 181 * SECOND), "Up 3 minutes");
	container.paused = 1;
	ck_assert_str_eq(format_status(&arena, &container, 181 * SECOND), "Up 3 minutes (Paused)");
	container.state = CRI__CONTAINER_STATE__CONTAINER_EXITED;
	container.finished_at = SECOND;
	status.code = 137;
	container.exit = &status;
	ck_assert_str_eq(format_status(&arena, &container, 3 * SECOND), "Exited (137) 2 seconds ago");
}
END_TEST

START_TEST(commands_are_cut_between_characters_and_cannot_move_the_cursor)
{
	const char *words[] = {"sh", "-c", "printf '\033[2J'"};
	ck_assert_str_eq(format_command(&arena, words, 3, 0), "sh -c printf '?[2J'");
	const char *umlauts[] = {"aüüüüü"};
	ck_assert_str_eq(format_command(&arena, umlauts, 1, 7), "aü...");
	ck_assert_str_eq(format_command(&arena, umlauts, 1, 11), "aüüüüü");
	ck_assert_str_eq(format_command(&arena, NULL, 0, 7), "");
}
END_TEST

START_TEST(references_fall_into_repository_and_tag)
{
	static const char *const CASES[][3] = {
		{"docker.io/library/busybox:1.36", "docker.io/library/busybox", "1.36"},
		{"localhost:5000/a", "localhost:5000/a", "<none>"},
		{"localhost:5000/a:b", "localhost:5000/a", "b"},
		{"a@sha256:00", "a", "<none>"},
		{"busybox:latest", "busybox", "latest"},
	};
	for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
		const char *repository = NULL, *tag = NULL;
		format_reference(&arena, CASES[i][0], &repository, &tag);
		ck_assert_str_eq(repository, CASES[i][1]);
		ck_assert_str_eq(tag, CASES[i][2]);
	}
}
END_TEST

static void free_arena(void)
{
	arena_done(&arena);
}

static void add_tests(TCase *cases)
{
	tcase_add_checked_fixture(cases, NULL, free_arena);
	tcase_add_test(cases, ids_are_short);
	tcase_add_test(cases, sizes_have_three_digits);
	tcase_add_test(cases, durations_use_the_largest_fitting_unit);
	tcase_add_test(cases, times_are_rfc_3339);
	tcase_add_test(cases, states_are_told_as_podman_tells_them);
	tcase_add_test(cases, commands_are_cut_between_characters_and_cannot_move_the_cursor);
	tcase_add_test(cases, references_fall_into_repository_and_tag);
}

TEST_MAIN("cli-format", add_tests)
