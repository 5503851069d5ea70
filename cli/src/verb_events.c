/* axle events */
#include <stdio.h>

#include "cli/src/cli.h"
#include "cli/src/format.h"
#include "cli/src/moment.h"
#include "cli/src/output.h"
#include "cli/src/verb.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/codec/proto_json.h"

struct options {
	bool all_owners;
	const char *since, *until, *format;
	char **filters;
};

static const struct opt OPTIONS[] = {
	{0, "all-owners", NULL, OPT_FLAG, offsetof(struct options, all_owners), "also those of CRI, such as a kubelet's"},
	{'f', "filter", "KEY=VALUE", OPT_STRINGS, offsetof(struct options, filters),
	 "only where type, event, container or image is so"},
	{0, "format", "FORMAT", OPT_STRING, offsetof(struct options, format), "table (default), or json: one object a line"},
	{0, "since", "TIME", OPT_STRING, offsetof(struct options, since), "from then on, as far as the node remembers"},
	{0, "until", "TIME", OPT_STRING, offsetof(struct options, until), "up to then; else without end"},
	{0},
};

static void print_text(const Axle__Event *event)
{
	struct arena scratch = {.max = 16384};
	(void)printf("%s %s %s %s", format_time(&scratch, event->time), event->type, event->action,
		     format_id(&scratch, event->id, false));
	if (*event->name)
		(void)printf(" (%s)", event->name);
	if (event->exit)
		(void)printf(" exit code %d", event->exit->code);
	(void)putchar('\n');
	arena_done(&scratch);
}

static void print_json(const Axle__Event *event)
{
	json_t *value = proto_json_encode_whole(&event->base);
	if (value && json_dumpf(value, stdout, JSON_COMPACT) == 0)
		(void)putchar('\n');
	json_decref(value);
}

static void on_message(const ProtobufCMessage *message, void *data)
{
	const bool *json = data;
	const Axle__Event *event = (const void *)message;
	if (*json)
		print_json(event);
	else
		print_text(event);
	(void)fflush(stdout);
}

static int run(struct cli *cli, char **words, const void *values, struct err *err)
{
	const struct options *options = values;
	(void)words;
	Axle__EventsRequest request = AXLE__EVENTS_REQUEST__INIT;
	bool json = false;
	int r = output_parse(options->format, &json, err);
	if (r == 0)
		r = moment_parse("since", options->since, &request.since, err);
	if (r == 0)
		r = moment_parse("until", options->until, &request.until, err);
	if (r < 0)
		return r;
	request.all_owners = options->all_owners;
	request.filters = (const char **)options->filters;
	request.n_filters = strv_count((const char *const *)options->filters);
	return cli_stream(cli, &axle__node__descriptor, "Events", &request.base, on_message, &json, err);
}

const struct verb verb_events = {
	.name = "events",
	.arguments = "",
	.summary = "print what happens on the node",
	.options = OPTIONS,
	.values_size = sizeof(struct options),
	.run = run,
};
