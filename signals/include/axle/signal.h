/* libaxle-signal: the vehicle's signals for programs that want more than files.
 *
 * One struct axle_signal is one connection to axsignald. It has no threads and never blocks, unless the function says
 * so. It offers one descriptor for poll, select, epoll or any event loop: when it is readable, call
 * axle_signal_dispatch(), which calls your callbacks. When the service is restarted, the connection comes back by
 * itself: subscriptions and claims are made anew, and the last value of each claim is published again.
 *
 * Values are text, as in the signal's file: "88.5", "true", "[1,2]". Paths may have dots or slashes. Every function
 * that can fail returns 0 (or a count) or a negative errno; axle_signal_error() says more. Not thread-safe: one
 * connection per thread. A call that BLOCKS makes callbacks meanwhile; from within a callback it fails with -EDEADLK,
 * and the connection must not be closed there.
 *
 *	struct axle_signal *signals;
 *	if (axle_signal_open(NULL, "wiper-app", &signals) == 0) {
 *		char speed[64];
 *		if (axle_signal_get(signals, "Vehicle.Speed", speed, sizeof speed) == 0)
 *			puts(speed);
 *		axle_signal_close(signals);
 *	}
 */
#ifndef AXLE_SIGNAL_H
#define AXLE_SIGNAL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct axle_signal;
struct axle_signal_sub;
struct axle_signal_claim;

/* The version of this interface: raised when functions are added. */
#define AXLE_SIGNAL_VERSION 1

/* Connects to the socket at @path (NULL: $AXLE_SIGNAL_SOCKET, else /run/axle/signal.sock, else a container's own
 * /dev/signal.sock). @name is shown to the
 * operator. The service need not be there yet: the connection is made in the background and tried again (calls that
 * need an answer wait for it). Errors: -ENOMEM, -ENAMETOOLONG, -EMFILE. */
int axle_signal_open(const char *path, const char *name, struct axle_signal **ret_signals);
void axle_signal_close(struct axle_signal *signals);

/* The descriptor to poll for reading. It stays the same over reconnects and belongs to the connection. */
int axle_signal_fd(const struct axle_signal *signals);

/* Does all that can be done without waiting: sends, receives, reconnects, calls callbacks. Returns the number of
 * callbacks made. */
int axle_signal_dispatch(struct axle_signal *signals);

/* BLOCKS: dispatches until at least one callback was made or @timeout_ms have passed (-1: for ever). Returns as
 * dispatch. */
int axle_signal_wait(struct axle_signal *signals, int timeout_ms);

/* What the last failed call was about, in one line. Never NULL. */
const char *axle_signal_error(const struct axle_signal *signals);

/* Called when the connection to the service was made (@connected 1) or lost (0). */
typedef void axle_signal_link_fn(void *user, int connected);
void axle_signal_on_link(struct axle_signal *signals, axle_signal_link_fn *callback, void *user);

/* How long the calls below that BLOCK wait for their answer: 5,000 ms unless told. They fail with -ETIMEDOUT. */
void axle_signal_set_timeout(struct axle_signal *signals, int timeout_ms);

/* BLOCK: the current value, the description (@meta) or the state (@state), terminated, into @buffer.
 * Errors: -ENODATA (no value), -ENOENT, -EACCES, -EMSGSIZE (the buffer is too small), -ETIMEDOUT, -ENOTCONN. */
int axle_signal_get(struct axle_signal *signals, const char *path, char *buffer, size_t size);
int axle_signal_meta(struct axle_signal *signals, const char *path, char *buffer, size_t size);
int axle_signal_state(struct axle_signal *signals, const char *path, char *buffer, size_t size);

/* BLOCKS: publishes a sensor's or attribute's value, or requests an actuator's target (returns when it is queued at
 * the provider). Errors: -EINVAL, -ERANGE, -EACCES, -ENOENT, -ENXIO (no provider), -EAGAIN (its queue is full), ...
 * */
int axle_signal_set(struct axle_signal *signals, const char *path, const char *value);

/* BLOCKS: the same for an actuator, and waits for the provider's answer. Errors also: -EIO (the provider refused),
 * -ETIMEDOUT. */
int axle_signal_actuate(struct axle_signal *signals, const char *path, const char *value, int timeout_ms);

/* BLOCKS: any request of the line protocol that has an answer. @item (may be NULL) is called for each `item` line in
 * front of it; the text behind `ok` goes into @buffer. For tools; the calls above are made of it. */
typedef void axle_signal_item_fn(void *user, const char *text);
int axle_signal_request(struct axle_signal *signals, const char *request, axle_signal_item_fn *item, void *user, char *buffer,
			size_t size);

/* ---- receiving ---- */

struct axle_signal_update {
	const char *path;	/* with dots; lives as long as the subscription */
	const char *value;	/* NULL: unavailable; else terminated; valid during the callback */
	size_t value_length;
	int64_t time_ns;	/* source time, ns since 1970; 0: not asked for */
	uint64_t lost;		/* updates of this signal that were dropped since the last callback for it */
	size_t index;		/* which of the subscription's signals: 0, 1, ... in the order of the first appearance */
};
#define AXLE_SIGNAL_REFUSED ((size_t)-1) /* the index, where the service refused the whole subscription */
typedef void axle_signal_update_fn(void *user, const struct axle_signal_update *update);

#define AXLE_SIGNAL_TIME 1u /* updates carry their source time */

/* Subscribes to all signals that match @pattern ("Vehicle.Speed", "Vehicle.Cabin.**",
 * "Vehicle.Speed@rate=10,change=0.5"). Does not block: if the service refuses, @callback is called once with the
 * pattern as path, no value and the index AXLE_SIGNAL_REFUSED; axle_signal_sub_error() says why. Errors: -EINVAL, -ENOMEM. */
int axle_signal_subscribe(struct axle_signal *signals, const char *pattern, unsigned flags, axle_signal_update_fn *callback,
			  void *user, struct axle_signal_sub **ret_sub);
void axle_signal_unsubscribe(struct axle_signal_sub *sub);

/* 0, or the negative errno with which the service refused the subscription. */
int axle_signal_sub_error(const struct axle_signal_sub *sub);

/* ---- providing ---- */

struct axle_signal_request_info {
	uint64_t id;	     /* for axle_signal_answer() */
	const char *path;    /* the claim's */
	const char *value;   /* the target asked for */
	int64_t deadline_ms; /* from now */
};
typedef void axle_signal_request_fn(void *user, struct axle_signal_claim *claim, const struct axle_signal_request_info *request);

#define AXLE_SIGNAL_SHARED 1u /* publish without being the only provider (no requests arrive) */
#define AXLE_SIGNAL_FORGET 2u /* do not publish the last value again after a reconnect */

/* Claims @path as its only provider. Does not block: values may be published at once, and are sent when the claim
 * stands. If the service refuses, axle_signal_claim_error() says why; a claim that was busy is tried again each
 * second. @callback (may be NULL) gets actuations. Errors: -EINVAL, -ENOMEM. */
int axle_signal_claim(struct axle_signal *signals, const char *path, unsigned flags, axle_signal_request_fn *callback, void *user,
		      struct axle_signal_claim **ret_claim);
void axle_signal_release(struct axle_signal_claim *claim);

/* 0: the claim stands; -EINPROGRESS: not answered yet; else why the service refused it or the last value published.
 * */
int axle_signal_claim_error(const struct axle_signal_claim *claim);

/* Publishes the claim's value. Collected, and sent by the next flush, dispatch or wait, or when 100 have come
 * together: call flush at the end of a batch. @time_ns: when it was measured (0: now). @value NULL: unavailable.
 * Errors: -EINVAL (a line break in it), -EMSGSIZE, -EAGAIN (the service does not read: nothing was queued), -ENOMEM.
 * */
int axle_signal_publish(struct axle_signal_claim *claim, const char *value, int64_t time_ns);
int axle_signal_publish_double(struct axle_signal_claim *claim, double value, int64_t time_ns);
int axle_signal_publish_int(struct axle_signal_claim *claim, int64_t value, int64_t time_ns);

/* Sends what was collected. Returns 0 when all is with the kernel, 1 when some must wait for the descriptor. */
int axle_signal_flush(struct axle_signal *signals);

/* Answers an actuation: @error NULL means done. Errors: -ENOMEM. */
int axle_signal_answer(struct axle_signal_claim *claim, uint64_t id, const char *error);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
