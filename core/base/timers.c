#include "core/base/timers.h"

#include <errno.h>
#include <stdlib.h>

void timers_done(struct timers *timers)
{
	for (size_t i = 0; i < timers->count; i++)
		timers->heap[i]->place = 0;
	free(timers->heap);
	*timers = (struct timers){0};
}

static void put(struct timers *timers, size_t at, struct timer *timer)
{
	timers->heap[at] = timer;
	timer->place = at + 1;
}

static void sift_up(struct timers *timers, size_t at, struct timer *timer)
{
	while (at > 0 && timers->heap[(at - 1) / 2]->due_ns > timer->due_ns) {
		put(timers, at, timers->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	put(timers, at, timer);
}

static void sift_down(struct timers *timers, size_t at, struct timer *timer)
{
	for (;;) {
		size_t child = 2 * at + 1;
		if (child + 1 < timers->count && timers->heap[child + 1]->due_ns < timers->heap[child]->due_ns)
			child++;
		if (child >= timers->count || timers->heap[child]->due_ns >= timer->due_ns)
			break;
		put(timers, at, timers->heap[child]);
		at = child;
	}
	put(timers, at, timer);
}

static void settle(struct timers *timers, size_t at, struct timer *timer)
{
	if (at > 0 && timers->heap[(at - 1) / 2]->due_ns > timer->due_ns)
		sift_up(timers, at, timer);
	else
		sift_down(timers, at, timer);
}

int timer_set(struct timers *timers, struct timer *timer, int64_t due_ns)
{
	timer->due_ns = due_ns;
	if (timer->place) {
		settle(timers, timer->place - 1, timer);
		return 0;
	}
	if (timers->count == timers->capacity) {
		size_t capacity = timers->capacity ? timers->capacity * 2 : 16;
		struct timer **heap = realloc(timers->heap, capacity * sizeof(struct timer *));
		if (!heap)
			return -ENOMEM;
		timers->heap = heap;
		timers->capacity = capacity;
	}
	sift_up(timers, timers->count++, timer);
	return 0;
}

void timer_cancel(struct timers *timers, struct timer *timer)
{
	if (!timer->place)
		return;
	size_t at = timer->place - 1;
	timer->place = 0;
	struct timer *last = timers->heap[--timers->count];
	if (last != timer)
		settle(timers, at, last);
}

int64_t timers_due(const struct timers *timers)
{
	return timers->count ? timers->heap[0]->due_ns : INT64_MAX;
}

void timers_fire(struct timers *timers, int64_t now_ns)
{
	/* one that is set again for a time that has passed must not keep this loop alive */
	for (size_t most = timers->count; most > 0 && timers_due(timers) <= now_ns; most--) {
		struct timer *timer = timers->heap[0];
		timer_cancel(timers, timer);
		timer->fire(timer);
	}
}
