/* axle.v1 Images: Pull and Load, with progress. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/sys/fd.h"
#include "image/include/axle/image.h"
#include "manager/src/axle.h"
#include "manager/src/cri.h"
#include "manager/src/pull.h"
#include "manager/src/stream.h"

#define NAMES_MAX 64
#define ARCHIVE_ARENA_MAX (32 << 20)

/* What a job has told so far, for one stream. */
struct listening {
	struct stream *stream;
	struct rpc *rpc;
	bool fetched; /* some layer was not there */
	struct {
		char *id;
		char *name;
	} done[NAMES_MAX]; /* images of the job, in the call's arena */
	size_t done_count;
	const char *digest;
	char reference[IMAGE_REFERENCE_MAX]; /* complete; "" for a load */
};

static const Axle__LayerState STATES[] = {
	[IMAGE_LAYER_WAITING] = AXLE__LAYER_STATE__LAYER_WAITING,
	[IMAGE_LAYER_EXISTS] = AXLE__LAYER_STATE__LAYER_EXISTS,
	[IMAGE_LAYER_DOWNLOADING] = AXLE__LAYER_STATE__LAYER_DOWNLOADING,
	[IMAGE_LAYER_UNPACKING] = AXLE__LAYER_STATE__LAYER_UNPACKING,
	[IMAGE_LAYER_DONE] = AXLE__LAYER_STATE__LAYER_DONE,
};

/* Progress is news: where the peer does not keep up, a piece of it is dropped and the next one tells more. */
static void send_progress(struct listening *listening, const Axle__PullResponse *response, bool droppable)
{
	struct grpc_call *call = listening->rpc->call;
	if (!droppable || grpc_call_queued(call) == 0)
		(void)grpc_call_send(call, &response->base); /* a peer that is gone cancels the fiber */
}

static void on_resolved(struct listening *listening, const struct image_progress *progress)
{
	Axle__PullResponse response = AXLE__PULL_RESPONSE__INIT;
	Axle__PullResolved resolved = AXLE__PULL_RESOLVED__INIT;
	listening->digest = arena_strdup(listening->rpc->arena, progress->digest ? progress->digest : "");
	resolved.reference = str_empty(progress->name) ? listening->reference : progress->name;
	resolved.digest = progress->digest ? progress->digest : "";
	resolved.layers = (uint32_t)progress->layers;
	resolved.total_bytes = progress->total;
	response.what_case = AXLE__PULL_RESPONSE__WHAT_RESOLVED;
	response.resolved = &resolved;
	send_progress(listening, &response, false);
}

static void on_layer(struct listening *listening, const struct image_progress *progress)
{
	Axle__PullResponse response = AXLE__PULL_RESPONSE__INIT;
	Axle__LayerProgress layer = AXLE__LAYER_PROGRESS__INIT;
	layer.digest = progress->digest ? progress->digest : "";
	layer.state = STATES[progress->state];
	layer.done_bytes = progress->done;
	layer.total_bytes = progress->total;
	response.what_case = AXLE__PULL_RESPONSE__WHAT_LAYER;
	response.layer = &layer;
	if (progress->state != IMAGE_LAYER_EXISTS)
		listening->fetched = true;
	send_progress(listening, &response, progress->state == IMAGE_LAYER_DOWNLOADING);
}

static void on_done(struct listening *listening, const struct image_progress *progress)
{
	if (listening->done_count == NAMES_MAX)
		return;
	size_t at = listening->done_count++;
	listening->done[at].id = arena_strdup(listening->rpc->arena, progress->digest ? progress->digest : "");
	listening->done[at].name = arena_strdup(listening->rpc->arena, progress->name ? progress->name : "");
}

static void on_progress(const struct image_progress *progress, void *data)
{
	struct listening *listening = data;
	switch (progress->event) {
	case IMAGE_PROGRESS_RESOLVED:
		on_resolved(listening, progress);
		break;
	case IMAGE_PROGRESS_LAYER:
		on_layer(listening, progress);
		break;
	case IMAGE_PROGRESS_DONE:
		on_done(listening, progress);
		break;
	default:
		break;
	}
}

static Axle__PulledImage *make_pulled(struct listening *listening, const char *id, const char *reference, bool was_there)
{
	Axle__PulledImage *pulled = rpc_new(listening->rpc, &axle__pulled_image__descriptor);
	if (!pulled || !id || !reference)
		return NULL;
	pulled->id = id;
	pulled->reference = reference;
	pulled->digest = listening->digest ? listening->digest : "";
	pulled->was_there = was_there;
	return pulled;
}

static void tell_event(struct node *node, const char *action, const char *id, const char *name)
{
	struct event event = {.type = "image", .action = action};
	(void)snprintf(event.id, sizeof event.id, "%s", id);
	(void)snprintf(event.name, sizeof event.name, "%s", name);
	events_add(node->events, &event);
}

static int send_done(struct listening *listening, const char *action)
{
	struct rpc *rpc = listening->rpc;
	Axle__PullResponse response = AXLE__PULL_RESPONSE__INIT;
	Axle__PullDone done = AXLE__PULL_DONE__INIT;
	done.images = rpc_array(rpc, listening->done_count);
	if (!done.images)
		return -ENOMEM;
	for (size_t i = 0; i < listening->done_count; i++) {
		done.images[i] = make_pulled(listening, listening->done[i].id, listening->done[i].name,
					     !listening->fetched);
		if (!done.images[i])
			return -ENOMEM;
		done.n_images++;
		tell_event(rpc->node, action, listening->done[i].id, listening->done[i].name);
	}
	response.what_case = AXLE__PULL_RESPONSE__WHAT_DONE;
	response.done = &done;
	return stream_send(listening->stream, &response);
}

/* A caller that joined late may have missed who is done. */
static int complete(struct listening *listening, const struct image *image)
{
	if (listening->done_count)
		return 0;
	listening->done[0].id = arena_strdup(listening->rpc->arena, image->id);
	listening->done[0].name = arena_strdup(listening->rpc->arena, image->tags[0] ? image->tags[0] : "");
	listening->done_count = 1;
	return listening->done[0].id && listening->done[0].name ? 0 : -ENOMEM;
}

/* "os/architecture[/variant]". */
static int parse_platform(struct rpc *rpc, const char *text, struct image_platform *ret_platform, struct err *err)
{
	if (str_empty(text))
		return 0;
	char *copy = arena_strdup(rpc->arena, text);
	if (!copy)
		return -ENOMEM;
	char *slash = strchr(copy, '/');
	if (!slash || slash == copy || !slash[1])
		return err_set(err, -EINVAL, "image.platform", "platform \"%s\": expected OS/ARCHITECTURE[/VARIANT]", text);
	*slash = '\0';
	*ret_platform = (struct image_platform){.os = copy, .architecture = slash + 1};
	char *variant = strchr(slash + 1, '/');
	if (variant) {
		*variant = '\0';
		ret_platform->variant = variant + 1;
	}
	return 0;
}

/* Returns 1 where the policy is met without a pull. */
static int try_without_pull(struct listening *listening, const Axle__PullRequest *request, struct err *err)
{
	if (request->policy == AXLE__PULL_POLICY__PULL_ALWAYS)
		return 0;
	const struct image *image = NULL;
	int r = image_store_resolve(listening->rpc->node->images, request->image, &image, err);
	if (r == -ENOENT && request->policy == AXLE__PULL_POLICY__PULL_MISSING)
		return 0;
	if (r == 0)
		r = complete(listening, image);
	if (r == 0)
		r = send_done(listening, "used");
	return r < 0 ? r : 1;
}

static int run_pull(struct stream *stream, struct err *err)
{
	struct rpc *rpc = stream_rpc(stream);
	const Axle__PullRequest *request = stream_request(stream);
	struct listening listening = {.stream = stream, .rpc = rpc};
	int r = try_without_pull(&listening, request, err);
	if (r != 0)
		return r < 0 ? r : 0;
	struct pull_request pull = {.reference = request->image, .plain_http = request->plain_http, .load_fd = -1};
	struct image_reference reference = {0};
	r = image_reference_parse(request->image, &reference, err);
	if (r < 0)
		return r;
	image_reference_format(&reference, listening.reference);
	const struct image *image = NULL;
	struct pull_listener listener = {.on_progress = on_progress, .data = &listening};
	r = parse_platform(rpc, request->platform, &pull.platform, err);
	if (r == 0)
		r = cri_take_credentials(rpc, request->auth, pull.reference, &pull.credentials, err);
	if (r == 0)
		r = pull_image(rpc->node, &pull, &listener, &image, err);
	if (r == 0)
		r = complete(&listening, image);
	return r < 0 ? r : send_done(&listening, "pulled");
}

void axle_pull(struct grpc_call *call, const ProtobufCMessage *request, void *context)
{
	stream_open(call, request, NULL, context, run_pull);
}

/* --- load: the archive comes in the stream and goes to the job through a pipe --- */

struct feeding {
	struct stream *stream;
	int fd; /* write end; closed at the end */
	int result;
};

static int write_all(struct fibers *fibers, int fd, const uint8_t *bytes, size_t size)
{
	while (size) {
		ssize_t count = write(fd, bytes, size);
		if (count < 0 && errno == EAGAIN) {
			int r = fiber_await_fd(fibers, fd, UV_WRITABLE);
			if (r < 0)
				return r;
			continue;
		}
		if (count < 0)
			return -errno;
		bytes += count;
		size -= (size_t)count;
	}
	return 0;
}

static void feed(void *data)
{
	struct feeding *feeding = data;
	struct fibers *fibers = stream_rpc(feeding->stream)->node->fibers;
	int r = 1;
	while (r > 0) {
		scoped_done(arena_done) struct arena arena = {.max = ARCHIVE_ARENA_MAX};
		const ProtobufCMessage *message = NULL;
		r = stream_receive(feeding->stream, &arena, &message);
		if (r <= 0)
			break;
		const Axle__LoadRequest *request = (const Axle__LoadRequest *)message;
		if (request->what_case != AXLE__LOAD_REQUEST__WHAT_DATA)
			continue;
		int written = write_all(fibers, feeding->fd, request->data.data, request->data.len);
		if (written < 0)
			r = written; /* the job reads no more: it has failed, and says why */
	}
	feeding->result = r;
	(void)close(feeding->fd);
}

/* The first message says how. */
static int receive_start(struct stream *stream, struct arena *arena, const Axle__LoadStart **ret_start, struct err *err)
{
	const ProtobufCMessage *message = NULL;
	int r = stream_receive(stream, arena, &message);
	if (r < 0)
		return r;
	const Axle__LoadRequest *request = (const Axle__LoadRequest *)message;
	if (r == 0 || request->what_case != AXLE__LOAD_REQUEST__WHAT_START)
		return err_set(err, -EINVAL, "load.start", "expected a start message first");
	*ret_start = request->start;
	return 0;
}

static int run_load(struct stream *stream, struct err *err)
{
	struct rpc *rpc = stream_rpc(stream);
	const Axle__LoadStart *start = NULL;
	int r = receive_start(stream, rpc->arena, &start, err);
	int ends[2] = {-1, -1};
	if (r == 0 && pipe2(ends, O_CLOEXEC) < 0)
		r = -errno;
	if (r < 0)
		return r;
	scoped_fd int read_end = ends[0];
	(void)fd_set_nonblock(ends[1], true);
	struct feeding feeding = {stream, ends[1], 0};
	r = stream_fork(stream, feed, &feeding);
	if (r < 0) {
		(void)close(ends[1]);
		return r;
	}
	struct listening listening = {.stream = stream, .rpc = rpc};
	struct pull_listener listener = {.on_progress = on_progress, .data = &listening};
	struct pull_request pull = {
		.load_fd = read_end,
		.load_name = str_empty(start->name) ? NULL : start->name,
	};
	const struct image *image = NULL;
	r = parse_platform(rpc, start->platform, &pull.platform, err);
	if (r == 0)
		r = pull_image(rpc->node, &pull, &listener, &image, err);
	stream_join(stream, true);
	if (r == 0)
		r = complete(&listening, image);
	return r < 0 ? r : send_done(&listening, "loaded");
}

void axle_load(struct grpc_call *call, const ProtobufCMessage *request, void *context)
{
	(void)request;
	stream_open(call, NULL, &axle__load_request__descriptor, context, run_load);
}
