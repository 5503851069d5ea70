#include "manager/src/fiber.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/base/test_main.h"

struct world {
	uv_loop_t loop;
	struct fibers *fibers;
	struct fiber_lock lock;
	struct fiber_signal signal;
	struct fiber *fiber;
	int pipe[2];
	char trace[64];
	int results[4];
};

static void note(struct world *world, char c)
{
	size_t length = strlen(world->trace);
	world->trace[length] = c;
}

static void run_world(struct world *world)
{
	(void)uv_run(&world->loop, UV_RUN_DEFAULT);
	ck_assert_uint_eq(fibers_count(world->fibers), 0);
	fibers_free(world->fibers);
	(void)uv_run(&world->loop, UV_RUN_DEFAULT);
	ck_assert_int_eq(uv_loop_close(&world->loop), 0);
}

static struct world *make_world(void)
{
	static struct world world;
	memset(&world, 0, sizeof world);
	ck_assert_int_eq(uv_loop_init(&world.loop), 0);
	ck_assert_int_eq(fibers_new(&world.loop, &world.fibers), 0);
	return &world;
}

static void lock_a(void *data)
{
	struct world *world = data;
	ck_assert_int_eq(fiber_lock(world->fibers, &world->lock), 0);
	note(world, 'a');
	ck_assert_int_eq(fiber_sleep(world->fibers, 20), 0);
	note(world, 'A');
	fiber_unlock(world->fibers, &world->lock);
}

static void lock_b(void *data)
{
	struct world *world = data;
	ck_assert_int_eq(fiber_lock(world->fibers, &world->lock), 0);
	note(world, 'b');
	fiber_unlock(world->fibers, &world->lock);
}

static void lock_in_time(void *data)
{
	struct world *world = data;
	(void)fiber_set_deadline(world->fibers, uv_hrtime() + 5000000);
	ck_assert_int_eq(fiber_lock(world->fibers, &world->lock), -ETIMEDOUT);
	note(world, 't');
}

START_TEST(a_lock_lets_one_in_after_the_other_and_nobody_waits_beyond_a_deadline)
{
	struct world *world = make_world();
	ck_assert_int_eq(fiber_start(world->fibers, lock_a, world, NULL), 0);
	ck_assert_int_eq(fiber_start(world->fibers, lock_in_time, world, NULL), 0);
	ck_assert_int_eq(fiber_start(world->fibers, lock_b, world, NULL), 0);
	run_world(world);
	ck_assert_str_eq(world->trace, "atAb");
}
END_TEST

static void wait_cancelled(void *data)
{
	struct world *world = data;
	world->results[0] = fiber_signal_wait(world->fibers, &world->signal);
	world->results[1] = fiber_sleep(world->fibers, 1000); /* at once from now on */
	fiber_shield(world->fibers);
	world->results[2] = fiber_sleep(world->fibers, 1);
	(void)fiber_set_deadline(world->fibers, uv_hrtime() + 1000000);
	world->results[3] = fiber_signal_wait(world->fibers, &world->signal);
	fiber_unshield(world->fibers);
}

static void cancel_it(void *data)
{
	struct world *world = data;
	fiber_cancel(world->fiber);
}

START_TEST(cancelling_ends_every_wait_but_not_what_is_shielded)
{
	struct world *world = make_world();
	ck_assert_int_eq(fiber_start(world->fibers, wait_cancelled, world, &world->fiber), 0);
	ck_assert_int_eq(fiber_start(world->fibers, cancel_it, world, NULL), 0);
	run_world(world);
	ck_assert_int_eq(world->results[0], -ECANCELED);
	ck_assert_int_eq(world->results[1], -ECANCELED);
	ck_assert_int_eq(world->results[2], 0);
	ck_assert_int_eq(world->results[3], -ETIMEDOUT);
}
END_TEST

static void read_pipe(void *data)
{
	struct world *world = data;
	world->results[0] = fiber_await_fd(world->fibers, world->pipe[0], UV_READABLE);
	note(world, 'r');
}

static void work(void *data)
{
	struct world *world = data;
	note(world, 'w');
}

static void write_pipe(void *data)
{
	struct world *world = data;
	ck_assert_int_eq(fiber_work(world->fibers, work, world), 0);
	ck_assert_int_eq(write(world->pipe[1], "x", 1), 1);
}

START_TEST(descriptors_and_work_are_waited_for)
{
	struct world *world = make_world();
	ck_assert_int_eq(pipe2(world->pipe, O_CLOEXEC), 0);
	ck_assert_int_eq(fiber_start(world->fibers, read_pipe, world, NULL), 0);
	ck_assert_int_eq(fiber_start(world->fibers, write_pipe, world, NULL), 0);
	run_world(world);
	ck_assert_str_eq(world->trace, "wr");
	ck_assert_int_eq(world->results[0], 0);
	close(world->pipe[0]);
	close(world->pipe[1]);
}
END_TEST

static void nothing(void *data)
{
	struct world *world = data;
	world->results[0]++;
	(void)fiber_sleep(world->fibers, 1);
}

START_TEST(their_number_has_a_limit)
{
	struct world *world = make_world();
	for (size_t i = 0; i < FIBERS_MAX; i++)
		ck_assert_int_eq(fiber_start(world->fibers, nothing, world, NULL), 0);
	ck_assert_int_eq(fiber_start(world->fibers, nothing, world, NULL), -EAGAIN);
	run_world(world);
	ck_assert_int_eq(world->results[0], FIBERS_MAX);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, a_lock_lets_one_in_after_the_other_and_nobody_waits_beyond_a_deadline);
	tcase_add_test(cases, cancelling_ends_every_wait_but_not_what_is_shielded);
	tcase_add_test(cases, descriptors_and_work_are_waited_for);
	tcase_add_test(cases, their_number_has_a_limit);
}

TEST_MAIN("fiber", add_tests)
