/* The unprivileged half of a job: what pull.c and load.c work with. */
#pragma once

#include <stdatomic.h>

#include "core/base/arena.h"
#include "image/src/model.h"
#include "image/src/progress.h"
#include "image/src/wire.h"

#define INGEST_BLOBS "blobs"
#define INGEST_LAYERS "layers"
#define INGEST_DATA "data"

struct hosts;

struct worker {
	struct progress *progress;
	const struct wire_request *request;
	const struct hosts *hosts; /* where to ask; count 0: the registry itself */
	const char *ca_pem; /* the system's authorities and those of the request; NULL: none known */
	int ingest_fd;	    /* the directory of this job: ours */
	int blobs_fd;	    /* the store's: read only */
	int layers_fd;
	int input_fd; /* of a load */
	_Atomic uint64_t bytes_left;
	struct model_platform platform; /* wanted */
	struct arena arena;		/* of the result */
	struct wire_result result;
};

/* Fill worker->result. Errors: every reason of axle/image.h but those of the store's records. */
int pull_run(struct worker *worker, struct err *err);
int load_run(struct worker *worker, struct err *err);

/* Adds an image to the result; strings are copied. Errors: -ENOMEM. */
int worker_add_image(struct worker *worker, const struct wire_image *image);

/* Makes the directories of the job, writes the result. */
int worker_begin(struct worker *worker, struct err *err);
int worker_write_result(struct worker *worker, struct err *err);

#define STORE_BLOB_PATH_MAX 200

/* The path of a blob below the job's directory. */
void worker_blob_path(const struct digest *digest, char ret_path[static STORE_BLOB_PATH_MAX]);

/* Opens a blob of the job or of the store for reading. Errors: -ENOENT. */
int worker_open_blob(const struct worker *worker, const struct digest *digest);

/* Makes an empty blob of the job, to be filled; it counts from then on. Errors: store.full, store.io. */
int worker_make_blob(const struct worker *worker, const struct digest *digest, int *ret_fd, struct err *err);

/* The same with bytes at hand, whose digest is known to be right. Nothing is done where the blob exists. */
int worker_put_blob(const struct worker *worker, const struct digest *digest, const void *bytes, size_t size,
		    struct err *err);

/* A write below the ingest directory failed. */
int worker_io_error(int code, const char *what, struct err *err);
