#include "runtime/src/monitor/log_sink.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/epoll.h>

#include "runtime/src/monitor/cri_frame.h"
#include "runtime/src/monitor/log_queue.h"

/* Ends the dropping once the record that confesses it finds room. */
static bool tell_missing(struct log_sink *sink)
{
	if (sink->missing == 0) {
		sink->dropping = false;
		return true;
	}
	char line[128];
	int length =
		snprintf(line, sizeof line,
			 "axle: %" PRIu64 " bytes of output are missing here: the log could not be written in time",
			 sink->missing);
	struct cri_record record;
	cri_record_make(&record, "stderr", 'F', wall_now_ns());
	record.parts[0].bytes = line;
	record.parts[0].size = (size_t)length;
	if (!log_queue_push(sink->queue, &record))
		return false;
	sink->missing = 0;
	sink->dropping = false;
	return true;
}

static void on_queue(struct watch *watch, uint32_t events)
{
	(void)events;
	struct log_sink *sink = watch->owner;
	log_queue_acknowledge(sink->queue);
	loop_timer_cancel(sink->loop, &sink->patience);
	if (sink->dropping && log_queue_has_room(sink->queue))
		(void)tell_missing(sink); /* else the next record tries again */
	sink->resume(sink->owner);
	sink->progress(sink->owner);
}

static void on_patience(struct timer *timer)
{
	struct log_sink *sink = timer->owner;
	sink->dropping = true;
	sink->resume(sink->owner);
}

int log_sink_init(struct log_sink *sink)
{
	sink->watch = (struct watch){.fd = -1, .ready = on_queue, .owner = sink};
	sink->patience = (struct timer){.expired = on_patience, .owner = sink};
	return loop_watch(sink->loop, &sink->watch, log_queue_fd(sink->queue), EPOLLIN);
}

void log_sink_done(struct log_sink *sink)
{
	if (!sink->loop)
		return;
	loop_timer_cancel(sink->loop, &sink->patience);
	loop_unwatch(sink->loop, &sink->watch);
}

bool log_sink_emit(void *owner, const struct cri_record *record)
{
	struct log_sink *sink = owner;
	bool recovered = sink->dropping && log_queue_has_room(sink->queue) && tell_missing(sink);
	if (sink->dropping && !recovered) {
		uint64_t content = record->parts[0].size + record->parts[1].size;
		sink->missing += content;
		sink->dropped += content;
		return true;
	}
	if (log_queue_push(sink->queue, record))
		return true;
	if (sink->patience.due_ns == 0)
		loop_timer_set(sink->loop, &sink->patience, LOG_SINK_PATIENCE_MS);
	return false;
}
