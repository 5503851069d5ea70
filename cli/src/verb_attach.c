/* axle attach CONTAINER */
#include <errno.h>

#include "cli/src/session.h"
#include "cli/src/verb.h"
#include "core/base/err.h"

struct options {
	bool no_stdin, sig_proxy;
	const char *detach_keys;
};

static const struct options DEFAULTS = {.sig_proxy = true};

static const struct opt OPTIONS[] = {
	{0, "detach-keys", "KEYS", OPT_STRING, offsetof(struct options, detach_keys), "leave it with these (ctrl-p,ctrl-q)"},
	{0, "no-stdin", NULL, OPT_FLAG, offsetof(struct options, no_stdin), "attach output alone"},
	{0, "sig-proxy", NULL, OPT_FLAG, offsetof(struct options, sig_proxy), "pass signals on (default)"},
	{0},
};

static int run(struct cli *cli, char **words, const void *values, struct err *err)
{
	const struct options *options = values;
	const Axle__InspectContainerResponse *container = cli_container(cli, words[0], err);
	if (!container)
		return err->code;
	if (container->summary->state != CRI__CONTAINER_STATE__CONTAINER_RUNNING)
		return err_set(err, -EBUSY, "cli.state", "container %s is not running", container->summary->name);
	Axle__TerminalSize size = AXLE__TERMINAL_SIZE__INIT;
	Axle__AttachStart start = AXLE__ATTACH_START__INIT;
	start.container = container->summary->id;
	start.stdin = !options->no_stdin && container->config && container->config->stdin;
	start.stdout = start.stderr = 1;
	start.size = container->summary->tty ? session_terminal_size(&size) : NULL;
	const struct session_options session = {.stdin_open = start.stdin,
						.tty = container->summary->tty,
						.proxy_signals = options->sig_proxy,
						.detach_keys = options->detach_keys};
	int exit_code = 0;
	int r = session_run(cli, &start.base, &session, &exit_code, err);
	return r < 0 ? r : exit_code;
}

const struct verb verb_attach = {
	.name = "attach",
	.arguments = "CONTAINER",
	.summary = "join the streams of a running container",
	.options = OPTIONS,
	.values_size = sizeof(struct options),
	.defaults = &DEFAULTS,
	.least = 1,
	.most = 1,
	.run = run,
};
