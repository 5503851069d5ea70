#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/base/str.h"
#include "signals/lib/client.h"

static bool is_word(const char *text)
{
	return !str_empty(text) && !strpbrk(text, " \n\r");
}

/* ---- subscriptions ---- */

void client_request_sub(struct axle_signal_sub *sub)
{
	if (!sub->dead)
		(void)client_ask(sub->client, PENDING_SUB, sub, "sub %s%s", sub->pattern,
				 sub->flags & AXLE_SIGNAL_TIME ? " time" : "");
}

int axle_signal_subscribe(struct axle_signal *client, const char *pattern, unsigned flags, axle_signal_update_fn *callback,
			  void *user, struct axle_signal_sub **ret_sub)
{
	if (!is_word(pattern) || !callback)
		return err_set(&client->err, -EINVAL, "signal.pattern", "expected a pattern without blanks, and a callback");
	struct axle_signal_sub *sub = calloc(1, sizeof *sub);
	char *copy = strdup(pattern);
	if (!sub || !copy) {
		free(sub);
		free(copy);
		return -ENOMEM;
	}
	*sub = (struct axle_signal_sub){.client = client, .pattern = copy, .flags = flags, .callback = callback, .user = user,
					.next = client->subs};
	client->subs = sub;
	client_request_sub(sub);
	if (ret_sub)
		*ret_sub = sub;
	return 0;
}

int axle_signal_sub_error(const struct axle_signal_sub *sub)
{
	return sub->error;
}

static void drop_handles(struct axle_signal *client, const void *owner)
{
	for (size_t i = 0; i < client->handle_count; i++)
		if (client->handles[i].sub == owner || client->handles[i].claim == owner)
			client->handles[i] = (struct handle){0};
}

void axle_signal_unsubscribe(struct axle_signal_sub *sub)
{
	if (!sub || sub->dead)
		return;
	struct axle_signal *client = sub->client;
	sub->dead = true;
	client->have_dead = true;
	drop_handles(client, sub);
	if (sub->has_id)
		(void)client_ask(client, PENDING_NOTHING, NULL, "unsub %llu", (unsigned long long)sub->id);
	if (!client->in_callback)
		client_free_dead(client, false);
}

static void free_sub(struct axle_signal_sub *sub)
{
	for (size_t i = 0; i < sub->count; i++)
		free(sub->signals[i].path);
	free(sub->signals);
	free(sub->pattern);
	free(sub);
}

/* ---- claims ---- */

void client_request_claim(struct axle_signal_claim *claim)
{
	if (claim->dead)
		return;
	claim->error = -EINPROGRESS;
	(void)client_ask(claim->client, PENDING_CLAIM, claim, "%s %s", claim->flags & AXLE_SIGNAL_SHARED ? "open" : "claim",
			 claim->path);
}

int axle_signal_claim(struct axle_signal *client, const char *path, unsigned flags, axle_signal_request_fn *callback, void *user,
		      struct axle_signal_claim **ret_claim)
{
	if (!is_word(path) || !ret_claim)
		return err_set(&client->err, -EINVAL, "signal.path", "expected a path without blanks");
	struct axle_signal_claim *claim = calloc(1, sizeof *claim);
	char *copy = strdup(path);
	if (!claim || !copy) {
		free(claim);
		free(copy);
		return -ENOMEM;
	}
	*claim = (struct axle_signal_claim){.client = client, .path = copy, .flags = flags, .callback = callback, .user = user,
					    .next = client->claims, .error = -EINPROGRESS, .last = {.max = LINE_BYTES_MAX}};
	client->claims = claim;
	client_request_claim(claim);
	*ret_claim = claim;
	return 0;
}

int axle_signal_claim_error(const struct axle_signal_claim *claim)
{
	return claim->error;
}

void axle_signal_release(struct axle_signal_claim *claim)
{
	if (!claim || claim->dead)
		return;
	struct axle_signal *client = claim->client;
	claim->dead = true;
	client->have_dead = true;
	if (claim->stands) {
		drop_handles(client, claim);
		(void)client_ask(client, PENDING_NOTHING, NULL, "release %u", claim->handle);
	}
	if (!client->in_callback)
		client_free_dead(client, false);
}

static bool awaits_answer(const struct axle_signal *client, const void *target)
{
	for (const struct pending *pending = client->first_pending; pending; pending = pending->next)
		if (pending->target == target)
			return true;
	return false;
}

/* Frees what was given back and is not waited for: its number comes with the answer, and is needed to give it back
 * there too. */
void client_free_dead(struct axle_signal *client, bool all)
{
	client->have_dead = false;
	for (struct axle_signal_sub **sub = &client->subs; *sub;) {
		struct axle_signal_sub *dead = *sub;
		if (all || (dead->dead && !awaits_answer(client, dead))) {
			*sub = dead->next;
			free_sub(dead);
			continue;
		}
		client->have_dead |= dead->dead;
		sub = &dead->next;
	}
	for (struct axle_signal_claim **claim = &client->claims; *claim;) {
		struct axle_signal_claim *dead = *claim;
		if (all || (dead->dead && !awaits_answer(client, dead))) {
			*claim = dead->next;
			buf_done(&dead->last);
			free(dead->path);
			free(dead);
			continue;
		}
		client->have_dead |= dead->dead;
		claim = &dead->next;
	}
}

/* ---- publishing ---- */

int claim_send_last(struct axle_signal_claim *claim)
{
	return line_add_data(&claim->client->out, claim->handle, claim->last_time_ns, claim->last.data, claim->last.size);
}

static int keep_last(struct axle_signal_claim *claim, const char *value, size_t length, int64_t time_ns)
{
	buf_clear(&claim->last);
	claim->has_last = value != NULL;
	claim->last_time_ns = time_ns;
	return value ? buf_add(&claim->last, value, length) : 0;
}

static int publish(struct axle_signal_claim *claim, const char *value, size_t length, int64_t time_ns)
{
	struct axle_signal *client = claim->client;
	if (time_ns <= 0)
		time_ns = LINE_NO_TIME;
	if (client->out.size > LINE_QUEUE_MAX)
		return err_set(&client->err, -EAGAIN, "signal.full", "the service does not read: %zu bytes wait",
			       client->out.size);
	int r = 0;
	if (!(claim->flags & AXLE_SIGNAL_FORGET) || (!claim->stands && client->socket_fd >= 0))
		r = keep_last(claim, value, length, time_ns);
	if (r < 0 || !claim->stands)
		return r;
	r = line_add_data(&client->out, claim->handle, time_ns, value, length);
	if (r == 0 && ++client->unsent_updates >= LINE_BATCH)
		(void)client_send(client);
	return r;
}

int axle_signal_publish(struct axle_signal_claim *claim, const char *value, int64_t time_ns)
{
	size_t length = value ? strlen(value) : 0;
	if (length > LINE_BYTES_MAX - 64)
		return err_set(&claim->client->err, -EMSGSIZE, "signal.value", "%s: a value of %zu bytes", claim->path, length);
	if (value && !line_text_fits(value, length))
		return err_set(&claim->client->err, -EINVAL, "signal.value", "%s: a line break in the value", claim->path);
	return publish(claim, value, length, time_ns);
}

int axle_signal_publish_double(struct axle_signal_claim *claim, double value, int64_t time_ns)
{
	char text[40];
	/* The shortest of two that reads back as the same number. */
	int length = snprintf(text, sizeof text, "%.15g", value);
	if (strtod(text, NULL) != value)
		length = snprintf(text, sizeof text, "%.17g", value);
	return publish(claim, text, (size_t)length, time_ns);
}

int axle_signal_publish_int(struct axle_signal_claim *claim, int64_t value, int64_t time_ns)
{
	char text[24];
	int length = snprintf(text, sizeof text, "%lld", (long long)value);
	return publish(claim, text, (size_t)length, time_ns);
}

int axle_signal_answer(struct axle_signal_claim *claim, uint64_t id, const char *error)
{
	struct axle_signal *client = claim->client;
	if (client->socket_fd < 0)
		return 0; /* the request died with the connection */
	if (error && !line_text_fits(error, strlen(error)))
		return -EINVAL;
	int r = error ? buf_printf(&client->out, "error %llu %s\n", (unsigned long long)id, error)
		      : buf_printf(&client->out, "ok %llu\n", (unsigned long long)id);
	return r;
}
