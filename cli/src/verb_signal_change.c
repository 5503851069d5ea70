/* axle signal set, force, unforce */
#include <errno.h>
#include <stdio.h>

#include "cli/src/signal.h"
#include "cli/src/verb.h"
#include "core/base/err.h"
#include "core/base/str.h"

struct set_options {
	struct signal_options common;
	const char *timeout;
	bool no_wait;
};

static const struct opt SET_OPTIONS[] = {
	SIGNAL_OPTIONS,
	{0, "timeout", "TIME", OPT_STRING, offsetof(struct set_options, timeout), "wait so long for an actuator's provider (5s)"},
	{0, "no-wait", NULL, OPT_FLAG, offsetof(struct set_options, no_wait), "return once the request is queued"},
	{0},
};

static int set(struct cli *cli, char **words, const void *values, struct err *err)
{
	const struct set_options *options = values;
	(void)cli;
	int64_t timeout_ms = 5000;
	scoped(axle_signal_close) struct axle_signal *signals = NULL;
	int r = options->timeout ? signal_parse_duration("--timeout", options->timeout, &timeout_ms, err) : 0;
	if (r == 0)
		r = signal_connect(&options->common, &signals, err);
	if (r < 0)
		return r;
	r = options->no_wait ? axle_signal_set(signals, words[0], words[1])
			     : axle_signal_actuate(signals, words[0], words[1],
				(int)(timeout_ms > INT32_MAX ? INT32_MAX : timeout_ms));
	return r < 0 ? signal_failed(signals, r, words[0], err) : 0;
}

const struct verb verb_signal_set = {
	.name = "set", .arguments = "PATH VALUE", .summary = "publish a value, or request an actuator's target",
		.options = SET_OPTIONS,
	.values_size = sizeof(struct set_options), .least = 2, .most = 2, .run = set,
};

struct force_options {
	struct signal_options common;
	const char *lasting;
};

static const struct opt FORCE_OPTIONS[] = {
	SIGNAL_OPTIONS,
	{0, "for", "TIME", OPT_STRING, offsetof(struct force_options, lasting), "how long (10s; 0: until unforce)"},
	{0},
};

static int force(struct cli *cli, char **words, const void *values, struct err *err)
{
	const struct force_options *options = values;
	(void)cli;
	int64_t lasting_ms = 10000;
	scoped(axle_signal_close) struct axle_signal *signals = NULL;
	int r = options->lasting ? signal_parse_duration("--for", options->lasting, &lasting_ms, err) : 0;
	if (r == 0)
		r = signal_connect(&options->common, &signals, err);
	return r < 0 ? r : signal_ask(signals, NULL, NULL, err, "force %s %lld %s", words[0], (long long)lasting_ms, words[1]);
}

const struct verb verb_signal_force = {
	.name = "force", .arguments = "PATH VALUE", .summary = "beat the publisher for a while, visibly", .options = FORCE_OPTIONS,
	.values_size = sizeof(struct force_options), .least = 2, .most = 2, .run = force,
};

static const struct opt OPTIONS[] = {SIGNAL_OPTIONS, {0}};

static int unforce(struct cli *cli, char **words, const void *values, struct err *err)
{
	(void)cli;
	scoped(axle_signal_close) struct axle_signal *signals = NULL;
	int r = signal_connect(values, &signals, err);
	return r < 0 ? r : signal_ask(signals, NULL, NULL, err, "unforce %s", words[0]);
}

const struct verb verb_signal_unforce = {
	.name = "unforce", .arguments = "PATH", .summary = "give the signal back to its publisher", .options = OPTIONS,
	.values_size = sizeof(struct signal_options), .least = 1, .most = 1, .run = unforce,
};
