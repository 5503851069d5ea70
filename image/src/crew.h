/* A few threads that do numbered pieces of work, in the order in which they are handed in. The first failure is kept; what is
 * still queued behind it is not begun. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/base/scoped.h"

struct err;
struct crew;

struct crew_options {
	unsigned threads;
	size_t pieces_max; /* ever handed in */
	int (*work)(void *user, size_t piece, struct err *err);
	void (*after)(void *user); /* called by the thread when a piece has ended; may be NULL */
	void *user;
};

/* Errors: -ENOMEM, -EAGAIN (no thread can be made). */
int crew_new(const struct crew_options *options, struct crew **ret_crew);

/* Waits for the pieces under way. */
void crew_free(struct crew *crew);
SCOPED_DEFINE(struct crew, crew_free)

void crew_add(struct crew *crew, size_t piece);

/* Whether a piece has failed. */
bool crew_has_failed(struct crew *crew);

/* Waits until all is done; returns the first failure. */
int crew_wait(struct crew *crew, struct err *err);
