/* The privileged end of a job: what the unprivileged half made ready becomes part of the store. Single-threaded, blocks.
 *
 * Order, so that a kill at any point leaves only garbage: owners are applied, everything is synced, blobs and layers are moved
 * to their places, their directories are synced, and last the record that names them is replaced. */
#pragma once

#include "image/src/progress.h"
#include "image/src/store_internal.h"
#include "image/src/wire.h"

struct commit {
	struct image_store *store;
	struct progress *progress;
	const struct wire_request *request;
	int ingest_fd;
	bool privileged;
};

/* Errors: store.full, store.io, store.damaged, image.malformed (the documents are not what the result says). */
int commit_run(const struct commit *commit, const struct wire_result *result, struct err *err);
