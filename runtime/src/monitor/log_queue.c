#include "runtime/src/monitor/log_queue.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/str.h"
#include "runtime/include/axle/monitor.h"
#include "runtime/src/monitor/log_file.h"
#include "runtime/src/monitor/privileges.h"

#define STACK_BYTES (128 * 1024)
#define LEAVE_MS 100

enum reopen {
	REOPEN_NONE,
	REOPEN_ASKED,
	REOPEN_DONE,
};

/* The records lie in one or two stretches, so that each write is of whole records: [tail, head), or, once head has gone back
 * to the front, [tail, end) and then [0, head). */
struct log_queue {
	struct log_file file; /* the thread's alone once it runs */
	int event_fd;
	bool no_log;
	pthread_t thread;
	bool has_thread;

	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t work;
	pthread_cond_t idle;
	char *bytes;
	size_t tail, head, end; /* end: of the upper stretch while head < tail */
	bool wrapped;
	bool writing;
	bool leave, left;
	bool tell_room, tell_flushed;
	uint64_t pushed, written; /* bytes, ever */
	enum reopen reopen;
	uint64_t reopen_at; /* once so much is written */
	int reopen_result;
	struct err reopen_err;
	uint64_t lost;
};

static bool is_empty(const struct log_queue *queue)
{
	return !queue->wrapped && queue->tail == queue->head;
}

static size_t used(const struct log_queue *queue)
{
	return queue->wrapped ? queue->end - queue->tail + queue->head : queue->head - queue->tail;
}

static bool is_roomy(const struct log_queue *queue)
{
	return used(queue) <= LOG_QUEUE_BYTES / 4 * 3;
}

static void signal_loop(const struct log_queue *queue)
{
	uint64_t one = 1;
	(void)!write(queue->event_fd, &one, sizeof one); /* full means readable already */
}

/* Called with the lock held, behind each write. */
static void tell_loop(struct log_queue *queue)
{
	bool room = queue->tell_room && is_roomy(queue);
	bool flushed = queue->tell_flushed && is_empty(queue) && !queue->writing;
	if (room)
		queue->tell_room = false;
	if (flushed)
		queue->tell_flushed = false;
	if (room || flushed)
		signal_loop(queue);
}

/* Writes one stretch without the lock; the loop may push behind it meanwhile. */
static void write_stretch(struct log_queue *queue)
{
	const char *bytes = queue->bytes + queue->tail;
	size_t size = (queue->wrapped ? queue->end : queue->head) - queue->tail;
	queue->writing = true;
	(void)pthread_mutex_unlock(&queue->lock);
	uint64_t lost = log_file_append(&queue->file, bytes, size);
	(void)pthread_mutex_lock(&queue->lock);
	queue->writing = false;
	queue->lost += lost;
	queue->written += size;
	queue->tail += size;
	if (queue->wrapped && queue->tail == queue->end) {
		queue->wrapped = false;
		queue->tail = 0;
	}
	if (is_empty(queue))
		queue->tail = queue->head = 0; /* a quiet container touches few pages */
	tell_loop(queue);
}

static void reopen_file(struct log_queue *queue)
{
	struct err err = {0};
	(void)pthread_mutex_unlock(&queue->lock);
	int r = log_file_reopen(&queue->file, &err);
	(void)pthread_mutex_lock(&queue->lock);
	queue->reopen_result = r;
	queue->reopen_err = err;
	queue->reopen = REOPEN_DONE;
	signal_loop(queue);
}

static void *run_writer(void *argument)
{
	struct log_queue *queue = argument;
	privileges_keep(0); /* of this thread: the log's folder is root's, it needs nothing else */
	(void)pthread_mutex_lock(&queue->lock);
	for (;;) {
		if (queue->reopen == REOPEN_ASKED && queue->written >= queue->reopen_at)
			reopen_file(queue);
		else if (!is_empty(queue))
			write_stretch(queue);
		else if (queue->leave)
			break;
		else
			(void)pthread_cond_wait(&queue->work, &queue->lock);
	}
	queue->left = true;
	(void)pthread_cond_signal(&queue->idle);
	(void)pthread_mutex_unlock(&queue->lock);
	return NULL;
}

static int start_thread(struct log_queue *queue)
{
	pthread_attr_t attributes;
	int r = pthread_attr_init(&attributes);
	if (r != 0)
		return -r;
	(void)pthread_attr_setstacksize(&attributes, STACK_BYTES); /* else the default serves as well */
	r = pthread_create(&queue->thread, &attributes, run_writer, queue);
	(void)pthread_attr_destroy(&attributes);
	queue->has_thread = r == 0;
	return -r;
}

static int init_sync(struct log_queue *queue)
{
	pthread_condattr_t attributes;
	if (pthread_mutex_init(&queue->lock, NULL) != 0 || pthread_condattr_init(&attributes) != 0)
		return -ENOMEM;
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	int r = pthread_cond_init(&queue->work, NULL) + pthread_cond_init(&queue->idle, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	return r ? -ENOMEM : 0;
}

int log_queue_new(const struct monitor_log *config, struct log_queue **ret_queue, struct err *err)
{
	scoped(log_queue_free) struct log_queue *queue = calloc(1, sizeof *queue);
	if (!queue)
		return err_sys(err, -ENOMEM, "log.open", "make a queue for the log");
	queue->file.fd = -1;
	queue->no_log = !config || str_empty(config->path);
	queue->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (queue->event_fd < 0 || init_sync(queue) < 0)
		return err_sys(err, -ENOMEM, "log.open", "make a queue for the log");
	if (!queue->no_log) {
		int r = log_file_open(&queue->file, config->path, config->max_bytes, config->files, err);
		if (r < 0)
			return r;
		queue->bytes = malloc(LOG_QUEUE_BYTES);
		r = queue->bytes ? start_thread(queue) : -ENOMEM;
		if (r < 0)
			return err_sys(err, r, "log.open", "start the log's writer");
	}
	*ret_queue = TAKE(queue);
	return 0;
}

/* Asks the thread to leave behind its last record; false when the disk holds it longer than we wait. */
static bool stop_thread(struct log_queue *queue)
{
	struct timespec until = {0};
	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += LEAVE_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	(void)pthread_mutex_lock(&queue->lock);
	queue->leave = true;
	(void)pthread_cond_signal(&queue->work);
	int r = 0;
	while (!queue->left && r == 0)
		r = pthread_cond_timedwait(&queue->idle, &queue->lock, &until);
	bool left = queue->left;
	(void)pthread_mutex_unlock(&queue->lock);
	if (left)
		(void)pthread_join(queue->thread, NULL);
	else
		(void)pthread_detach(queue->thread); /* it keeps the queue; the process is about to end */
	return left;
}

void log_queue_free(struct log_queue *queue)
{
	if (!queue || (queue->has_thread && !stop_thread(queue)))
		return;
	if (queue->event_fd >= 0)
		(void)close(queue->event_fd);
	log_file_done(&queue->file);
	free(queue->bytes);
	free(queue);
}

int log_queue_fd(const struct log_queue *queue)
{
	return queue->event_fd;
}

void log_queue_acknowledge(struct log_queue *queue)
{
	uint64_t count = 0;
	(void)!read(queue->event_fd, &count, sizeof count); /* nothing to read is fine */
}

/* Finds @size bytes in one piece; sets where. */
static bool find_room(struct log_queue *queue, size_t size, char **ret_at)
{
	if (queue->wrapped) {
		if (queue->tail - queue->head < size)
			return false;
	} else if (LOG_QUEUE_BYTES - queue->head < size) {
		if (queue->tail < size)
			return false;
		queue->end = queue->head;
		queue->head = 0;
		queue->wrapped = true;
	}
	*ret_at = queue->bytes + queue->head;
	queue->head += size;
	queue->pushed += size;
	return true;
}

static size_t record_bytes(const struct cri_record *record)
{
	return CRI_HEADER_BYTES + record->parts[0].size + record->parts[1].size + 1;
}

static void copy_record(const struct cri_record *record, char *at)
{
	memcpy(at, record->header, CRI_HEADER_BYTES);
	at += CRI_HEADER_BYTES;
	for (size_t i = 0; i < 2; i++) {
		if (record->parts[i].size > 0)
			memcpy(at, record->parts[i].bytes, record->parts[i].size);
		at += record->parts[i].size;
	}
	*at = '\n';
}

bool log_queue_push(struct log_queue *queue, const struct cri_record *record)
{
	if (queue->no_log)
		return true;
	(void)pthread_mutex_lock(&queue->lock);
	bool was_empty = is_empty(queue);
	char *at = NULL;
	bool room = find_room(queue, record_bytes(record), &at);
	if (room)
		copy_record(record, at);
	else
		queue->tell_room = true;
	if (room && was_empty)
		(void)pthread_cond_signal(&queue->work);
	(void)pthread_mutex_unlock(&queue->lock);
	return room;
}

bool log_queue_has_room(struct log_queue *queue)
{
	(void)pthread_mutex_lock(&queue->lock);
	bool roomy = is_roomy(queue);
	(void)pthread_mutex_unlock(&queue->lock);
	return roomy;
}

bool log_queue_flushed(struct log_queue *queue)
{
	if (queue->no_log)
		return true;
	(void)pthread_mutex_lock(&queue->lock);
	bool flushed = is_empty(queue) && !queue->writing;
	queue->tell_flushed = !flushed;
	(void)pthread_mutex_unlock(&queue->lock);
	return flushed;
}

int log_queue_reopen(struct log_queue *queue)
{
	(void)pthread_mutex_lock(&queue->lock);
	int r = queue->reopen == REOPEN_NONE ? 0 : -EBUSY;
	if (r == 0) {
		queue->reopen = queue->no_log ? REOPEN_DONE : REOPEN_ASKED;
		queue->reopen_result = 0;
		queue->reopen_at = queue->pushed;
		(void)pthread_cond_signal(&queue->work);
		if (queue->no_log)
			signal_loop(queue);
	}
	(void)pthread_mutex_unlock(&queue->lock);
	return r;
}

int log_queue_reopened(struct log_queue *queue, struct err *err)
{
	(void)pthread_mutex_lock(&queue->lock);
	int r = -EINPROGRESS;
	if (queue->reopen == REOPEN_DONE) {
		r = queue->reopen_result;
		if (err)
			*err = queue->reopen_err;
		queue->reopen = REOPEN_NONE;
	}
	(void)pthread_mutex_unlock(&queue->lock);
	return r;
}

uint64_t log_queue_lost(struct log_queue *queue)
{
	(void)pthread_mutex_lock(&queue->lock);
	uint64_t lost = queue->lost;
	(void)pthread_mutex_unlock(&queue->lock);
	return lost;
}
