/* One repository of one registry: OCI distribution-spec 1.1 (and Docker Registry V2), reading only. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/scoped.h"
#include "core/codec/digest.h"
#include "image/include/axle/image.h"

struct buf;
struct err;
struct http_client;
struct http_response;
struct http_trust;

struct registry_options {
	const struct image_reference *reference;
	const struct image_credentials *credentials;
	bool plain_http;
	const char *base;   /* of its API, "https://mirror:5000/v2"; NULL: that of the reference's registry, found out */
	const char *mirror; /* "mirror:5000": it is asked for images of the reference's registry; NULL: it is that one */
	const struct http_trust *trust;	   /* borrowed, like the next; NULL: the client's */
	const char *const *headers;	   /* NULL: none */
	unsigned attempts;		   /* for each request; 0: several */
};

struct registry;

/* Finds out how the registry is spoken to (HTTP for loopback hosts that do not speak HTTPS).
 * Errors: registry.unreachable, registry.protocol. */
int registry_open(struct http_client *client, const struct registry_options *options, struct registry **ret_registry,
		  struct err *err);
void registry_free(struct registry *registry);
SCOPED_DEFINE(struct registry, registry_free)

/* Gets a manifest or index by tag or digest; its bytes are checked against @digest (NULL: a tag) and against the digest that
 * the registry names. @ret_type has room for 256 bytes.
 * Errors: image.not-found, image.digest-mismatch, image.too-large, registry.*. */
int registry_get_manifest(struct registry *registry, const char *tag, const struct digest *digest, struct buf *ret_bytes,
			  char ret_type[static 256], struct digest *ret_digest, struct err *err);

/* Gets a small blob into memory (a configuration), checked. Errors: the same. */
int registry_get_blob(struct registry *registry, const char *digest, uint64_t size, struct buf *ret_bytes,
		      struct err *err);

/* ---- Large blobs, many at a time: driven by http_client_step() and registry_retry() ---- */

struct registry_download {
	struct registry *registry;
	struct digest digest;
	uint64_t size;
	int fd; /* written from its beginning; the caller's */
	/* Called when the download has ended: 0, or an error after all retries. */
	void (*done)(struct registry_download *download, int result, const struct err *err);
	void *user;
	/* Below: kept by the registry. */
	uint64_t offset;
	struct digester *digester;
	uint64_t resumed_at;
	unsigned attempts;
	bool asked_again; /* with new credentials */
	int64_t due_ms;	  /* CLOCK_MONOTONIC: when to try again; 0: under way */
	struct registry_download *next_waiting;
};

int registry_download(struct registry_download *download, struct err *err);

/* Starts the downloads whose time to try again has come. Returns in how many milliseconds to call again, -1: nothing waits. */
int registry_retry(struct registry *registry);
