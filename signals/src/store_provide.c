/* Claims, requests to providers and their outcomes, forced values. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "signals/src/store_internal.h"

/* ---- claims ---- */

static void make_unavailable(struct store *store, signal_id id, enum quality quality, const char *publisher)
{
	struct change change = {.quality = quality, .publisher = publisher};
	bool touched = store->table->entries[id].touched & TOUCHED_CELL;
	if (touched && store_cell(store, id)->quality >= QUALITY_GOOD)
		(void)store_update(store, id, &change); /* unavailable needs no memory: cannot fail */
}

int store_claim(struct store *store, const struct subject *subject, signal_id id, struct provider *provider, bool resume,
		struct err *err)
{
	int r = store_check_leaf(store, id, err);
	if (r == 0 && !resume)
		r = store_check_right(store, subject, id, RIGHT_PUBLISH, err);
	if (r < 0)
		return r;
	struct provider *present = store->slots[id].provider;
	if (present && !present->awaited)
		return err_set(err, -EBUSY, "signal.claimed", "%s provides it", present->name);
	free(present);
	provider->signal = id;
	provider->resumed = resume;
	table_actor_set(provider->name, subject->name);
	store->slots[id].provider = provider;
	store->table->entries[id].claimed = 1;
	return 0;
}

void store_release(struct store *store, struct provider *provider)
{
	signal_id id = provider->signal;
	if (id == SIGNAL_NONE || store->slots[id].provider != provider)
		return;
	store_end_requests(store, id, -EOWNERDEAD);
	store->slots[id].provider = NULL;
	store->table->entries[id].claimed = 0;
	provider->signal = SIGNAL_NONE;
	make_unavailable(store, id, QUALITY_PROVIDER, provider->name);
}

int store_withdraw(struct store *store, struct provider *provider)
{
	if (provider->signal == SIGNAL_NONE)
		return -EPERM;
	make_unavailable(store, provider->signal, QUALITY_WITHDRAWN, provider->name);
	return 0;
}

/* The clients of a killed daemon had their time to come back. */
static void stop_awaiting(struct timer *timer)
{
	struct store *store = (struct store *)((char *)timer - offsetof(struct store, awaited));
	for (uint32_t i = 0; i < store->slot_count; i++) {
		struct provider *provider = store->slots[i].provider;
		if (!provider || !provider->awaited)
			continue;
		store_release(store, provider);
		free(provider);
	}
}

static int request_is_refused(struct provider *provider, const struct request *request)
{
	(void)provider;
	(void)request;
	return -EAGAIN;
}

static void await_provider(struct store *store, signal_id id)
{
	struct provider *provider = calloc(1, sizeof *provider);
	if (!provider)
		return;
	*provider = (struct provider){.deliver = request_is_refused, .signal = id, .name = "gone", .awaited = true};
	store->slots[id].provider = provider;
}

/* ---- requests ---- */

static void request_expired(struct timer *timer);

static struct open_request *add_request(struct store *store, uint64_t id, signal_id signal, int64_t due_boot_ns)
{
	struct open_request *request = calloc(1, sizeof *request);
	if (!request)
		return NULL;
	*request = (struct open_request){.timer.fire = request_expired, .store = store, .id = id, .signal = signal,
					 .next = store->requests};
	if (timer_set(&store->timers, &request->timer, due_boot_ns) < 0) {
		free(request);
		return NULL;
	}
	store->requests = request;
	return request;
}

static void end_request(struct open_request *request, int result, const char *text)
{
	struct store *store = request->store;
	struct table_target *target = &store->table->targets[request->signal];
	struct open_request **link = &store->requests;
	while (*link != request)
		link = &(*link)->next;
	*link = request->next;
	timer_cancel(&store->timers, &request->timer);
	if (target->id == request->id) { /* the last one: its outcome is the signal's state */
		size_t n = strnlen(text ? text : "", sizeof target->error - 1);
		memcpy(target->error, text ? text : "", n);
		target->error[n] = '\0';
		table_commit(&target->result, result);
	}
	if (request->requester) {
		request->requester->id = 0;
		request->requester->outcome(request->requester, request->id, result, text);
	}
	free(request);
}

static void request_expired(struct timer *timer)
{
	struct open_request *request = (struct open_request *)((char *)timer - offsetof(struct open_request, timer));
	end_request(request, -ETIMEDOUT, "the provider did not answer in time");
}

void store_end_requests(struct store *store, signal_id id, int result)
{
	for (struct open_request *request = store->requests, *next = NULL; request; request = next) {
		next = request->next;
		if (request->signal == id)
			end_request(request, result, "the provider went");
	}
}

void store_forget_requester(struct store *store, struct requester *requester)
{
	for (struct open_request *request = store->requests; request; request = request->next)
		if (request->requester == requester)
			request->requester = NULL;
	requester->id = 0;
}

int store_answer(struct store *store, struct provider *provider, uint64_t id, const char *error)
{
	struct open_request *request = store->requests;
	while (request && (request->id != id || store->slots[request->signal].provider != provider))
		request = request->next;
	/* one that an earlier daemon queued: of those only the last is known here, and nobody waits for the others; or its answer
	 * comes twice, that daemon having died before it could say so */
	if (!request)
		return provider->resumed && id < store->first_request ? 0 : -ENOENT;
	end_request(request, error ? -EREMOTEIO : 0, error);
	return 0;
}

int store_request_check(struct store *store, const struct subject *subject, signal_id id, struct err *err)
{
	int r = store_check_leaf(store, id, err);
	if (r == 0)
		r = store_check_right(store, subject, id, RIGHT_ACTUATE, err);
	if (r < 0)
		return r;
	if (!store->slots[id].provider || !store->slots[id].provider->deliver)
		return err_set(err, -ENXIO, "signal.no-provider", "nobody provides this actuator");
	return 0;
}

static void note_target(struct store *store, const struct request *request, const char *requester)
{
	struct table_target *target = &store->table->targets[request->signal];
	store->table->entries[request->signal].touched |= TOUCHED_TARGET;
	target->id = request->id;
	target->asked_ns = store_now_real();
	target->deadline_ns = request->deadline_ns;
	target->error[0] = '\0';
	table_actor_set(target->requester, requester);
	/* a target that found no memory is shown without its text */
	(void)table_text_set(store->table, &target->text, request->text, request->length);
	table_commit(&target->result, 1);
}

int store_request_deliver(struct store *store, const struct subject *subject, signal_id id, const char *text,
			  size_t length, struct requester *requester, uint64_t *ret_request, struct err *err)
{
	int64_t deadline_ns = store_permissions(store, id).deadline_ns;
	struct request request = {
		.id = store->table->header->next_request,
		.signal = id,
		.text = text,
		.length = length,
		.deadline_ns = store_now_real() + deadline_ns,
		.requester = subject->name,
	};
	struct open_request *open = add_request(store, request.id, id, store_now_boot() + deadline_ns);
	if (!open)
		return -ENOMEM;
	table_commit(&store->table->header->next_request, request.id + 1);
	/* open before it is delivered: a provider in this process may answer at once */
	open->requester = requester;
	if (requester)
		requester->id = request.id;
	note_target(store, &request, subject->name);
	int r = store->slots[id].provider->deliver(store->slots[id].provider, &request);
	if (r < 0) {
		open->requester = NULL;
		end_request(open, r, "the provider's queue is full");
		store_audit(store, AUDIT_ACTUATE, subject, id, text, r);
		return err_set(err, r, "signal.queue-full", "the provider's queue is full");
	}
	store->stats.requests++;
	store_audit(store, AUDIT_ACTUATE, subject, id, text, 0);
	*ret_request = request.id;
	return 0;
}

int store_request(struct store *store, const struct subject *subject, signal_id id, const char *text, size_t length,
		  struct requester *requester, uint64_t *ret_request, struct err *err)
{
	int r = store_request_check(store, subject, id, err);
	if (r < 0 && r != -ENXIO)
		return r;
	double number = 0;
	scoped_done(buf_done) struct buf canonical = {.max = 8 * VALUE_TEXT_MAX};
	struct err no_provider = {0};
	if (r == -ENXIO && err)
		no_provider = *err;
	/* what is no value is told first: it would be none with a provider either */
	int v = value_parse(store_rule(store, id), text, length, &canonical, &number, err);
	store->stats.refused += v < 0 || r < 0;
	if (v < 0)
		return v;
	if (r < 0) {
		store_audit(store, AUDIT_ACTUATE, subject, id, canonical.data, r);
		if (err)
			*err = no_provider;
		return r;
	}
	const char *value = canonical.data ? canonical.data : "";
	return store_request_deliver(store, subject, id, value, canonical.size, requester, ret_request, err);
}

/* What a killed daemon left: claims whose clients come back or do not, and the last open request of each signal. */
void store_restore_claims(struct store *store)
{
	bool any = false;
	int64_t shift = store_now_boot() - store_now_real();
	for (uint32_t i = 0; i < store->slot_count; i++) {
		const struct table_target *target = &store->table->targets[i];
		if (store->table->entries[i].claimed) {
			await_provider(store, i);
			any = true;
		}
		if (store->table->entries[i].touched & TOUCHED_TARGET && target->result == 1)
			(void)add_request(store, target->id, i, target->deadline_ns + shift);
	}
	store->awaited.fire = stop_awaiting;
	if (any)
		(void)timer_set(&store->timers, &store->awaited, store_now_boot() + AWAIT_NS);
}

/* ---- forced values ---- */

static void arm_unforce(struct store *store)
{
	int64_t due = INT64_MAX;
	for (uint32_t i = 0; i < store->slot_count; i++) {
		const struct table_force *force = &store->table->forces[i];
		if (store->table->entries[i].touched & TOUCHED_FORCE && force->active && force->until_boot_ns < due)
			due = force->until_boot_ns;
	}
	if (due == INT64_MAX)
		timer_cancel(&store->timers, &store->unforce);
	else
		(void)timer_set(&store->timers, &store->unforce, due);
}

/* The publisher's value shows again: as an update, with a sequence of its own. */
static void end_force(struct store *store, signal_id id)
{
	struct table_force *force = &store->table->forces[id];
	struct reading reading;
	table_commit(&force->active, (uint8_t)0);
	store_get(store, id, &reading);
	const struct table_cell *cell = store_cell(store, id);
	scoped_free char *text = reading.text ? strndup(reading.text, reading.length) : NULL;
	char publisher[TABLE_ACTOR_BYTES];
	table_actor_set(publisher, cell->publisher);
	struct change change = {.text = text, .length = text ? reading.length : 0, .number = reading.number,
				.quality = text ? reading.quality : QUALITY_WITHDRAWN, .source_ns = reading.source_ns,
				.publisher = publisher};
	if (!text && reading.quality < QUALITY_GOOD)
		change.quality = reading.quality;
	bool changed = false;
	if (store_apply(store, id, &change, &changed) == 0)
		store_notify(store, id, true);
}

void store_unforce_due(struct timer *timer)
{
	struct store *store = (struct store *)((char *)timer - offsetof(struct store, unforce));
	int64_t now = store_now_boot();
	for (uint32_t i = 0; i < store->slot_count; i++) {
		const struct table_force *force = &store->table->forces[i];
		if (store->table->entries[i].touched & TOUCHED_FORCE && force->active && force->until_boot_ns <= now)
			end_force(store, i);
	}
	arm_unforce(store);
}

void store_force_restore(struct store *store)
{
	arm_unforce(store);
}

int store_force(struct store *store, const struct subject *subject, signal_id id, const char *text, size_t length,
		int64_t for_ns, struct err *err)
{
	int r = store_check_leaf(store, id, err);
	if (r == 0)
		r = store_check_right(store, subject, id, RIGHT_PUBLISH, err);
	double number = 0;
	scoped_done(buf_done) struct buf canonical = {.max = 8 * VALUE_TEXT_MAX};
	if (r == 0)
		r = value_parse(store_rule(store, id), text, length, &canonical, &number, err);
	if (r < 0)
		return r;
	struct table_force *force = &store->table->forces[id];
	struct reading before;
	store_get(store, id, &before);
	table_commit(&force->active, (uint8_t)0);
	store->table->entries[id].touched |= TOUCHED_FORCE;
	r = table_text_set(store->table, &force->text, canonical.data ? canonical.data : "", canonical.size);
	if (r < 0)
		return r;
	force->sequence = before.sequence + 1;
	force->since_ns = store_now_real();
	force->number = number;
	force->until_boot_ns = for_ns ? store_now_boot() + for_ns : INT64_MAX;
	table_actor_set(force->actor, subject->name);
	table_commit(&force->active, (uint8_t)1);
	arm_unforce(store);
	store_audit(store, AUDIT_FORCE, subject, id, canonical.data, 0);
	struct reading reading;
	store_get(store, id, &reading);
	for (struct watcher *watcher = store->slots[id].watchers, *next = NULL; watcher; watcher = next) {
		next = watcher->next;
		watcher->updated(watcher, id, &reading);
	}
	return 0;
}

int store_unforce(struct store *store, const struct subject *subject, signal_id id, struct err *err)
{
	int r = store_check_leaf(store, id, err);
	if (r == 0)
		r = store_check_right(store, subject, id, RIGHT_PUBLISH, err);
	if (r < 0)
		return r;
	if (!(store->table->entries[id].touched & TOUCHED_FORCE) || !store->table->forces[id].active)
		return err_set(err, -ENODATA, "signal.not-forced", "it is not forced");
	end_force(store, id);
	arm_unforce(store);
	store_audit(store, AUDIT_UNFORCE, subject, id, NULL, 0);
	return 0;
}
