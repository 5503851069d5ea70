/* axrun, an OCI runtime: the options in front of the command, and the table of commands. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/log.h"
#include "core/base/opt.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/codec/oci_runtime.h"
#include "runtime/src/axrun/commands.h"
#include "runtime/src/axrun/report.h"
#include "runtime/src/axrun/self.h"

#define DEFAULT_ROOT "/run/axrun"

static const struct command {
	const char *name;
	command_function *function;
	bool enters; /* its process enters a container: the program file must be out of the container's reach */
	const char *help;
} COMMANDS[] = {
	{"create", command_create, true, "make a container, up to the start of its program"},
	{"delete", command_delete, false, "remove a stopped container"},
	{"exec", command_exec, true, "run a program in a running container"},
	{"features", command_features, false, "print what this runtime supports"},
	{"kill", command_kill, false, "send a signal to a container"},
	{"list", command_list, false, "list the containers"},
	{"pause", command_pause, false, "stop all processes of a container for a while"},
	{"ps", command_ps, false, "list the processes of a container"},
	{"resume", command_resume, false, "let them go on"},
	{"run", command_run, true, "create and start a container, and wait for its end"},
	{"spec", command_spec, false, "write a config.json to begin with"},
	{"start", command_start, false, "start the program of a created container"},
	{"state", command_state, false, "print the state of a container"},
	{"update", command_update, false, "change the limits of a container"},
};

#define AT(member) offsetof(struct globals, member)
static const struct opt OPTIONS[] = {
	{0, "cgroup-manager", "NAME", OPT_STRING, AT(cgroup_manager), "cgroupfs (default) or disabled"},
	{0, "debug", NULL, OPT_FLAG, AT(debug), "log more"},
	{0, "log", "PATH", OPT_STRING, AT(log_path), "log to this file instead of standard error"},
	{0, "log-format", "FORMAT", OPT_STRING, AT(log_format), "text (default) or json"},
	{0, "log-level", "LEVEL", OPT_STRING, AT(log_level), "error, warning, info or debug"},
	{0, "root", "DIR", OPT_STRING, AT(root), "the state root (default: " DEFAULT_ROOT ")"},
	{0, "rootless", "WHETHER", OPT_STRING, AT(rootless), NULL},
	{0, "systemd-cgroup", NULL, OPT_FLAG, AT(systemd_cgroup), NULL},
	{'v', "version", NULL, OPT_FLAG, AT(version), "print the version"},
	{0},
};

static void print_help(void)
{
	(void)printf("Usage: axrun [OPTION]... COMMAND [ARGUMENT]...\n\nCommands:\n");
	for (size_t i = 0; i < ARRAY_COUNT(COMMANDS); i++)
		(void)printf("  %-10s %s\n", COMMANDS[i].name, COMMANDS[i].help);
	(void)printf("\nOptions:\n");
	opt_print_help(stdout, OPTIONS);
}

static void print_version(void)
{
	(void)printf("axrun version %s\nspec: %s\n+SECCOMP +CAP +CGROUPV1 +CGROUPV2 +IDMAP\n", AXLE_VERSION,
		     OCI_RUNTIME_VERSION);
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_COUNT(COMMANDS); i++)
		if (strcmp(COMMANDS[i].name, name) == 0)
			return &COMMANDS[i];
	return NULL;
}

static int open_log(const struct globals *globals, struct log *log, struct err *err)
{
	if (str_equal(globals->log_format, "json"))
		log->format = LOG_JSON;
	else if (globals->log_format && !str_equal(globals->log_format, "text"))
		return err_set(err, -EINVAL, "option.value", "option --log-format: \"%s\": expected text or json",
			       globals->log_format);
	if (globals->log_level && log_level_parse(globals->log_level, &log->level) < 0)
		return err_set(err, -EINVAL, "option.value", "option --log-level: \"%s\": expected error, warning, info or debug",
			       globals->log_level);
	if (globals->debug)
		log->level = LOG_DEBUG;
	if (str_empty(globals->log_path))
		return 0;
	/* crun's "file:PATH"; its other targets are not ours */
	const char *path = str_after_prefix(globals->log_path, "file:");
	log->fd = open(path ? path : globals->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	return log->fd < 0 ? err_sys(err, -errno, "log.open", "open the log %s", globals->log_path) : 0;
}

static int check_cgroup_manager(const struct globals *globals, struct err *err)
{
	const char *manager = globals->cgroup_manager;
	if (globals->systemd_cgroup || str_equal(manager, "systemd"))
		return err_set(err, -EOPNOTSUPP, "cgroup.manager",
			       "cgroup manager systemd: not supported by axrun, which makes its groups itself; use cgroupfs");
	if (manager && !str_equal(manager, "cgroupfs") && !str_equal(manager, "disabled"))
		return err_set(err, -EINVAL, "option.value", "option --cgroup-manager: \"%s\": expected cgroupfs or disabled",
			       manager);
	return 0;
}

/* One line on stderr, and one in the log where that is a file. */
static void report(const struct log *log, const struct err *err, int code)
{
	char text[ERR_MESSAGE_MAX * 2];
	report_text(err, code, text, sizeof text);
	(void)fprintf(stderr, "axrun: %s\n", text);
	if (log->fd != STDERR_FILENO)
		log_error(log, err->reason ? err->reason : "error", "%s", text);
}

static int dispatch(struct globals *globals, char **argv, int *ret_status, struct err *err)
{
	int first = 0;
	int r = opt_parse(OPTIONS, argv, false, globals, &first, err);
	if (r == OPT_HELP || (r == 0 && str_equal(argv[first], "help"))) {
		print_help();
		return 0;
	}
	if (r < 0)
		return r;
	if (globals->version) {
		print_version();
		return 0;
	}
	r = open_log(globals, globals->log, err);
	if (r < 0)
		return r;
	*ret_status = 1;
	if (!argv[first])
		return err_set(err, -EINVAL, "option.arguments", "expected a command: see --help");
	const struct command *command = find_command(argv[first]);
	if (!command)
		return err_set(err, -EINVAL, "option.arguments", "unknown command \"%s\": see --help", argv[first]);
	r = check_cgroup_manager(globals, err);
	if (r == 0 && command->enters)
		r = self_protect(argv, err);
	if (r < 0)
		return r;
	*ret_status = 0;
	r = command->function(globals, argv + first, ret_status, err);
	return r == COMMAND_HELP ? 0 : r;
}

int main(int argc, char **argv)
{
	(void)argc;
	struct log log = log_to_stderr("axrun");
	log.level = LOG_WARNING;
	struct globals globals = {.root = DEFAULT_ROOT, .log = &log};
	struct err err = {0};
	int status = 0;
	int r = dispatch(&globals, argv, &status, &err);
	if (r == 0 && fflush(stdout) != EOF)
		return status;
	if (r == 0)
		r = err_sys(&err, -errno, "output.write", "write to standard output");
	report(&log, &err, r);
	return report_exit_status(&err);
}
