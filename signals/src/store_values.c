#include "signals/src/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "signals/src/store_internal.h"
#include "signals/src/view.h"

static int64_t now_of(clockid_t clock)
{
	struct timespec now = {0};
	(void)clock_gettime(clock, &now); /* cannot fail for these clocks */
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t store_now_boot(void)
{
	return now_of(CLOCK_BOOTTIME);
}

int64_t store_now_real(void)
{
	return now_of(CLOCK_REALTIME);
}

/* ---- life ---- */

int store_new(struct table *table, struct store **ret_store)
{
	struct store *store = calloc(1, sizeof *store);
	if (!store)
		return -ENOMEM;
	store->table = table;
	store->first_request = table->header->next_request;
	store->unforce.fire = store_unforce_due;
	*ret_store = store;
	return 0;
}

void store_free(struct store *store)
{
	if (!store)
		return;
	timers_done(&store->timers); /* first: timers are parts of what is freed below */
	while (store->requests) {
		struct open_request *request = store->requests;
		store->requests = request->next;
		free(request);
	}
	for (uint32_t i = 0; i < store->slot_count; i++) {
		if (store->slots[i].provider && store->slots[i].provider->awaited)
			free(store->slots[i].provider);
		free(store->slots[i].age);
	}
	free(store->slots);
	free(store->ids);
	catalogue_free(store->catalogue);
	free(store);
}

int64_t store_due(const struct store *store)
{
	return timers_due(&store->timers);
}

void store_tick(struct store *store)
{
	timers_fire(&store->timers, store_now_boot());
}

struct timers *store_timers(struct store *store)
{
	return &store->timers;
}

void store_listen(struct store *store, struct store_listener *listener)
{
	listener->next = store->listeners;
	store->listeners = listener;
}

void store_unlisten(struct store *store, struct store_listener *listener)
{
	struct store_listener **link = &store->listeners;
	while (*link && *link != listener)
		link = &(*link)->next;
	if (*link)
		*link = listener->next;
}

void store_set_auditor(struct store *store, struct store_auditor *auditor)
{
	store->auditor = auditor;
}

void store_audit(const struct store *store, enum audit_action action, const struct subject *subject, signal_id id,
		 const char *text, int result)
{
	if (store->auditor)
		store->auditor->acted(store->auditor, action, subject, id, text, result);
}

const struct store_stats *store_stats(const struct store *store)
{
	return &store->stats;
}

void store_count_lost(struct store *store, signal_id id, uint64_t count)
{
	store->slots[id].lost += count;
	store->stats.lost += count;
}

/* ---- values ---- */

static void read_cell(const struct store *store, signal_id id, struct reading *ret_reading)
{
	*ret_reading = (struct reading){.changed = true};
	if (!(store->table->entries[id].touched & TOUCHED_CELL))
		return;
	const struct table_cell *cell = store_cell(store, id);
	bool available = cell->quality >= QUALITY_GOOD;
	*ret_reading = (struct reading){
		.text = available ? table_text_bytes(store->table, &cell->text) : NULL,
		.length = available ? cell->text.size : 0,
		.number = cell->number,
		.sequence = cell->sequence,
		.source_ns = cell->source_ns,
		.receive_ns = cell->receive_ns,
		.quality = (enum quality)cell->quality,
		.changed = true,
	};
}

void store_get(const struct store *store, signal_id id, struct reading *ret_reading)
{
	const struct table_force *force = &store->table->forces[id];
	read_cell(store, id, ret_reading);
	if (!(store->table->entries[id].touched & TOUCHED_FORCE) || !force->active ||
	    ret_reading->quality == QUALITY_REMOVED)
		return;
	ret_reading->text = table_text_bytes(store->table, &force->text);
	ret_reading->length = force->text.size;
	ret_reading->number = force->number;
	ret_reading->sequence = force->sequence;
	ret_reading->receive_ns = force->since_ns;
	ret_reading->source_ns = 0;
	ret_reading->quality = QUALITY_FORCED;
}

static bool is_change(const struct store *store, const struct table_cell *cell, const struct change *change)
{
	bool available = cell->quality >= QUALITY_GOOD;
	if (available != (change->text != NULL))
		return true;
	return available && (cell->text.size != change->length ||
			     memcmp(table_text_bytes(store->table, &cell->text), change->text, change->length) != 0);
}

static enum quality quality_of(const struct store *store, signal_id id)
{
	bool touched = store->table->entries[id].touched & TOUCHED_CELL;
	return touched ? (enum quality)store_cell(store, id)->quality : QUALITY_NEVER;
}

static void start_aging(struct store *store, signal_id id, bool available)
{
	struct slot_age *age = store->slots[id].age;
	if (!age)
		return;
	if (available)
		(void)timer_set(&store->timers, &age->timer, store_cell(store, id)->receive_boot_ns + age->max_ns);
	else
		timer_cancel(&store->timers, &age->timer);
}

int store_apply(struct store *store, signal_id id, const struct change *change, bool *ret_changed)
{
	struct table_entry *entry = &store->table->entries[id];
	const struct table_cell *old = store_cell(store, id);
	struct table_cell *cell = &store->table->cells[id][~entry->current & 1];
	entry->touched |= TOUCHED_CELL;
	*ret_changed = is_change(store, old, change);
	int r = table_text_set(store->table, &cell->text, change->text ? change->text : "",
			       change->text ? change->length : 0);
	if (r < 0)
		return r;
	uint64_t forced = entry->touched & TOUCHED_FORCE ? store->table->forces[id].sequence : 0;
	cell->sequence = (old->sequence > forced ? old->sequence : forced) + 1;
	cell->source_ns = change->source_ns;
	cell->receive_ns = store_now_real();
	cell->receive_boot_ns = store_now_boot();
	cell->number = change->number;
	cell->quality = (uint8_t)change->quality;
	table_actor_set(cell->publisher, change->publisher);
	table_commit(&entry->current, (uint8_t)(~entry->current & 1));
	/* the cell that was in force is kept as it is until the next update: readers may still look at its text */
	store->stats.updates++;
	start_aging(store, id, change->text != NULL);
	return 0;
}

int store_update(struct store *store, signal_id id, const struct change *change)
{
	bool changed = false;
	int r = store_apply(store, id, change, &changed);
	if (r == 0)
		store_notify(store, id, changed);
	return r;
}

int store_check_leaf(const struct store *store, signal_id id, struct err *err)
{
	const struct node *node = store_node(store, id);
	if (!node || !node_is_leaf(node))
		return err_set(err, -ENOENT, "signal.unknown", "no such signal");
	return 0;
}

int store_publish(struct store *store, const struct subject *subject, const struct provider *provider, signal_id id,
		  const char *text, size_t length, int64_t source_ns, struct err *err)
{
	int r = store_check_leaf(store, id, err);
	if (r == 0)
		r = store_check_right(store, subject, id, RIGHT_PUBLISH, err);
	if (r < 0)
		return r;
	const struct provider *claimed_by = store->slots[id].provider;
	if (claimed_by && claimed_by != provider && !claimed_by->awaited)
		return err_set(err, -EBUSY, "signal.claimed", "%s provides it", claimed_by->name);
	struct buf canonical = {.max = 8 * VALUE_TEXT_MAX};
	struct change change = {.quality = QUALITY_GOOD, .source_ns = source_ns, .publisher = subject->name};
	r = value_parse(store_rule(store, id), text, length, &canonical, &change.number, err);
	if (r == 0) {
		change.text = canonical.data ? canonical.data : "";
		change.length = canonical.size;
		r = store_update(store, id, &change);
	}
	store->stats.refused += r < 0;
	buf_done(&canonical);
	return r;
}

int store_set(struct store *store, const struct subject *subject, signal_id id, const char *text, size_t length,
	      struct err *err)
{
	int r = store_check_leaf(store, id, err);
	if (r < 0)
		return r;
	uint64_t request = 0;
	if (store_node(store, id)->kind == NODE_ACTUATOR)
		return store_request(store, subject, id, text, length, NULL, &request, err);
	return store_publish(store, subject, NULL, id, text, length, 0, err);
}

/* ---- rights ---- */

struct permissions store_permissions(const struct store *store, signal_id id)
{
	char path[CATALOGUE_PATH_MAX];
	store_path(store, id, path);
	return policy_resolve(store->policy, path);
}

int store_may(const struct store *store, const struct subject *subject, signal_id id, unsigned rights)
{
	if (subject->view) {
		unsigned granted = view_rights(subject->view, id);
		if (!granted)
			return -ENOENT;
		return (granted & rights) == rights ? 0 : -EACCES;
	}
	if (subject->uid == 0)
		return 0;
	struct permissions permissions = store_permissions(store, id);
	unsigned bits = (rights & RIGHT_READ ? 4U : 0) | (rights & (RIGHT_PUBLISH | RIGHT_ACTUATE) ? 2U : 0);
	return permissions_allow(&permissions, subject->uid, subject->gid, subject->groups, subject->group_count, bits)
		       ? 0
		       : -EACCES;
}

int store_check_right(struct store *store, const struct subject *subject, signal_id id, unsigned rights,
		      struct err *err)
{
	int r = store_may(store, subject, id, rights);
	if (r == 0)
		return 0;
	store->stats.refused++;
	store_audit(store, AUDIT_DENY, subject, id, NULL, r);
	char path[CATALOGUE_PATH_MAX];
	store_path(store, id, path);
	return err_set(err, r, r == -ENOENT ? "signal.unknown" : "signal.denied", "%.200s: %s", path,
		       r == -ENOENT ? "no such signal" : "not permitted");
}

/* ---- catalogue and policy ---- */

/* A value that was kept must still be one under the rule that is now in force. */
static void recheck_value(struct store *store, signal_id id)
{
	const struct node *node = store_node(store, id);
	struct change change = {.quality = QUALITY_REMOVED, .publisher = ""};
	if (quality_of(store, id) < QUALITY_GOOD)
		return;
	const struct table_cell *cell = store_cell(store, id);
	if (node && node_is_leaf(node)) {
		struct buf text = {.max = 8 * VALUE_TEXT_MAX};
		int r = value_parse(&node->leaf->rule, table_text_bytes(store->table, &cell->text), cell->text.size,
				    &text, &change.number, NULL);
		buf_done(&text);
		if (r == 0)
			return;
	}
	(void)store_update(store, id, &change); /* unavailable needs no memory: cannot fail */
}

static void start_with_default(struct store *store, signal_id id)
{
	const struct node *node = store_node(store, id);
	if (!node || node->kind != NODE_ATTRIBUTE || !node->leaf->default_text)
		return;
	enum quality quality = quality_of(store, id);
	if (quality != QUALITY_NEVER && quality != QUALITY_DEFAULT)
		return;
	struct change change = {.quality = QUALITY_DEFAULT, .publisher = "catalogue", .text = node->leaf->default_text,
				.length = strlen(node->leaf->default_text)};
	struct buf text = {.max = 8 * VALUE_TEXT_MAX};
	(void)value_parse(&node->leaf->rule, change.text, change.length, &text, &change.number, NULL); /* for the number */
	buf_done(&text);
	if (quality == QUALITY_NEVER || is_change(store, store_cell(store, id), &change))
		(void)store_update(store, id, &change); /* without memory it stays unset */
}

static void revoke_removed(struct store *store, signal_id id)
{
	struct provider *provider = store->slots[id].provider;
	const struct node *node = store_node(store, id);
	if (!provider || (node && node_is_leaf(node)))
		return;
	store_end_requests(store, id, -EOWNERDEAD);
	store->slots[id].provider = NULL;
	store->table->entries[id].claimed = 0;
	if (provider->awaited) {
		free(provider);
		return;
	}
	provider->signal = SIGNAL_NONE;
	provider->revoked(provider);
}

static void age_out(struct timer *timer)
{
	struct slot_age *age = (struct slot_age *)((char *)timer - offsetof(struct slot_age, timer));
	struct change change = {.quality = QUALITY_TIMEOUT, .publisher = ""};
	if (quality_of(age->store, age->id) >= QUALITY_GOOD)
		(void)store_update(age->store, age->id, &change); /* unavailable needs no memory: cannot fail */
}

static void apply_age(struct store *store, signal_id id)
{
	struct slot *slot = &store->slots[id];
	const struct node *node = store_node(store, id);
	int64_t max_ns = node && node_is_leaf(node) ? store_permissions(store, id).max_age_ns : 0;
	if (slot->age)
		timer_cancel(&store->timers, &slot->age->timer);
	if (max_ns == 0) {
		free(slot->age);
		slot->age = NULL;
		return;
	}
	if (!slot->age)
		slot->age = calloc(1, sizeof *slot->age);
	if (!slot->age)
		return; /* does not age: better than no service */
	*slot->age = (struct slot_age){.timer.fire = age_out, .store = store, .id = id, .max_ns = max_ns};
	start_aging(store, id, quality_of(store, id) >= QUALITY_GOOD);
}

static bool policy_has_ages(const struct policy *policy)
{
	for (size_t i = 0; policy && i < policy->count; i++)
		if (policy->rules[i].given & RULE_AGE)
			return true;
	return false;
}

void store_set_policy(struct store *store, const struct policy *policy)
{
	bool ages = policy_has_ages(policy) || policy_has_ages(store->policy);
	store->policy = policy;
	for (uint32_t i = 0; ages && i < store->slot_count; i++)
		apply_age(store, i);
}

int store_set_catalogue(struct store *store, struct catalogue *catalogue, struct err *err)
{
	bool first = !store->catalogue;
	int r = store_follow_names(store, catalogue, err);
	if (r < 0)
		return r;
	catalogue_free(store->catalogue);
	store->catalogue = catalogue;
	for (uint32_t i = 0; i < store->slot_count; i++) {
		revoke_removed(store, i);
		recheck_value(store, i);
		start_with_default(store, i);
	}
	store_set_policy(store, store->policy);
	if (first) {
		store_restore_claims(store);
		store_force_restore(store);
	}
	for (struct store_listener *listener = store->listeners; listener; listener = listener->next)
		listener->reloaded(listener);
	return 0;
}
