#include "signals/adaptors/can/feeder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/base/log.h"
#include "core/base/str.h"
#include "signals/adaptors/can/mapping.h"

/* What is remembered for one rule from CAN. */
struct reception {
	const struct mapping_rule *rule;
	struct axle_signal_claim *claim;
	int64_t timeout_ns; /* 0: never */
	int64_t seen_ns;    /* CLOCK_MONOTONIC, of the last frame that had it */
	int64_t sent_time_ns;
	bool available;
	bool begun;
	char last[MAPPING_TEXT_MAX];
};

/* A message that is sent: one frame, in which each actuation changes its bits. */
struct transmission {
	const struct dbc_message *message;
	struct can_frame_data frame;
};

struct actuation {
	struct feeder *feeder;
	const struct mapping_rule *rule;
	struct transmission *transmission;
};

struct feeder {
	struct feeder_options options;
	struct reception *receptions; /* sorted by message, as the mapping's */
	struct actuation *actuations;
	struct transmission *transmissions;
	size_t transmission_count;
	struct axle_signal_claim **claims;
	const char **paths;
	size_t claim_count;
	int64_t due_ns;
};

/* ---- actuations ---- */

static int actuate(struct actuation *actuation, const char *value, struct err *err)
{
	int64_t raw = 0;
	int r = mapping_raw(actuation->rule, value, &raw);
	if (r == -ERANGE)
		return err_set(err, r, "can.range", "%s is out of the range of %s", value, actuation->rule->signal->name);
	if (r < 0)
		return err_set(err, r, "can.value", "%s has no meaning for %s", value, actuation->rule->signal->name);
	struct feeder *feeder = actuation->feeder;
	struct can_frame_data frame = actuation->transmission->frame;
	dbc_insert(actuation->transmission->message, actuation->rule->signal, raw, &frame);
	r = feeder->options.send(feeder->options.user, &frame, err);
	if (r == 0)
		actuation->transmission->frame = frame;
	return r;
}

static void take_request(void *user, struct axle_signal_claim *claim, const struct axle_signal_request_info *request)
{
	struct err err = {0};
	int r = actuate(user, request->value, &err);
	if (r < 0)
		log_warning(((struct actuation *)user)->feeder->options.log, "can.actuation", "%s = %s: %s", request->path,
			    request->value, err_text(&err, r));
	(void)axle_signal_answer(claim, request->id, r < 0 ? err_text(&err, r) : NULL);
}

static struct transmission *transmission_of(struct feeder *feeder, const struct dbc_message *message)
{
	for (size_t i = 0; i < feeder->transmission_count; i++)
		if (feeder->transmissions[i].message == message)
			return &feeder->transmissions[i];
	struct transmission *transmission = &feeder->transmissions[feeder->transmission_count++];
	transmission->message = message;
	dbc_start_frame(message, &transmission->frame);
	return transmission;
}

int feeder_set_default(struct feeder *feeder, const char *signal, double value)
{
	int result = -ENOENT;
	for (size_t i = 0; i < feeder->transmission_count; i++) {
		struct transmission *transmission = &feeder->transmissions[i];
		const struct dbc_signal *found = dbc_find_signal(transmission->message, signal);
		int64_t raw = 0;
		if (!found)
			continue;
		result = dbc_raw(found, value, &raw);
		if (result < 0)
			return result;
		dbc_insert(transmission->message, found, raw, &transmission->frame);
	}
	return result;
}

/* ---- frames ---- */

static void withdraw(struct reception *reception)
{
	if (reception->available)
		(void)axle_signal_publish(reception->claim, NULL, 0);
	reception->available = false;
}

/* Is it time again by the rule's interval? */
static bool is_due(const struct reception *reception, int64_t now_ns)
{
	return !reception->begun || now_ns - reception->sent_time_ns >= reception->rule->interval_ms * 1000000;
}

static void take_signal(struct feeder *feeder, struct reception *reception, const struct can_frame_data *frame,
			int64_t time_ns, int64_t now_ns)
{
	const struct mapping_rule *rule = reception->rule;
	int64_t raw = 0;
	char text[MAPPING_TEXT_MAX];
	if (!mapping_selects(rule, frame) || dbc_extract(rule->message, rule->signal, frame, &raw) != 0)
		return;
	reception->seen_ns = now_ns;
	if (reception->timeout_ns > 0 && now_ns + reception->timeout_ns < feeder->due_ns)
		feeder->due_ns = now_ns + reception->timeout_ns;
	int r = mapping_value(rule, raw, feeder->options.j1939, text);
	if (r == 1)
		withdraw(reception); /* at once: what is not available must not look as if it were */
	if (r != 0 || (reception->available && !is_due(reception, now_ns)))
		return;
	if (reception->available && rule->on_change && strcmp(reception->last, text) == 0)
		return;
	reception->begun = true;
	reception->sent_time_ns = now_ns;
	reception->available = true;
	memcpy(reception->last, text, sizeof text);
	(void)axle_signal_publish(reception->claim, text, time_ns); /* -EAGAIN: the next frame brings a newer one */
}

void feeder_take(struct feeder *feeder, const struct can_frame_data *frame, int64_t time_ns, int64_t now_ns)
{
	if (frame->remote || frame->error)
		return;
	const struct dbc_message *message = dbc_find_message(feeder->options.dbc, frame->id, frame->extended);
	size_t low = 0;
	size_t high = message ? feeder->options.mapping->from_count : 0;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (feeder->receptions[middle].rule->message < message)
			low = middle + 1;
		else
			high = middle;
	}
	for (; message && low < feeder->options.mapping->from_count; low++) {
		if (feeder->receptions[low].rule->message != message)
			return;
		take_signal(feeder, &feeder->receptions[low], frame, time_ns, now_ns);
	}
}

void feeder_expire(struct feeder *feeder, int64_t now_ns)
{
	if (now_ns < feeder->due_ns)
		return;
	feeder->due_ns = INT64_MAX;
	for (size_t i = 0; i < feeder->options.mapping->from_count; i++) {
		struct reception *reception = &feeder->receptions[i];
		if (!reception->available || reception->timeout_ns == 0)
			continue;
		int64_t due = reception->seen_ns + reception->timeout_ns;
		if (due <= now_ns)
			withdraw(reception);
		else if (due < feeder->due_ns)
			feeder->due_ns = due;
	}
}

int64_t feeder_due(const struct feeder *feeder)
{
	return feeder->due_ns;
}

/* ---- life ---- */

/* A path that is both read from CAN and sent to it is claimed once. */
static int claim(struct feeder *feeder, const char *path, struct actuation *actuation, struct axle_signal_claim **ret_claim)
{
	for (size_t i = 0; i < feeder->claim_count; i++) {
		if (strcmp(feeder->paths[i], path) == 0) {
			*ret_claim = feeder->claims[i];
			return 0;
		}
	}
	int r = axle_signal_claim(feeder->options.signals, path, 0, actuation ? take_request : NULL, actuation, ret_claim);
	if (r < 0)
		return r;
	feeder->paths[feeder->claim_count] = path;
	feeder->claims[feeder->claim_count++] = *ret_claim;
	return 0;
}

static int64_t timeout_of(const struct feeder *feeder, const struct mapping_rule *rule)
{
	if (rule->timeout_ms >= 0)
		return rule->timeout_ms * 1000000;
	return (int64_t)((double)rule->message->cycle_ms * 1e6 * feeder->options.cycles_missed);
}

static int claim_all(struct feeder *feeder)
{
	const struct mapping *mapping = feeder->options.mapping;
	struct axle_signal_claim *unused = NULL;
	int r = 0;
	for (size_t i = 0; i < mapping->to_count && r == 0; i++) {
		struct actuation *actuation = &feeder->actuations[i];
		*actuation = (struct actuation){feeder, &mapping->to_can[i], transmission_of(feeder, mapping->to_can[i].message)};
		r = claim(feeder, mapping->to_can[i].path, actuation, &unused);
	}
	for (size_t i = 0; i < mapping->from_count && r == 0; i++) {
		const struct mapping_rule *rule = &mapping->from_can[i];
		feeder->receptions[i] = (struct reception){.rule = rule, .timeout_ns = timeout_of(feeder, rule)};
		r = claim(feeder, rule->path, NULL, &feeder->receptions[i].claim);
	}
	return r;
}

int feeder_new(const struct feeder_options *options, struct feeder **ret_feeder, struct err *err)
{
	const struct mapping *mapping = options->mapping;
	size_t all = mapping->from_count + mapping->to_count + 1;
	scoped(feeder_free) struct feeder *feeder = calloc(1, sizeof *feeder);
	if (!feeder)
		return -ENOMEM;
	feeder->options = *options;
	feeder->due_ns = INT64_MAX;
	feeder->receptions = calloc(mapping->from_count + 1, sizeof *feeder->receptions);
	feeder->actuations = calloc(mapping->to_count + 1, sizeof *feeder->actuations);
	feeder->transmissions = calloc(mapping->to_count + 1, sizeof *feeder->transmissions);
	feeder->claims = calloc(all, sizeof(struct axle_signal_claim *));
	feeder->paths = calloc(all, sizeof(const char *));
	if (!feeder->receptions || !feeder->actuations || !feeder->transmissions || !feeder->claims || !feeder->paths)
		return -ENOMEM;
	int r = claim_all(feeder);
	if (r < 0)
		return err_set(err, r, "can.claim", "%s", axle_signal_error(options->signals));
	*ret_feeder = TAKE(feeder);
	return 0;
}

void feeder_free(struct feeder *feeder)
{
	if (!feeder)
		return;
	for (size_t i = 0; i < feeder->claim_count; i++)
		axle_signal_release(feeder->claims[i]);
	free(feeder->receptions);
	free(feeder->actuations);
	free(feeder->transmissions);
	free(feeder->claims);
	free(feeder->paths);
	free(feeder);
}

size_t feeder_claims(const struct feeder *feeder, struct axle_signal_claim *const **ret_claims,
		     const char *const **ret_paths)
{
	*ret_claims = feeder->claims;
	*ret_paths = feeder->paths;
	return feeder->claim_count;
}
