#include "image/src/crew.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "core/base/err.h"

#define THREADS_MAX 8

struct crew {
	struct crew_options options;
	pthread_t threads[THREADS_MAX];
	unsigned threads_count;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	size_t *queue; /* pieces_max of them; taken from @head */
	size_t head;
	size_t tail;
	unsigned busy;
	bool closing;
	int result;
	struct err err;
};

/* Waits for a piece. Returns false where there will be none. */
static bool take(struct crew *crew, size_t *ret_piece)
{
	(void)pthread_mutex_lock(&crew->lock);
	while (crew->head == crew->tail && !crew->closing)
		(void)pthread_cond_wait(&crew->changed, &crew->lock);
	bool got = crew->head < crew->tail;
	if (got) {
		*ret_piece = crew->queue[crew->head++];
		crew->busy++;
	}
	(void)pthread_mutex_unlock(&crew->lock);
	return got;
}

static void report(struct crew *crew, int result, const struct err *err)
{
	(void)pthread_mutex_lock(&crew->lock);
	crew->busy--;
	if (result < 0 && crew->result == 0) {
		crew->result = result;
		crew->err = *err;
	}
	if (result < 0)
		crew->head = crew->tail; /* what is queued would be for nothing */
	(void)pthread_cond_broadcast(&crew->changed);
	(void)pthread_mutex_unlock(&crew->lock);
	if (crew->options.after)
		crew->options.after(crew->options.user);
}

static void *work(void *user)
{
	struct crew *crew = user;
	size_t piece;
	while (take(crew, &piece)) {
		struct err err = {0};
		int r = crew->options.work(crew->options.user, piece, &err);
		report(crew, r, &err);
	}
	return NULL;
}

int crew_new(const struct crew_options *options, struct crew **ret_crew)
{
	struct crew *crew = calloc(1, sizeof *crew);
	if (!crew)
		return -ENOMEM;
	crew->options = *options;
	(void)pthread_mutex_init(&crew->lock, NULL); /* these two cannot fail with default attributes */
	(void)pthread_cond_init(&crew->changed, NULL);
	crew->queue = calloc(options->pieces_max + 1, sizeof *crew->queue);
	int r = crew->queue ? 0 : -ENOMEM;
	while (r == 0 && crew->threads_count < options->threads && crew->threads_count < THREADS_MAX) {
		r = -pthread_create(&crew->threads[crew->threads_count], NULL, work, crew);
		crew->threads_count += r == 0;
	}
	if (r < 0 && crew->threads_count == 0) { /* one is enough */
		crew_free(crew);
		return r;
	}
	*ret_crew = crew;
	return 0;
}

void crew_free(struct crew *crew)
{
	if (!crew)
		return;
	(void)pthread_mutex_lock(&crew->lock);
	crew->closing = true;
	crew->head = crew->tail;
	(void)pthread_cond_broadcast(&crew->changed);
	(void)pthread_mutex_unlock(&crew->lock);
	for (unsigned i = 0; i < crew->threads_count; i++)
		(void)pthread_join(crew->threads[i], NULL);
	(void)pthread_cond_destroy(&crew->changed);
	(void)pthread_mutex_destroy(&crew->lock);
	free(crew->queue);
	free(crew);
}

void crew_add(struct crew *crew, size_t piece)
{
	(void)pthread_mutex_lock(&crew->lock);
	if (crew->result == 0 && crew->tail < crew->options.pieces_max)
		crew->queue[crew->tail++] = piece;
	(void)pthread_cond_broadcast(&crew->changed);
	(void)pthread_mutex_unlock(&crew->lock);
}

bool crew_has_failed(struct crew *crew)
{
	(void)pthread_mutex_lock(&crew->lock);
	bool failed = crew->result < 0;
	(void)pthread_mutex_unlock(&crew->lock);
	return failed;
}

int crew_wait(struct crew *crew, struct err *err)
{
	(void)pthread_mutex_lock(&crew->lock);
	while (crew->head < crew->tail || crew->busy)
		(void)pthread_cond_wait(&crew->changed, &crew->lock);
	int r = crew->result;
	if (r < 0 && err)
		*err = crew->err;
	(void)pthread_mutex_unlock(&crew->lock);
	return r;
}
