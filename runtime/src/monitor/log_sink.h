/* What becomes of a container's output when the log cannot take it: it waits for at most 100 ms, then it is dropped until the
 * queue has drained, and one record says how much is missing. A container never hangs on its log. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "runtime/src/monitor/loop.h"

struct cri_record;
struct log_queue;

#define LOG_SINK_PATIENCE_MS 100

struct log_sink {
	struct loop *loop;
	struct log_queue *queue; /* not owned */
	struct watch watch;      /* of the queue's descriptor */
	struct timer patience;
	bool dropping;
	uint64_t missing;              /* content bytes not yet told in the log */
	uint64_t dropped;              /* in all */
	void (*resume)(void *owner);   /* there is room again, or patience is over */
	void (*progress)(void *owner); /* a reopen or a flush may be done */
	void *owner;
};

int log_sink_init(struct log_sink *sink);
void log_sink_done(struct log_sink *sink);

/* A cri_emit: @owner is the sink. False: wait for resume(). */
bool log_sink_emit(void *owner, const struct cri_record *record);
