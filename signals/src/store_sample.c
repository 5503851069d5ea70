/* What a view with a rate limit sees: samples, taken at most so often, the same for all that look from there. */
#include <stdlib.h>
#include <string.h>

#include "signals/src/store_internal.h"
#include "signals/src/view.h"

/* The owner's memory is used again; one that cannot be had leaves the older sample. */
static void take(struct view_sample *sample, const struct reading *now, int64_t now_ns)
{
	bool changed = !sample->reading.text || sample->reading.length != now->length ||
		       memcmp(sample->text, now->text, now->length) != 0;
	if (now->length + 1 > sample->capacity) {
		char *grown = realloc(sample->text, now->length + 1);
		if (!grown)
			return;
		sample->text = grown;
		sample->capacity = now->length + 1;
	}
	memcpy(sample->text, now->text, now->length);
	sample->text[now->length] = '\0';
	sample->reading = *now;
	sample->reading.text = sample->text;
	sample->reading.changed = changed;
	sample->taken_ns = now_ns;
}

/* That there is no value is told at once, and holds until the next sample. */
static void take_nothing(struct view_sample *sample, const struct reading *now)
{
	sample->reading = *now;
	sample->reading.text = NULL;
}

void store_read(const struct store *store, const struct view *view, signal_id id, struct reading *ret_reading)
{
	int64_t interval_ns = view ? view_interval_ns(view, id) : 0;
	store_get(store, id, ret_reading);
	struct view_sample *sample = interval_ns ? view_sample(view, id) : NULL;
	if (!sample)
		return;
	if (!ret_reading->text) {
		take_nothing(sample, ret_reading);
		return;
	}
	int64_t now_ns = store_now_boot();
	if (sample->reading.sequence != ret_reading->sequence &&
	    (sample->taken_ns == 0 || now_ns - sample->taken_ns >= interval_ns))
		take(sample, ret_reading, now_ns);
	*ret_reading = sample->reading;
}

int64_t store_read_due(const struct store *store, const struct view *view, signal_id id)
{
	struct reading now, seen;
	int64_t interval_ns = view ? view_interval_ns(view, id) : 0;
	const struct view_sample *sample = interval_ns ? view_sample(view, id) : NULL;
	if (!sample)
		return INT64_MAX;
	store_read(store, view, id, &seen);
	store_get(store, id, &now);
	return seen.sequence == now.sequence ? INT64_MAX : sample->taken_ns + interval_ns;
}
