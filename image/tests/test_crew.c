#include "image/src/crew.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/test_main.h"

struct tally {
	atomic_uint_fast64_t done; /* a bit a piece */
	size_t fails;
};

static int work(void *user, size_t piece, struct err *err)
{
	struct tally *tally = user;
	if (piece == tally->fails)
		return err_set(err, -EIO, "test", "piece %zu", piece);
	(void)atomic_fetch_or(&tally->done, (uint64_t)1 << piece);
	return 0;
}

START_TEST(all_is_done_once)
{
	struct tally tally = {.fails = 99};
	struct crew_options options = {.threads = 3, .pieces_max = 40, .work = work, .user = &tally};
	scoped(crew_free) struct crew *crew = NULL;
	ck_assert_int_eq(crew_new(&options, &crew), 0);
	for (size_t i = 0; i < 40; i++)
		crew_add(crew, i);
	ck_assert_int_eq(crew_wait(crew, NULL), 0);
	ck_assert_uint_eq(tally.done, ((uint64_t)1 << 40) - 1);
	ck_assert(!crew_has_failed(crew));
}
END_TEST

START_TEST(the_first_failure_is_kept_and_ends_the_rest)
{
	struct tally tally = {.fails = 2};
	struct crew_options options = {.threads = 1, .pieces_max = 40, .work = work, .user = &tally};
	scoped(crew_free) struct crew *crew = NULL;
	struct err err = {0};
	ck_assert_int_eq(crew_new(&options, &crew), 0);
	for (size_t i = 0; i < 40; i++)
		crew_add(crew, i);
	ck_assert_int_eq(crew_wait(crew, &err), -EIO);
	ck_assert_str_eq(err.message, "piece 2");
	ck_assert_uint_eq(tally.done, 3);
	ck_assert(crew_has_failed(crew));
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, all_is_done_once);
	tcase_add_test(cases, the_first_failure_is_kept_and_ends_the_rest);
}

TEST_MAIN("crew", add_tests)
