/* Fibers: functions with a stack of their own that take turns in the event loop's thread.
 *
 * A call that runs helpers, waits for monitors and writes records is one function that reads from top to bottom; where it
 * must wait, its fiber is parked and others run (docs/decisions/0010-fibers.md). Only the functions below that say "parks" do
 * so: between two of them nobody else touches anything, so that no data needs a lock, only sequences do (struct
 * fiber_lock).
 *
 * **Deadlines and cancelling.** A parking call returns -ETIMEDOUT when the fiber's deadline has passed and -ECANCELED when
 * somebody called fiber_cancel(), at once and every time from then on, so that errors lead out of the fiber. What must be
 * done to the end (undoing) is put between fiber_shield() and fiber_unshield(): there cancelling does not count, nor the
 * deadline from outside; one that is set inside does. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct fiber;
struct fibers;

#define FIBER_STACK_BYTES (256 * 1024) /* of address space; what is never touched costs nothing */
#define FIBERS_MAX 4096

typedef void fiber_function(void *data);

/* All fibers of one loop. Errors: -ENOMEM. */
int fibers_new(uv_loop_t *loop, struct fibers **ret_fibers);

/* All fibers have ended, and the loop has run since. */
void fibers_free(struct fibers *fibers);

uv_loop_t *fibers_loop(const struct fibers *fibers);
size_t fibers_count(const struct fibers *fibers);

/* Makes a fiber; it first runs from the loop, after the caller's own turn. The pointer is good until the function returns
 * (ret_fiber may be NULL: nobody will cancel it). Errors: -ENOMEM, -EAGAIN (FIBERS_MAX). */
int fiber_start(struct fibers *fibers, fiber_function *function, void *data, struct fiber **ret_fiber);

/* The fiber that runs now; NULL in the loop's own callbacks. */
struct fiber *fiber_self(const struct fibers *fibers);

/* Ends the fiber's waiting (see above); never runs it at once. */
void fiber_cancel(struct fiber *fiber);

/* Has somebody cancelled the running fiber? */
bool fiber_is_cancelled(const struct fibers *fibers);

/* Cancels every fiber. */
void fibers_cancel_all(struct fibers *fibers);

/* Sets the running fiber's deadline, by uv_hrtime(); UINT64_MAX: none. Returns the old one. */
uint64_t fiber_set_deadline(struct fibers *fibers, uint64_t deadline_ns);

void fiber_shield(struct fibers *fibers);
void fiber_unshield(struct fibers *fibers);

/* Parks until fiber_wake(). Returns what that was given, or -ETIMEDOUT, -ECANCELED. */
int fiber_park(struct fibers *fibers);

/* Lets a parked fiber go on, from the loop. Nothing happens when it is not parked. */
void fiber_wake(struct fiber *fiber, int result);

/* Parks for a time. Returns 0, or -ETIMEDOUT, -ECANCELED. */
int fiber_sleep(struct fibers *fibers, uint64_t ms);

/* Parks until @fd (which nobody else in the loop watches) is readable (UV_READABLE) or writable (UV_WRITABLE), or
 * has no peer any more (UV_DISCONNECT).
 * Returns 0, or -ETIMEDOUT, -ECANCELED, those of uv_poll_start(). */
int fiber_await_fd(struct fibers *fibers, int fd, int events);

/* Parks while @work runs in the thread pool, always to its end. @work touches nothing but @data. Returns 0, or -ENOMEM. */
int fiber_work(struct fibers *fibers, fiber_function *work, void *data);

/* A sequence of steps that only one fiber at a time may be in. {0} is a free lock. */
struct fiber_lock {
	struct fiber *owner;
	struct fiber *waiting; /* first of a list */
};

/* Parks until the lock is free. Returns 0, or -ETIMEDOUT, -ECANCELED. */
int fiber_lock(struct fibers *fibers, struct fiber_lock *lock);
void fiber_unlock(struct fibers *fibers, struct fiber_lock *lock);

/* Something that several fibers may wait for. {0} is a signal without waiters. */
struct fiber_signal {
	struct fiber *waiting;
};

/* Parks until the next fiber_signal_all(). Returns 0, or -ETIMEDOUT, -ECANCELED. */
int fiber_signal_wait(struct fibers *fibers, struct fiber_signal *signal);
void fiber_signal_all(struct fiber_signal *signal);
