/* What load.c (OCI layouts) and load_docker.c (docker-archives) share. */
#pragma once

#include "image/src/archive.h"
#include "image/src/assembly.h"

/* Moves the file @path below ingest/ to the blobs, if there is no such blob yet; its bytes are digested here.
 * @expected: NULL: any digest. Errors: image.digest-mismatch, image.size-mismatch, store.io. */
int load_import(struct worker *worker, const char *path, const struct digest *expected, uint64_t size,
		struct digest *ret_digest, uint64_t *ret_size, struct err *err);

/* Reads the layers of a configured assembly whose blobs are there, gives them their meaning. */
int load_layers(struct assembly *assembly, struct err *err);

/* The archive's manifest.json (docker save, podman save --format docker-archive). */
int load_docker_archive(struct worker *worker, struct archive *archive, const struct buf *manifest, struct err *err);
