/* The life of one job: the privileged half makes its ingest directory, starts the unprivileged half in it, waits, applies and
 * records what that made ready, and removes the rest. */
#pragma once

#include "image/src/progress.h"

struct supervise {
	int store_fd;
	int request_fd;
	int input_fd; /* of a load, else -1 */
	struct progress progress;
};

/* Everything that goes wrong is reported as the last line of progress. Returns 0 or the error. SIGTERM and SIGINT cancel. */
int supervise_run(struct supervise *supervise);
