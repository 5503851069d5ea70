/* axle stop CONTAINER... */
#include <stdint.h>

#include "cli/src/cli.h"
#include "cli/src/select.h"
#include "cli/src/targets.h"
#include "cli/src/verb.h"
#include "core/base/err.h"

#define SECONDS_DEFAULT 10

struct options {
	uint64_t seconds;
	bool all;
};

static const struct options DEFAULTS = {.seconds = SECONDS_DEFAULT};

static const struct opt OPTIONS[] = {
	{'a', "all", NULL, OPT_FLAG, offsetof(struct options, all), "every running container of this owner"},
	{'t', "time", "SECONDS", OPT_U64, offsetof(struct options, seconds), "until SIGKILL (10)"},
	{0, "timeout", "SECONDS", OPT_U64, offsetof(struct options, seconds), NULL},
	{0},
};

static int stop_one(struct cli *cli, const char *word, const void *data, struct err *err)
{
	const struct options *options = data;
	const Axle__InspectContainerResponse *container = cli_container(cli, word, err);
	if (!container)
		return err->code;
	Cri__StopContainerRequest request = CRI__STOP_CONTAINER_REQUEST__INIT;
	request.container_id = container->summary->id;
	request.timeout = options->seconds < INT32_MAX ? (int64_t)options->seconds : INT32_MAX;
	return cli_do(cli, &cri__runtime_service__descriptor, "StopContainer", &request.base, err);
}

static int run(struct cli *cli, char **words, const void *values, struct err *err)
{
	const struct options *options = values;
	char **chosen = words;
	int r = select_containers(cli, options->all, false, &chosen, err);
	if (r < 0)
		return r;
	return targets_each(cli, chosen, &(struct targets){.act = stop_one, .data = values, .echo = true});
}

const struct verb verb_stop = {
	.name = "stop",
	.arguments = "CONTAINER...",
	.summary = "end containers: their stop signal, then SIGKILL",
	.options = OPTIONS,
	.values_size = sizeof(struct options),
	.defaults = &DEFAULTS,
	.most = -1,
	.run = run,
};
