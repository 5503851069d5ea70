#include "manager/src/monitor_link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "manager/src/fiber.h"

#define RETRY_MS 5
#define RETRIES 200

struct pending {
	uint64_t id;
	struct fiber *fiber;
	struct monitor_received *received;
	bool answered;
	struct pending *next;
};

struct monitor_link {
	struct fibers *fibers;
	struct monitor_client *client;
	uv_poll_t poll;
	struct monitor_link_events events;
	void *data;
	struct pending *pending;
	bool gone;
	bool closed;
	unsigned calls; /* fibers that are in monitor_link_call() */
	bool poll_closed;
};

static void free_if_unused(struct monitor_link *link)
{
	if (!link->closed || !link->poll_closed || link->calls)
		return;
	monitor_client_free(link->client);
	free(link);
}

static void on_poll_closed(uv_handle_t *poll)
{
	struct monitor_link *link = poll->data;
	link->poll_closed = true;
	free_if_unused(link);
}

static void fail_pending(struct monitor_link *link)
{
	link->gone = true;
	for (struct pending *pending = link->pending; pending; pending = pending->next)
		fiber_wake(pending->fiber, -EPIPE);
}

static struct pending *find_pending(struct monitor_link *link, uint64_t id)
{
	struct pending *pending = link->pending;
	while (pending && pending->id != id)
		pending = pending->next;
	return pending;
}

static void dispatch(struct monitor_link *link, struct monitor_received *received)
{
	if (received->message.id == 0) {
		link->events.on_event(received, link->data);
		monitor_received_done(received);
		return;
	}
	struct pending *pending = find_pending(link, received->message.id);
	if (!pending) { /* its fiber waits no longer */
		monitor_received_done(received);
		return;
	}
	*pending->received = *received;
	pending->answered = true;
	fiber_wake(pending->fiber, 0);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	(void)events;
	struct monitor_link *link = poll->data;
	int r = status < 0 ? -EPIPE : MONITOR_RECEIVED;
	while (r == MONITOR_RECEIVED && !link->closed) {
		struct monitor_received received = {0};
		r = monitor_receive(link->client, &received, NULL);
		if (r == MONITOR_RECEIVED)
			dispatch(link, &received);
		else
			monitor_received_done(&received);
	}
	if (r >= 0 || link->closed)
		return;
	(void)uv_poll_stop(poll);
	fail_pending(link);
	link->events.on_gone(link->data);
}

int monitor_link_open(struct fibers *fibers, struct monitor_client *client, const struct monitor_link_events *events,
		      void *data, struct monitor_link **ret_link)
{
	struct monitor_link *link = calloc(1, sizeof *link);
	if (!link) {
		monitor_client_free(client);
		return -ENOMEM;
	}
	*link = (struct monitor_link){.fibers = fibers, .client = client, .events = *events, .data = data};
	int r = uv_poll_init(fibers_loop(fibers), &link->poll, monitor_client_fd(client));
	if (r < 0) {
		monitor_client_free(client);
		free(link);
		return r;
	}
	link->poll.data = link;
	r = uv_poll_start(&link->poll, UV_READABLE | UV_DISCONNECT, on_readable);
	if (r < 0) {
		monitor_link_close(link);
		return r;
	}
	*ret_link = link;
	return 0;
}

void monitor_link_close(struct monitor_link *link)
{
	if (!link || link->closed)
		return;
	link->closed = true;
	fail_pending(link);
	uv_close((uv_handle_t *)&link->poll, on_poll_closed);
}

/* The reasons that callers tell apart; they must outlive the message. */
static const char *keep_reason(const char *reason)
{
	static const char *const REASONS[] = {"runtime.failed",	 "runtime.timeout", "runtime.missing",
					      "monitor.version", "monitor.phase",   "monitor.alive",
					      "monitor.limit",	 "monitor.session"};
	for (size_t i = 0; i < ARRAY_COUNT(REASONS); i++)
		if (str_equal(REASONS[i], reason))
			return REASONS[i];
	return "monitor.refused";
}

/* A full socket empties soon: axmon never waits for anybody. */
static int send_patiently(struct monitor_link *link, const struct monitor_message *request, const int *fds,
			  uint64_t *ret_id, struct err *err)
{
	int r = -EAGAIN;
	for (int i = 0; i < RETRIES && r == -EAGAIN; i++) {
		if (link->gone)
			return err_set(err, -EPIPE, "monitor.gone", "the monitor has ended");
		r = monitor_request(link->client, request, fds, ret_id, err);
		if (r == -EAGAIN && fiber_sleep(link->fibers, RETRY_MS) < 0)
			break;
	}
	return r;
}

static int await_reply(struct monitor_link *link, struct pending *pending, struct err *err)
{
	pending->next = link->pending;
	link->pending = pending;
	int r = fiber_park(link->fibers);
	struct pending **place = &link->pending;
	while (*place && *place != pending)
		place = &(*place)->next;
	if (*place)
		*place = pending->next;
	if (pending->answered) /* also where a deadline came in the same turn */
		return 0;
	if (r == -EPIPE)
		return err_set(err, r, "monitor.gone", "the monitor ended before it answered");
	return err_set(err, r, r == -ETIMEDOUT ? "monitor.timeout" : "monitor.cancelled",
		       "the monitor did not answer in time");
}

int monitor_link_call(struct monitor_link *link, const struct monitor_message *request, const int *fds,
		      struct monitor_received *ret_received, struct err *err)
{
	if (link->gone)
		return err_set(err, -EPIPE, "monitor.gone", "the monitor has ended");
	struct pending pending = {.fiber = fiber_self(link->fibers), .received = ret_received};
	link->calls++;
	int r = send_patiently(link, request, fds, &pending.id, err);
	if (r == 0)
		r = await_reply(link, &pending, err);
	link->calls--;
	free_if_unused(link);
	if (r < 0)
		return r;
	const struct monitor_error *refused = ret_received->message.error;
	if (!refused)
		return 0;
	return err_set(err, refused->code < 0 ? refused->code : -EIO, keep_reason(refused->reason), "%s",
		       refused->runtime ? refused->runtime : refused->message ? refused->message : "refused");
}

int monitor_link_hello(struct monitor_link *link, struct err *err)
{
	scoped_done(monitor_received_done) struct monitor_received received = {0};
	struct monitor_hello hello = monitor_hello("axled " AXLE_VERSION);
	struct monitor_message request = {.op = MONITOR_HELLO, .hello = &hello};
	return monitor_link_call(link, &request, NULL, &received, err);
}
