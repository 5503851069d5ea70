/* What one container may see and do: its rights on each signal. Branches have the union of what is below them, so that a
 * view has no empty ones. */
#pragma once

#include "signals/src/reading.h"

/* What was last seen of a signal whose rate is limited. */
struct view_sample {
	struct reading reading; /* its text is @text, or NULL */
	char *text;
	size_t capacity;
	int64_t taken_ns; /* CLOCK_BOOTTIME; 0: never */
};

struct view {
	uint8_t *rights;	      /* by id */
	int64_t *intervals_ns;	      /* by id: least time between two values that are seen; 0: any */
	struct view_sample **samples; /* by id, made when needed; NULL: no signal here has a rate */
	uint32_t count;
};

/* A combination of enum rights; 0: the signal (or branch) does not exist here. */
unsigned view_rights(const struct view *view, signal_id id);
int64_t view_interval_ns(const struct view *view, signal_id id);
/* NULL: out of memory, or @view has no samples. */
struct view_sample *view_sample(const struct view *view, signal_id id);
void view_done(struct view *view);
