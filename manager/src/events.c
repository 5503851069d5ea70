#include "manager/src/events.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

struct events {
	struct fibers *fibers;
	struct fiber_signal added;
	uint64_t next; /* sequence of the next one; sequences start at 1 */
	void (*observer)(const struct event *event, void *data);
	void *observer_data;
	struct event ring[EVENTS_MAX];
};

int events_new(struct fibers *fibers, struct events **ret_events)
{
	struct events *events = calloc(1, sizeof *events);
	if (!events)
		return -ENOMEM;
	events->fibers = fibers;
	events->next = 1;
	*ret_events = events;
	return 0;
}

void events_free(struct events *events)
{
	free(events);
}

void events_add(struct events *events, const struct event *event)
{
	struct event *slot = &events->ring[events->next % EVENTS_MAX];
	*slot = *event;
	slot->sequence = events->next++;
	if (!slot->time_ns) {
		struct timespec now = {0};
		(void)clock_gettime(CLOCK_REALTIME, &now);
		slot->time_ns = now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
	}
	if (events->observer)
		events->observer(slot, events->observer_data);
	fiber_signal_all(&events->added);
}

void events_observe(struct events *events, void (*function)(const struct event *event, void *data), void *data)
{
	events->observer = function;
	events->observer_data = data;
}

uint64_t events_next(const struct events *events)
{
	return events->next;
}

const struct event *events_at(const struct events *events, uint64_t sequence)
{
	if (sequence >= events->next)
		return NULL;
	uint64_t oldest = events->next > EVENTS_MAX ? events->next - EVENTS_MAX : 1;
	return &events->ring[(sequence < oldest ? oldest : sequence) % EVENTS_MAX];
}

int events_wait(struct events *events, uint64_t sequence)
{
	while (sequence >= events->next) {
		int r = fiber_signal_wait(events->fibers, &events->added);
		if (r < 0)
			return r;
	}
	return 0;
}
