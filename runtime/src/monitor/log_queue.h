/* Between the event loop, which must never wait for a disk, and the log file: a bounded queue of records and the thread that
 * empties it. The loop learns by a descriptor (an eventfd) that there is room again, or that what it asked for is done. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/scoped.h"
#include "runtime/src/monitor/cri_frame.h"

struct err;
struct log_queue;
struct monitor_log;

#define LOG_QUEUE_BYTES (128 * 1024)

/* Opens the file and starts the thread. @config NULL or without a path: everything is taken and forgotten.
 * Errors: those of log_file_open(), -EAGAIN (no thread). */
int log_queue_new(const struct monitor_log *config, struct log_queue **ret_queue, struct err *err);

/* Writes what is queued, but waits for at most 100 ms: a disk that hangs must not keep the monitor. */
void log_queue_free(struct log_queue *queue);
SCOPED_DEFINE(struct log_queue, log_queue_free)

/* Readable when something asked for has come; log_queue_acknowledge() empties it. */
int log_queue_fd(const struct log_queue *queue);
void log_queue_acknowledge(struct log_queue *queue);

/* Appends a record; false: no room. Then the descriptor becomes readable as soon as a quarter of the queue is free. */
bool log_queue_push(struct log_queue *queue, const struct cri_record *record);

/* Is at least a quarter of it free? */
bool log_queue_has_room(struct log_queue *queue);

/* Is everything written that was pushed? If not, the descriptor becomes readable when it is. */
bool log_queue_flushed(struct log_queue *queue);

/* Asks for the file to be opened anew behind what is queued now; one at a time (-EBUSY). log_queue_reopened() then returns
 * -EINPROGRESS until it is done, and the result once. */
int log_queue_reopen(struct log_queue *queue);
int log_queue_reopened(struct log_queue *queue, struct err *err);

/* Content bytes that the file did not take, since the start. */
uint64_t log_queue_lost(struct log_queue *queue);
