/* Content digests as OCI writes them: an algorithm, a colon, lower-case hexadecimal digits.
 * image-spec 1.1, descriptor.md, "Digests". */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/scoped.h"

struct err;

#define DIGEST_BYTES_MAX 64
#define DIGEST_TEXT_MAX (sizeof "sha512:" + 2 * DIGEST_BYTES_MAX) /* with the terminator */

enum digest_algorithm {
	DIGEST_SHA256,
	DIGEST_SHA512,
};

/* A value: copied freely, compared with digest_equal(). Bytes beyond the algorithm's length are zero. */
struct digest {
	enum digest_algorithm algorithm;
	uint8_t bytes[DIGEST_BYTES_MAX];
};

/* Parses the @length bytes at @text, which need not be terminated and may hold anything.
 * Errors: -EINVAL (digest.malformed), -ENOTSUP (digest.algorithm: a well-formed digest of another algorithm). */
int digest_parse(const char *text, size_t length, struct digest *ret_digest, struct err *err);

/* The same for a terminated string; NULL is malformed. */
int digest_parse_text(const char *text, struct digest *ret_digest, struct err *err);

/* Writes the canonical text of @digest, terminated. */
void digest_format(const struct digest *digest, char ret_text[static DIGEST_TEXT_MAX]);

/* The name of its algorithm ("sha256") and its digits: the last two components of a blob's path in an OCI layout. */
const char *digest_algorithm_name(const struct digest *digest);
void digest_format_hex(const struct digest *digest, char ret_hex[static DIGEST_TEXT_MAX]);

bool digest_equal(const struct digest *a, const struct digest *b);

/* The digest of bytes at hand. Errors: -ENOMEM. */
int digest_of(enum digest_algorithm algorithm, const void *bytes, size_t size, struct digest *ret_digest);

/* The digest of bytes that come in pieces. */
struct digester;

/* Errors: -ENOMEM. */
int digester_new(enum digest_algorithm algorithm, struct digester **ret_digester);
void digester_free(struct digester *digester);
SCOPED_DEFINE(struct digester, digester_free)

void digester_add(struct digester *digester, const void *bytes, size_t size);

/* Gives the digest of all bytes added; the digester is then empty and may be used again. */
void digester_finish(struct digester *digester, struct digest *ret_digest);
