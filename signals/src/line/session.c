#include "signals/src/line/session.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "signals/src/line/session_internal.h"

/* ---- output ---- */

void session_said(struct line_session *session, size_t before)
{
	if (before == 0 && session->out.size > 0 && !session->sending)
		session->carrier->has_output(session->carrier);
}

int session_say(struct line_session *session, const char *format, ...)
{
	size_t before = session->out.size;
	va_list args;
	va_start(args, format);
	int r = buf_vprintf(&session->out, format, args);
	va_end(args);
	if (r == 0)
		r = buf_add_char(&session->out, '\n');
	if (r < 0) {
		session->out.size = before;
		if (session->out.data)
			session->out.data[before] = '\0';
		return r;
	}
	session_said(session, before);
	return 0;
}

void session_error_code(struct line_session *session, const char *code, const char *text)
{
	(void)session_say(session, "error %s %s", code, text); /* the queue always has room for one: line_session_reads() */
}

/* errno alone does not tell an unreadable line from an unfit value. */
static const char *code_for(int r, const struct err *err)
{
	if (r == -EINVAL && err && err->reason && strcmp(err->reason, "line.syntax") == 0)
		return "syntax";
	return line_code_of(r);
}

void session_error(struct line_session *session, int r, const struct err *err)
{
	session_error_code(session, code_for(r, err), err_text(err, r));
}

void session_ok(struct line_session *session, const char *format, ...)
{
	char text[256];
	va_list args;
	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	(void)session_say(session, "ok%s%s", *text ? " " : "", text);
}

/* ---- handles ---- */

static int grow_table(struct line_session *session)
{
	size_t size = session->table_size ? session->table_size * 2 : 16;
	if (session->table_size >= LINE_HANDLES_MAX)
		return -ENOSPC;
	struct entry **table = realloc(session->table, size * sizeof *table);
	if (!table)
		return -ENOMEM;
	memset(table + session->table_size, 0, (size - session->table_size) * sizeof *table);
	session->table = table;
	session->table_size = size;
	return 0;
}

int session_add_entry(struct line_session *session, struct entry *entry)
{
	size_t at = session->free_hint > 0 ? session->free_hint : 1;
	while (at < session->table_size && session->table[at])
		at++;
	if (at >= session->table_size) {
		int r = grow_table(session);
		if (r < 0)
			return r;
	}
	session->table[at] = entry;
	session->free_hint = at + 1;
	session->handle_count++;
	entry->handle = (uint32_t)at;
	entry->session = session;
	return 0;
}

void session_drop_entry(struct line_session *session, struct entry *entry)
{
	if (!entry->handle)
		return;
	session->table[entry->handle] = NULL;
	if (entry->handle < session->free_hint)
		session->free_hint = entry->handle;
	session->handle_count--;
	entry->handle = 0;
}

struct entry *session_entry(const struct line_session *session, uint64_t handle)
{
	return handle < session->table_size ? session->table[handle] : NULL;
}

/* ---- input ---- */

static void hello(struct line_session *session, struct line_message *message)
{
	if (message->numbers[0] != LINE_PROTOCOL_VERSION) {
		session_error_code(session, "version", "this service speaks version 1");
		return;
	}
	if (message->text && message->text_length > 0 && message->text_length <= LINE_NAME_MAX) {
		/* The name is the client's word; what stands behind it is ours. */
		(void)snprintf(session->subject.name, sizeof session->subject.name, "%.15s@%.15s", message->text,
			       session->subject_base);
	}
	session_ok(session, "%d axsignald %s", LINE_PROTOCOL_VERSION, AXLE_VERSION);
}

static void ping(struct line_session *session, struct line_message *message)
{
	(void)message;
	session_ok(session, "%s", "");
}

typedef void verb_fn(struct line_session *session, struct line_message *message);

static verb_fn *const VERBS[LINE_VERB_COUNT] = {
	[LINE_DATA] = session_data,	  [LINE_HELLO] = hello,		    [LINE_PING] = ping,
	[LINE_GET] = session_ask_value,	  [LINE_VALUES] = session_values,   [LINE_LIST] = session_list,
	[LINE_META] = session_meta,	  [LINE_STATE] = session_state,	    [LINE_SET] = session_set,
	[LINE_GROUP] = session_group,	  [LINE_SUB] = session_sub,	    [LINE_UNSUB] = session_unsub,
	[LINE_OPEN] = session_open,	  [LINE_CLAIM] = session_claim,	    [LINE_RELEASE] = session_release,
	[LINE_FORCE] = session_force,	  [LINE_UNFORCE] = session_unforce, [LINE_WHO] = session_who,
	[LINE_GRANTS] = session_grants,	  [LINE_STATS] = session_stats,	    [LINE_DONE] = session_done,
	[LINE_FAILED] = session_failed,	  [LINE_VIEWS] = session_views,
};

static bool is_data(char first)
{
	return first >= '0' && first <= '9';
}

/* A line that could not be read: the frame was broken, or its words make no sense. */
static void refuse_line(struct line_session *session, char first, int r, const struct err *err)
{
	if (is_data(first))
		(void)session_say(session, "refused 0 %s %s", code_for(r, err), err_text(err, r));
	else
		session_error(session, r, err);
}

static void take_line(struct line_session *session, char *line, size_t length)
{
	struct line_message message = {0};
	struct err err = {0};
	char first = *line;
	int r = line_parse_request(line, length, &message, &err);
	if (r < 0)
		refuse_line(session, first, r, &err);
	else
		VERBS[message.verb](session, &message);
}

static void take_bad_frame(struct line_session *session, int r)
{
	struct err err = {0};
	if (r == -EMSGSIZE)
		(void)err_set(&err, r, "line.too-long", "a line has at most %d bytes", LINE_BYTES_MAX);
	else
		r = err_set(&err, -EINVAL, "line.syntax", "a zero byte in a line");
	refuse_line(session, session->in.first, r, &err);
}

static void take_lines(struct line_session *session)
{
	char *line = NULL;
	size_t length = 0;
	while (line_session_reads(session)) {
		int r = line_reader_next(&session->in, &line, &length);
		if (r == 0)
			return;
		if (r < 0)
			take_bad_frame(session, r);
		else
			take_line(session, line, length);
	}
}

int line_session_tail(struct line_session *session, char **ret_tail, size_t *ret_room)
{
	return line_reader_tail(&session->in, ret_tail, ret_room);
}

void line_session_received(struct line_session *session, size_t size)
{
	line_reader_claim(&session->in, size);
	take_lines(session);
}

bool line_session_reads(const struct line_session *session)
{
	return session->out.size <= LINE_QUEUE_MAX;
}

const char *line_session_output(const struct line_session *session, size_t *ret_size)
{
	*ret_size = session->out.size;
	return session->out.data;
}

void line_session_sent(struct line_session *session, size_t size)
{
	session->sending = true;
	bool was_full = !line_session_reads(session);
	if (size == session->out.size && session->out.capacity > LINE_BYTES_MAX)
		buf_done(&session->out); /* a client at rest holds no memory */
	else
		buf_consume(&session->out, size);
	if (session->lossy && session->out.size <= LINE_QUEUE_MAX / 2)
		session_tell_lost(session);
	if (was_full && line_session_reads(session))
		take_lines(session);
	session->sending = false;
}

void line_session_reloaded(struct line_session *session)
{
	session_rematch(session);
}

int session_may(const struct line_session *session, signal_id id, unsigned rights)
{
	int r = store_may(session->store, &session->subject, id, rights);
	if (r == -EACCES)
		store_audit(session->store, AUDIT_DENY, &session->subject, id, NULL, r);
	return r;
}

void line_session_recheck(struct line_session *session)
{
	session_recheck_subs(session);
	session_recheck_publishers(session);
}

/* ---- life ---- */

int line_session_new(struct store *store, const struct subject *subject, struct line_carrier *carrier,
		     struct line_session **ret_session)
{
	struct line_session *session = calloc(1, sizeof *session);
	if (!session)
		return -ENOMEM;
	*session = (struct line_session){.store = store, .carrier = carrier, .subject = *subject, .in = LINE_READER_INIT,
					 .out = {.max = LINE_ANSWER_MAX + LINE_QUEUE_MAX}, .next_sub = 1};
	memcpy(session->subject_base, subject->name, sizeof session->subject_base);
	*ret_session = session;
	return 0;
}

void line_session_end(struct line_session *session)
{
	session_free_subs(session);
	session_free_publishers(session);
	session_free_outstanding(session);
}

void line_session_free(struct line_session *session)
{
	if (!session)
		return;
	line_session_end(session);
	free(session->table);
	line_reader_done(&session->in);
	buf_done(&session->out);
	free(session);
}
