/* axle load -i FILE|FOLDER */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/src/archive.h"
#include "cli/src/cli.h"
#include "cli/src/progress.h"
#include "cli/src/verb.h"
#include "core/base/err.h"

#define CHUNK_BYTES (256 * 1024)

struct options {
	const char *input, *name, *platform;
	bool quiet;
};

static const struct options DEFAULTS = {.input = "-"};

static const struct opt OPTIONS[] = {
	{'i', "input", "FILE", OPT_STRING, offsetof(struct options, input),
	 "an oci-archive, a docker-archive, or the folder of an OCI image layout; else standard input"},
	{0, "name", "NAME", OPT_STRING, offsetof(struct options, name), "a name for an image that has none"},
	{0, "platform", "OS/ARCH", OPT_STRING, offsetof(struct options, platform), "in place of the node's"},
	{'q', "quiet", NULL, OPT_FLAG, offsetof(struct options, quiet), "no progress"},
	{0},
};

struct load {
	struct grpc_call *call;
	struct archive *archive;
	struct progress *progress;
	uint8_t *chunk;
	struct err *err;
	int result;
	bool loaded;
	bool done;
};

/* Sends until the daemon has enough for now, or all has been sent. */
static void send_more(struct grpc_call *call, void *data)
{
	struct load *load = data;
	Axle__LoadRequest request = AXLE__LOAD_REQUEST__INIT;
	request.what_case = AXLE__LOAD_REQUEST__WHAT_DATA;
	request.data.data = load->chunk;
	int r = 0;
	while (r == 0) {
		r = archive_read(load->archive, load->chunk, CHUNK_BYTES, &request.data.len, load->err);
		if (r < 0) {
			load->result = r;
			grpc_call_cancel(call);
			return;
		}
		if (request.data.len == 0) {
			grpc_call_close_send(call);
			return;
		}
		r = grpc_call_send(call, &request.base);
	}
}

static void on_message(struct grpc_call *call, const ProtobufCMessage *message, void *data)
{
	struct load *load = data;
	const Axle__PullResponse *response = (const void *)message;
	(void)call;
	progress_take(load->progress, response);
	if (response->what_case != AXLE__PULL_RESPONSE__WHAT_DONE)
		return;
	load->loaded = true;
	progress_end(load->progress);
	for (size_t i = 0; i < response->done->n_images; i++) {
		const Axle__PulledImage *image = response->done->images[i];
		(void)printf("Loaded image: %s\n", *image->reference ? image->reference : image->id);
	}
}

static void on_done(struct grpc_call *call, enum grpc_status status, const struct err *err, void *data)
{
	struct load *load = data;
	(void)call;
	load->done = true;
	if (load->result == 0 && status != GRPC_OK)
		load->result = err_set(load->err, err->code, err->reason, "%s", err->message);
}

static int talk(struct cli *cli, struct load *load, const struct options *options)
{
	static const struct grpc_events EVENTS = {
		.on_message = on_message, .on_writable = send_more, .on_done = on_done};
	Axle__LoadStart start = AXLE__LOAD_START__INIT;
	Axle__LoadRequest first = AXLE__LOAD_REQUEST__INIT;
	start.name = options->name ? options->name : "";
	start.platform = options->platform ? options->platform : "";
	first.what_case = AXLE__LOAD_REQUEST__WHAT_START;
	first.start = &start;
	const struct grpc_request request = {
		.service = &axle__images__descriptor, .method = "Load", .message = &first.base, .stream = true};
	int r = cli_connect(cli, load->err);
	if (r == 0)
		r = grpc_client_call(cli->client, &request, &EVENTS, load, &load->call, load->err);
	if (r < 0)
		return r;
	send_more(load->call, load);
	while (!load->done)
		(void)uv_run(&cli->loop, UV_RUN_ONCE);
	if (load->result == 0 && !load->loaded)
		return err_set(load->err, -EPROTO, "cli.load", "the daemon ended the load without a result");
	return load->result;
}

static int run(struct cli *cli, char **words, const void *values, struct err *err)
{
	const struct options *options = values;
	(void)words;
	struct load load = {.err = err, .progress = progress_new(&cli->arena, options->input, options->quiet)};
	load.chunk = arena_alloc(&cli->arena, CHUNK_BYTES);
	if (!load.progress || !load.chunk)
		return err_memory(err, "axle");
	int r = archive_open(options->input, &load.archive, err);
	if (r == 0)
		r = talk(cli, &load, options);
	archive_free(load.archive);
	return r;
}

const struct verb verb_load = {
	.name = "load",
	.arguments = "",
	.summary = "take images from an archive or a folder",
	.options = OPTIONS,
	.values_size = sizeof(struct options),
	.defaults = &DEFAULTS,
	.run = run,
};
