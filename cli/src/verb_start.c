/* axle start [-a] CONTAINER...: those that `create` made. */
#include <errno.h>
#include <stdio.h>

#include "cli/src/session.h"
#include "cli/src/start.h"
#include "cli/src/targets.h"
#include "cli/src/verb.h"
#include "core/base/err.h"

struct options {
	bool attach, interactive, sig_proxy;
	const char *detach_keys;
};

static const struct options DEFAULTS = {.sig_proxy = true};

static const struct opt OPTIONS[] = {
	{'a', "attach", NULL, OPT_FLAG, offsetof(struct options, attach), "attach its output, and signals"},
	{0, "detach-keys", "KEYS", OPT_STRING, offsetof(struct options, detach_keys), "leave it with these (ctrl-p,ctrl-q)"},
	{'i', "interactive", NULL, OPT_FLAG, offsetof(struct options, interactive), "attach standard input"},
	{0, "sig-proxy", NULL, OPT_FLAG, offsetof(struct options, sig_proxy), "pass signals on (default)"},
	{0},
};

static int check_startable(const Axle__ContainerSummary *container, struct err *err)
{
	if (container->state == CRI__CONTAINER_STATE__CONTAINER_EXITED)
		return err_set(err, -EBUSY, "cli.state", "container %s has ended and cannot be started again: use axle run",
			       container->name);
	return 0;
}

static int start_one(struct cli *cli, const char *word, const void *data, struct err *err)
{
	(void)data;
	const Axle__InspectContainerResponse *container = cli_container(cli, word, err);
	if (!container)
		return err->code;
	if (container->summary->state == CRI__CONTAINER_STATE__CONTAINER_RUNNING)
		return 0;
	int r = check_startable(container->summary, err);
	return r < 0 ? r : container_start(cli, container->summary->id, err);
}

static int start_attached(struct cli *cli, void *data, struct err *err)
{
	const Axle__ContainerSummary *container = data;
	return container_start(cli, container->id, err);
}

static int attach(struct cli *cli, const char *word, const struct options *options, struct err *err)
{
	const Axle__InspectContainerResponse *container = cli_container(cli, word, err);
	int r = container ? check_startable(container->summary, err) : err->code;
	if (r < 0)
		return r;
	Axle__TerminalSize size = AXLE__TERMINAL_SIZE__INIT;
	Axle__AttachStart start = AXLE__ATTACH_START__INIT;
	start.container = container->summary->id;
	start.stdin = options->interactive && container->config && container->config->stdin;
	start.stdout = start.stderr = 1;
	start.size = container->summary->tty ? session_terminal_size(&size) : NULL;
	bool waits = container->summary->state == CRI__CONTAINER_STATE__CONTAINER_CREATED;
	const struct session_options session = {.stdin_open = start.stdin,
						.tty = container->summary->tty,
						.proxy_signals = options->sig_proxy,
						.detach_keys = options->detach_keys,
						.on_started = waits ? start_attached : NULL,
						.data = container->summary};
	int exit_code = 0;
	r = session_run(cli, &start.base, &session, &exit_code, err);
	return r < 0 ? r : exit_code;
}

static int run(struct cli *cli, char **words, const void *values, struct err *err)
{
	const struct options *options = values;
	if (!options->attach && !options->interactive)
		return targets_each(cli, words, &(struct targets){.act = start_one, .echo = true});
	if (words[1])
		return err_set(err, -EINVAL, "cli.usage", "axle start: with --attach: expected one container");
	return attach(cli, words[0], options, err);
}

const struct verb verb_start = {
	.name = "start",
	.arguments = "CONTAINER...",
	.summary = "start containers that were created",
	.options = OPTIONS,
	.values_size = sizeof(struct options),
	.defaults = &DEFAULTS,
	.least = 1,
	.most = -1,
	.run = run,
};
