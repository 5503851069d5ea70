/* axle exec CONTAINER COMMAND... */
#include <errno.h>
#include <stdlib.h>

#include "cli/src/environment.h"
#include "cli/src/session.h"
#include "cli/src/verb.h"
#include "core/base/err.h"
#include "core/base/str.h"

struct options {
	bool detach, interactive, tty, privileged;
	const char *user, *workdir, *detach_keys;
	char **env, **env_files;
};

static const struct opt OPTIONS[] = {
	{'d', "detach", NULL, OPT_FLAG, offsetof(struct options, detach), "run in the background"},
	{0, "detach-keys", "KEYS", OPT_STRING, offsetof(struct options, detach_keys), "leave it with these (ctrl-p,ctrl-q)"},
	{'e', "env", "NAME[=VALUE]", OPT_STRINGS, offsetof(struct options, env), "set a variable, or take it over from here"},
	{0, "env-file", "FILE", OPT_STRINGS, offsetof(struct options, env_files), "set the variables of a file"},
	{'i', "interactive", NULL, OPT_FLAG, offsetof(struct options, interactive), "keep standard input open"},
	{0, "privileged", NULL, OPT_FLAG, offsetof(struct options, privileged), "with all capabilities"},
	{'t', "tty", NULL, OPT_FLAG, offsetof(struct options, tty), "give it a terminal"},
	{'u', "user", "USER[:GROUP]", OPT_STRING, offsetof(struct options, user), "who it runs as"},
	{'w', "workdir", "FOLDER", OPT_STRING, offsetof(struct options, workdir), "where it starts"},
	{0},
};

static int gather_environment(const struct options *options, char ***environment, struct err *err)
{
	int r = 0;
	const char *term = getenv("TERM");
	if (options->tty)
		r = strv_env_set(environment, "TERM", str_empty(term) ? "xterm" : term);
	for (char **file = options->env_files; r == 0 && file && *file; file++)
		r = environment_add_file(environment, *file, err);
	for (char **text = options->env; r == 0 && text && *text; text++)
		r = environment_add(environment, *text, err);
	return r;
}

static int run(struct cli *cli, char **words, const void *values, struct err *err)
{
	const struct options *options = values;
	scoped(strv_free) char **environment = NULL;
	int r = gather_environment(options, &environment, err);
	if (r < 0)
		return r;
	Axle__TerminalSize size = AXLE__TERMINAL_SIZE__INIT;
	Axle__ExecStart start = AXLE__EXEC_START__INIT;
	start.container = words[0];
	start.command = (const char **)words + 1;
	start.n_command = strv_count((const char *const *)words + 1);
	start.environment = (const char **)environment;
	start.n_environment = strv_count((const char *const *)environment);
	start.tty = options->tty;
	start.stdin = options->interactive && !options->detach;
	start.detach = options->detach;
	start.privileged = options->privileged;
	start.user = options->user ? options->user : "";
	start.working_directory = options->workdir ? options->workdir : "";
	start.size = options->tty ? session_terminal_size(&size) : NULL;
	const struct session_options session = {.stdin_open = start.stdin,
						.tty = options->tty,
						.proxy_signals = true,
						.detach = options->detach,
						.detach_keys = options->detach_keys};
	int exit_code = 0;
	r = session_run(cli, &start.base, &session, &exit_code, err);
	return r < 0 ? r : exit_code;
}

const struct verb verb_exec = {
	.name = "exec",
	.arguments = "CONTAINER COMMAND [ARGUMENT...]",
	.summary = "run a command in a running container",
	.options = OPTIONS,
	.values_size = sizeof(struct options),
	.stop_at_first = true,
	.least = 2,
	.most = -1,
	.run = run,
};
