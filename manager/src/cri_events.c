#include "manager/src/cri_events.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/codec/proto.h"
#include "manager/src/container.h"
#include "manager/src/cri.h"
#include "manager/src/stream.h"

#define EVENT_BYTES_MAX (4 << 20)
#define EVENT_MEMORY_MAX (32 << 20)

/* One message, encoded when it happened: what it speaks of changes, and goes. */
struct message {
	unsigned refs;
	size_t size;
	uint8_t bytes[];
};

struct listener {
	struct listener *next;
	enum owner owner;
	struct fiber_signal arrived;
	struct message *queue[CRI_LISTENER_EVENTS_MAX]; /* a ring */
	size_t first;
	size_t count;
	size_t bytes;
	bool lost; /* something did not fit */
};

struct cri_listeners {
	struct node *node;
	struct listener *list;
	size_t count;
};

static void message_unref(struct message *message)
{
	if (message && --message->refs == 0)
		free(message);
}

/* --- what happens, as CRI's messages --- */

static const struct {
	const char *type;
	const char *action;
	Cri__ContainerEventType event;
} EVENTS[] = {
	{"container", "created", CRI__CONTAINER_EVENT_TYPE__CONTAINER_CREATED_EVENT},
	{"container", "started", CRI__CONTAINER_EVENT_TYPE__CONTAINER_STARTED_EVENT},
	{"container", "exited", CRI__CONTAINER_EVENT_TYPE__CONTAINER_STOPPED_EVENT},
	{"container", "oom", CRI__CONTAINER_EVENT_TYPE__CONTAINER_STOPPED_EVENT},
	{"container", "start-failed", CRI__CONTAINER_EVENT_TYPE__CONTAINER_STOPPED_EVENT},
	{"container", "removed", CRI__CONTAINER_EVENT_TYPE__CONTAINER_DELETED_EVENT},
	/* A sandbox is a container to those who look: both its events come at once, as with other runtimes. */
	{"pod", "created", CRI__CONTAINER_EVENT_TYPE__CONTAINER_CREATED_EVENT},
	{"pod", "created", CRI__CONTAINER_EVENT_TYPE__CONTAINER_STARTED_EVENT},
	{"pod", "stopped", CRI__CONTAINER_EVENT_TYPE__CONTAINER_STOPPED_EVENT},
	{"pod", "removed", CRI__CONTAINER_EVENT_TYPE__CONTAINER_DELETED_EVENT},
};

/* The pod's containers; one that is just being removed is no longer among them. */
static int add_statuses(struct rpc *rpc, const struct pod *pod, Cri__ContainerEventResponse *message)
{
	const struct idtable *all = &rpc->node->containers;
	message->containers_statuses = rpc_array(rpc, all->count);
	if (!message->containers_statuses)
		return -ENOMEM;
	for (size_t i = 0; i < all->count; i++) {
		const struct container *container = all->objects[i];
		if (container->pod != pod || container->phase == CONTAINER_CREATING ||
		    container->phase == CONTAINER_REMOVING)
			continue;
		Cri__ContainerStatus *status = cri_make_container_status(rpc, container);
		if (!status)
			return -ENOMEM;
		message->containers_statuses[message->n_containers_statuses++] = status;
	}
	return 0;
}

/* NULL: too large, or out of memory. */
static struct message *make_message(struct node *node, const struct event *event, Cri__ContainerEventType type,
				    const struct pod *pod)
{
	scoped_done(arena_done) struct arena arena = {.max = EVENT_MEMORY_MAX};
	scoped_done(buf_done) struct buf bytes = {.max = EVENT_BYTES_MAX};
	struct rpc rpc = {.node = node, .owner = pod->owner, .arena = &arena};
	Cri__ContainerEventResponse response = CRI__CONTAINER_EVENT_RESPONSE__INIT;
	response.container_id = event->id;
	response.container_event_type = type;
	response.created_at = event->time_ns;
	response.pod_sandbox_status = cri_make_pod_status(&rpc, pod);
	if (!response.pod_sandbox_status || add_statuses(&rpc, pod, &response) < 0 ||
	    proto_encode(&response.base, &bytes) < 0)
		return NULL;
	struct message *message = malloc(sizeof *message + bytes.size);
	if (!message)
		return NULL;
	message->refs = 1;
	message->size = bytes.size;
	memcpy(message->bytes, bytes.data, bytes.size);
	return message;
}

/* --- queues --- */

static void push(struct listener *listener, struct message *message)
{
	if (!message || listener->count == CRI_LISTENER_EVENTS_MAX ||
	    listener->bytes + message->size > CRI_LISTENER_BYTES_MAX) {
		listener->lost = true;
	} else {
		message->refs++;
		listener->queue[(listener->first + listener->count++) % CRI_LISTENER_EVENTS_MAX] = message;
		listener->bytes += message->size;
	}
	fiber_signal_all(&listener->arrived);
}

/* The oldest, which is the caller's; NULL: none. */
static struct message *pop(struct listener *listener)
{
	if (listener->count == 0)
		return NULL;
	struct message *message = listener->queue[listener->first];
	listener->first = (listener->first + 1) % CRI_LISTENER_EVENTS_MAX;
	listener->count--;
	listener->bytes -= message->size;
	return message;
}

static bool has_listener(const struct cri_listeners *listeners, enum owner owner)
{
	for (const struct listener *listener = listeners->list; listener; listener = listener->next)
		if (listener->owner == owner)
			return true;
	return false;
}

static const struct pod *pod_of(const struct node *node, const struct event *event)
{
	if (str_equal(event->type, "pod"))
		return idtable_get(&node->pods, event->id);
	const struct container *container = idtable_get(&node->containers, event->id);
	return container ? container->pod : NULL;
}

static void on_event(const struct event *event, void *data)
{
	struct cri_listeners *listeners = data;
	if (!listeners->list)
		return;
	const struct pod *pod = pod_of(listeners->node, event);
	if (!pod || !has_listener(listeners, pod->owner))
		return;
	for (size_t i = 0; i < ARRAY_COUNT(EVENTS); i++) {
		if (!str_equal(event->type, EVENTS[i].type) || !str_equal(event->action, EVENTS[i].action))
			continue;
		struct message *message = make_message(listeners->node, event, EVENTS[i].event, pod);
		for (struct listener *listener = listeners->list; listener; listener = listener->next)
			if (listener->owner == pod->owner)
				push(listener, message);
		message_unref(message);
	}
}

int cri_listeners_new(struct node *node, struct cri_listeners **ret_listeners)
{
	struct cri_listeners *listeners = calloc(1, sizeof *listeners);
	if (!listeners)
		return -ENOMEM;
	listeners->node = node;
	events_observe(node->events, on_event, listeners);
	*ret_listeners = listeners;
	return 0;
}

void cri_listeners_free(struct cri_listeners *listeners)
{
	free(listeners);
}

/* --- the call --- */

static struct listener *listen_to(struct cri_listeners *listeners, enum owner owner, struct err *err)
{
	if (listeners->count == CRI_LISTENERS_MAX) {
		(void)err_set(err, -ENOBUFS, "events.listeners", "%d listen to events already", CRI_LISTENERS_MAX);
		return NULL;
	}
	struct listener *listener = calloc(1, sizeof *listener);
	if (!listener) {
		(void)err_memory(err, "listener of events");
		return NULL;
	}
	listener->owner = owner;
	listener->next = listeners->list;
	listeners->list = listener;
	listeners->count++;
	return listener;
}

static void leave(struct cri_listeners *listeners, struct listener *listener)
{
	for (struct listener **place = &listeners->list; *place; place = &(*place)->next)
		if (*place == listener) {
			*place = listener->next;
			listeners->count--;
			break;
		}
	for (struct message *message = pop(listener); message; message = pop(listener))
		message_unref(message);
	free(listener);
}

static int send_message(struct stream *stream, const struct message *message)
{
	scoped_done(arena_done) struct arena arena = {.max = EVENT_MEMORY_MAX};
	const ProtobufCMessage *response = NULL;
	int r = proto_decode(&cri__container_event_response__descriptor, message->bytes, message->size, &arena, &response,
			     NULL);
	return r < 0 ? r : stream_send(stream, response);
}

static int serve(struct stream *stream, struct listener *listener, struct err *err)
{
	int r = 0;
	while (r == 0) {
		if (listener->lost) /* at once: what still waits is of no use to one that must list again */
			return err_set(err, -ENOBUFS, "events.lost",
				       "more than %d events, or %d bytes, wait for this listener: list again",
				       CRI_LISTENER_EVENTS_MAX, CRI_LISTENER_BYTES_MAX);
		struct message *message = pop(listener);
		r = message ? send_message(stream, message)
			    : fiber_signal_wait(stream_rpc(stream)->node->fibers, &listener->arrived);
		message_unref(message);
	}
	return r;
}

static int run(struct stream *stream, struct err *err)
{
	struct rpc *rpc = stream_rpc(stream);
	struct listener *listener = listen_to(rpc->node->cri_listeners, rpc->owner, err);
	if (!listener)
		return err->code;
	int r = serve(stream, listener, err);
	leave(rpc->node->cri_listeners, listener);
	return r;
}

void cri_get_container_events(struct grpc_call *call, const ProtobufCMessage *request, void *context)
{
	stream_open(call, request, NULL, context, run);
}
