/* axle kill CONTAINER... */
#include "cli/src/cli.h"
#include "cli/src/select.h"
#include "cli/src/targets.h"
#include "cli/src/verb.h"
#include "core/base/err.h"

struct options {
	const char *signal;
	bool all;
};

static const struct options DEFAULTS = {.signal = "KILL"};

static const struct opt OPTIONS[] = {
	{'a', "all", NULL, OPT_FLAG, offsetof(struct options, all), "every running container of this owner"},
	{'s', "signal", "SIGNAL", OPT_STRING, offsetof(struct options, signal), "in place of SIGKILL"},
	{0},
};

static int kill_one(struct cli *cli, const char *word, const void *data, struct err *err)
{
	const struct options *options = data;
	Axle__SignalRequest request = AXLE__SIGNAL_REQUEST__INIT;
	request.container = word;
	request.signal = options->signal;
	return cli_do(cli, &axle__containers__descriptor, "Signal", &request.base, err);
}

static int run(struct cli *cli, char **words, const void *values, struct err *err)
{
	const struct options *options = values;
	char **chosen = words;
	int r = select_containers(cli, options->all, false, &chosen, err);
	if (r < 0)
		return r;
	return targets_each(cli, chosen, &(struct targets){.act = kill_one, .data = values, .echo = true});
}

const struct verb verb_kill = {
	.name = "kill",
	.arguments = "CONTAINER...",
	.summary = "send a signal to containers",
	.options = OPTIONS,
	.values_size = sizeof(struct options),
	.defaults = &DEFAULTS,
	.most = -1,
	.run = run,
};
