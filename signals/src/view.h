/* What one container may see and do: its rights on each signal. Branches have the union of what is below them, so that a
 * view has no empty ones. */
#pragma once

#include "signals/src/reading.h"

struct view {
	uint8_t *rights;       /* by id */
	int64_t *intervals_ns; /* by id: least time between two updates; 0: any */
	uint32_t count;
};

/* A combination of enum rights; 0: the signal (or branch) does not exist here. */
unsigned view_rights(const struct view *view, signal_id id);
int64_t view_interval_ns(const struct view *view, signal_id id);
void view_done(struct view *view);
