#include "manager/src/fiber.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "core/base/scoped.h"
#include "manager/src/fiber_sanitizer.h"

#define SPARE_STACKS 8

struct fiber {
	struct fibers *fibers;
	ucontext_t context;
	char *stack; /* its guard page is the lowest */
	fiber_function *function;
	void *data;
	uint64_t deadline_ns;
	uint64_t outer_deadline_ns; /* while shielded: the one that counts afterwards */
	unsigned shields;
	bool cancelled;
	bool parked;
	bool ended;
	bool runnable; /* in the list of those that run next */
	int result;    /* of the wait */
	uv_timer_t timer;
	struct fiber *next_all, *previous_all;
	struct fiber *next_runnable;
	struct fiber *next_waiting; /* on a lock or a signal */
	void *fake_stack;	    /* the address sanitizer's */
};

struct fibers {
	uv_loop_t *loop;
	ucontext_t loop_context;
	struct fiber *self;
	struct fiber *all;
	size_t count;
	struct fiber *first_runnable, *last_runnable;
	uv_idle_t idle; /* active while there is something to run */
	char *spare[SPARE_STACKS];
	size_t spare_count;
	void *fake_stack;
	const void *loop_stack; /* as the address sanitizer knows it */
	size_t loop_stack_bytes;
};

/* --- stacks --- */

static void stack_unmap(char *stack)
{
	(void)munmap(stack, (size_t)getpagesize() + FIBER_STACK_BYTES);
}

static char *stack_take(struct fibers *fibers)
{
	if (fibers->spare_count)
		return fibers->spare[--fibers->spare_count];
	size_t guard = (size_t)getpagesize();
	char *stack = mmap(NULL, guard + FIBER_STACK_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
	if (stack == MAP_FAILED)
		return NULL;
	if (mprotect(stack, guard, PROT_NONE) < 0) { /* without the guard an overflow would go unseen */
		stack_unmap(stack);
		return NULL;
	}
	return stack;
}

static void stack_give(struct fibers *fibers, char *stack)
{
	if (fibers->spare_count < SPARE_STACKS)
		fibers->spare[fibers->spare_count++] = stack;
	else
		stack_unmap(stack);
}

/* --- turns --- */

static void free_fiber(uv_handle_t *timer)
{
	free(timer->data);
}

static void finish(struct fiber *fiber)
{
	struct fibers *fibers = fiber->fibers;
	stack_give(fibers, fiber->stack);
	if (fiber->next_all)
		fiber->next_all->previous_all = fiber->previous_all;
	if (fiber->previous_all)
		fiber->previous_all->next_all = fiber->next_all;
	else
		fibers->all = fiber->next_all;
	fibers->count--;
	uv_close((uv_handle_t *)&fiber->timer, free_fiber);
}

static void run(struct fiber *fiber)
{
	struct fibers *fibers = fiber->fibers;
	fibers->self = fiber;
	__sanitizer_start_switch_fiber(&fibers->fake_stack, fiber->stack + getpagesize(), FIBER_STACK_BYTES);
	(void)swapcontext(&fibers->loop_context, &fiber->context);
	__sanitizer_finish_switch_fiber(fibers->fake_stack, NULL, NULL);
	fibers->self = NULL;
	if (fiber->ended)
		finish(fiber);
}

static void on_idle(uv_idle_t *idle)
{
	struct fibers *fibers = idle->data;
	struct fiber *last = fibers->last_runnable; /* those that are woken meanwhile come in the next round */
	for (struct fiber *fiber = fibers->first_runnable; fiber; fiber = fibers->first_runnable) {
		bool was_last = fiber == last;
		fibers->first_runnable = fiber->next_runnable;
		if (!fibers->first_runnable)
			fibers->last_runnable = NULL;
		fiber->runnable = false;
		run(fiber);
		if (was_last)
			break;
	}
	if (!fibers->first_runnable)
		(void)uv_idle_stop(idle);
}

static void make_runnable(struct fiber *fiber)
{
	struct fibers *fibers = fiber->fibers;
	if (fiber->runnable)
		return;
	fiber->runnable = true;
	fiber->next_runnable = NULL;
	if (fibers->last_runnable)
		fibers->last_runnable->next_runnable = fiber;
	else
		fibers->first_runnable = fiber;
	fibers->last_runnable = fiber;
	(void)uv_idle_start(&fibers->idle, on_idle);
}

/* The first frame of a fiber. makecontext(3) passes int arguments: the pointer comes in halves. */
static void fiber_main(unsigned high, unsigned low)
{
	struct fiber *fiber = (struct fiber *)((uintptr_t)high << 32 | low);
	struct fibers *fibers = fiber->fibers;
	__sanitizer_finish_switch_fiber(NULL, &fibers->loop_stack, &fibers->loop_stack_bytes);
	fiber->function(fiber->data);
	fiber->ended = true;
	__sanitizer_start_switch_fiber(NULL, fibers->loop_stack, fibers->loop_stack_bytes);
	(void)setcontext(&fibers->loop_context);
}

static void yield_to_loop(struct fiber *fiber)
{
	struct fibers *fibers = fiber->fibers;
	__sanitizer_start_switch_fiber(&fiber->fake_stack, fibers->loop_stack, fibers->loop_stack_bytes);
	(void)swapcontext(&fiber->context, &fibers->loop_context);
	__sanitizer_finish_switch_fiber(fiber->fake_stack, &fibers->loop_stack, &fibers->loop_stack_bytes);
}

/* --- life --- */

int fibers_new(uv_loop_t *loop, struct fibers **ret_fibers)
{
	struct fibers *fibers = calloc(1, sizeof *fibers);
	if (!fibers)
		return -ENOMEM;
	fibers->loop = loop;
	(void)uv_idle_init(loop, &fibers->idle);
	fibers->idle.data = fibers;
	*ret_fibers = fibers;
	return 0;
}

static void free_fibers(uv_handle_t *idle)
{
	free(idle->data);
}

void fibers_free(struct fibers *fibers)
{
	if (!fibers)
		return;
	while (fibers->spare_count)
		stack_unmap(fibers->spare[--fibers->spare_count]);
	uv_close((uv_handle_t *)&fibers->idle, free_fibers);
}

uv_loop_t *fibers_loop(const struct fibers *fibers)
{
	return fibers->loop;
}

size_t fibers_count(const struct fibers *fibers)
{
	return fibers->count;
}

/* Apart from its caller, whose variables getcontext(3) would make the compiler doubt. */
static int prepare_context(struct fiber *fiber)
{
	if (getcontext(&fiber->context) < 0)
		return -ENOMEM;
	fiber->context.uc_stack.ss_sp = fiber->stack + getpagesize();
	fiber->context.uc_stack.ss_size = FIBER_STACK_BYTES;
	makecontext(&fiber->context, (void (*)(void))fiber_main, 2, (unsigned)((uintptr_t)fiber >> 32),
		    (unsigned)(uintptr_t)fiber);
	return 0;
}

int fiber_start(struct fibers *fibers, fiber_function *function, void *data, struct fiber **ret_fiber)
{
	if (fibers->count == FIBERS_MAX)
		return -EAGAIN;
	scoped_free struct fiber *fiber = calloc(1, sizeof *fiber);
	if (!fiber)
		return -ENOMEM;
	fiber->stack = stack_take(fibers);
	if (!fiber->stack)
		return -ENOMEM;
	if (prepare_context(fiber) < 0) {
		stack_give(fibers, fiber->stack);
		return -ENOMEM;
	}
	fiber->fibers = fibers;
	fiber->function = function;
	fiber->data = data;
	fiber->deadline_ns = UINT64_MAX;
	(void)uv_timer_init(fibers->loop, &fiber->timer);
	fiber->timer.data = fiber;
	fiber->next_all = fibers->all;
	if (fibers->all)
		fibers->all->previous_all = fiber;
	fibers->all = fiber;
	fibers->count++;
	make_runnable(fiber);
	if (ret_fiber)
		*ret_fiber = fiber;
	TAKE(fiber);
	return 0;
}

struct fiber *fiber_self(const struct fibers *fibers)
{
	return fibers->self;
}

void fiber_wake(struct fiber *fiber, int result)
{
	if (!fiber->parked)
		return;
	fiber->parked = false;
	fiber->result = result;
	make_runnable(fiber);
}

void fiber_cancel(struct fiber *fiber)
{
	fiber->cancelled = true;
	if (!fiber->shields)
		fiber_wake(fiber, -ECANCELED);
}

bool fiber_is_cancelled(const struct fibers *fibers)
{
	return fibers->self->cancelled;
}

void fibers_cancel_all(struct fibers *fibers)
{
	for (struct fiber *fiber = fibers->all; fiber; fiber = fiber->next_all)
		fiber_cancel(fiber);
}

uint64_t fiber_set_deadline(struct fibers *fibers, uint64_t deadline_ns)
{
	uint64_t old = fibers->self->deadline_ns;
	fibers->self->deadline_ns = deadline_ns;
	return old;
}

void fiber_shield(struct fibers *fibers)
{
	struct fiber *self = fibers->self;
	if (self->shields++ > 0)
		return;
	self->outer_deadline_ns = self->deadline_ns;
	self->deadline_ns = UINT64_MAX;
}

void fiber_unshield(struct fibers *fibers)
{
	struct fiber *self = fibers->self;
	if (--self->shields == 0)
		self->deadline_ns = self->outer_deadline_ns;
}

/* --- waiting --- */

static void on_timer(uv_timer_t *timer)
{
	fiber_wake(timer->data, -ETIMEDOUT);
}

/* Rounded up, so that a deadline has passed when its timer fires. */
static uint64_t ms_until(uint64_t time_ns)
{
	uint64_t now = uv_hrtime();
	return time_ns > now ? (time_ns - now) / 1000000 + 1 : 0;
}

/* Parks until woken or @until_ns; at the fiber's own deadline it is -ETIMEDOUT, at @until_ns alone it is 0. */
static int park_until(struct fibers *fibers, uint64_t until_ns)
{
	struct fiber *self = fibers->self;
	if (self->cancelled && !self->shields)
		return -ECANCELED;
	uint64_t deadline = self->deadline_ns;
	if (deadline <= uv_hrtime())
		return -ETIMEDOUT;
	uint64_t first = deadline < until_ns ? deadline : until_ns;
	if (first != UINT64_MAX) {
		uv_update_time(fibers->loop);
		(void)uv_timer_start(&self->timer, on_timer, ms_until(first), 0);
	}
	self->parked = true;
	yield_to_loop(self);
	(void)uv_timer_stop(&self->timer);
	return self->result == -ETIMEDOUT && until_ns < deadline ? 0 : self->result;
}

int fiber_park(struct fibers *fibers)
{
	return park_until(fibers, UINT64_MAX);
}

int fiber_sleep(struct fibers *fibers, uint64_t ms)
{
	return park_until(fibers, uv_hrtime() + ms * 1000000);
}

struct fd_wait {
	uv_poll_t poll;
	struct fiber *fiber;
};

static void on_fd(uv_poll_t *poll, int status, int events)
{
	(void)events;
	struct fd_wait *wait = poll->data;
	fiber_wake(wait->fiber, status);
}

static void free_fd_wait(uv_handle_t *poll)
{
	free(poll->data);
}

int fiber_await_fd(struct fibers *fibers, int fd, int events)
{
	struct fd_wait *wait = calloc(1, sizeof *wait);
	if (!wait)
		return -ENOMEM;
	wait->fiber = fibers->self;
	int r = uv_poll_init(fibers->loop, &wait->poll, fd);
	if (r < 0) {
		free(wait);
		return r;
	}
	wait->poll.data = wait;
	/* The peer's end of speaking makes a socket readable; who waits to write does not want to hear of it again and again. */
	r = uv_poll_start(&wait->poll, events & UV_READABLE ? events | UV_DISCONNECT : events, on_fd);
	if (r == 0)
		r = fiber_park(fibers);
	uv_close((uv_handle_t *)&wait->poll, free_fd_wait);
	return r;
}

struct work {
	uv_work_t request;
	struct fiber *fiber;
	fiber_function *function;
	void *data;
};

static void do_work(uv_work_t *request)
{
	struct work *work = request->data;
	work->function(work->data);
}

static void after_work(uv_work_t *request, int status)
{
	(void)status; /* nobody cancels it */
	struct work *work = request->data;
	fiber_wake(work->fiber, 0);
}

int fiber_work(struct fibers *fibers, fiber_function *function, void *data)
{
	struct work work = {.fiber = fibers->self, .function = function, .data = data};
	work.request.data = &work;
	int r = uv_queue_work(fibers->loop, &work.request, do_work, after_work);
	if (r < 0)
		return r;
	fiber_shield(fibers); /* the work has this frame */
	(void)fiber_park(fibers);
	fiber_unshield(fibers);
	return 0;
}

/* --- locks and signals --- */

static void wait_add(struct fiber **list, struct fiber *fiber)
{
	while (*list)
		list = &(*list)->next_waiting;
	fiber->next_waiting = NULL;
	*list = fiber;
}

static void wait_remove(struct fiber **list, const struct fiber *fiber)
{
	for (; *list; list = &(*list)->next_waiting)
		if (*list == fiber) {
			*list = fiber->next_waiting;
			return;
		}
}

int fiber_lock(struct fibers *fibers, struct fiber_lock *lock)
{
	struct fiber *self = fibers->self;
	if (!lock->owner) {
		lock->owner = self;
		return 0;
	}
	wait_add(&lock->waiting, self);
	int r = fiber_park(fibers);
	if (lock->owner == self) /* it was handed over; also when the deadline came in the same turn */
		return 0;
	wait_remove(&lock->waiting, self);
	return r;
}

void fiber_unlock(struct fibers *fibers, struct fiber_lock *lock)
{
	(void)fibers;
	struct fiber *next = lock->waiting;
	lock->owner = next;
	if (!next)
		return;
	lock->waiting = next->next_waiting;
	fiber_wake(next, 0);
}

int fiber_signal_wait(struct fibers *fibers, struct fiber_signal *signal)
{
	wait_add(&signal->waiting, fibers->self);
	int r = fiber_park(fibers);
	wait_remove(&signal->waiting, fibers->self);
	return r;
}

void fiber_signal_all(struct fiber_signal *signal)
{
	while (signal->waiting) {
		struct fiber *fiber = signal->waiting;
		signal->waiting = fiber->next_waiting;
		fiber_wake(fiber, 0);
	}
}
