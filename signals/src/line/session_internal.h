/* The inside of a session: handles and who they belong to. */
#pragma once

#include "core/base/buf.h"
#include "core/base/err.h"
#include "signals/src/line/line.h"
#include "signals/src/store.h"

struct line_carrier;

enum entry_kind {
	ENTRY_UPDATES, /* a signal of a subscription */
	ENTRY_OPEN,    /* publishes without a claim */
	ENTRY_CLAIM,
};

/* What a handle stands for: the head of a sub_signal or a publisher. */
struct entry {
	enum entry_kind kind;
	uint32_t handle; /* its place in the table; 0: none */
	struct line_session *session;
};

struct sub_signal {
	struct entry entry;
	struct sub *sub;
	struct sub_signal *next;
	struct sub_signal *next_lossy; /* in the session's list of those with lost updates */
	uint64_t lost;
	bool gone;
	struct subscription subscription;
};

struct sub {
	struct sub *next;
	uint64_t id;
	bool with_time;
	size_t count;
	struct sub_signal *signals;
	struct sub_signal **last;
	char *filter; /* behind the '@', or NULL */
	char pattern[];
};

struct publisher {
	struct entry entry;
	struct publisher *next;
	signal_id signal;
	struct provider provider;
};

/* An actuation of this client's that has no outcome yet. */
struct outstanding {
	struct requester requester;
	struct line_session *session;
	struct outstanding *next;
	struct outstanding **link;
};

struct line_session {
	struct store *store;
	struct line_carrier *carrier;
	struct subject subject;
	char subject_base[SUBJECT_NAME_MAX];
	struct line_reader in;
	struct buf out;
	struct entry **table; /* by handle; [0] is never used */
	size_t table_size;
	size_t free_hint;
	size_t handle_count;
	struct sub *subs;
	size_t sub_count;
	uint64_t next_sub;
	struct publisher *publishers;
	size_t publisher_count;
	struct outstanding *outstanding;
	size_t outstanding_count;
	struct sub_signal *lossy;
	uint64_t lost;
	bool sending; /* within line_session_sent() */
};

/* ---- session.c ---- */

/* An answer's final line. */
void session_ok(struct line_session *session, const char *format, ...) __attribute__((format(printf, 2, 3)));
void session_error(struct line_session *session, int r, const struct err *err);
void session_error_code(struct line_session *session, const char *code, const char *text);

/* Any line; @format has no line end. -EMSGSIZE: no room, nothing was added. */
int session_say(struct line_session *session, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* @before: the size of the output before something was appended to it directly. */
void session_said(struct line_session *session, size_t before);

/* Gives @entry a handle. Errors: -ENOSPC, -ENOMEM. */
int session_add_entry(struct line_session *session, struct entry *entry);
void session_drop_entry(struct line_session *session, struct entry *entry);
struct entry *session_entry(const struct line_session *session, uint64_t handle);

/* ---- subs.c, publishers.c, requests.c: by verb ---- */

void session_sub(struct line_session *session, struct line_message *message);
void session_unsub(struct line_session *session, struct line_message *message);
void session_free_subs(struct line_session *session);
void session_tell_lost(struct line_session *session);
void session_rematch(struct line_session *session);
/* store_may(), and what is refused is audited. */
int session_may(const struct line_session *session, signal_id id, unsigned rights);
void session_recheck_subs(struct line_session *session);

void session_open(struct line_session *session, struct line_message *message);
void session_claim(struct line_session *session, struct line_message *message);
void session_release(struct line_session *session, struct line_message *message);
void session_data(struct line_session *session, struct line_message *message);
void session_done(struct line_session *session, struct line_message *message);
void session_failed(struct line_session *session, struct line_message *message);
void session_free_publishers(struct line_session *session);
void session_recheck_publishers(struct line_session *session);

void session_set(struct line_session *session, struct line_message *message);
void session_free_outstanding(struct line_session *session);
void session_ask_value(struct line_session *session, struct line_message *message);
void session_values(struct line_session *session, struct line_message *message);
void session_views(struct line_session *session, struct line_message *message);
void session_list(struct line_session *session, struct line_message *message);
void session_meta(struct line_session *session, struct line_message *message);
void session_state(struct line_session *session, struct line_message *message);
void session_who(struct line_session *session, struct line_message *message);
void session_group(struct line_session *session, struct line_message *message);
void session_force(struct line_session *session, struct line_message *message);
void session_unforce(struct line_session *session, struct line_message *message);
void session_grants(struct line_session *session, struct line_message *message);
void session_stats(struct line_session *session, struct line_message *message);
