/* Shared by the files of the store: store_values.c (life, values), store_names.c, store_wait.c (watchers), store_provide.c
 * (claims, requests), store_group.c, store_tell.c (JSON). */
#pragma once

#include "signals/src/policy.h"
#include "signals/src/store.h"
#include "signals/src/table.h"
#include "signals/src/value.h"

/* What is known of an id beside its entry in the table; rebuilt by each daemon. */
struct slot {
	struct watcher *watchers;
	struct provider *provider;
	struct slot_age *age; /* NULL: values do not age */
	uint64_t lost;
	uint32_t node; /* in the catalogue in force; NODE_NONE: removed */
};

/* The maximum age of one signal. */
struct slot_age {
	struct timer timer;
	struct store *store;
	signal_id id;
	int64_t max_ns;
};

/* A request that its provider has not answered. */
struct open_request {
	struct timer timer; /* its deadline */
	struct store *store;
	uint64_t id;
	signal_id signal;
	struct requester *requester; /* NULL: nobody waits */
	struct open_request *next;
};

struct store {
	struct table *table;
	struct catalogue *catalogue;
	const struct policy *policy;
	struct slot *slots; /* by id */
	uint32_t slot_count;
	uint32_t *ids; /* by node of the catalogue */
	struct timers timers;
	struct open_request *requests;
	uint64_t first_request; /* the first id that this daemon may give */
	struct store_listener *listeners;
	struct store_auditor *auditor; /* NULL: nobody is told */
	struct timer unforce;
	struct timer awaited; /* claims of a killed daemon's clients that did not come back */
	struct store_stats stats;
};

#define AWAIT_NS INT64_C(2000000000)

/* One value to be put in force. */
struct change {
	const char *text; /* NULL: unavailable */
	size_t length;
	double number;
	enum quality quality;
	int64_t source_ns;
	const char *publisher;
};

int64_t store_now_boot(void);
int64_t store_now_real(void);

static inline struct table_cell *store_cell(const struct store *store, signal_id id)
{
	return &store->table->cells[id][store->table->entries[id].current & 1];
}

static inline const struct value_rule *store_rule(const struct store *store, signal_id id)
{
	return &store_node(store, id)->leaf->rule;
}

/* Puts a value into force without telling anyone. Errors: -ENOSPC. *ret_changed: another text or availability. */
int store_apply(struct store *store, signal_id id, const struct change *change, bool *ret_changed);
/* Tells the watchers. */
void store_notify(struct store *store, signal_id id, bool changed);
int store_update(struct store *store, signal_id id, const struct change *change);

struct permissions store_permissions(const struct store *store, signal_id id);

/* Whether a leaf of the catalogue. Errors: -ENOENT. */
int store_check_leaf(const struct store *store, signal_id id, struct err *err);
/* store_may() with a message. */
int store_check_right(struct store *store, const struct subject *subject, signal_id id, unsigned rights,
		      struct err *err);

/* The two halves of store_request(): all that can fail, then the delivery. */
int store_request_check(struct store *store, const struct subject *subject, signal_id id, struct err *err);
int store_request_deliver(struct store *store, const struct subject *subject, signal_id id, const char *text,
			  size_t length, struct requester *requester, uint64_t *ret_request, struct err *err);

void store_restore_claims(struct store *store);
void store_end_requests(struct store *store, signal_id id, int result);
void store_force_restore(struct store *store);
void store_unforce_due(struct timer *timer);
int store_follow_names(struct store *store, struct catalogue *catalogue, struct err *err);
