/* Fibers that one other fiber started for its own purpose, and waits for before it ends. */
#pragma once

#include <stdbool.h>

#include "manager/src/fiber.h"

struct fiber_member;

/* {.fibers = ...} is an empty group. */
struct fiber_group {
	struct fibers *fibers;
	struct fiber_member *members; /* that have not ended */
	struct fiber_signal ended;    /* one has */
};

/* Errors: those of fiber_start(). */
int fiber_group_start(struct fiber_group *group, fiber_function *function, void *data);

void fiber_group_cancel(struct fiber_group *group);

/* Does any still run, apart from those of @except (NULL: no exception)? */
bool fiber_group_is_busy(const struct fiber_group *group, fiber_function *except);

/* Does one with this function? */
bool fiber_group_runs(const struct fiber_group *group, fiber_function *function);

/* Parks until all have ended, after cancelling them with @cancel; whatever happens to the caller meanwhile. */
void fiber_group_join(struct fiber_group *group, bool cancel);
