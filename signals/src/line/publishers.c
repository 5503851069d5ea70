/* What a session publishes and provides. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "signals/src/line/session.h"
#include "signals/src/line/session_internal.h"

static struct publisher *of_provider(struct provider *provider)
{
	return (struct publisher *)((char *)provider - offsetof(struct publisher, provider));
}

static int64_t wall_clock_ns(void)
{
	struct timespec now = {0};
	(void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail */
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ---- claims ---- */

static int deliver_request(struct provider *provider, const struct request *request)
{
	struct publisher *publisher = of_provider(provider);
	struct line_session *session = publisher->entry.session;
	if (!line_session_reads(session))
		return -EAGAIN;
	int64_t left_ms = (request->deadline_ns - wall_clock_ns()) / 1000000;
	int r = session_say(session, "request %llu %u %lld %.*s", (unsigned long long)request->id, publisher->entry.handle,
			    (long long)(left_ms > 0 ? left_ms : 0), (int)request->length, request->text);
	return r < 0 ? -EAGAIN : 0;
}

static void free_publisher(struct line_session *session, struct publisher *publisher)
{
	for (struct publisher **link = &session->publishers; *link; link = &(*link)->next) {
		if (*link == publisher) {
			*link = publisher->next;
			break;
		}
	}
	session->publisher_count--;
	session_drop_entry(session, &publisher->entry);
	free(publisher);
}

static void revoked(struct provider *provider)
{
	struct publisher *publisher = of_provider(provider);
	struct line_session *session = publisher->entry.session;
	(void)session_say(session, "gone %u", publisher->entry.handle);
	free_publisher(session, publisher);
}

void session_recheck_publishers(struct line_session *session)
{
	for (struct publisher *publisher = session->publishers, *next = NULL; publisher; publisher = next) {
		next = publisher->next;
		if (store_may(session->store, &session->subject, publisher->signal, RIGHT_PUBLISH) == 0)
			continue;
		store_release(session->store, &publisher->provider);
		revoked(&publisher->provider);
	}
}

/* A signal that is to be published: @rights are checked here for those that are only opened. */
static int new_publisher(struct line_session *session, const char *path, enum entry_kind kind, struct publisher **ret_publisher,
			 struct err *err)
{
	if (session->publisher_count >= LINE_CLAIMS_MAX)
		return err_set(err, -ENOSPC, "line.limit", "a client has at most %d claims", LINE_CLAIMS_MAX);
	signal_id id = store_find(session->store, path);
	const struct node *node = id == SIGNAL_NONE ? NULL : store_node(session->store, id);
	if (!node || !node_is_leaf(node))
		return err_set(err, -ENOENT, "line.unknown", "%s: no such signal", path);
	int r = session_may(session, id, RIGHT_PUBLISH);
	if (r < 0)
		return err_set(err, r, "line.denied", r == -EACCES ? "%s: not permitted to publish" : "%s: no such signal", path);
	struct publisher *publisher = calloc(1, sizeof *publisher);
	if (!publisher)
		return -ENOMEM;
	publisher->entry.kind = kind;
	publisher->signal = id;
	publisher->provider = (struct provider){.deliver = deliver_request, .revoked = revoked, .signal = SIGNAL_NONE};
	memcpy(publisher->provider.name, session->subject.name, sizeof publisher->provider.name);
	r = session_add_entry(session, &publisher->entry);
	if (r < 0) {
		free(publisher);
		return err_set(err, r, "line.limit", "a client has at most %d handles", LINE_HANDLES_MAX);
	}
	publisher->next = session->publishers;
	session->publishers = publisher;
	session->publisher_count++;
	*ret_publisher = publisher;
	return 0;
}

void session_open(struct line_session *session, struct line_message *message)
{
	struct err err = {0};
	struct publisher *publisher = NULL;
	int r = new_publisher(session, message->word, ENTRY_OPEN, &publisher, &err);
	if (r < 0)
		session_error(session, r, &err);
	else
		session_ok(session, "%u", publisher->entry.handle);
}

void session_claim(struct line_session *session, struct line_message *message)
{
	struct err err = {0};
	struct publisher *publisher = NULL;
	int r = new_publisher(session, message->word, ENTRY_CLAIM, &publisher, &err);
	if (r == 0) {
		r = store_claim(session->store, &session->subject, publisher->signal, &publisher->provider, false, &err);
		if (r < 0)
			free_publisher(session, publisher);
	}
	if (r < 0)
		session_error(session, r, &err);
	else
		session_ok(session, "%u", publisher->entry.handle);
}

static struct publisher *find_publisher(const struct line_session *session, uint64_t handle)
{
	struct entry *entry = session_entry(session, handle);
	if (!entry || entry->kind == ENTRY_UPDATES)
		return NULL;
	return (struct publisher *)((char *)entry - offsetof(struct publisher, entry));
}

void session_release(struct line_session *session, struct line_message *message)
{
	struct publisher *publisher = find_publisher(session, message->numbers[0]);
	if (!publisher) {
		session_error_code(session, "handle", "nothing was opened or claimed under this handle");
		return;
	}
	store_release(session->store, &publisher->provider);
	free_publisher(session, publisher);
	session_ok(session, "%s", "");
}

void session_free_publishers(struct line_session *session)
{
	for (struct publisher *publisher = session->publishers, *next = NULL; publisher; publisher = next) {
		next = publisher->next;
		store_release(session->store, &publisher->provider);
		session_drop_entry(session, &publisher->entry);
		free(publisher);
	}
	session->publishers = NULL;
}

/* ---- values ---- */

static int publish(struct line_session *session, const struct publisher *publisher, const struct line_message *message,
		   struct err *err)
{
	const struct provider *provider = publisher->entry.kind == ENTRY_CLAIM ? &publisher->provider : NULL;
	int64_t time = message->time_ns == LINE_NO_TIME ? 0 : message->time_ns;
	return store_publish(session->store, &session->subject, provider, publisher->signal, message->text,
			     message->text_length, time, err);
}

void session_data(struct line_session *session, struct line_message *message)
{
	struct err err = {0};
	int r = 0;
	struct publisher *publisher = find_publisher(session, message->numbers[0]);
	if (!publisher)
		r = err_set(&err, -EBADF, "line.handle", "nothing was opened or claimed under this handle");
	else if (message->text)
		r = publish(session, publisher, message, &err);
	else if (publisher->entry.kind == ENTRY_CLAIM)
		r = store_withdraw(session->store, &publisher->provider);
	else
		r = err_set(&err, -EACCES, "line.withdraw", "only a claimed signal can be withdrawn");
	if (r < 0 && line_session_reads(session))
		(void)session_say(session, "refused %u %s %s", (uint32_t)message->numbers[0], line_code_of(r), err_text(&err, r));
}

/* ---- answers to requests ---- */

static void answer(struct line_session *session, uint64_t id, const char *error)
{
	for (struct publisher *publisher = session->publishers; publisher; publisher = publisher->next)
		if (publisher->entry.kind == ENTRY_CLAIM && store_answer(session->store, &publisher->provider, id, error) == 0)
			return;
	(void)session_say(session, "late %llu", (unsigned long long)id);
}

void session_done(struct line_session *session, struct line_message *message)
{
	answer(session, message->numbers[0], NULL);
}

void session_failed(struct line_session *session, struct line_message *message)
{
	answer(session, message->numbers[0], message->text ? message->text : "failed");
}
