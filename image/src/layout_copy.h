/* Copies an OCI layout directory that a caller handed in below the job's ingest directory, for the unprivileged half to read:
 * that could not open files of the caller's. Nothing is parsed. */
#pragma once

#include <sys/types.h>

struct err;

/* Copies index.json, oci-layout, manifest.json and blobs/ALGORITHM/NAME of @from_fd (regular files only, no links followed) to
 * "input" below @ingest_fd, owned by @uid and @gid (where root). Errors: image.malformed, store.full, store.io. */
int layout_copy(int from_fd, int ingest_fd, uid_t uid, gid_t gid, struct err *err);
