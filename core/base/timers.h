/* Many deadlines behind one timer of an event loop: a binary heap of timers that their owners embed.
 *
 * Zero-initialised is empty. Times are whatever clock the caller uses, in ns. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct timer;

struct timers {
	struct timer **heap;
	size_t count;
	size_t capacity;
};

/* Zeroed by its owner before the first use. */
struct timer {
	void (*fire)(struct timer *timer);
	int64_t due_ns;
	size_t place; /* private: 1 + index in the heap; 0: not set */
};

void timers_done(struct timers *timers);

/* Sets or moves @timer. Errors: -ENOMEM (moving never fails). */
int timer_set(struct timers *timers, struct timer *timer, int64_t due_ns);
void timer_cancel(struct timers *timers, struct timer *timer);

/* INT64_MAX: nothing is set. */
int64_t timers_due(const struct timers *timers);

/* Fires all that are due at @now_ns, in their order; a timer may be set again while it fires (later than @now_ns, or it
 * fires at the next call). */
void timers_fire(struct timers *timers, int64_t now_ns);
