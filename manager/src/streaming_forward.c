/* PortForward: each connection of the client's is a pair of channels, data and error, joined to a socket in the pod's network
 * namespace. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/list.h"
#include "core/base/parse.h"
#include "core/base/str.h"
#include "manager/src/fiber_group.h"
#include "manager/src/helper.h"
#include "manager/src/pod.h"
#include "manager/src/streaming_codec.h"
#include "manager/src/streaming_internal.h"

#define COPY_STEP 16384
#define ANSWER_MAX 4096

struct forward {
	const struct streaming_client *client;
	struct fibers *fibers;
	struct channels *channels;
	struct list pairs; /* that wait for their other half */
	struct fiber_group connections;
};

/* One connection, from its first channel on. */
struct pair {
	struct list link;
	struct forward *forward;
	char request[CHANNEL_LABEL_MAX];
	uint32_t port;
	uint64_t due_ns; /* for the other half */
	struct channel *data;
	struct channel *error;
	struct fiber *fiber;
	int read_fd;
	int write_fd;
	bool is_waiting; /* in forward->pairs */
};

static void pair_free(struct pair *pair)
{
	if (pair->is_waiting)
		list_remove(&pair->link);
	channel_close(pair->data);
	channel_close(pair->error);
	if (pair->read_fd >= 0)
		(void)close(pair->read_fd);
	if (pair->write_fd >= 0)
		(void)close(pair->write_fd);
	free(pair);
}

/* The client shows it to its user. */
static void tell(struct pair *pair, const char *why)
{
	const struct pod *pod = pair->forward->client->request->pod;
	char text[ERR_MESSAGE_MAX + 256];
	int length = snprintf(text, sizeof text, "error forwarding port %u to pod %s, uid : %s", pair->port, pod->id, why);
	log_debug(&pair->forward->client->node->log, "streaming.forward", "%s", text);
	if (length > 0 && pair->error)
		(void)channel_write(pair->error, text, (size_t)length < sizeof text ? (size_t)length : sizeof text - 1);
}

/* --- a connection --- */

static int connect_into_pod(struct pair *pair, struct err *err)
{
	struct node *node = pair->forward->client->node;
	const struct pod *pod = pair->forward->client->request->pod;
	if (pod->phase != POD_READY)
		return err_set(err, -EBUSY, "pod.state", "the pod is %s", pod_phase_name(pod->phase));
	scoped_free char *pins = pod_pins_path(pod);
	scoped_free char *network = pins ? str_printf("%s/net", pins) : NULL;
	if (!network)
		return err_memory(err, "path");
	scoped_done(arena_done) struct arena arena = {.max = ANSWER_MAX};
	const struct helper_connect connect = {
		.network = pod_namespaces(pod->config).host_network ? NULL : network,
		.port = pair->port,
	};
	const struct helper_request request = {.connect = &connect};
	struct helper_reply reply = {0};
	int r = helper_run(&node->helper, &request, &arena, &reply, &pair->read_fd, err);
	if (r < 0)
		return r;
	pair->write_fd = pair->read_fd < 0 ? -1 : fcntl(pair->read_fd, F_DUPFD_CLOEXEC, 0);
	return pair->write_fd < 0 ? err_sys(err, -EMFILE, "streaming.forward", "take the connection") : 0;
}

static int write_all(struct pair *pair, const char *bytes, size_t size)
{
	while (size) {
		ssize_t count = send(pair->write_fd, bytes, size, MSG_NOSIGNAL);
		if (count >= 0) {
			bytes += count;
			size -= (size_t)count;
			continue;
		}
		int r = errno == EAGAIN ? fiber_await_fd(pair->forward->fibers, pair->write_fd, UV_WRITABLE) : -errno;
		if (r < 0)
			return r;
	}
	return 0;
}

/* Towards the pod. An end is passed on; where it breaks, the whole connection does. */
static void copy_in(void *data)
{
	struct pair *pair = data;
	char bytes[COPY_STEP];
	ssize_t count = 0;
	int r = 0;
	while (r == 0 && (count = channel_read(pair->data, bytes, sizeof bytes)) > 0)
		r = write_all(pair, bytes, (size_t)count);
	if (r == 0 && count == 0)
		(void)shutdown(pair->write_fd, SHUT_WR);
	else if (r != -ECANCELED && count != -ECANCELED)
		fiber_cancel(pair->fiber);
}

static ssize_t read_some(struct pair *pair, void *bytes, size_t size)
{
	for (;;) {
		int r = fiber_await_fd(pair->forward->fibers, pair->read_fd, UV_READABLE);
		if (r == -ECANCELED || r == -ETIMEDOUT)
			return r;
		ssize_t count = read(pair->read_fd, bytes, size);
		if (count >= 0)
			return count;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
	}
}

/* Out of the pod. Returns where the pod has said all. */
static int copy_out(struct pair *pair)
{
	char bytes[COPY_STEP];
	ssize_t count = 0;
	int r = 0;
	while (r == 0 && (count = read_some(pair, bytes, sizeof bytes)) > 0)
		r = channel_write(pair->data, bytes, (size_t)count);
	return r < 0 ? r : count < 0 ? (int)count : channel_finish(pair->data);
}

static void run_connection(struct pair *pair)
{
	struct err err = {0};
	int r = connect_into_pod(pair, &err);
	if (r < 0) {
		tell(pair, err_text(&err, r));
		return;
	}
	struct fiber_group other = {.fibers = pair->forward->fibers};
	r = fiber_group_start(&other, copy_in, pair);
	if (r == 0)
		r = copy_out(pair);
	if (r == 0) /* the client may still have something to say, to who listens still */
		while (fiber_group_is_busy(&other, NULL) && r == 0)
			r = fiber_signal_wait(pair->forward->fibers, &other.ended);
	fiber_group_join(&other, true);
}

static void run_pair(void *data)
{
	struct pair *pair = data;
	struct streaming *streaming = pair->forward->client->streaming;
	pair->fiber = fiber_self(pair->forward->fibers);
	if (streaming_count_up(streaming, STREAMING_FORWARDS) < 0) {
		tell(pair, "too many connections are forwarded");
	} else {
		run_connection(pair);
		streaming_count_down(streaming, STREAMING_FORWARDS);
	}
	pair_free(pair);
}

/* --- channels --- */

/* Clients before Kubernetes 1.5 say no request: the error channel comes first, the data channel right behind it. */
static bool name_request(const struct channel *channel, bool is_error, char ret_request[CHANNEL_LABEL_MAX])
{
	const char *said = channel_label(channel, CHANNEL_REQUEST_ID);
	uint32_t number = channel_number(channel);
	if (*said)
		(void)snprintf(ret_request, CHANNEL_LABEL_MAX, "%s", said);
	else
		(void)snprintf(ret_request, CHANNEL_LABEL_MAX, "%u", is_error ? number : number - 2);
	return *said || is_error || number > 2;
}

static struct pair *find_pair(struct forward *forward, const char *request)
{
	for (struct list *link = forward->pairs.next; link != &forward->pairs; link = link->next) {
		struct pair *pair = LIST_ENTRY(link, struct pair, link);
		if (str_equal(pair->request, request))
			return pair;
	}
	return NULL;
}

static struct pair *make_pair(struct forward *forward, const char *request, uint32_t port)
{
	struct pair *pair = calloc(1, sizeof *pair);
	if (!pair)
		return NULL;
	uint64_t patience = forward->client->node->config.streaming.creation_timeout_s * UINT64_C(1000000000);
	*pair = (struct pair){
		.forward = forward,
		.port = port,
		.due_ns = uv_hrtime() + patience,
		.read_fd = -1,
		.write_fd = -1,
		.is_waiting = true,
	};
	(void)snprintf(pair->request, sizeof pair->request, "%s", request);
	list_append(&forward->pairs, &pair->link);
	return pair;
}

/* Both channels are there. */
static void start_pair(struct pair *pair)
{
	list_remove(&pair->link);
	pair->is_waiting = false;
	if (fiber_group_start(&pair->forward->connections, run_pair, pair) < 0)
		pair_free(pair);
}

/* Puts a channel where it belongs. Returns false where it belongs nowhere. */
static bool place_channel(struct forward *forward, struct channel *channel)
{
	const char *type = channel_label(channel, CHANNEL_STREAM_TYPE);
	bool is_error = str_equal(type, "error");
	char request[CHANNEL_LABEL_MAX];
	uint64_t port = 0;
	if ((!is_error && !str_equal(type, "data")) || !name_request(channel, is_error, request) ||
	    parse_u64(channel_label(channel, CHANNEL_PORT), 1, UINT16_MAX, &port) < 0)
		return false;
	struct pair *pair = find_pair(forward, request);
	if (!pair)
		pair = make_pair(forward, request, (uint32_t)port);
	if (!pair || pair->port != port || (is_error ? pair->error : pair->data) || channel_take(channel) < 0)
		return false;
	if (is_error)
		pair->error = channel;
	else
		pair->data = channel;
	if (pair->data && pair->error)
		start_pair(pair);
	return true;
}

/* Pairs come in the order of their times. */
static void drop_late_pairs(struct forward *forward)
{
	while (!list_empty(&forward->pairs)) {
		struct pair *pair = LIST_ENTRY(forward->pairs.next, struct pair, link);
		if (pair->due_ns > uv_hrtime())
			return;
		tell(pair, "timed out waiting for the streams of the request");
		pair_free(pair);
	}
}

static void serve(struct forward *forward)
{
	int r = 0;
	while (r == 0 || r == -ETIMEDOUT) {
		drop_late_pairs(forward);
		struct channel *channel = NULL;
		const struct pair *first = list_empty(&forward->pairs) ? NULL
								       : LIST_ENTRY(forward->pairs.next, struct pair, link);
		(void)fiber_set_deadline(forward->fibers, first ? first->due_ns : UINT64_MAX);
		r = channels_accept(forward->channels, &channel);
		(void)fiber_set_deadline(forward->fibers, UINT64_MAX);
		if (r == 0 && !place_channel(forward, channel))
			channel_refuse(channel);
	}
}

static void drop_waiting(struct forward *forward)
{
	while (!list_empty(&forward->pairs))
		pair_free(LIST_ENTRY(forward->pairs.next, struct pair, link));
}

/* The client has gone: so do its connections, also those that wait for the pod. */
static void on_gone(void *data)
{
	struct forward *forward = data;
	fiber_group_cancel(&forward->connections);
}

void streaming_run_forward(struct streaming_client *client)
{
	struct node *node = client->node;
	struct forward forward = {.client = client, .fibers = node->fibers, .connections = {.fibers = node->fibers}};
	list_init(&forward.pairs);
	const struct channels_options options = {
		.fibers = node->fibers,
		.codec = &SPDY_CODEC,
		.channels_max = FORWARD_CHANNELS_MAX,
		.idle_ns = node->config.streaming.idle_timeout_s * UINT64_C(1000000000),
		.early = client->early,
		.early_size = client->early_size,
		.on_gone = on_gone,
		.data = &forward,
	};
	if (channels_open(client->socket, &options, &forward.channels, NULL) < 0)
		return;
	serve(&forward);
	fiber_group_join(&forward.connections, true);
	drop_waiting(&forward);
	channels_close(forward.channels);
}
