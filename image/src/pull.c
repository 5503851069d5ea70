/* A pull: manifest, configuration, then blobs, several at a time; layers are read as their blobs arrive, biggest first. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/net/http.h"
#include "image/src/assembly.h"
#include "image/src/crew.h"
#include "image/src/registry.h"

#define DOWNLOADS_AT_ONCE 3
#define UNPACKS_AT_ONCE 2 /* more gain nothing on two cores, and each holds a layer's list in memory */
#define INDEX_DEPTH_MAX 2
#define CONNECT_TIMEOUT_S 15
#define STALL_TIMEOUT_S 60
#define STEP_MS 200

struct pull;

/* One blob to fetch: the layers that have it are read when it is there. */
struct fetch {
	struct pull *pull;
	struct registry_download download;
	size_t layer; /* the first that has it */
	int fd;
	bool started;
	bool ended;
	uint64_t reported;
};

struct pull {
	struct worker *worker;
	struct http_client *client;
	struct registry *registry;
	struct image_reference reference;
	struct assembly assembly;
	struct crew *crew;
	struct fetch fetches[LAYERS_MAX];
	size_t fetches_count;
	size_t under_way;
	int result; /* of the first download that failed */
	struct err err;
	char source[DIGEST_TEXT_MAX]; /* of the index; "" where there is none */
	char pulled[DIGEST_TEXT_MAX]; /* what the reference led to: index or manifest */
};

/* ---- Documents -------------------------------------------------------------------------------------------------- */

/* Gets what the reference leads to, and through an index the manifest for this platform. */
static int get_manifest(struct pull *pull, struct buf *ret_manifest, struct digest *ret_digest, struct err *err)
{
	const char *tag = pull->reference.tag;
	struct digest wanted;
	bool by_digest = pull->reference.digest[0];
	if (by_digest && digest_parse_text(pull->reference.digest, &wanted, err) < 0)
		return -EINVAL;
	for (unsigned depth = 0;; depth++) {
		char type[256];
		int r = registry_get_manifest(pull->registry, tag, by_digest ? &wanted : NULL, ret_manifest, type,
					      ret_digest, err);
		if (r < 0)
			return r;
		if (depth == 0)
			digest_format(ret_digest, pull->pulled);
		enum model_kind kind;
		r = model_kind_of("manifest", ret_manifest->data ? ret_manifest->data : "", ret_manifest->size, type, &kind,
				  err);
		if (r < 0 || kind == MODEL_KIND_MANIFEST)
			return r;
		if (depth == INDEX_DEPTH_MAX)
			return err_set(err, -ENOTSUP, "image.unsupported", "an index in an index in an index");
		if (depth == 0)
			digest_format(ret_digest, pull->source);
		scoped_done(arena_done) struct arena arena = {.max = MODEL_MEMORY_MAX};
		struct model_index index;
		const struct model_descriptor *chosen = NULL;
		r = model_read_index("index", ret_manifest->data, ret_manifest->size, &arena, &index, err);
		if (r == 0)
			r = model_choose_platform(&index, &pull->worker->platform, &chosen, err);
		if (r == 0 && depth == 0)
			r = worker_put_blob(pull->worker, ret_digest, ret_manifest->data, ret_manifest->size, err);
		if (r == 0)
			r = digest_parse_text(chosen->digest, &wanted, err);
		if (r < 0)
			return r;
		by_digest = true;
	}
}

static int get_config(struct pull *pull, struct err *err)
{
	const struct model_descriptor *descriptor = pull->assembly.manifest.config;
	scoped_done(buf_done) struct buf config = {.max = CONFIG_SIZE_MAX};
	int r = registry_get_blob(pull->registry, descriptor->digest, descriptor->size, &config, err);
	return r < 0 ? r : assembly_configure(&pull->assembly, &config, err);
}

static int get_documents(struct pull *pull, struct err *err)
{
	scoped_done(buf_done) struct buf manifest = {.max = MANIFEST_SIZE_MAX};
	struct digest digest;
	int r = get_manifest(pull, &manifest, &digest, err);
	if (r == 0)
		r = assembly_begin(&pull->assembly, pull->worker, &digest, &manifest, err);
	if (r == 0)
		r = get_config(pull, err);
	if (r == -ENOEXEC) { /* the one failure here that names neither the image nor a digest of it */
		char name[IMAGE_REFERENCE_MAX];
		image_reference_format(&pull->reference, name);
		r = err_add(err, r, "%s", name);
	}
	return r;
}

/* ---- Layers ----------------------------------------------------------------------------------------------------- */

static struct fetch *fetch_of(struct pull *pull, const struct digest *blob)
{
	for (size_t i = 0; i < pull->fetches_count; i++)
		if (digest_equal(&pull->fetches[i].download.digest, blob))
			return &pull->fetches[i];
	return NULL;
}

/* Hands the layers that have this blob to the crew. */
static void read_layers(struct pull *pull, const struct digest *blob)
{
	for (size_t i = 0; i < pull->assembly.layers_count; i++)
		if (!pull->assembly.layers[i].unpacked && digest_equal(&pull->assembly.layers[i].blob, blob))
			crew_add(pull->crew, i);
}

static void on_fetched(struct registry_download *download, int result, const struct err *err)
{
	struct fetch *fetch = download->user;
	struct pull *pull = fetch->pull;
	(void)close(fetch->fd);
	fetch->ended = true;
	pull->under_way--;
	if (result < 0 && pull->result == 0) {
		pull->result = result;
		pull->err = *err;
	}
	if (result == 0)
		read_layers(pull, &download->digest);
}

static int unpack_piece(void *user, size_t piece, struct err *err)
{
	return assembly_unpack(user, piece, err);
}

static int compare_sizes(const void *a, const void *b)
{
	uint64_t left = ((const struct fetch *)a)->download.size;
	uint64_t right = ((const struct fetch *)b)->download.size;
	return left < right ? 1 : left > right ? -1 : 0;
}

/* Lists what must be fetched, biggest first, and says so. */
static void plan(struct pull *pull)
{
	struct progress *progress = pull->worker->progress;
	uint64_t total = 0;
	for (size_t i = 0; i < pull->assembly.layers_count; i++) {
		const struct assembly_layer *layer = &pull->assembly.layers[i];
		if (layer->have_blob || fetch_of(pull, &layer->blob))
			continue;
		struct fetch *fetch = &pull->fetches[pull->fetches_count++];
		*fetch = (struct fetch){.pull = pull, .layer = i, .fd = -1};
		fetch->download.digest = layer->blob;
		fetch->download.size = layer->descriptor->size;
		total += layer->descriptor->size;
	}
	if (pull->fetches_count)
		qsort(pull->fetches, pull->fetches_count, sizeof *pull->fetches, compare_sizes);
	struct image_progress line = {.event = IMAGE_PROGRESS_RESOLVED,
				      .digest = pull->assembly.manifest.config->digest,
				      .total = total,
				      .layers = pull->assembly.layers_count};
	progress_send(progress, &line);
	for (size_t i = 0; i < pull->assembly.layers_count; i++) {
		const struct assembly_layer *layer = &pull->assembly.layers[i];
		bool exists = layer->unpacked && layer->have_blob;
		progress_layer(progress, layer->descriptor->digest, exists ? IMAGE_LAYER_EXISTS : IMAGE_LAYER_WAITING, 0,
			       layer->descriptor->size);
	}
}

static int start_fetch(struct pull *pull, struct fetch *fetch, struct err *err)
{
	struct registry_download *download = &fetch->download;
	int r = worker_make_blob(pull->worker, &download->digest, &fetch->fd, err);
	if (r < 0)
		return r;
	download->registry = pull->registry;
	download->fd = fetch->fd;
	download->done = on_fetched;
	download->user = fetch;
	fetch->started = true;
	pull->under_way++;
	r = registry_download(download, err);
	if (r < 0) {
		(void)close(fetch->fd);
		pull->under_way--;
	}
	return r;
}

static int start_fetches(struct pull *pull, struct err *err)
{
	for (size_t i = 0; i < pull->fetches_count && pull->under_way < DOWNLOADS_AT_ONCE; i++) {
		int r = pull->fetches[i].started ? 0 : start_fetch(pull, &pull->fetches[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

static void report_fetches(struct pull *pull)
{
	for (size_t i = 0; i < pull->fetches_count; i++) {
		struct fetch *fetch = &pull->fetches[i];
		uint64_t done = fetch->download.offset;
		if (!fetch->started || fetch->ended || done == fetch->reported)
			continue;
		fetch->reported = done;
		progress_layer(pull->worker->progress, pull->assembly.layers[fetch->layer].descriptor->digest,
			       IMAGE_LAYER_DOWNLOADING, done, fetch->download.size);
	}
}

static int64_t now_ms(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int run_fetches(struct pull *pull, struct err *err)
{
	int64_t next_report = 0;
	for (;;) {
		int r = start_fetches(pull, err);
		if (r < 0)
			return r;
		if (pull->under_way == 0 || pull->result < 0 || crew_has_failed(pull->crew))
			break;
		int wait = registry_retry(pull->registry);
		r = http_client_step(pull->client, wait >= 0 && wait < STEP_MS ? wait : STEP_MS, err);
		if (r < 0)
			return r;
		if (now_ms() >= next_report) {
			report_fetches(pull);
			next_report = now_ms() + STEP_MS;
		}
	}
	if (pull->result < 0 && err)
		*err = pull->err;
	return pull->result;
}

static int get_layers(struct pull *pull, struct err *err)
{
	struct crew_options options = {.threads = UNPACKS_AT_ONCE,
				       .pieces_max = LAYERS_MAX,
				       .work = unpack_piece,
				       .user = &pull->assembly};
	int r = crew_new(&options, &pull->crew);
	if (r < 0)
		return err_set(err, r, "job.worker", "image: no threads");
	plan(pull);
	for (size_t i = 0; i < pull->assembly.layers_count; i++)
		if (!pull->assembly.layers[i].unpacked && pull->assembly.layers[i].have_blob)
			crew_add(pull->crew, i);
	r = run_fetches(pull, err);
	return r < 0 ? r : crew_wait(pull->crew, err);
}

/* ---- Names ------------------------------------------------------------------------------------------------------ */

/* The tag as asked for, and the repository with the digest that it led to. */
static int report(struct pull *pull, struct err *err)
{
	struct image_reference by_digest = pull->reference;
	by_digest.tag[0] = '\0';
	memcpy(by_digest.digest, pull->pulled, strlen(pull->pulled) + 1);
	struct image_reference by_tag = pull->reference;
	by_tag.digest[0] = '\0';
	char digest_name[IMAGE_REFERENCE_MAX];
	char tag_name[IMAGE_REFERENCE_MAX];
	image_reference_format(&by_digest, digest_name);
	image_reference_format(&by_tag, tag_name);
	/* "name:tag@digest" asks for the digest; that the tag leads there is not known. */
	bool tagged = !pull->reference.digest[0];
	const char *names[] = {digest_name, tagged ? tag_name : NULL, NULL};
	return assembly_report(&pull->assembly, names, pull->source[0] ? pull->source : NULL, err);
}

static int run(struct pull *pull, struct err *err)
{
	const struct wire_request *request = pull->worker->request;
	struct http_options http = {
		.user_agent = "axle/" AXLE_VERSION,
		.ca_pem = pull->worker->ca_pem,
		.skip_tls_verify = request->skip_tls_verify,
		.connect_timeout_s = request->connect_timeout_s ? request->connect_timeout_s : CONNECT_TIMEOUT_S,
		.stall_timeout_s = request->stall_timeout_s ? request->stall_timeout_s : STALL_TIMEOUT_S,
	};
	struct image_credentials credentials = {request->credentials.username, request->credentials.password,
						request->credentials.identity_token,
						request->credentials.registry_token};
	struct registry_options options = {.reference = &pull->reference,
					   .credentials = &credentials,
					   .plain_http = request->plain_http,
					   .endpoint = request->endpoint};
	int r = image_reference_parse(request->reference, &pull->reference, err);
	if (r == 0)
		r = http_client_new(&http, &pull->client, err);
	if (r == 0)
		r = registry_open(pull->client, &options, &pull->registry, err);
	if (r == 0)
		r = get_documents(pull, err);
	if (r == 0)
		r = get_layers(pull, err);
	if (r == 0)
		r = assembly_make_layers(&pull->assembly, err);
	return r < 0 ? r : report(pull, err);
}

int pull_run(struct worker *worker, struct err *err)
{
	struct pull *pull = calloc(1, sizeof *pull);
	if (!pull)
		return err_memory(err, "pull");
	pull->worker = worker;
	int r = run(pull, err);
	crew_free(pull->crew); /* waits for its threads, which use the rest */
	http_client_free(pull->client);
	registry_free(pull->registry);
	assembly_done(&pull->assembly);
	free(pull);
	return r;
}
