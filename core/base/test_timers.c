#include "core/base/timers.h"

#include <stdlib.h>

#include "core/base/test_main.h"

#define COUNT 200

struct item {
	struct timer timer;
	int64_t fired_at;
};

static int64_t clock_ns;
static int64_t last_due;

static void fire(struct timer *timer)
{
	struct item *item = (struct item *)timer;
	ck_assert_int_le(last_due, timer->due_ns);
	last_due = timer->due_ns;
	item->fired_at = clock_ns;
}

START_TEST(fires_in_order_whatever_is_set_moved_or_cancelled)
{
	struct timers timers = {0};
	struct item items[COUNT] = {0};
	unsigned seed = 7;
	for (int i = 0; i < COUNT; i++) {
		items[i].timer.fire = fire;
		ck_assert_int_eq(timer_set(&timers, &items[i].timer, rand_r(&seed) % 1000), 0);
	}
	for (int i = 0; i < COUNT; i += 3)
		ck_assert_int_eq(timer_set(&timers, &items[i].timer, rand_r(&seed) % 1000), 0);
	for (int i = 0; i < COUNT; i += 5)
		timer_cancel(&timers, &items[i].timer);
	for (clock_ns = 0; clock_ns <= 1000; clock_ns += 10)
		timers_fire(&timers, clock_ns);
	ck_assert_int_eq(timers_due(&timers), INT64_MAX);
	for (int i = 0; i < COUNT; i++)
		ck_assert_int_eq(items[i].fired_at > 0 || items[i].timer.due_ns == 0, i % 5 != 0);
	timers_done(&timers);
}
END_TEST

static struct timers *again;

static void set_again(struct timer *timer)
{
	clock_ns++;
	ck_assert_int_eq(timer_set(again, timer, 0), 0);
}

START_TEST(one_that_is_always_due_fires_once_a_call)
{
	struct timers timers = {0};
	struct timer timer = {.fire = set_again};
	again = &timers;
	clock_ns = 0;
	ck_assert_int_eq(timer_set(&timers, &timer, 0), 0);
	timers_fire(&timers, 100);
	ck_assert_int_eq(clock_ns, 1);
	timers_done(&timers);
	ck_assert_uint_eq(timer.place, 0);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, fires_in_order_whatever_is_set_moved_or_cancelled);
	tcase_add_test(cases, one_that_is_always_due_fires_once_a_call);
}

TEST_MAIN("timers", add_tests)
