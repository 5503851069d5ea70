/* axle signal, where Axle was built without the signal service (-Dsignals=false) */
#include <errno.h>

#include "cli/src/verb.h"
#include "core/base/err.h"

static int run(struct cli *cli, char **words, const void *values, struct err *err)
{
	(void)cli;
	(void)words;
	(void)values;
	return err_set(err, -ENOSYS, "cli.absent", "axle signal: Axle was built without the signal service");
}

const struct verb verb_signal = {
	.name = "signal",
	.arguments = "COMMAND",
	.summary = "vehicle signals (not in this build)",
	.stop_at_first = true,
	.most = -1,
	.run = run,
};
