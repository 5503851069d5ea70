/* What happens on the node, in order, for those who watch: a ring of the newest events and the watchers' places in it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "manager/src/fiber.h"

#define EVENTS_MAX 1024

struct event {
	uint64_t sequence; /* from 1 */
	int64_t time_ns;
	const char *type;   /* static: "container", "pod", "image", "node" */
	const char *action; /* static: "created", "started", "exited", "oom", "removed" ... */
	char id[80];
	char name[128];
	char owner[8];
	char image[256];
	bool has_exit;
	int32_t exit_code;
	uint32_t exit_signal;
	bool oom_killed;
};

struct events;

int events_new(struct fibers *fibers, struct events **ret_events);
void events_free(struct events *events);

/* Adds one (its sequence and, where 0, time are filled in) and wakes the watchers. */
void events_add(struct events *events, const struct event *event);

/* Has @function called for each event, as it happens; it must not park. There is one place for it. */
void events_observe(struct events *events, void (*function)(const struct event *event, void *data), void *data);

/* The sequence that the next event will get. */
uint64_t events_next(const struct events *events);

/* The event with this sequence, or the oldest that is still there where it is older. NULL: not yet. */
const struct event *events_at(const struct events *events, uint64_t sequence);

/* Parks until there is one with this sequence or a newer. Returns 0, or -ETIMEDOUT, -ECANCELED. */
int events_wait(struct events *events, uint64_t sequence);
