/* axle info */
#include <stdio.h>

#include "cli/src/cli.h"
#include "cli/src/format.h"
#include "cli/src/output.h"
#include "cli/src/verb.h"
#include "core/base/err.h"
#include "core/base/str.h"

struct options {
	const char *format;
};

static const struct opt OPTIONS[] = {
	{'f', "format", "FORMAT", OPT_STRING, offsetof(struct options, format), "table (default) or json"},
	{0},
};

static void print_text(struct cli *cli, const Axle__InfoResponse *info)
{
	(void)printf("Node:         %s\nVersion:      %s\nRoot:         %s\nState:        %s\nConfig:       %s\n", info->node,
		     info->version, info->root, info->state, *info->config ? info->config : "(defaults)");
	(void)printf("Daemon:       pid %u, up %s\nKernel:       %s (%s), cgroup %s\n", info->pid,
		     format_duration(&cli->arena, info->started_at, now_ns()), info->kernel, info->architecture,
		     info->cgroup_layout);
	(void)printf("Containers:   %u (%u running) in %u pods\nImages:       %u\n", info->containers,
		     info->containers_running, info->pods, info->images);
	(void)puts("Handlers:");
	for (size_t i = 0; i < info->n_handlers; i++)
		(void)printf("  %-11s %s %s%s\n", info->handlers[i]->name, info->handlers[i]->path,
			     info->handlers[i]->version, info->handlers[i]->is_default ? " (default)" : "");
	(void)puts("Conditions:");
	for (size_t i = 0; i < info->n_conditions; i++)
		(void)printf("  %-11s %s%s%s\n", info->conditions[i]->type, info->conditions[i]->status ? "yes" : "no",
			     *info->conditions[i]->message ? ": " : "", info->conditions[i]->message);
}

static int run(struct cli *cli, char **words, const void *values, struct err *err)
{
	const struct options *options = values;
	(void)words;
	bool json = false;
	int r = output_parse(options->format, &json, err);
	if (r < 0)
		return r;
	Axle__InfoRequest request = AXLE__INFO_REQUEST__INIT;
	const Axle__InfoResponse *info = cli_call(cli, &axle__node__descriptor, "Info", &request.base, err);
	if (!info)
		return err->code;
	if (json)
		return output_json(&info->base, err);
	print_text(cli, info);
	return 0;
}

const struct verb verb_info = {
	.name = "info",
	.arguments = "",
	.summary = "print what the node is and how it is",
	.options = OPTIONS,
	.values_size = sizeof(struct options),
	.run = run,
};
