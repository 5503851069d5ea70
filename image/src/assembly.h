/* Puts one image together below the job's ingest directory: its documents say what is needed, its blobs come from wherever
 * pull.c or load.c gets them, its layers are read in parallel and given their meaning in order. */
#pragma once

#include "image/src/unpack.h"
#include "image/src/worker.h"

struct assembly_layer {
	const struct model_descriptor *descriptor;
	struct digest blob;
	struct digest diff_id;
	struct digest chain;
	bool unpacked;	 /* exists, in the store or from an earlier image of this job */
	bool have_blob;	 /* likewise */
	bool check_blob; /* its bytes were not just digested */
	struct unpack unpack;
};

struct assembly {
	struct worker *worker;
	struct arena arena; /* of the documents */
	struct model_manifest manifest;
	struct model_config config;
	struct digest manifest_digest;
	uint64_t manifest_size;
	const char *media_type;
	struct assembly_layer layers[LAYERS_MAX];
	size_t layers_count;
};

/* Reads both documents (checked against their digests by the caller) and finds out what is there. */
int assembly_begin(struct assembly *assembly, struct worker *worker, const struct digest *manifest_digest,
		   const struct buf *manifest, struct err *err);
int assembly_configure(struct assembly *assembly, const struct buf *config, struct err *err);
void assembly_done(struct assembly *assembly);

/* Reads layer @index, whose blob is there. Different layers may be read by different threads at the same time. */
int assembly_unpack(struct assembly *assembly, size_t index, struct err *err);

/* All layers have been read: decides what they mean and makes their directories. */
int assembly_make_layers(struct assembly *assembly, struct err *err);

/* Adds the image to the result. @names: canonical references; @source: digest of its index, or NULL. */
int assembly_report(const struct assembly *assembly, const char *const *names, const char *source, struct err *err);
