/* The monitor's event loop: descriptors and timers on one thread, nothing that polls at rest.
 *
 * Watches and timers are embedded in what they belong to and must be removed before that goes. A callback may remove any of
 * them, also its own: one event is taken at a time. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct err;
struct loop;

struct watch {
	int fd; /* -1: not watched */
	uint32_t events;
	void (*ready)(struct watch *watch, uint32_t events);
	void *owner;
};

struct timer {
	uint64_t due_ns; /* 0: not set */
	void (*expired)(struct timer *timer);
	void *owner;
	struct timer *next;
};

struct loop {
	int epoll_fd;
	struct timer *timers;
	bool stop; /* set by a callback: loop_run() returns */
};

int loop_init(struct loop *loop, struct err *err);
void loop_done(struct loop *loop);

/* Watches @fd for @events (EPOLLIN ...; 0: only for errors and hang-ups, which always come), or changes what an existing
 * watch waits for. Returns 0 or -errno; a regular file is -EPERM. */
int loop_watch(struct loop *loop, struct watch *watch, int fd, uint32_t events);
void loop_unwatch(struct loop *loop, struct watch *watch);

/* Sets or moves a timer; it fires once. */
void loop_timer_set(struct loop *loop, struct timer *timer, uint64_t delay_ms);
void loop_timer_cancel(struct loop *loop, struct timer *timer);

/* Runs until stop is set. Errors: those of epoll_wait(2). */
int loop_run(struct loop *loop);

/* CLOCK_MONOTONIC, and the wall clock since the epoch. */
uint64_t loop_now_ns(void);
int64_t wall_now_ns(void);
