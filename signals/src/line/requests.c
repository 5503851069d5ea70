/* The verbs that ask once: values, descriptions, setting, forcing. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/str.h"
#include "signals/src/line/session.h"
#include "signals/src/line/session_internal.h"

/* The leaf called @path, for which the client needs @rights. */
static int find_leaf(const struct line_session *session, const char *path, unsigned rights, signal_id *ret_id,
		     struct err *err)
{
	signal_id id = store_find(session->store, path);
	const struct node *node = id == SIGNAL_NONE ? NULL : store_node(session->store, id);
	int r = node && node_is_leaf(node) ? session_may(session, id, rights) : -ENOENT;
	if (r == -EACCES)
		return err_set(err, r, "line.denied", "%s: not permitted", path);
	if (r < 0)
		return err_set(err, r, "line.unknown", "%s: no such signal", path);
	*ret_id = id;
	return 0;
}

void session_ask_value(struct line_session *session, struct line_message *message)
{
	struct err err = {0};
	signal_id id = SIGNAL_NONE;
	struct reading reading = {0};
	int r = find_leaf(session, message->word, RIGHT_READ, &id, &err);
	if (r == 0)
		store_read(session->store, session->subject.view, id, &reading);
	if (r < 0)
		session_error(session, r, &err);
	else if (!reading.text)
		session_error_code(session, "unavailable", "the signal has no value");
	else
		(void)session_say(session, "ok %.*s", (int)reading.length, reading.text);
}

/* ---- lists ---- */

struct listing {
	struct line_session *session;
	size_t count;
};

static int say_value(void *user, signal_id id)
{
	struct listing *listing = user;
	struct line_session *session = listing->session;
	char path[CATALOGUE_PATH_MAX];
	struct reading reading = {0};
	(void)store_path(session->store, id, path);
	store_read(session->store, session->subject.view, id, &reading);
	listing->count++;
	if (!reading.text)
		return session_say(session, "item %s", path);
	return session_say(session, "item %s %.*s", path, (int)reading.length, reading.text);
}

static int say_signal(void *user, signal_id id)
{
	struct listing *listing = user;
	struct line_session *session = listing->session;
	char path[CATALOGUE_PATH_MAX];
	const struct node *node = store_node(session->store, id);
	(void)store_path(session->store, id, path);
	listing->count++;
	return session_say(session, "item %s %s %s%s%s", path, node_kind_name(node->kind), node->leaf->datatype,
			   node->unit ? " " : "", node->unit ? node->unit : "");
}

static void list(struct line_session *session, const char *pattern, int (*say)(void *user, signal_id id))
{
	struct listing listing = {.session = session};
	size_t before = session->out.size;
	int r = store_match(session->store, &session->subject, pattern, say, &listing);
	if (r == 0) {
		session_ok(session, "%zu", listing.count);
		return;
	}
	session->out.size = before; /* a list that is not whole is none */
	struct err err = {0};
	if (r == -ENOENT)
		(void)err_set(&err, r, "line.unknown", "%s: names no signal", pattern);
	else if (r == -EINVAL)
		(void)err_set(&err, r, "line.syntax", "%s: expected a path or a pattern", pattern);
	session_error(session, r, &err);
}

void session_values(struct line_session *session, struct line_message *message)
{
	list(session, message->word, say_value);
}

void session_list(struct line_session *session, struct line_message *message)
{
	list(session, message->word, say_signal);
}

/* ---- JSON ---- */

static void say_json(struct line_session *session, int r, const struct buf *json)
{
	if (r == 0)
		r = session_say(session, "ok %s", json->data ? json->data : "{}");
	if (r < 0)
		session_error(session, r, NULL);
}

typedef int add_json(const struct line_session *session, signal_id id, struct buf *ret_json);

static int add_meta(const struct line_session *session, signal_id id, struct buf *ret_json)
{
	return store_add_meta(session->store, id, ret_json);
}

static int add_state(const struct line_session *session, signal_id id, struct buf *ret_json)
{
	return store_add_state(session->store, session->subject.view, id, ret_json);
}

static int add_who(const struct line_session *session, signal_id id, struct buf *ret_json)
{
	return store_add_who(session->store, id, ret_json);
}

static void tell(struct line_session *session, const char *path, add_json *add)
{
	struct err err = {0};
	signal_id id = SIGNAL_NONE;
	int r = find_leaf(session, path, RIGHT_READ, &id, &err);
	if (r < 0) {
		session_error(session, r, &err);
		return;
	}
	scoped_done(buf_done) struct buf json = {.max = LINE_BYTES_MAX - 8};
	r = add(session, id, &json);
	say_json(session, r, &json);
}

void session_meta(struct line_session *session, struct line_message *message)
{
	tell(session, message->word, add_meta);
}

void session_state(struct line_session *session, struct line_message *message)
{
	tell(session, message->word, add_state);
}

void session_who(struct line_session *session, struct line_message *message)
{
	tell(session, message->word, add_who);
}

void session_grants(struct line_session *session, struct line_message *message)
{
	(void)message;
	scoped_done(buf_done) struct buf json = {.max = LINE_BYTES_MAX - 8};
	int r = store_add_grants(session->store, &session->subject, &json);
	say_json(session, r, &json);
}

static int say_view(void *user, const char *json)
{
	struct listing *listing = user;
	listing->count++;
	return session_say(listing->session, "item %s", json);
}

/* Of all containers: for the host's root alone. */
void session_views(struct line_session *session, struct line_message *message)
{
	struct listing listing = {.session = session};
	size_t before = session->out.size;
	(void)message;
	if (session->subject.view || session->subject.uid != 0 || !session->carrier->each_view) {
		session_error_code(session, "denied", "for root on the host's socket");
		return;
	}
	int r = session->carrier->each_view(session->carrier, say_view, &listing);
	if (r == 0) {
		session_ok(session, "%zu", listing.count);
		return;
	}
	session->out.size = before; /* a list that is not whole is none */
	session_error(session, r, NULL);
}

void session_stats(struct line_session *session, struct line_message *message)
{
	(void)message;
	const struct store_stats *stats = store_stats(session->store);
	scoped_done(buf_done) struct buf json = {.max = 4096};
	int r = buf_printf(&json,
			   "{\"updates\":%llu,\"requests\":%llu,\"refused\":%llu,\"lost\":%llu,"
			   "\"client\":{\"handles\":%zu,\"subscriptions\":%zu,\"claims\":%zu,\"lost\":%llu}}",
			   (unsigned long long)stats->updates, (unsigned long long)stats->requests,
			   (unsigned long long)stats->refused, (unsigned long long)stats->lost, session->handle_count,
			   session->sub_count, session->publisher_count, (unsigned long long)session->lost);
	say_json(session, r, &json);
}

/* ---- setting ---- */

static void free_outstanding(struct outstanding *outstanding)
{
	*outstanding->link = outstanding->next;
	if (outstanding->next)
		outstanding->next->link = outstanding->link;
	outstanding->session->outstanding_count--;
	free(outstanding);
}

static void outcome(struct requester *requester, uint64_t id, int result, const char *text)
{
	static const struct {
		int result;
		const char *words;
	} WORDS[] = {{0, "ok"}, {-ETIMEDOUT, "timeout the provider did not answer"}, {-EOWNERDEAD, "gone the provider went"}};
	struct outstanding *outstanding = (struct outstanding *)((char *)requester - offsetof(struct outstanding, requester));
	struct line_session *session = outstanding->session;
	free_outstanding(outstanding);
	for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
		if (WORDS[i].result == result) {
			(void)session_say(session, "outcome %llu %s", (unsigned long long)id, WORDS[i].words);
			return;
		}
	}
	(void)session_say(session, "outcome %llu failed %s", (unsigned long long)id, text ? text : "failed");
}

static void request_target(struct line_session *session, signal_id id, const struct line_message *message)
{
	if (session->outstanding_count >= LINE_OUTSTANDING_MAX) {
		session_error_code(session, "limit", "a client has at most 256 actuations without their outcome");
		return;
	}
	struct outstanding *outstanding = calloc(1, sizeof *outstanding);
	if (!outstanding) {
		session_error(session, -ENOMEM, NULL);
		return;
	}
	outstanding->requester.outcome = outcome;
	outstanding->session = session;
	outstanding->next = session->outstanding;
	outstanding->link = &session->outstanding;
	if (outstanding->next)
		outstanding->next->link = &outstanding->next;
	session->outstanding = outstanding;
	session->outstanding_count++;
	struct err err = {0};
	uint64_t request = 0;
	int r = store_request(session->store, &session->subject, id, message->text, message->text_length,
			      &outstanding->requester, &request, &err);
	if (r < 0) {
		free_outstanding(outstanding);
		session_error(session, r, &err);
		return;
	}
	session_ok(session, "%llu", (unsigned long long)request);
}

void session_free_outstanding(struct line_session *session)
{
	while (session->outstanding) {
		store_forget_requester(session->store, &session->outstanding->requester);
		free_outstanding(session->outstanding);
	}
}

void session_set(struct line_session *session, struct line_message *message)
{
	struct err err = {0};
	signal_id id = SIGNAL_NONE;
	int r = find_leaf(session, message->word, 0, &id, &err);
	if (r == 0 && store_node(session->store, id)->kind == NODE_ACTUATOR) {
		request_target(session, id, message);
		return;
	}
	if (r == 0)
		r = store_publish(session->store, &session->subject, NULL, id, message->text, message->text_length, 0, &err);
	if (r < 0)
		session_error(session, r, &err);
	else
		session_ok(session, "%s", "");
}

static void answer_plain(struct line_session *session, int r, const struct err *err)
{
	if (r < 0)
		session_error(session, r, err);
	else
		session_ok(session, "%s", "");
}

void session_group(struct line_session *session, struct line_message *message)
{
	struct err err = {0};
	signal_id branch = store_find(session->store, message->word);
	int r = branch == SIGNAL_NONE ? err_set(&err, -ENOENT, "line.unknown", "%s: no such branch", message->word)
				      : store_set_group(session->store, &session->subject, branch, message->text,
							message->text_length, &err);
	answer_plain(session, r, &err);
}

void session_force(struct line_session *session, struct line_message *message)
{
	struct err err = {0};
	signal_id id = SIGNAL_NONE;
	int r = find_leaf(session, message->word, 0, &id, &err);
	if (r == 0 && message->numbers[0] > INT64_MAX / 1000000)
		r = err_set(&err, -EINVAL, "line.syntax", "force: expected fewer milliseconds");
	if (r == 0)
		r = store_force(session->store, &session->subject, id, message->text, message->text_length,
				(int64_t)message->numbers[0] * 1000000, &err);
	answer_plain(session, r, &err);
}

void session_unforce(struct line_session *session, struct line_message *message)
{
	struct err err = {0};
	signal_id id = SIGNAL_NONE;
	int r = find_leaf(session, message->word, 0, &id, &err);
	if (r == 0)
		r = store_unforce(session->store, &session->subject, id, &err);
	answer_plain(session, r, &err);
}
