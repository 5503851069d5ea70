/* The worker's end of the progress pipe. Any thread may write. */
#pragma once

#include <pthread.h>

#include "image/include/axle/image.h"

struct progress {
	int fd;
	pthread_mutex_t lock;
};

/* Writes one line, whole. A reader that is gone ends the program (SIGPIPE): nobody waits for its result. */
void progress_send(struct progress *progress, const struct image_progress *line);
void progress_layer(struct progress *progress, const char *digest, enum image_layer_state state, uint64_t done,
		    uint64_t total);
void progress_error(struct progress *progress, int code, const struct err *err);
