/* axle rm CONTAINER... */
#include <errno.h>

#include "cli/src/exit.h"
#include "cli/src/select.h"
#include "cli/src/start.h"
#include "cli/src/targets.h"
#include "cli/src/verb.h"
#include "core/base/err.h"
#include "core/base/str.h"

struct options {
	bool all, force, ignore;
};

static const struct opt OPTIONS[] = {
	{'a', "all", NULL, OPT_FLAG, offsetof(struct options, all), "every container of this owner"},
	{'f', "force", NULL, OPT_FLAG, offsetof(struct options, force), "also what runs; no error for what is not there"},
	{'i', "ignore", NULL, OPT_FLAG, offsetof(struct options, ignore), "no error for what is not there"},
	{0},
};

static int remove_one(struct cli *cli, const char *word, const void *data, struct err *err)
{
	const struct options *options = data;
	const Axle__InspectContainerResponse *container = cli_container(cli, word, err);
	if (!container)
		return err->code == -ENOENT && (options->force || options->ignore) ? 0 : err->code;
	if (container->summary->state == CRI__CONTAINER_STATE__CONTAINER_RUNNING && !options->force)
		return err_set(err, -EBUSY, "container.running",
			       "container %s is running: stop it first, or use --force", container->summary->name);
	return container_remove(cli, container->summary->id, container->summary->pod_id, err);
}

/* As podman: 1 what was not there, 2 what is in use. */
static int exit_code(const struct err *err)
{
	if (err->code == -ENOENT && !str_equal(err->reason, "daemon.absent"))
		return 1;
	return err->code == -EBUSY ? 2 : exit_code_of_error(err);
}

static int run(struct cli *cli, char **words, const void *values, struct err *err)
{
	const struct options *options = values;
	char **chosen = words;
	int r = select_containers(cli, options->all, true, &chosen, err);
	if (r < 0)
		return r;
	const struct targets targets = {.act = remove_one, .data = values, .exit_code = exit_code, .echo = true};
	return targets_each(cli, chosen, &targets);
}

const struct verb verb_rm = {
	.name = "rm",
	.arguments = "CONTAINER...",
	.summary = "remove containers",
	.options = OPTIONS,
	.values_size = sizeof(struct options),
	.most = -1,
	.run = run,
};
