/* Subscriptions of a session, and what becomes of updates that its client does not read. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "signals/src/line/session.h"
#include "signals/src/line/session_internal.h"

static struct sub_signal *of_subscription(struct subscription *subscription)
{
	return (struct sub_signal *)((char *)subscription - offsetof(struct sub_signal, subscription));
}

/* ---- updates ---- */

static int add_update(struct sub_signal *signal, const struct reading *reading)
{
	struct line_session *session = signal->entry.session;
	int64_t time = LINE_NO_TIME;
	if (signal->sub->with_time)
		time = reading->source_ns ? reading->source_ns : reading->receive_ns;
	size_t before = session->out.size;
	int r = line_add_data(&session->out, signal->entry.handle, time, reading->text, reading->length);
	session_said(session, before);
	return r;
}

static void lose(struct sub_signal *signal)
{
	struct line_session *session = signal->entry.session;
	if (signal->lost++ == 0) {
		signal->next_lossy = session->lossy;
		session->lossy = signal;
	}
	session->lost++;
	store_count_lost(session->store, signal->subscription.id, 1);
}

static void deliver(struct subscription *subscription, const struct reading *reading)
{
	struct sub_signal *signal = of_subscription(subscription);
	/* What was lost is told first, so that the order of updates holds. */
	if (signal->lost > 0 || signal->entry.session->out.size > LINE_QUEUE_MAX || add_update(signal, reading) < 0)
		lose(signal);
}

void session_tell_lost(struct line_session *session)
{
	struct sub_signal *signal = session->lossy;
	session->lossy = NULL;
	for (struct sub_signal *next = NULL; signal; signal = next) {
		next = signal->next_lossy;
		struct reading reading = {0};
		static const struct filter_state FRESH;
		store_read(session->store, signal->subscription.view, signal->subscription.id, &reading);
		uint64_t lost = signal->lost;
		signal->lost = 0;
		/* The newest is told now: it was among the lost, if it is one that the filter lets through. */
		bool tell = filter_judge(&signal->subscription.filter, &FRESH, &reading, 0) == FILTER_PASS;
		(void)session_say(session, "lost %u %llu", signal->entry.handle, (unsigned long long)(lost - tell));
		if (tell)
			(void)add_update(signal, &reading);
	}
}

static void forget_lossy(struct line_session *session, const struct sub_signal *signal)
{
	for (struct sub_signal **link = &session->lossy; *link; link = &(*link)->next_lossy) {
		if (*link == signal) {
			*link = signal->next_lossy;
			return;
		}
	}
}

/* ---- making and ending ---- */

static void end_signal(struct line_session *session, struct sub_signal *signal)
{
	if (signal->gone)
		return;
	store_unsubscribe(&signal->subscription);
	if (signal->lost > 0)
		forget_lossy(session, signal);
	session_drop_entry(session, &signal->entry);
	signal->gone = true;
}

static void free_sub(struct line_session *session, struct sub *sub)
{
	for (struct sub_signal *signal = sub->signals, *next = NULL; signal; signal = next) {
		next = signal->next;
		if (signal->subscription.store)
			end_signal(session, signal);
		else
			session_drop_entry(session, &signal->entry);
		free(signal);
	}
	free(sub->filter);
	free(sub);
}

void session_free_subs(struct line_session *session)
{
	for (struct sub *sub = session->subs, *next = NULL; sub; sub = next) {
		next = sub->next;
		free_sub(session, sub);
	}
	session->subs = NULL;
}

struct matching {
	struct line_session *session;
	struct sub *sub;
	const signal_id *known; /* sorted: those that the subscription has already */
	size_t known_count;
	size_t unfit; /* signals of a type that the filter is not for */
};

static int compare_ids(const void *a, const void *b)
{
	signal_id x = *(const signal_id *)a;
	signal_id y = *(const signal_id *)b;
	return (x > y) - (x < y);
}

/* Adds one signal to the subscription: a handle, no updates yet. */
static int add_signal(void *user, signal_id id)
{
	struct matching *matching = user;
	struct sub *sub = matching->sub;
	if (matching->known && bsearch(&id, matching->known, matching->known_count, sizeof id, compare_ids))
		return 0;
	const struct node *node = store_node(matching->session->store, id);
	struct filter filter = {0};
	if (sub->filter && filter_parse(sub->filter, strlen(sub->filter), &node->leaf->rule.type, &filter) < 0) {
		matching->unfit++;
		return 0;
	}
	struct sub_signal *signal = calloc(1, sizeof *signal);
	if (!signal)
		return -ENOMEM;
	signal->entry.kind = ENTRY_UPDATES;
	int r = session_add_entry(matching->session, &signal->entry);
	if (r < 0) {
		free(signal);
		return r;
	}
	signal->sub = sub;
	signal->subscription.id = id;
	signal->subscription.view = matching->session->subject.view; /* a grant may be for so many updates a second */
	signal->subscription.filter = filter;
	signal->subscription.deliver = deliver;
	*sub->last = signal;
	sub->last = &signal->next;
	sub->count++;
	return 0;
}

/* Tells the names of the signals from @first on. Errors: -EMSGSIZE, -ENOMEM. */
static int tell_names(struct line_session *session, const struct sub *sub, const struct sub_signal *first)
{
	char path[CATALOGUE_PATH_MAX];
	int r = 0;
	for (const struct sub_signal *signal = first; signal && r == 0; signal = signal->next) {
		(void)store_path(session->store, signal->subscription.id, path);
		r = session_say(session, "name %llu %u %s", (unsigned long long)sub->id, signal->entry.handle, path);
	}
	return r;
}

static void start_updates(struct line_session *session, struct sub_signal *first)
{
	for (struct sub_signal *signal = first; signal; signal = signal->next)
		store_subscribe(session->store, &signal->subscription, false);
}

/* Why a pattern gave nothing: the plain path is there but not permitted, or the filter fits nothing. */
static int why_nothing(const struct matching *matching, int r, struct err *err)
{
	const char *pattern = matching->sub->pattern;
	if (matching->unfit > 0)
		return err_set(err, -EINVAL, "line.filter", "%s@%s: no such filter for this type", pattern,
			       matching->sub->filter);
	signal_id id = store_find(matching->session->store, pattern);
	int may = id == SIGNAL_NONE ? -ENOENT : session_may(matching->session, id, RIGHT_READ);
	if (may == -EACCES)
		return err_set(err, may, "line.denied", "%s: not permitted to read", pattern);
	if (r == -EINVAL)
		return err_set(err, r, "line.syntax", "%s: expected a path or a pattern", pattern);
	return err_set(err, -ENOENT, "line.unknown", "%s: names no signal", pattern);
}

static struct sub *new_sub(struct line_session *session, const char *word, bool with_time)
{
	const char *at = strchr(word, '@');
	size_t length = at ? (size_t)(at - word) : strlen(word);
	struct sub *sub = calloc(1, sizeof *sub + length + 1);
	if (!sub)
		return NULL;
	memcpy(sub->pattern, word, length);
	sub->last = &sub->signals;
	sub->with_time = with_time;
	sub->id = session->next_sub++;
	if (at && !(sub->filter = strdup(at + 1))) {
		free(sub);
		return NULL;
	}
	return sub;
}

static int match(struct matching *matching, struct err *err)
{
	struct line_session *session = matching->session;
	int r = store_match(session->store, &session->subject, matching->sub->pattern, add_signal, matching);
	if (r == -ENOSPC)
		return err_set(err, r, "line.limit", "a client has at most %d handles", LINE_HANDLES_MAX);
	if (r == -ENOMEM)
		return r;
	return matching->sub->count == 0 ? why_nothing(matching, r, err) : 0;
}

void session_sub(struct line_session *session, struct line_message *message)
{
	struct err err = {0};
	bool with_time = message->text && strcmp(message->text, "time") == 0;
	if (message->text && !with_time) {
		session_error_code(session, "syntax", "sub: expected nothing or \"time\" behind the pattern");
		return;
	}
	if (session->sub_count >= LINE_SUBS_MAX) {
		session_error_code(session, "limit", "a client has at most 1024 subscriptions");
		return;
	}
	struct sub *sub = new_sub(session, message->word, with_time);
	if (!sub) {
		session_error(session, -ENOMEM, NULL);
		return;
	}
	struct matching matching = {.session = session, .sub = sub};
	size_t before = session->out.size;
	int r = match(&matching, &err);
	if (r == 0 && (r = tell_names(session, sub, sub->signals)) < 0)
		session->out.size = before;
	if (r < 0) {
		free_sub(session, sub);
		if (matching.unfit > 0 && r == -EINVAL)
			session_error_code(session, "filter", err.message);
		else
			session_error(session, r, &err);
		return;
	}
	sub->next = session->subs;
	session->subs = sub;
	session->sub_count++;
	session_ok(session, "%llu %zu", (unsigned long long)sub->id, sub->count);
	start_updates(session, sub->signals);
}

void session_unsub(struct line_session *session, struct line_message *message)
{
	for (struct sub **link = &session->subs; *link; link = &(*link)->next) {
		struct sub *sub = *link;
		if (sub->id != message->numbers[0])
			continue;
		*link = sub->next;
		session->sub_count--;
		free_sub(session, sub);
		session_ok(session, "%s", "");
		return;
	}
	session_error_code(session, "handle", "no such subscription");
}

/* ---- changes of the catalogue and of grants ---- */

static void rematch_sub(struct line_session *session, struct sub *sub)
{
	signal_id *known = calloc(sub->count + 1, sizeof *known);
	if (!known)
		return; /* new signals are missed until the next reload; nothing that was there is lost */
	size_t count = 0;
	for (const struct sub_signal *signal = sub->signals; signal; signal = signal->next)
		known[count++] = signal->subscription.id;
	qsort(known, count, sizeof *known, compare_ids);
	struct matching matching = {.session = session, .sub = sub, .known = known, .known_count = count};
	struct sub_signal **first = sub->last;
	(void)store_match(session->store, &session->subject, sub->pattern, add_signal, &matching);
	(void)tell_names(session, sub, *first);
	start_updates(session, *first);
	free(known);
}

void session_rematch(struct line_session *session)
{
	for (struct sub *sub = session->subs; sub; sub = sub->next)
		rematch_sub(session, sub);
}

void session_recheck_subs(struct line_session *session)
{
	for (struct sub *sub = session->subs; sub; sub = sub->next) {
		for (struct sub_signal *signal = sub->signals; signal; signal = signal->next) {
			uint32_t handle = signal->entry.handle;
			if (signal->gone || store_may(session->store, &session->subject, signal->subscription.id, RIGHT_READ) == 0)
				continue;
			end_signal(session, signal);
			(void)session_say(session, "gone %u", handle);
		}
	}
	session_rematch(session);
}
