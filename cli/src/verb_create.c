/* axle create IMAGE [COMMAND...] */
#include <stdio.h>

#include "cli/src/run_options.h"
#include "cli/src/start.h"
#include "cli/src/verb.h"
#include "core/base/err.h"

static int run(struct cli *cli, char **words, const void *values, struct err *err)
{
	struct container container = {0};
	int r = container_make(cli, values, words[0], words + 1, &container, err);
	if (r < 0)
		return r;
	(void)puts(container.id);
	return 0;
}

const struct verb verb_create = {
	.name = "create",
	.arguments = "IMAGE [COMMAND [ARGUMENT...]]",
	.summary = "make a container without starting it",
	.options = RUN_OPTIONS + RUN_ONLY,
	.values_size = sizeof(struct run_options),
	.defaults = &RUN_DEFAULTS,
	.stop_at_first = true,
	.least = 1,
	.most = -1,
	.run = run,
};
