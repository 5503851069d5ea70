/* What the library, the worker and its two halves tell each other: the request (one JSON document), the progress (JSON lines,
 * docs/formats/pull-progress.md) and the result of the unprivileged half (one JSON document). Sans-I/O. */
#pragma once

#include "core/codec/json.h"
#include "image/include/axle/image.h"

#define WIRE_VERSION 1
#define WIRE_REQUEST_MAX ((size_t)1024 * 1024)
#define WIRE_RESULT_MAX ((size_t)8 * 1024 * 1024)
#define WIRE_LINE_MAX 4096 /* bytes of a progress line: one write(2) of a pipe is whole up to PIPE_BUF */
#define WIRE_RESULT "result.json"

struct wire_platform {
	const char *os;
	const char *architecture;
	const char *variant;
};

struct wire_credentials {
	const char *username;
	const char *password;
	const char *identity_token;
	const char *registry_token;
};

struct wire_request {
	int64_t version;
	const char *kind; /* "pull", "load", "remove" */
	const char *reference;
	struct wire_platform platform;
	struct wire_credentials credentials;
	bool plain_http;
	bool skip_tls_verify;
	const char *ca_file;
	const char *endpoint;
	const char *hosts_dir; /* folder with HOST/hosts.toml; NULL: none */
	uint32_t remove_flags; /* enum image_remove_flags */
	uint32_t uid;
	uint32_t gid;
	uint32_t connect_timeout_s;
	uint32_t stall_timeout_s;
	uint64_t max_unpacked_bytes;
};

extern const struct json_table WIRE_REQUEST;

/* One image that the unprivileged half has made ready below its ingest directory. */
struct wire_image {
	const char *manifest; /* digest */
	const char *media_type;
	uint64_t size;
	const char *source; /* digest of the index it was chosen from; NULL */
	const char *id;
	const char *const *names;  /* canonical references that lead to it */
	const char *const *blobs;  /* digests of all its blobs: below ingest/blobs/ or in the store */
	const char *const *chains; /* chain ids of its layers, lowest first: below ingest/layers/ or in the store */
};

struct wire_result {
	int64_t version;
	const struct wire_image *images;
	size_t images_count;
};

extern const struct json_table WIRE_RESULT_TABLE;

/* Appends one line of progress. Errors: -ENOMEM, -EMSGSIZE. */
int wire_progress_encode(const struct image_progress *progress, struct buf *ret_line);

/* Reads one line, without its end. Strings belong to the arena. Errors: -EPROTO. */
int wire_progress_decode(const char *line, size_t length, struct arena *arena, struct image_progress *ret_progress);
