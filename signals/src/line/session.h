/* One client of the line protocol, sans-I/O: bytes in, bytes out, a store between.
 * docs/formats/signal-line-protocol.md
 *
 * What comes from the client is read while less than LINE_QUEUE_MAX waits for it; updates beyond that are counted and
 * dropped, and once the client has read half of it, told with the newest value. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/scoped.h"

struct buf;
struct line_session;
struct store;
struct subject;

#define LINE_HANDLES_MAX 16384	 /* of one client */
#define LINE_SUBS_MAX 1024	 /* of one client */
#define LINE_CLAIMS_MAX 16384	 /* of one client, opened ones included */
#define LINE_OUTSTANDING_MAX 256 /* actuations of one client without their outcome */
#define LINE_ANSWER_MAX (16u << 20) /* one answer: a list of all signals */

/* Whoever carries the bytes. */
struct line_carrier {
	/* There is something to send where there was nothing. Not called from within line_session_sent(). */
	void (*has_output)(struct line_carrier *carrier);
	/* Calls @say with what each container was granted, as JSON; returns the first result that is not 0. NULL: nobody may
	 * ask that here. */
	int (*each_view)(struct line_carrier *carrier, int (*say)(void *user, const char *json), void *user);
};

/* @subject is copied (what it points to is borrowed). Errors: -ENOMEM. */
int line_session_new(struct store *store, const struct subject *subject, struct line_carrier *carrier,
		     struct line_session **ret_session);

/* Ends its subscriptions and claims. */
void line_session_free(struct line_session *session);
SCOPED_DEFINE(struct line_session, line_session_free)

/* The client will say nothing more: its subscriptions and claims end; what waits can still be sent. */
void line_session_end(struct line_session *session);

/* Where to put bytes from the client, and that @size of them are there. Errors: -ENOMEM. */
int line_session_tail(struct line_session *session, char **ret_tail, size_t *ret_room);
void line_session_received(struct line_session *session, size_t size);

/* May more be read from the client? Not while too much waits for it. */
bool line_session_reads(const struct line_session *session);

/* What waits to be sent, and that @size bytes of it are gone. */
const char *line_session_output(const struct line_session *session, size_t *ret_size);
void line_session_sent(struct line_session *session, size_t size);

/* The catalogue was loaded anew: patterns take in what is new. Grants were changed: what is not permitted any more is
 * `gone`. */
void line_session_reloaded(struct line_session *session);
void line_session_recheck(struct line_session *session);
