#include "image/src/registry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/parse.h"
#include "core/base/str.h"
#include "core/codec/json.h"
#include "core/sys/fd.h"
#include "image/src/model.h"
#include "image/src/registry_internal.h"

static const char ACCEPT[] = MEDIA_OCI_INDEX ", " MEDIA_OCI_MANIFEST ", " MEDIA_DOCKER_LIST ", " MEDIA_DOCKER_MANIFEST;

/* ---- What went wrong -------------------------------------------------------------------------------------------- */

int registry_transport_error(int r, struct err *err)
{
	if (r >= 0 || !err || !err->reason || !str_after_prefix(err->reason, "http."))
		return r;
	struct err cause = *err;
	bool unreachable = r == -EHOSTUNREACH || r == -ETIMEDOUT;
	const char *reason = unreachable ? "registry.unreachable" : "registry.protocol";
	return err_set(err, unreachable ? -EHOSTUNREACH : r, reason, "registry %s", cause.message);
}

struct registry_fault {
	const char *code;
	const char *message;
};

struct registry_faults {
	const struct registry_fault *errors;
	size_t errors_count;
};

static const struct json_field FAULT_FIELDS[] = {
	JSON_FIELD(struct registry_fault, code, "code", JSON_STRING_T, 0),
	JSON_FIELD(struct registry_fault, message, "message", JSON_STRING_T, 0),
};
static const struct json_table FAULT = JSON_TABLE(struct registry_fault, FAULT_FIELDS);
static const struct json_field FAULTS_FIELDS[] = {
	JSON_NESTED_COUNTED(struct registry_faults, errors, "errors", JSON_STRUCTS, &FAULT, 0),
};
static const struct json_table FAULTS = JSON_TABLE(struct registry_faults, FAULTS_FIELDS);

/* The registry's own words (distribution-spec, "Error Codes"), if it says any. */
static void words_of(const struct http_response *response, char *ret_words, size_t size)
{
	scoped_done(arena_done) struct arena arena = {.max = 256 * 1024};
	struct registry_faults faults = {0};
	const struct buf *body = &response->error_body;
	*ret_words = '\0';
	if (body->size && json_decode("answer", body->data, body->size, &FAULTS, &arena, &faults, NULL) == 0 &&
	    faults.errors_count && faults.errors[0].message)
		(void)snprintf(ret_words, size, " (%.100s)", faults.errors[0].message);
}

static const struct {
	int status;
	int code;
	const char *reason;
	const char *text;
} REFUSALS[] = {
	{404, -ENOENT, "image.not-found", "is not in its registry"},
	{401, -EACCES, "registry.unauthorized", "needs other credentials, or does not exist"},
	{403, -EACCES, "registry.unauthorized", "is forbidden"},
	{429, -EHOSTUNREACH, "registry.unreachable", "was asked for too often"},
	{503, -EHOSTUNREACH, "registry.unreachable", "is not available now"},
};

int registry_refusal(const struct registry *registry, const struct http_response *response, const char *what,
		     struct err *err)
{
	char words[128];
	words_of(response, words, sizeof words);
	for (size_t i = 0; i < sizeof REFUSALS / sizeof *REFUSALS; i++)
		if (REFUSALS[i].status == response->status)
			return err_set(err, REFUSALS[i].code, REFUSALS[i].reason, "%s %s%s", what, REFUSALS[i].text, words);
	return err_set(err, -EPROTO, "registry.protocol", "%s: registry %s answers with status %d%s", what,
		       registry->name, response->status, words);
}

static bool may_pass(int result, const struct http_response *response)
{
	if (result < 0)
		return result == -EHOSTUNREACH || result == -ETIMEDOUT || result == -EPROTO;
	return response->status == 429 || response->status == 408 || response->status >= 500;
}

int64_t registry_backoff_ms(unsigned attempt, const struct http_response *response)
{
	char text[32];
	uint64_t seconds = 0;
	if (response && http_response_header(response, "retry-after", 0, text, sizeof text) &&
	    parse_u64(text, 0, 60, &seconds) == 0)
		return (int64_t)seconds * 1000;
	return (int64_t)250 << (attempt < 6 ? attempt - 1 : 5); /* 250 ms ... 8 s */
}

static int64_t now_ms(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void sleep_ms(int64_t ms)
{
	struct timespec time = {ms / 1000, ms % 1000 * 1000000};
	(void)nanosleep(&time, NULL);
}

/* ---- Opening ---------------------------------------------------------------------------------------------------- */

static bool is_loopback(const char *registry)
{
	return str_after_prefix(registry, "127.") || str_after_prefix(registry, "[::1]") ||
	       str_equal(registry, "localhost") || str_after_prefix(registry, "localhost:");
}

/* Docker Hub's name is not where it answers. */
static const char *host_of(const char *registry)
{
	return str_equal(registry, "docker.io") ? "registry-1.docker.io" : registry;
}

/* Asks for /v2/ (distribution-spec, "Determining Support"): any answer of a web server tells that the scheme is right. */
static int try_base(struct registry *registry, const char *scheme, struct err *err)
{
	(void)snprintf(registry->base, sizeof registry->base, "%s://%s/v2", scheme, host_of(registry->reference.registry));
	registry->secure = str_equal(scheme, "https");
	char url[REGISTRY_URL_MAX];
	(void)snprintf(url, sizeof url, "%s/", registry->base);
	scoped_done(http_response_done) struct http_response response = {0};
	struct http_request request = {.url = url, .trust = registry->trust, .headers = registry->headers};
	return http_fetch(registry->client, &request, &response, err);
}

static int find_base(struct registry *registry, const struct registry_options *options, struct err *err)
{
	if (options->base) {
		(void)snprintf(registry->base, sizeof registry->base, "%s", options->base);
		registry->secure = str_after_prefix(options->base, "https://") != NULL;
		return 0;
	}
	if (options->plain_http)
		return registry_transport_error(try_base(registry, "http", err), err);
	int r = try_base(registry, "https", err);
	bool untrusted = r < 0 && err && str_equal(err->reason, "http.untrusted"); /* it speaks HTTPS, but as somebody else */
	if (r >= 0 || untrusted || !is_loopback(registry->reference.registry))
		return registry_transport_error(r, err);
	/* A registry on this very machine commonly speaks plain HTTP, and nobody is between. */
	return registry_transport_error(try_base(registry, "http", err), err);
}

int registry_open(struct http_client *client, const struct registry_options *options, struct registry **ret_registry,
		  struct err *err)
{
	scoped(registry_free) struct registry *registry = calloc(1, sizeof *registry);
	if (!registry)
		return err_memory(err, "registry");
	registry->client = client;
	registry->reference = *options->reference;
	registry->credentials = *options->credentials;
	registry->trust = options->trust;
	if (options->trust) {
		registry->token_trust = *options->trust;
		registry->token_trust.certificate_pem = registry->token_trust.key_pem = NULL;
	}
	registry->headers = options->headers;
	registry->attempts = options->attempts ? options->attempts : REGISTRY_ATTEMPTS;
	(void)snprintf(registry->name, sizeof registry->name, "%s",
		       options->mirror ? options->mirror : registry->reference.registry);
	if (options->mirror)
		(void)snprintf(registry->query, sizeof registry->query, "?ns=%s", registry->reference.registry);
	int r = find_base(registry, options, err);
	if (r == 0)
		*ret_registry = TAKE(registry);
	return r;
}

void registry_free(struct registry *registry)
{
	if (!registry)
		return;
	free(registry->authorization);
	free(registry);
}

/* ---- Small things ----------------------------------------------------------------------------------------------- */

static int on_bytes(void *user, int status, const void *bytes, size_t size, struct err *err)
{
	(void)status;
	struct buf *buf = user;
	int r = buf_add(buf, bytes, size);
	if (r == -EMSGSIZE)
		return err_set(err, -EFBIG, "image.too-large", "a document of more than %zu bytes", buf->max);
	return r < 0 ? err_memory(err, "registry") : 0;
}

/* One document: authorized when asked to, tried again when that may help. */
static int get_document(struct registry *registry, const char *url, const char *accept, const char *what,
			struct buf *ret_bytes, struct http_response *ret_response, struct err *err)
{
	bool asked_again = false;
	for (unsigned attempt = 1;; attempt++) {
		struct http_request request = {.url = url,
					       .trust = registry->trust,
					       .headers = registry->headers,
					       .accept = accept,
					       .authorization = registry->authorization,
					       .data = on_bytes,
					       .user = ret_bytes};
		buf_clear(ret_bytes);
		http_response_done(ret_response);
		*ret_response = (struct http_response){0};
		int r = http_fetch(registry->client, &request, ret_response, err);
		if (r == 0 && ret_response->status == 200)
			return 0;
		if (r == 0 && ret_response->status == 401 && !asked_again) {
			asked_again = true;
			r = registry_authorize(registry, ret_response, err);
			if (r < 0)
				return r;
			continue;
		}
		bool untrusted = r < 0 && err && str_equal(err->reason, "http.untrusted"); /* and so it will be next time */
		if (untrusted || !may_pass(r, ret_response) || attempt >= registry->attempts)
			return r < 0 ? registry_transport_error(r, err)
				     : registry_refusal(registry, ret_response, what, err);
		sleep_ms(registry_backoff_ms(attempt, r == 0 ? ret_response : NULL));
	}
}

static int mismatch(const char *what, const struct digest *expected, const struct digest *got, struct err *err)
{
	char expected_text[DIGEST_TEXT_MAX];
	char got_text[DIGEST_TEXT_MAX];
	digest_format(expected, expected_text);
	digest_format(got, got_text);
	return err_set(err, -EBADMSG, "image.digest-mismatch", "%s: expected %s, got bytes with %s", what, expected_text,
		       got_text);
}

static int check_bytes(const char *what, const struct digest *expected, const struct buf *bytes, struct err *err)
{
	struct digest got;
	int r = digest_of(expected->algorithm, bytes->data ? bytes->data : "", bytes->size, &got);
	if (r < 0)
		return err_memory(err, "registry");
	return digest_equal(&got, expected) ? 0 : mismatch(what, expected, &got, err);
}

int registry_get_manifest(struct registry *registry, const char *tag, const struct digest *digest, struct buf *ret_bytes,
			  char ret_type[static 256], struct digest *ret_digest, struct err *err)
{
	char named[DIGEST_TEXT_MAX];
	char what[IMAGE_REFERENCE_MAX + 8];
	if (digest)
		digest_format(digest, named);
	(void)snprintf(what, sizeof what, "image %s/%s%s%s", registry->name, registry->reference.repository,
		       digest ? "@" : ":", digest ? named : tag);
	char url[REGISTRY_URL_MAX];
	(void)snprintf(url, sizeof url, "%s/%s/manifests/%s%s", registry->base, registry->reference.repository,
		       digest ? named : tag, registry->query);
	scoped_done(http_response_done) struct http_response response = {0};
	int r = get_document(registry, url, ACCEPT, what, ret_bytes, &response, err);
	if (r < 0)
		return r;
	char header[DIGEST_TEXT_MAX];
	struct digest said;
	bool says = !digest && http_response_header(&response, "docker-content-digest", 0, header, sizeof header) &&
		    digest_parse_text(header, &said, NULL) == 0;
	struct digest computed;
	enum digest_algorithm algorithm = digest ? digest->algorithm : says ? said.algorithm : DIGEST_SHA256;
	if (digest_of(algorithm, ret_bytes->data ? ret_bytes->data : "", ret_bytes->size, &computed) < 0)
		return err_memory(err, "registry");
	const struct digest *expected = digest ? digest : says ? &said : &computed;
	if (!digest_equal(&computed, expected))
		return mismatch(what, expected, &computed, err);
	if (!http_response_header(&response, "content-type", 0, ret_type, 256))
		ret_type[0] = '\0';
	*ret_digest = computed;
	return 0;
}

static void blob_url(const struct registry *registry, const char *digest, char ret_url[static REGISTRY_URL_MAX])
{
	(void)snprintf(ret_url, REGISTRY_URL_MAX, "%s/%s/blobs/%s%s", registry->base, registry->reference.repository,
		       digest, registry->query);
}

int registry_get_blob(struct registry *registry, const char *text, uint64_t size, struct buf *ret_bytes, struct err *err)
{
	struct digest digest;
	int r = digest_parse_text(text, &digest, err);
	if (r < 0)
		return r;
	char url[REGISTRY_URL_MAX];
	char what[DIGEST_TEXT_MAX + 8];
	blob_url(registry, text, url);
	(void)snprintf(what, sizeof what, "blob %s", text);
	scoped_done(http_response_done) struct http_response response = {0};
	r = get_document(registry, url, NULL, what, ret_bytes, &response, err);
	if (r == 0)
		r = check_bytes(what, &digest, ret_bytes, err);
	if (r == 0 && ret_bytes->size != size)
		return err_set(err, -EBADMSG, "image.size-mismatch", "%s: its descriptor says %llu bytes, it has %zu", what,
			       (unsigned long long)size, ret_bytes->size);
	return r;
}

/* ---- Large blobs ------------------------------------------------------------------------------------------------ */

static void end_download(struct registry_download *download, int result, const struct err *err)
{
	digester_free(download->digester);
	download->digester = NULL;
	download->done(download, result, err);
}

/* Begins the file again: the server did not resume, or had other bytes. */
static int rewind_download(struct registry_download *download)
{
	struct digest unused;
	digester_finish(download->digester, &unused);
	download->offset = 0;
	return ftruncate(download->fd, 0) < 0 ? -errno : 0;
}

static int io_error(int code, struct err *err)
{
	if (code == -ENOSPC || code == -EDQUOT)
		return err_set(err, -ENOSPC, "store.full", "no space left for the image");
	return err_sys(err, code, "store.io", "write a blob");
}

static int on_blob_bytes(void *user, int status, const void *bytes, size_t size, struct err *err)
{
	struct registry_download *download = user;
	if (status == 200 && download->resumed_at) {
		int r = rewind_download(download);
		if (r < 0)
			return io_error(r, err);
	}
	download->resumed_at = 0; /* the first bytes have come: what follows is in order */
	if (download->offset + size > download->size) {
		char text[DIGEST_TEXT_MAX];
		digest_format(&download->digest, text);
		return err_set(err, -EBADMSG, "image.size-mismatch",
			       "blob %s: its descriptor says %llu bytes, the registry sends more", text,
			       (unsigned long long)download->size);
	}
	const char *at = bytes;
	for (size_t left = size; left;) {
		ssize_t n = pwrite(download->fd, at, left, (off_t)download->offset);
		if (n < 0 && errno != EINTR)
			return io_error(-errno, err);
		if (n <= 0)
			continue;
		digester_add(download->digester, at, (size_t)n);
		at += n;
		left -= (size_t)n;
		download->offset += (uint64_t)n;
	}
	return 0;
}

static void check_download(struct registry_download *download)
{
	struct digest got;
	struct err err = {0};
	char what[DIGEST_TEXT_MAX + 8] = "blob ";
	digest_format(&download->digest, what + strlen(what));
	digester_finish(download->digester, &got);
	int r = digest_equal(&got, &download->digest) ? 0 : mismatch(what, &download->digest, &got, &err);
	end_download(download, r, &err);
}

static void wait_download(struct registry_download *download, const struct http_response *response)
{
	struct registry *registry = download->registry;
	download->due_ms = now_ms() + registry_backoff_ms(download->attempts, response);
	download->next_waiting = registry->waiting;
	registry->waiting = download;
}

static void on_blob_done(void *user, int result, const struct http_response *response, const struct err *result_err);

static int start_download(struct registry_download *download, struct err *err)
{
	struct registry *registry = download->registry;
	char digest[DIGEST_TEXT_MAX];
	char url[REGISTRY_URL_MAX];
	digest_format(&download->digest, digest);
	blob_url(registry, digest, url);
	download->attempts++;
	download->due_ms = 0;
	download->resumed_at = download->offset;
	struct http_request request = {.url = url,
				       .trust = download->registry->trust,
				       .headers = download->registry->headers,
				       .authorization = registry->authorization,
				       .range_from = download->offset,
				       .data = on_blob_bytes,
				       .user = download};
	return http_start(registry->client, &request, on_blob_done, err);
}

static void restart_download(struct registry_download *download)
{
	struct err err = {0};
	int r = start_download(download, &err);
	if (r < 0)
		end_download(download, r, &err);
}

static void authorize_download(struct registry_download *download, const struct http_response *response)
{
	struct err err = {0};
	download->asked_again = true;
	int r = registry_authorize(download->registry, response, &err);
	if (r < 0)
		end_download(download, r, &err);
	else
		restart_download(download);
}

static void on_blob_done(void *user, int result, const struct http_response *response, const struct err *result_err)
{
	struct registry_download *download = user;
	bool arrived = result == 0 && (response->status == 200 || response->status == 206);
	if (arrived && download->offset == download->size) {
		check_download(download);
		return;
	}
	if (result == 0 && response->status == 401 && !download->asked_again) {
		authorize_download(download, response);
		return;
	}
	/* A whole answer that was too short, or a range that the server does not have, is tried from the beginning. */
	bool again = arrived || (result == 0 && response->status == 416);
	struct err err = *result_err;
	if (again && rewind_download(download) < 0)
		again = false;
	if (download->attempts < download->registry->attempts && (again || may_pass(result, response))) {
		wait_download(download, result == 0 ? response : NULL);
		return;
	}
	char what[DIGEST_TEXT_MAX + 8] = "blob ";
	digest_format(&download->digest, what + strlen(what));
	if (arrived)
		result = err_set(&err, -EBADMSG, "image.size-mismatch",
				 "%s: its descriptor says %llu bytes, the registry sends fewer", what,
				 (unsigned long long)download->size);
	else
		result = result < 0 ? registry_transport_error(result, &err)
				    : registry_refusal(download->registry, response, what, &err);
	end_download(download, result, &err);
}

int registry_download(struct registry_download *download, struct err *err)
{
	int r = digester_new(download->digest.algorithm, &download->digester);
	if (r < 0)
		return err_memory(err, "registry");
	r = start_download(download, err);
	if (r < 0) {
		digester_free(download->digester);
		download->digester = NULL;
	}
	return r;
}

int registry_retry(struct registry *registry)
{
	int64_t now = now_ms();
	int64_t next = -1;
	struct registry_download **at = &registry->waiting;
	while (*at) {
		struct registry_download *download = *at;
		if (download->due_ms > now) {
			int64_t wait = download->due_ms - now;
			next = next < 0 || wait < next ? wait : next;
			at = &download->next_waiting;
			continue;
		}
		*at = download->next_waiting;
		restart_download(download);
	}
	return (int)next;
}
