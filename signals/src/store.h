/* The value store: what every face (files, line protocol, later network protocols) reads, waits for and sets.
 *
 * One thread. A signal is named by its id, which stays the same over reloads of the catalogue and restarts of the daemon.
 * Values are texts (signals/src/value.h), made once for each update and borrowed by all who read them. Everything that
 * must outlive a killed daemon lies in the table (signals/src/table.h); the store itself is rebuilt from it.
 *
 * Whoever acts brings a struct subject, against which each call checks the right it needs: -EACCES where it is lacking,
 * -ENOENT where the subject's view does not hold the signal at all. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/scoped.h"
#include "core/base/timers.h"
#include "signals/src/catalogue.h"
#include "signals/src/filter.h"
#include "signals/src/reading.h"

struct buf;
struct err;
struct policy;
struct store;
struct table;
struct view;

#define SUBJECT_NAME_MAX 32
#define REQUEST_QUEUE_MAX 64 /* requests a provider may have unread */

enum rights {
	RIGHT_READ = 1,
	RIGHT_PUBLISH = 2, /* sensors and attributes; the value of a signal that one provides */
	RIGHT_ACTUATE = 4, /* targets of actuators */
};

/* Who acts. Borrowed by calls; a provider's or requester's name is copied. */
struct subject {
	const struct view *view; /* NULL: the host, where owner, group, mode and ACL decide */
	uid_t uid;
	gid_t gid;
	const gid_t *groups; /* supplementary */
	size_t group_count;
	char name[SUBJECT_NAME_MAX]; /* shown as publisher: "uid:1000", "can0" */
};

/* ---- life ---- */

/* The caller owns *ret_store; the table is borrowed and may hold the state of a daemon that was killed. */
int store_new(struct table *table, struct store **ret_store);
void store_free(struct store *store);
SCOPED_DEFINE(struct store, store_free)

/* Puts a catalogue in force (the store takes it over): ids and values of signals that it still holds are kept, others
 * become QUALITY_REMOVED. Errors: -E2BIG (more signals than ids were ever left), with the old one still in force. */
int store_set_catalogue(struct store *store, struct catalogue *catalogue, struct err *err);

/* Owner, mode and ACL of each signal, its maximum age; borrowed. */
void store_set_policy(struct store *store, const struct policy *policy);

/* Time: one timer in the event loop serves rates, maximum ages and deadlines. Both in ns of CLOCK_BOOTTIME.
 * store_due() is INT64_MAX when nothing is waiting. */
int64_t store_due(const struct store *store);
void store_tick(struct store *store);
struct timers *store_timers(struct store *store);

/* Told after each reload. */
struct store_listener {
	void (*reloaded)(struct store_listener *listener);
	struct store_listener *next;
};
void store_listen(struct store *store, struct store_listener *listener);
void store_unlisten(struct store *store, struct store_listener *listener);

/* Told of what must be accounted for: targets that were asked for, values that were forced, what was denied. */
enum audit_action {
	AUDIT_ACTUATE,
	AUDIT_FORCE,
	AUDIT_UNFORCE,
	AUDIT_DENY,
};

struct store_auditor {
	/* @result: 0 or -errno. @text: the value, or NULL. */
	void (*acted)(struct store_auditor *auditor, enum audit_action action, const struct subject *subject, signal_id id,
		      const char *text, int result);
};
void store_set_auditor(struct store *store, struct store_auditor *auditor);
/* For faces that deny by themselves. */
void store_audit(const struct store *store, enum audit_action action, const struct subject *subject, signal_id id,
		 const char *text, int result);

/* ---- names ---- */

const struct catalogue *store_catalogue(const struct store *store);
signal_id store_find(const struct store *store, const char *path); /* dots or slashes; branches too; SIGNAL_NONE */
signal_id store_id(const struct store *store, uint32_t node);
uint32_t store_node_index(const struct store *store, signal_id id); /* NODE_NONE: removed from the catalogue */
uint32_t store_id_count(const struct store *store); /* every id is below it */
const struct node *store_node(const struct store *store, signal_id id); /* NULL: removed from the catalogue */
size_t store_path(const struct store *store, signal_id id, char ret_path[static CATALOGUE_PATH_MAX]);

/* Calls @visit for each leaf that @pattern names ("Vehicle.*.Speed", "Vehicle.Cabin.**", a path, a branch: all below it)
 * and that @subject may read; stops at the first result that is not 0 and returns it.
 * Errors: -EINVAL (no pattern), -ENOENT (names nothing). */
int store_match(struct store *store, const struct subject *subject, const char *pattern,
		int (*visit)(void *user, signal_id id), void *user);

/* 0, -EACCES or -ENOENT. @rights: a combination of enum rights, all of which are needed. */
int store_may(const struct store *store, const struct subject *subject, signal_id id, unsigned rights);

/* ---- values ---- */

/* Does not check rights. @id must be a leaf's. */
void store_get(const struct store *store, signal_id id, struct reading *ret_reading);

/* The same as @view sees it (NULL: the host): where a rate is granted, a value that changes no more often. All that shows
 * values to a subject reads them by this. */
void store_read(const struct store *store, const struct view *view, signal_id id, struct reading *ret_reading);
/* When a value that @view does not see yet will be seen (CLOCK_BOOTTIME). INT64_MAX: it sees the present one. */
int64_t store_read_due(const struct store *store, const struct view *view, signal_id id);

/* Errors: -ENOENT (no leaf), -EACCES, -EINVAL, -ERANGE, -EMSGSIZE (value_parse), -EBUSY (another claims it).
 * @source_ns: 0 for none. @provider: the caller's own claim, or NULL. */
struct provider;
int store_publish(struct store *store, const struct subject *subject, const struct provider *provider, signal_id id,
		  const char *text, size_t length, int64_t source_ns, struct err *err);

/* Publishes to a sensor or attribute, requests the target of an actuator: what writing the value file does.
 * Errors: those of store_publish() and store_request(). */
int store_set(struct store *store, const struct subject *subject, signal_id id, const char *text, size_t length,
	      struct err *err);

/* Several at once, all or nothing, seen together. @json: an object of paths relative to @branch (dots or slashes) and
 * values. Errors: those of store_set(); @err names the member. */
int store_set_group(struct store *store, const struct subject *subject, signal_id branch, const char *json,
		    size_t length, struct err *err);

/* A value that beats the publisher's until @for_ns have passed (0: until unforced). Needs RIGHT_PUBLISH.
 * Errors: those of store_publish(); unforce: -ENODATA (is not forced). */
int store_force(struct store *store, const struct subject *subject, signal_id id, const char *text, size_t length,
		int64_t for_ns, struct err *err);
int store_unforce(struct store *store, const struct subject *subject, signal_id id, struct err *err);

/* ---- waiting ---- */

/* Told of each update of one signal, after all signals of the same write have their new values. Intrusive; the callback
 * may unwatch itself but no other watcher. */
struct watcher {
	void (*updated)(struct watcher *watcher, signal_id id, const struct reading *reading);
	struct watcher *next;
	struct watcher **link;
};
void store_watch(struct store *store, signal_id id, struct watcher *watcher);
void store_unwatch(struct watcher *watcher);

/* A watcher behind a filter: @deliver gets what passes, first the present value if there is one, at the latest when the
 * filter's rate allows. Embedded by the owner, who zeroes it. */
struct subscription {
	struct watcher watcher; /* private */
	struct timer timer;	/* private */
	struct store *store;	/* private */
	signal_id id;
	const struct view *view; /* whose rate holds; NULL: the host */
	struct filter filter;
	struct filter_state *state; /* NULL: own_state; else memory of the owner's that outlives the daemon */
	struct filter_state own_state;
	/* May unsubscribe, but not free the subscription. */
	void (*deliver)(struct subscription *subscription, const struct reading *reading);
};

/* @resume: @state is an earlier daemon's: what it missed meanwhile is delivered. */
void store_subscribe(struct store *store, struct subscription *subscription, bool resume);
void store_unsubscribe(struct subscription *subscription);

/* ---- providing ---- */

struct request {
	uint64_t id;
	signal_id signal;
	const char *text;
	size_t length;
	int64_t deadline_ns; /* since the epoch */
	const char *requester;
};

/* Who claims a signal. Embedded by the owner, who zeroes it and fills the upper part. */
struct provider {
	/* Queues a request. 0, or -EAGAIN: the queue is full. NULL: takes no requests (-ENXIO for the requester). */
	int (*deliver)(struct provider *provider, const struct request *request);
	/* Will deliver() take one more? For writes that set several signals or none. NULL: yes. */
	bool (*has_room)(struct provider *provider);
	/* The claim ended without store_release(): the signal left the catalogue, or the right was revoked. */
	void (*revoked)(struct provider *provider);
	signal_id signal; /* SIGNAL_NONE: no claim */
	char name[SUBJECT_NAME_MAX];
	bool awaited; /* private: stands for one of a killed daemon's, until it comes back or too late */
	bool resumed; /* private: its claim began under an earlier daemon */
};

/* Errors: -ENOENT (no leaf), -EACCES (RIGHT_PUBLISH), -EBUSY (claimed). @resume: the claim of an earlier daemon's client. */
int store_claim(struct store *store, const struct subject *subject, signal_id id, struct provider *provider, bool resume,
		struct err *err);
/* The signal becomes unavailable. Does nothing without a claim. */
void store_release(struct store *store, struct provider *provider);
/* The provider says that there is no value now. Errors: -EPERM (no claim). */
int store_withdraw(struct store *store, struct provider *provider);

/* Who asked for a target and wants to hear of the outcome. Embedded by the owner; zeroed; NULL where nobody waits. */
struct requester {
	/* @result: 0, -EREMOTEIO (the provider's error, @text), -ETIMEDOUT, -EOWNERDEAD (the provider went). */
	void (*outcome)(struct requester *requester, uint64_t id, int result, const char *text);
	uint64_t id; /* of the outstanding request; 0: none */
};

/* Queues a request at the actuator's provider. Errors: -ENOENT, -EACCES (RIGHT_ACTUATE), those of value_parse(), -ENXIO
 * (nobody provides it), -EAGAIN (the provider's queue is full). */
int store_request(struct store *store, const struct subject *subject, signal_id id, const char *text, size_t length,
		  struct requester *requester, uint64_t *ret_request, struct err *err);
void store_forget_requester(struct store *store, struct requester *requester);

/* Errors: -ENOENT (no such request is open at this provider). @error: NULL for success. */
int store_answer(struct store *store, struct provider *provider, uint64_t request, const char *error);

/* ---- telling (JSON of one line, without newline) ---- */

int store_add_meta(const struct store *store, signal_id id, struct buf *ret_json);
int store_add_state(const struct store *store, const struct view *view, signal_id id, struct buf *ret_json);
/* The leaves below a branch that @subject may read: an object of relative paths and values; unavailable ones are null. */
int store_add_branch(const struct store *store, const struct subject *subject, signal_id branch, struct buf *ret_json);
/* What @subject may do: {"view":true,"uid":N,"name":...,"read":[patterns],"actuate":[...],"publish":[...],"rates":{pattern:
 * updates a second}}. */
int store_add_rights(const struct store *store, const struct subject *subject, struct buf *ret_json); /* from ,"read" on */
int store_add_grants(const struct store *store, const struct subject *subject, struct buf *ret_json);
/* Who provides, how many wait: {"path":...,"provider":...,"watchers":N} */
int store_add_who(const struct store *store, signal_id id, struct buf *ret_json);

/* A reader lost @count updates because it was slow: counted in the signal's state. */
void store_count_lost(struct store *store, signal_id id, uint64_t count);

/* ---- counting ---- */

struct store_stats {
	uint64_t updates;
	uint64_t requests;
	uint64_t refused;
	uint64_t lost;
};
const struct store_stats *store_stats(const struct store *store);
