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
#include "image/src/hosts.h"
#include "image/src/registry.h"

#define DOWNLOADS_AT_ONCE 3
#define UNPACKS_AT_ONCE 2 /* more gain nothing on two cores, and each holds a layer's list in memory */
#define INDEX_DEPTH_MAX 2
#define CONNECT_TIMEOUT_S 15
#define STALL_TIMEOUT_S 60
#define STEP_MS 200

struct pull;

/* One place that is asked, in its turn. */
struct source {
	struct pull *pull;
	const struct hosts_entry *entry; /* NULL: the registry itself, and no file says anything */
	struct registry *registry;	 /* NULL: not asked yet */
	struct http_trust trust;
	char *ca_pem;
	bool away; /* it did not answer: not asked again */
};

/* One blob to fetch: the layers that have it are read when it is there. */
struct fetch {
	struct pull *pull;
	struct registry_download download;
	size_t layer; /* the first that has it */
	int fd;
	size_t source; /* whom it comes from */
	bool started;
	bool ended;
	uint64_t reported;
};

struct pull {
	struct worker *worker;
	struct http_client *client;
	struct source sources[HOSTS_MAX];
	size_t sources_count;
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

/* ---- Sources ---------------------------------------------------------------------------------------------------- */

/* What the file trusts counts beside what the machine trusts. */
static int make_trust(struct source *source, struct err *err)
{
	const struct worker *worker = source->pull->worker;
	const struct hosts_entry *entry = source->entry;
	source->trust = (struct http_trust){
		.ca_pem = worker->ca_pem,
		.certificate_pem = entry->certificate_pem,
		.key_pem = entry->key_pem,
		.skip_verify = entry->skip_verify,
		.connect_timeout_s = entry->connect_timeout_s,
	};
	if (!entry->ca_pem)
		return 0;
	source->ca_pem = str_printf("%s\n%s", worker->ca_pem ? worker->ca_pem : "", entry->ca_pem);
	source->trust.ca_pem = source->ca_pem;
	return source->ca_pem ? 0 : err_memory(err, "image");
}

/* Credentials are for the registry: a mirror gets what its own entry says, as headers. */
static int open_source(struct source *source, struct err *err)
{
	const struct wire_request *request = source->pull->worker->request;
	const struct hosts_entry *entry = source->entry;
	const bool mirror = entry && !entry->is_server;
	const bool last = source == &source->pull->sources[source->pull->sources_count - 1];
	struct image_credentials credentials = {0};
	if (!mirror)
		credentials = (struct image_credentials){request->credentials.username, request->credentials.password,
							 request->credentials.identity_token,
							 request->credentials.registry_token};
	scoped_free char *endpoint = NULL;
	if (request->endpoint) {
		size_t length = strlen(request->endpoint);
		endpoint = str_printf("%.*s/v2", (int)(length - (length && request->endpoint[length - 1] == '/')), request->endpoint);
		if (!endpoint)
			return err_memory(err, "image");
	}
	struct registry_options options = {
		.reference = &source->pull->reference,
		.credentials = &credentials,
		.plain_http = request->plain_http,
		.base = entry ? entry->base : endpoint,
		.mirror = mirror ? entry->name : NULL,
		.headers = entry ? entry->headers : NULL,
		.attempts = last ? 0 : 1, /* the next one is tried sooner than the same again */
	};
	int r = entry ? make_trust(source, err) : 0;
	if (r == 0 && entry)
		options.trust = &source->trust;
	return r < 0 ? r : registry_open(source->pull->client, &options, &source->registry, err);
}

/* The next one from @index on that may be asked; sources_count where there is none. */
static size_t next_source(const struct pull *pull, size_t index, bool resolve)
{
	for (; index < pull->sources_count; index++) {
		const struct source *source = &pull->sources[index];
		bool may = !source->entry || (resolve ? source->entry->resolve : source->entry->pull);
		if (may && !source->away)
			break;
	}
	return index;
}

static int registry_of(struct pull *pull, size_t index, struct registry **ret_registry, struct err *err)
{
	struct source *source = &pull->sources[index];
	int r = source->registry ? 0 : open_source(source, err);
	if (r == -EHOSTUNREACH)
		source->away = true;
	*ret_registry = source->registry;
	return r;
}

/* Is it the machine's failure, which nobody else can help with? */
static bool is_ours(int code)
{
	return code == -ENOMEM || code == -ENOSPC || code == -ECANCELED || code == -EINVAL;
}

/* Asks one after the other until one can answer; the last one's failure is the one that is told. */
static int ask_in_turn(struct pull *pull, bool resolve,
		       int (*ask)(struct pull *pull, struct registry *registry, void *what, struct err *err), void *what,
		       struct err *err)
{
	size_t index = next_source(pull, 0, resolve);
	if (index == pull->sources_count)
		return err_set(err, -EHOSTUNREACH, "registry.unreachable",
			       "image %s/%s: no host of its hosts.toml that answers may be asked for %s", pull->reference.registry,
			       pull->reference.repository, resolve ? "what a tag leads to" : "its content");
	for (;;) {
		struct registry *registry = NULL;
		int r = registry_of(pull, index, &registry, err);
		if (r == 0)
			r = ask(pull, registry, what, err);
		if (r == -EHOSTUNREACH)
			pull->sources[index].away = true;
		index = next_source(pull, index + 1, resolve);
		if (r == 0 || is_ours(r) || index == pull->sources_count)
			return r;
	}
}

static void sources_done(struct pull *pull)
{
	for (size_t i = 0; i < pull->sources_count; i++) {
		registry_free(pull->sources[i].registry);
		free(pull->sources[i].ca_pem);
	}
}

static void list_sources(struct pull *pull)
{
	const struct hosts *hosts = pull->worker->hosts;
	pull->sources_count = hosts->count ? hosts->count : 1;
	for (size_t i = 0; i < pull->sources_count; i++)
		pull->sources[i] = (struct source){.pull = pull, .entry = hosts->count ? &hosts->entries[i] : NULL};
}

/* ---- Documents -------------------------------------------------------------------------------------------------- */

struct wanted_manifest {
	const char *tag;
	const struct digest *digest; /* NULL: by tag */
	struct buf *bytes;
	char *type;
	struct digest *found;
};

static int ask_manifest(struct pull *pull, struct registry *registry, void *what, struct err *err)
{
	(void)pull;
	struct wanted_manifest *wanted = what;
	return registry_get_manifest(registry, wanted->tag, wanted->digest, wanted->bytes, wanted->type, wanted->found, err);
}

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
		struct wanted_manifest asked = {tag, by_digest ? &wanted : NULL, ret_manifest, type, ret_digest};
		int r = ask_in_turn(pull, !by_digest, ask_manifest, &asked, err);
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

static int ask_config(struct pull *pull, struct registry *registry, void *what, struct err *err)
{
	const struct model_descriptor *descriptor = pull->assembly.manifest.config;
	return registry_get_blob(registry, descriptor->digest, descriptor->size, what, err);
}

static int get_config(struct pull *pull, struct err *err)
{
	scoped_done(buf_done) struct buf config = {.max = CONFIG_SIZE_MAX};
	int r = ask_in_turn(pull, false, ask_config, &config, err);
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

/* Has it fetched again from the next source. Returns whether there is one. */
static bool try_elsewhere(struct fetch *fetch, int result)
{
	struct pull *pull = fetch->pull;
	if (result == -EHOSTUNREACH)
		pull->sources[fetch->source].away = true;
	size_t next = next_source(pull, fetch->source + 1, false);
	if (result >= 0 || is_ours(result) || next == pull->sources_count || ftruncate(fetch->fd, 0) < 0 ||
	    lseek(fetch->fd, 0, SEEK_SET) < 0)
		return false;
	fetch->source = next;
	fetch->started = false;
	fetch->reported = 0;
	fetch->download = (struct registry_download){.digest = fetch->download.digest, .size = fetch->download.size};
	pull->under_way--;
	return true;
}

static void on_fetched(struct registry_download *download, int result, const struct err *err)
{
	struct fetch *fetch = download->user;
	struct pull *pull = fetch->pull;
	if (try_elsewhere(fetch, result))
		return;
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

/* The source of a fetch, or the next one that can be spoken to. */
static int open_next(struct pull *pull, struct fetch *fetch, struct registry **ret_registry, struct err *err)
{
	fetch->source = next_source(pull, fetch->source, false);
	int r = -EHOSTUNREACH;
	while (fetch->source < pull->sources_count) {
		r = registry_of(pull, fetch->source, ret_registry, err);
		if (r == 0 || is_ours(r))
			return r;
		fetch->source = next_source(pull, fetch->source + 1, false);
	}
	return err && err->code ? r
				: err_set(err, r, "registry.unreachable", "image %s/%s: no host that answers may be asked for its content",
					  pull->reference.registry, pull->reference.repository);
}

static int start_fetch(struct pull *pull, struct fetch *fetch, struct err *err)
{
	struct registry_download *download = &fetch->download;
	struct registry *registry = NULL;
	int r = fetch->fd >= 0 ? 0 : worker_make_blob(pull->worker, &download->digest, &fetch->fd, err);
	if (r == 0)
		r = open_next(pull, fetch, &registry, err);
	if (r < 0)
		return r;
	download->registry = registry;
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

/* As registry_retry(), of all. */
static int retry_sources(struct pull *pull)
{
	int next = -1;
	for (size_t i = 0; i < pull->sources_count; i++) {
		int wait = pull->sources[i].registry ? registry_retry(pull->sources[i].registry) : -1;
		next = wait >= 0 && (next < 0 || wait < next) ? wait : next;
	}
	return next;
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
		int wait = retry_sources(pull);
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
	int r = image_reference_parse(request->reference, &pull->reference, err);
	if (r == 0)
		r = http_client_new(&http, &pull->client, err);
	if (r == 0)
		list_sources(pull);
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
	sources_done(pull);
	assembly_done(&pull->assembly);
	free(pull);
	return r;
}
