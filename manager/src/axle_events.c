/* axle.v1 Node: Events. */
#include <errno.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "manager/src/axle.h"
#include "manager/src/cri.h"
#include "manager/src/stream.h"

static const char *const FILTERS[] = {"type=", "event=", "container=", "pod=", "image="};

static int check_filters(const Axle__EventsRequest *request, struct err *err)
{
	for (size_t i = 0; i < request->n_filters; i++) {
		bool known = false;
		for (size_t j = 0; j < ARRAY_COUNT(FILTERS); j++)
			known = known || str_after_prefix(request->filters[i], FILTERS[j]);
		if (!known)
			return err_set(err, -EINVAL, "events.filter",
				       "filter \"%s\": expected type=, event=, container=, pod= or image=",
				       request->filters[i]);
	}
	return 0;
}

static bool names_object(const struct event *event, const char *type, const char *value)
{
	return str_equal(event->type, type) && (cri_id_matches(event->id, value) || str_equal(event->name, value));
}

static bool passes_one(const struct event *event, const char *filter)
{
	const char *value = str_after_prefix(filter, "type=");
	if (value)
		return str_equal(event->type, value);
	value = str_after_prefix(filter, "event=");
	if (value)
		return str_equal(event->action, value);
	value = str_after_prefix(filter, "container=");
	if (value)
		return names_object(event, "container", value);
	value = str_after_prefix(filter, "pod=");
	if (value)
		return names_object(event, "pod", value);
	value = str_after_prefix(filter, "image=");
	return value && (str_equal(event->image, value) || names_object(event, "image", value));
}

/* Filters with the same key are combined with "or", others with "and". */
static bool passes(const struct rpc *rpc, const struct event *event, const Axle__EventsRequest *request)
{
	if (!request->all_owners && *event->owner && !str_equal(event->owner, owner_name(rpc->owner)))
		return false;
	if (event->time_ns < request->since)
		return false;
	for (size_t j = 0; j < ARRAY_COUNT(FILTERS); j++) {
		bool asked = false;
		bool matched = false;
		for (size_t i = 0; i < request->n_filters; i++) {
			if (!str_after_prefix(request->filters[i], FILTERS[j]))
				continue;
			asked = true;
			matched = matched || passes_one(event, request->filters[i]);
		}
		if (asked && !matched)
			return false;
	}
	return true;
}

static int send_event(struct stream *stream, const struct event *event)
{
	Axle__Event message = AXLE__EVENT__INIT;
	Axle__ExitStatus exit = AXLE__EXIT_STATUS__INIT;
	Cri__MapEntry image = CRI__MAP_ENTRY__INIT;
	Cri__MapEntry *attributes[] = {&image};
	message.time = event->time_ns;
	message.type = event->type;
	message.action = event->action;
	message.id = event->id;
	message.name = event->name;
	message.owner = event->owner;
	message.sequence = event->sequence;
	if (event->has_exit) {
		exit.code = event->exit_code;
		exit.signal = event->exit_signal;
		exit.oom_killed = event->oom_killed;
		message.exit = &exit;
	}
	if (*event->image) {
		image.key = "image";
		image.value = event->image;
		message.attributes = attributes;
		message.n_attributes = 1;
	}
	return stream_send(stream, &message);
}

/* Up to the end of the time asked for: that is a deadline whose passing is no failure. */
static int await_event(struct stream *stream, uint64_t sequence, int64_t until_ns)
{
	struct rpc *rpc = stream_rpc(stream);
	if (until_ns) {
		int64_t left = until_ns - node_now_ns();
		if (left <= 0)
			return 1;
		(void)fiber_set_deadline(rpc->node->fibers, uv_hrtime() + (uint64_t)left);
	}
	int r = events_wait(rpc->node->events, sequence);
	return r == -ETIMEDOUT && until_ns ? 1 : r;
}

static int run(struct stream *stream, struct err *err)
{
	struct rpc *rpc = stream_rpc(stream);
	const Axle__EventsRequest *request = stream_request(stream);
	struct events *events = rpc->node->events;
	int r = check_filters(request, err);
	uint64_t next = request->since ? 1 : events_next(events);
	while (r == 0) {
		const struct event *found = events_at(events, next);
		if (!found) {
			r = await_event(stream, next, request->until);
			continue;
		}
		struct event event = *found; /* the ring moves on while this one is sent */
		next = event.sequence + 1;
		if (request->until && event.time_ns > request->until)
			return 0;
		if (passes(rpc, &event, request))
			r = send_event(stream, &event);
	}
	return r > 0 ? 0 : r;
}

void axle_events(struct grpc_call *call, const ProtobufCMessage *request, void *context)
{
	stream_open(call, request, NULL, context, run);
}
