/* axle run IMAGE [COMMAND...] */
#include <stdio.h>

#include "cli/src/run_options.h"
#include "cli/src/session.h"
#include "cli/src/start.h"
#include "cli/src/verb.h"
#include "core/base/err.h"

struct attached {
	const struct container *container;
	bool started;
};

static int start_attached(struct cli *cli, void *data, struct err *err)
{
	struct attached *attached = data;
	int r = container_start(cli, attached->container->id, err);
	attached->started = r == 0;
	return r;
}

/* With --rm a container that was never started goes at once: it will not end by itself. One that runs is the daemon's to
 * remove at its end, whatever happens here. */
static int clean_up(struct cli *cli, const struct run_options *options, const struct container *container, int r)
{
	struct err ignored = {0}; /* what a person must hear is why it could not be started */
	if (options->remove)
		(void)container_remove(cli, container->id, container->pod_id, &ignored);
	return r;
}

static int run_detached(struct cli *cli, const struct run_options *options, const struct container *container,
			struct err *err)
{
	int r = container_start(cli, container->id, err);
	if (r < 0)
		return clean_up(cli, options, container, r);
	(void)puts(container->id);
	return 0;
}

static int run_attached(struct cli *cli, const struct run_options *options, const struct container *container,
			struct err *err)
{
	Axle__TerminalSize size = AXLE__TERMINAL_SIZE__INIT;
	Axle__AttachStart start = AXLE__ATTACH_START__INIT;
	start.container = container->id;
	start.stdin = options->interactive;
	start.stdout = start.stderr = 1;
	start.size = options->tty ? session_terminal_size(&size) : NULL;
	struct attached attached = {.container = container};
	const struct session_options session = {.stdin_open = options->interactive,
						.tty = options->tty,
						.proxy_signals = options->sig_proxy,
						.detach_keys = options->detach_keys,
						.on_started = start_attached,
						.data = &attached};
	int exit_code = 0;
	int r = session_run(cli, &start.base, &session, &exit_code, err);
	if (!attached.started)
		return clean_up(cli, options, container, r < 0 ? r : exit_code);
	if (r != SESSION_EXITED)
		return r < 0 ? r : exit_code;
	struct err ignored = {0}; /* the daemon removes it; whoever asked for it waits until that is done */
	if (options->remove)
		(void)container_wait(cli, container->id, true, NULL, &ignored);
	return exit_code;
}

static int run(struct cli *cli, char **words, const void *values, struct err *err)
{
	const struct run_options *options = values;
	struct container container = {0};
	int r = container_make(cli, options, words[0], words + 1, &container, err);
	if (r < 0)
		return r;
	return options->detach ? run_detached(cli, options, &container, err) :
				 run_attached(cli, options, &container, err);
}

const struct verb verb_run = {
	.name = "run",
	.arguments = "IMAGE [COMMAND [ARGUMENT...]]",
	.summary = "run a command in a new container",
	.options = RUN_OPTIONS,
	.values_size = sizeof(struct run_options),
	.defaults = &RUN_DEFAULTS,
	.stop_at_first = true,
	.least = 1,
	.most = -1,
	.run = run,
};
