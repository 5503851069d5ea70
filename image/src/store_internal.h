/* The inside of struct image_store, shared by store.c (open, list, resolve), store_index.c (index.json), store_image.c (an
 * image of its documents), store_collect.c (garbage) and the worker's privileged half (commit.c). */
#pragma once

#include <sys/stat.h>

#include "core/base/arena.h"
#include "core/codec/digest.h"
#include "image/include/axle/image.h"
#include "image/src/model.h"

#define STORE_VERSION 1
#define STORE_INDEX "index.json"
#define STORE_VERSION_FILE "axle-store.json"
#define STORE_LAYOUT_FILE "oci-layout"
#define STORE_LOCK "lock"
#define STORE_BLOBS "blobs"
#define STORE_LAYERS "layers"
#define STORE_INGEST "ingest"
#define LAYER_TREE "fs"
#define LAYER_LIST "list"

/* Of a descriptor in index.json: the canonical reference is in ANNOTATION_REF_NAME (absent: no name left). */
#define ANNOTATION_PINNED "axle.pinned"
#define ANNOTATION_SOURCE "axle.source-digest" /* the index that the manifest was chosen from */

/* One name of one image, as index.json has it. */
struct store_name {
	const char *reference; /* canonical; NULL: the image has no name left */
	const char *manifest;  /* digest */
	const char *media_type;
	uint64_t size; /* of the manifest */
	const char *source; /* digest of the index, or NULL */
	bool pinned;
};

/* The records: names in the order of index.json. */
struct store_records {
	struct arena arena;
	struct store_name *names;
	size_t count;
};

struct store_hold {
	struct store_hold *next;
	unsigned count;
	bool going; /* nobody may hold it: it is being removed */
	char id[DIGEST_TEXT_MAX];
};

struct image_store {
	int dir_fd;
	unsigned flags;
	struct stat seen; /* of index.json when it was read */
	struct store_records records;
	struct arena arena; /* of images */
	struct image *images;
	size_t images_count;
	struct image_usage usage;
	struct store_hold *holds;
};

/* Paths below the store: "blobs/sha256/HEX", "layers/HEX". */
#define STORE_PATH_MAX 200
void store_blob_path(const struct digest *digest, char ret_path[static STORE_PATH_MAX]);
void store_layer_path(const struct digest *chain, const char *member, char ret_path[static STORE_PATH_MAX]);

/* store_index.c: reading and atomically replacing index.json. Callers that write hold the lock. */
int store_lock(const struct image_store *store, int *ret_lock_fd, struct err *err);
int store_records_read(int dir_fd, struct store_records *ret_records, struct stat *ret_seen, struct err *err);
int store_records_write(int dir_fd, const struct store_records *records, struct err *err);
void store_records_done(struct store_records *records);

/* Adds a name, which leaves the image it led to; an image's nameless record goes once it has a name. Errors: -ENOMEM. */
int store_records_add(struct store_records *records, const struct store_name *name);
void store_records_remove_at(struct store_records *records, size_t index);

/* store_image.c: makes the images of the records. */
int store_images_load(struct image_store *store, struct err *err);

/* Whether a layer is unpacked; its totals. Errors: -ENOENT, store.damaged. */
struct tree_totals;
int store_layer_totals(int dir_fd, const struct digest *chain, struct tree_totals *ret_totals, struct err *err);

/* Reads and checks a blob below @dir_fd. */
int store_blob_read(int dir_fd, const char *digest, struct buf *ret_bytes, struct err *err);

/* store_collect.c. Both want the lock to be held. */
int store_ingest_sweep(int dir_fd, bool *ret_alive, struct err *err);
int store_collect_locked(struct image_store *store, struct err *err);

/* Makes a directory for a job below ingest/ and locks it for as long as *ret_fd is open. @name has room for 32 bytes. */
int store_ingest_make(const struct image_store *store, char ret_name[static 32], int *ret_fd, struct err *err);

/* Whether the blobs and layers of @manifest are there, agree with each other and make the image @id. Errors: image.*. */
int store_image_check(struct image_store *store, const char *manifest, const char *id, struct err *err);

/* The constant text of a reason, "job.worker" for one that is none of ours (reason.c). */
const char *image_reason(const char *text);
