/* What the service says: answers, updates, requests for actuations. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/str.h"
#include "signals/lib/client.h"

static void call_update(struct axle_signal_sub *sub, const struct axle_signal_update *update)
{
	struct axle_signal *client = sub->client;
	if (sub->dead)
		return;
	client->callbacks++;
	client->in_callback = true;
	sub->callback(sub->user, update);
	client->in_callback = false;
}

static void call_link(struct axle_signal *client, bool connected)
{
	if (!client->on_link)
		return;
	client->callbacks++;
	client->in_callback = true;
	client->on_link(client->on_link_user, connected);
	client->in_callback = false;
}

static struct handle *find_handle(struct axle_signal *client, uint64_t handle)
{
	return handle < client->handle_count ? &client->handles[handle] : NULL;
}

static void take_data(struct axle_signal *client, const struct line_message *message)
{
	const struct handle *handle = find_handle(client, message->numbers[0]);
	if (!handle || !handle->sub)
		return; /* of a subscription that we have just ended */
	struct sub_signal *signal = &handle->sub->signals[handle->index];
	struct axle_signal_update update = {
		.path = signal->path,
		.value = message->text,
		.value_length = message->text_length,
		.time_ns = message->time_ns == LINE_NO_TIME ? 0 : message->time_ns,
		.lost = signal->lost,
		.index = handle->index,
	};
	signal->lost = 0;
	call_update(handle->sub, &update);
}

static void take_lost(struct axle_signal *client, const struct line_message *message)
{
	const struct handle *handle = find_handle(client, message->numbers[0]);
	if (handle && handle->sub)
		handle->sub->signals[handle->index].lost += message->numbers[1];
}

/* The index of @path among the subscription's signals, where it is added if it is new. Errors: -ENOMEM. */
static int sub_signal_index(struct axle_signal_sub *sub, const char *path, size_t *ret_index)
{
	for (size_t i = 0; i < sub->count; i++) {
		size_t at = (sub->cursor + i) % sub->count;
		if (strcmp(sub->signals[at].path, path) == 0) {
			sub->cursor = at + 1;
			*ret_index = at;
			return 0;
		}
		if (i == 0 && !sub->has_id && sub->cursor == sub->count)
			break; /* the first list of names: all are new */
	}
	if ((sub->count & (sub->count - 1)) == 0) { /* full: grow to the next power of two */
		struct sub_signal *grown = realloc(sub->signals, (sub->count ? 2 * sub->count : 1) * sizeof *grown);
		if (!grown)
			return -ENOMEM;
		sub->signals = grown;
	}
	char *copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	sub->signals[sub->count] = (struct sub_signal){.path = copy};
	*ret_index = sub->count++;
	sub->cursor = sub->count;
	return 0;
}

static struct axle_signal_sub *find_sub(struct axle_signal *client, uint64_t id)
{
	for (struct axle_signal_sub *sub = client->subs; sub; sub = sub->next)
		if (sub->has_id && sub->id == id)
			return sub;
	const struct pending *pending = client->first_pending;
	return pending && pending->kind == PENDING_SUB ? pending->target : NULL; /* its names come before its number */
}

static void take_name(struct axle_signal *client, const struct line_message *message)
{
	struct axle_signal_sub *sub = find_sub(client, message->numbers[0]);
	size_t index = 0;
	if (!sub || sub->dead || sub_signal_index(sub, message->word, &index) < 0)
		return;
	(void)client_set_handle(client, message->numbers[1], (struct handle){.sub = sub, .index = index});
}

/* The signal left the catalogue, or the grant went: its readers see it unavailable. */
static void take_gone(struct axle_signal *client, const struct line_message *message)
{
	struct handle *handle = find_handle(client, message->numbers[0]);
	if (!handle)
		return;
	struct handle was = *handle;
	*handle = (struct handle){0};
	if (was.claim) {
		was.claim->stands = false;
		was.claim->error = -ENOENT;
	}
	if (was.sub)
		call_update(was.sub, &(struct axle_signal_update){.path = was.sub->signals[was.index].path,
								  .index = was.index});
}

static void take_request(struct axle_signal *client, const struct line_message *message)
{
	const struct handle *handle = find_handle(client, message->numbers[1]);
	struct axle_signal_claim *claim = handle ? handle->claim : NULL;
	if (!claim || claim->dead)
		return;
	if (!claim->callback) {
		(void)axle_signal_answer(claim, message->numbers[0], "this provider takes no requests");
		return;
	}
	struct axle_signal_request_info request = {
		.id = message->numbers[0],
		.path = claim->path,
		.value = message->text,
		.deadline_ms = (int64_t)message->numbers[2],
	};
	client->callbacks++;
	client->in_callback = true;
	claim->callback(claim->user, claim, &request);
	client->in_callback = false;
}

static void take_outcome(struct axle_signal *client, const struct line_message *message)
{
	if (!client->outcome_wanted || !client->outcome_id || message->numbers[0] != client->outcome_id)
		return;
	client->outcome_there = true;
	client->outcome = 0;
	if (!str_equal(message->word, "ok"))
		client->outcome = err_set(&client->err, line_errno_of(message->word), "signal.outcome", "%s",
					  message->text ? message->text : message->word);
}

static void take_refused(struct axle_signal *client, const struct line_message *message)
{
	const struct handle *handle = find_handle(client, message->numbers[0]);
	if (!handle || !handle->claim)
		return;
	handle->claim->error = err_set(&client->err, line_errno_of(message->word), "signal.refused", "%s: %s",
				       handle->claim->path, message->text ? message->text : message->word);
}

/* ---- answers ---- */

static void answer_hello(struct axle_signal *client, int r)
{
	if (r == -EPROTONOSUPPORT) {
		client->fatal = r;
		client_disconnect(client);
		return;
	}
	client->greeted = true;
	call_link(client, true);
}

static void answer_sub(struct axle_signal_sub *sub, int r, const struct line_message *message)
{
	if (!sub)
		return;
	sub->error = r;
	if (r < 0) {
		call_update(sub, &(struct axle_signal_update){.path = sub->pattern, .index = AXLE_SIGNAL_REFUSED});
		return;
	}
	sub->has_id = true;
	sub->id = message->text ? strtoull(message->text, NULL, 10) : 0;
	if (sub->dead)
		(void)client_ask(sub->client, PENDING_NOTHING, NULL, "unsub %llu", (unsigned long long)sub->id);
}

static void answer_claim(struct axle_signal_claim *claim, int r, const struct line_message *message)
{
	if (!claim)
		return;
	struct axle_signal *client = claim->client;
	claim->error = r;
	if (r == -EBUSY)
		client_arm_timer(client, CLIENT_BUSY_RETRY_MS);
	if (r < 0)
		return;
	uint64_t handle = message->text ? strtoull(message->text, NULL, 10) : 0;
	if (claim->dead) {
		(void)client_ask(client, PENDING_NOTHING, NULL, "release %llu", (unsigned long long)handle);
		return;
	}
	claim->error = client_set_handle(client, handle, (struct handle){.claim = claim});
	claim->stands = claim->error == 0;
	claim->handle = (uint32_t)handle;
	if (claim->stands && claim->has_last)
		(void)claim_send_last(claim);
}

static void answer_caller(struct axle_signal *client, struct answer *answer, int r, const struct line_message *message)
{
	if (!answer)
		return;
	/* Known before the next line is read, which may be the outcome. */
	if (r == 0 && client->outcome_wanted && message->text)
		client->outcome_id = strtoull(message->text, NULL, 10);
	answer->r = r;
	if (r == 0 && message->text)
		answer->r = buf_add(&answer->text, message->text, message->text_length);
	answer->done = true;
}

static void take_answer(struct axle_signal *client, const struct line_message *message)
{
	struct pending *pending = client_pop_pending(client);
	if (!pending)
		return; /* an error of a line that nobody asked with: a late "ok ID", an update of a handle that is gone */
	int r = message->verb == LINE_OK ? 0 : line_errno_of(message->word);
	if (r < 0 && pending->kind != PENDING_NOTHING)
		(void)err_set(&client->err, r, "signal.refused", "%s", message->text ? message->text : message->word);
	enum pending_kind kind = pending->kind;
	void *target = pending->target;
	free(pending);
	if (kind == PENDING_HELLO)
		answer_hello(client, r);
	else if (kind == PENDING_SUB)
		answer_sub(target, r, message);
	else if (kind == PENDING_CLAIM)
		answer_claim(target, r, message);
	else if (kind == PENDING_CALLER)
		answer_caller(client, target, r, message);
}

static void take_item(struct axle_signal *client, const struct line_message *message)
{
	struct pending *pending = client->first_pending;
	struct answer *answer = pending && pending->kind == PENDING_CALLER ? pending->target : NULL;
	if (!answer || !answer->item)
		return;
	client->in_callback = true;
	answer->item(answer->user, message->text);
	client->in_callback = false;
}

typedef void take_fn(struct axle_signal *client, const struct line_message *message);

static take_fn *const TAKE_MESSAGE[LINE_VERB_COUNT] = {
	[LINE_DATA] = take_data,       [LINE_OK] = take_answer,	     [LINE_ERROR] = take_answer,
	[LINE_ITEM] = take_item,       [LINE_NAME] = take_name,	     [LINE_GONE] = take_gone,
	[LINE_LOST] = take_lost,       [LINE_REQUEST] = take_request, [LINE_OUTCOME] = take_outcome,
	[LINE_REFUSED] = take_refused,
};

void client_take_line(struct axle_signal *client, char *line, size_t length)
{
	struct line_message message = {0};
	if (line_parse_event(line, length, &message, NULL) == 0 && TAKE_MESSAGE[message.verb])
		TAKE_MESSAGE[message.verb](client, &message);
}

/* ---- the link ---- */

void client_link_up(struct axle_signal *client)
{
	(void)client_ask(client, PENDING_HELLO, NULL, "hello %d%s%s", LINE_PROTOCOL_VERSION, *client->name ? " " : "",
			 client->name);
	for (struct axle_signal_sub *sub = client->subs; sub; sub = sub->next)
		client_request_sub(sub);
	for (struct axle_signal_claim *claim = client->claims; claim; claim = claim->next)
		client_request_claim(claim);
	(void)client_send(client);
}

static void fail_pending(struct axle_signal *client)
{
	for (struct pending *pending = NULL; (pending = client_pop_pending(client)); free(pending)) {
		struct answer *answer = pending->kind == PENDING_CALLER ? pending->target : NULL;
		if (!answer)
			continue;
		answer->r = -ECONNRESET;
		answer->done = true;
	}
}

void client_link_down(struct axle_signal *client)
{
	bool was_up = client->greeted;
	client->greeted = false;
	if (client->handle_count)
		memset(client->handles, 0, client->handle_count * sizeof *client->handles);
	for (struct axle_signal_sub *sub = client->subs; sub; sub = sub->next) {
		sub->has_id = false;
		sub->cursor = 0;
	}
	for (struct axle_signal_claim *claim = client->claims; claim; claim = claim->next) {
		claim->stands = false;
		claim->error = -EINPROGRESS;
	}
	fail_pending(client);
	if (client->outcome_wanted && !client->outcome_there) {
		client->outcome_there = true;
		client->outcome = -ECONNRESET;
	}
	if (was_up)
		call_link(client, false);
}
