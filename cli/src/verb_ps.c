/* axle ps */
#include <errno.h>
#include <stdio.h>

#include "cli/src/cli.h"
#include "cli/src/format.h"
#include "cli/src/output.h"
#include "cli/src/table.h"
#include "cli/src/verb.h"
#include "core/base/err.h"
#include "core/base/str.h"

#define COMMAND_COLUMNS 24

struct options {
	bool all, all_owners, latest, no_heading, no_trunc, quiet;
	uint64_t last;
	const char *format;
	char **filters;
};

static const struct opt OPTIONS[] = {
	{'a', "all", NULL, OPT_FLAG, offsetof(struct options, all), "also those that do not run"},
	{0, "all-owners", NULL, OPT_FLAG, offsetof(struct options, all_owners), "also those of CRI, such as a kubelet's"},
	{'f', "filter", "KEY=VALUE", OPT_STRINGS, offsetof(struct options, filters),
	 "only where id, name, status, label, ancestor, pod or owner is so"},
	{0, "format", "FORMAT", OPT_STRING, offsetof(struct options, format), "table (default) or json"},
	{'n', "last", "N", OPT_U64, offsetof(struct options, last), "the newest N, whatever their state"},
	{'l', "latest", NULL, OPT_FLAG, offsetof(struct options, latest), "the newest one, whatever its state"},
	{0, "no-trunc", NULL, OPT_FLAG, offsetof(struct options, no_trunc), "ids and commands in full"},
	{0, "noheading", NULL, OPT_FLAG, offsetof(struct options, no_heading), "no first line"},
	{'q', "quiet", NULL, OPT_FLAG, offsetof(struct options, quiet), "only the ids"},
	{0},
};

static const char *const TITLES[] = {"CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "NAMES", NULL};
static const char *const TITLES_OF_ALL[] = {"CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "NAMES", "POD",
					    "OWNER",	    NULL};

static int add_row(struct table *table, const Axle__ContainerSummary *container, const struct options *options,
		   int64_t now)
{
	struct arena *arena = table->arena;
	const char *age = format_duration(arena, container->created_at, now);
	const char *created = arena_printf(arena, "%s ago", age);
	const char *pod = *container->pod_namespace ?
				  arena_printf(arena, "%s/%s", container->pod_namespace, container->pod_name) :
				  container->pod_name;
	const char *cells[] = {
		format_id(arena, container->id, options->no_trunc),
		container->image,
		format_command(arena, container->command, container->n_command, options->no_trunc ? 0 : COMMAND_COLUMNS),
		created ? created : "",
		format_status(arena, container, now),
		container->name,
		pod ? pod : "",
		container->owner,
	};
	return table_add(table, cells);
}

static int print_table(struct cli *cli, const Axle__ListContainersResponse *list, const struct options *options,
		       struct err *err)
{
	struct table table = table_begin(&cli->arena, options->all_owners ? TITLES_OF_ALL : TITLES);
	int64_t now = now_ns();
	for (size_t i = 0; i < list->n_containers; i++)
		if (add_row(&table, list->containers[i], options, now) < 0)
			return err_memory(err, "axle");
	table_print(&table, !options->no_heading);
	return 0;
}

static int run(struct cli *cli, char **words, const void *values, struct err *err)
{
	const struct options *options = values;
	(void)words;
	bool json = false;
	int r = output_parse(options->format, &json, err);
	if (r < 0)
		return r;
	Axle__ListContainersRequest request = AXLE__LIST_CONTAINERS_REQUEST__INIT;
	request.all_owners = options->all_owners;
	request.all_states = options->all;
	request.last = options->latest ? 1 : options->last < UINT32_MAX ? (uint32_t)options->last : UINT32_MAX;
	request.filters = (const char **)options->filters;
	request.n_filters = strv_count((const char *const *)options->filters);
	const Axle__ListContainersResponse *list =
		cli_call(cli, &axle__containers__descriptor, "List", &request.base, err);
	if (!list)
		return err->code;
	for (size_t i = 0; options->quiet && i < list->n_containers; i++)
		(void)puts(format_id(&cli->arena, list->containers[i]->id, options->no_trunc));
	if (options->quiet)
		return 0;
	if (json)
		return output_json_list((const ProtobufCMessage *const *)list->containers, list->n_containers, err);
	return print_table(cli, list, options, err);
}

const struct verb verb_ps = {
	.name = "ps",
	.arguments = "",
	.summary = "list containers",
	.options = OPTIONS,
	.values_size = sizeof(struct options),
	.run = run,
};
