#include "core/codec/digest.h"

#include <assert.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/err.h"

static const struct {
	const char *name;
	size_t bytes;
	const EVP_MD *(*evp)(void);
} ALGORITHMS[] = {
	[DIGEST_SHA256] = {"sha256", 32, EVP_sha256},
	[DIGEST_SHA512] = {"sha512", 64, EVP_sha512},
};

struct digester {
	enum digest_algorithm algorithm;
	EVP_MD_CTX *context;
};

/* Returns the value of a lower-case hexadecimal digit, or -1. */
static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1; /* upper case too: the specification allows one spelling, so that equal digests are equal texts */
}

static int algorithm_find(const char *name, size_t length)
{
	for (size_t i = 0; i < ARRAY_COUNT(ALGORITHMS); i++)
		if (strlen(ALGORITHMS[i].name) == length && memcmp(ALGORITHMS[i].name, name, length) == 0)
			return (int)i;
	return -1;
}

/* Decodes exactly 2 * @size digits. Returns false at the first character that is none. */
static bool hex_decode(const char *hex, size_t size, uint8_t *ret_bytes)
{
	for (size_t i = 0; i < size; i++) {
		int high = hex_value(hex[2 * i]);
		int low = hex_value(hex[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		ret_bytes[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static int malformed(const char *text, size_t length, const char *expected, struct err *err)
{
	int shown = length > DIGEST_TEXT_MAX ? (int)DIGEST_TEXT_MAX : (int)length;
	return err_set(err, -EINVAL, "digest.malformed", "digest \"%.*s\": expected %s", shown, text, expected);
}

int digest_parse(const char *text, size_t length, struct digest *ret_digest, struct err *err)
{
	const char *colon = length ? memchr(text, ':', length) : NULL;
	if (!colon || colon == text)
		return malformed(text, length, "an algorithm and a colon", err);

	size_t name_length = (size_t)(colon - text);
	int algorithm = algorithm_find(text, name_length);
	if (algorithm < 0)
		return err_set(err, -ENOTSUP, "digest.algorithm", "digest algorithm \"%.*s\": expected sha256 or sha512",
			       name_length > 32 ? 32 : (int)name_length, text);

	struct digest digest = {.algorithm = (enum digest_algorithm)algorithm};
	size_t size = ALGORITHMS[algorithm].bytes;
	if (length - name_length - 1 != 2 * size || !hex_decode(colon + 1, size, digest.bytes))
		return malformed(text, length, "lower-case hexadecimal digits of the algorithm's length", err);

	*ret_digest = digest;
	return 0;
}

int digest_parse_text(const char *text, struct digest *ret_digest, struct err *err)
{
	return digest_parse(text ? text : "", text ? strlen(text) : 0, ret_digest, err);
}

const char *digest_algorithm_name(const struct digest *digest)
{
	return ALGORITHMS[digest->algorithm].name;
}

void digest_format_hex(const struct digest *digest, char ret_hex[static DIGEST_TEXT_MAX])
{
	static const char DIGITS[] = "0123456789abcdef";
	char *end = ret_hex;
	for (size_t i = 0; i < ALGORITHMS[digest->algorithm].bytes; i++) {
		*end++ = DIGITS[digest->bytes[i] >> 4];
		*end++ = DIGITS[digest->bytes[i] & 15];
	}
	*end = '\0';
}

void digest_format(const struct digest *digest, char ret_text[static DIGEST_TEXT_MAX])
{
	char hex[DIGEST_TEXT_MAX];
	digest_format_hex(digest, hex);
	size_t name = strlen(ALGORITHMS[digest->algorithm].name);
	memcpy(ret_text, ALGORITHMS[digest->algorithm].name, name);
	ret_text[name] = ':';
	memcpy(ret_text + name + 1, hex, strlen(hex) + 1);
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
	return a->algorithm == b->algorithm && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

int digester_new(enum digest_algorithm algorithm, struct digester **ret_digester)
{
	scoped(digester_free) struct digester *digester = calloc(1, sizeof *digester);
	if (!digester)
		return -ENOMEM;
	digester->algorithm = algorithm;
	digester->context = EVP_MD_CTX_new();
	if (!digester->context || EVP_DigestInit_ex(digester->context, ALGORITHMS[algorithm].evp(), NULL) != 1)
		return -ENOMEM;
	*ret_digester = TAKE(digester);
	return 0;
}

void digester_free(struct digester *digester)
{
	if (!digester)
		return;
	EVP_MD_CTX_free(digester->context);
	free(digester);
}

void digester_add(struct digester *digester, const void *bytes, size_t size)
{
	int ok = EVP_DigestUpdate(digester->context, bytes, size);
	assert(ok == 1); /* fails only for a context that was never begun */
	(void)ok;
}

void digester_finish(struct digester *digester, struct digest *ret_digest)
{
	struct digest digest = {.algorithm = digester->algorithm};
	int ok = EVP_DigestFinal_ex(digester->context, digest.bytes, NULL) == 1 &&
		 EVP_DigestInit_ex(digester->context, ALGORITHMS[digester->algorithm].evp(), NULL) == 1;
	assert(ok);
	(void)ok;
	*ret_digest = digest;
}

int digest_of(enum digest_algorithm algorithm, const void *bytes, size_t size, struct digest *ret_digest)
{
	scoped(digester_free) struct digester *digester = NULL;
	int r = digester_new(algorithm, &digester);
	if (r < 0)
		return r;
	digester_add(digester, bytes, size);
	digester_finish(digester, ret_digest);
	return 0;
}
