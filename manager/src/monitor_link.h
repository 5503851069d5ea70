/* A connection to one axmon, in the event loop: requests from fibers, events to its owner. */
#pragma once

#include <stddef.h>

#include "runtime/include/axle/monitor.h"

struct err;
struct fibers;
struct monitor_link;

struct monitor_link_events {
	/* An event arrived. Descriptors that it does not take are closed. */
	void (*on_event)(struct monitor_received *received, void *data);
	/* axmon is gone, or speaks nonsense. The link is dead: close it. Not called by monitor_link_close(). */
	void (*on_gone)(void *data);
};

/* Takes the client. Errors: -ENOMEM, those of uv_poll_start(). */
int monitor_link_open(struct fibers *fibers, struct monitor_client *client, const struct monitor_link_events *events,
		      void *data, struct monitor_link **ret_link);

/* Fails what is under way with -EPIPE. NULL is allowed. */
void monitor_link_close(struct monitor_link *link);

/* Sends a request with its descriptors (which stay the caller's) and parks until the reply. @ret_received is to be done
 * with monitor_received_done() in every case. An error that axmon answers is returned as @err ("monitor.refused" stands for
 * its reason where that is none of ours), with everything in @ret_received->message.error.
 * Errors: those, -EPIPE (axmon is gone), -ETIMEDOUT, -ECANCELED. */
int monitor_link_call(struct monitor_link *link, const struct monitor_message *request, const int *fds,
		      struct monitor_received *ret_received, struct err *err);

/* The first request: agrees on the version. */
int monitor_link_hello(struct monitor_link *link, struct err *err);
