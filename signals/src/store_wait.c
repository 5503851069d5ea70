/* Watchers, and subscriptions: watchers behind a filter. */
#include "signals/src/store_internal.h"
#include "signals/src/view.h"

void store_watch(struct store *store, signal_id id, struct watcher *watcher)
{
	struct watcher **head = &store->slots[id].watchers;
	watcher->next = *head;
	watcher->link = head;
	if (*head)
		(*head)->link = &watcher->next;
	*head = watcher;
}

void store_unwatch(struct watcher *watcher)
{
	if (!watcher->link)
		return;
	*watcher->link = watcher->next;
	if (watcher->next)
		watcher->next->link = watcher->link;
	watcher->link = NULL;
	watcher->next = NULL;
}

void store_notify(struct store *store, signal_id id, bool changed)
{
	if (!store->slots[id].watchers)
		return;
	struct reading reading;
	store_get(store, id, &reading);
	if (reading.quality == QUALITY_FORCED && changed)
		changed = false; /* the publisher's value changed, which nobody sees */
	reading.changed = changed;
	for (struct watcher *watcher = store->slots[id].watchers, *next = NULL; watcher; watcher = next) {
		next = watcher->next;
		watcher->updated(watcher, id, &reading);
	}
}

static struct subscription *of_watcher(struct watcher *watcher)
{
	return (struct subscription *)((char *)watcher - offsetof(struct subscription, watcher));
}

static struct subscription *of_timer(struct timer *timer)
{
	return (struct subscription *)((char *)timer - offsetof(struct subscription, timer));
}

static void judge(struct subscription *subscription, const struct reading *reading)
{
	bool rated = subscription->filter.interval_ns != 0;
	int64_t now = rated ? store_now_boot() : 0;
	switch (filter_judge(&subscription->filter, subscription->state, reading, now)) {
	case FILTER_DROP:
		return;
	case FILTER_WAIT:
		subscription->state->waiting = true;
		(void)timer_set(&subscription->store->timers, &subscription->timer,
				filter_due(&subscription->filter, subscription->state));
		return;
	case FILTER_PASS:
		timer_cancel(&subscription->store->timers, &subscription->timer);
		/* in this order: a daemon that dies between the two delivers twice rather than not at all */
		subscription->deliver(subscription, reading);
		if (subscription->store)
			filter_delivered(subscription->state, reading, now);
		return;
	}
}

/* In a view with a rate it is a sample that is judged; what is newer than that has its time. */
static void judge_in_view(struct subscription *subscription, const struct reading *reading)
{
	struct reading seen;
	if (!subscription->view) {
		judge(subscription, reading);
		return;
	}
	int64_t due = store_read_due(subscription->store, subscription->view, subscription->id);
	store_read(subscription->store, subscription->view, subscription->id, &seen);
	if (!view_interval_ns(subscription->view, subscription->id))
		seen.changed = reading->changed;
	judge(subscription, &seen);
	if (!subscription->store || due == INT64_MAX || (subscription->timer.place && subscription->timer.due_ns <= due))
		return;
	subscription->state->waiting = true;
	(void)timer_set(&subscription->store->timers, &subscription->timer, due);
}

static void updated(struct watcher *watcher, signal_id id, const struct reading *reading)
{
	(void)id;
	judge_in_view(of_watcher(watcher), reading);
}

/* The rate allows what waited: the newest, if it still passes. */
static void rate_due(struct timer *timer)
{
	struct subscription *subscription = of_timer(timer);
	struct reading reading;
	if (!subscription->state->waiting)
		return;
	subscription->state->waiting = false;
	store_get(subscription->store, subscription->id, &reading);
	judge_in_view(subscription, &reading);
}

void store_subscribe(struct store *store, struct subscription *subscription, bool resume)
{
	struct reading reading;
	if (!subscription->state)
		subscription->state = &subscription->own_state;
	subscription->store = store;
	subscription->watcher.updated = updated;
	subscription->timer.fire = rate_due;
	store_watch(store, subscription->id, &subscription->watcher);
	store_get(store, subscription->id, &reading);
	if (resume && subscription->state->waiting)
		(void)timer_set(&store->timers, &subscription->timer,
				filter_due(&subscription->filter, subscription->state));
	else
		judge_in_view(subscription, &reading);
}

void store_unsubscribe(struct subscription *subscription)
{
	if (!subscription->store)
		return;
	store_unwatch(&subscription->watcher);
	timer_cancel(&subscription->store->timers, &subscription->timer);
	subscription->store = NULL;
}
