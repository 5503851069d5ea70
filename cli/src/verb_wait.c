/* axle wait CONTAINER... */
#include <stdio.h>

#include "cli/src/start.h"
#include "cli/src/targets.h"
#include "cli/src/verb.h"
#include "core/base/err.h"

static int wait_one(struct cli *cli, const char *word, const void *data, struct err *err)
{
	int code = 0;
	(void)data;
	int r = container_wait(cli, word, false, &code, err);
	if (r == 0)
		(void)printf("%d\n", code);
	(void)fflush(stdout);
	return r;
}

static int run(struct cli *cli, char **words, const void *values, struct err *err)
{
	(void)values;
	(void)err; /* each failure is printed */
	return targets_each(cli, words, &(struct targets){.act = wait_one});
}

const struct verb verb_wait = {
	.name = "wait",
	.arguments = "CONTAINER...",
	.summary = "wait until containers end, and print their exit codes",
	.least = 1,
	.most = -1,
	.run = run,
};
