/* axsignald: the vehicle's signals as files. docs/man/axsignald.8 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/err.h"
#include "core/base/log.h"
#include "core/base/opt.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "signals/src/catalogue.h"
#include "signals/src/daemon.h"
#include "signals/src/setup.h"

struct options {
	char **catalogues;
	const char *mount;
	const char *config;
	const char *state;
	const char *socket;
	const char *log_level;
	bool check;
	bool version;
};

static const struct opt OPTIONS[] = {
	{0, "catalogue", "FILE", OPT_STRINGS, offsetof(struct options, catalogues),
	 "a VSS catalogue in JSON; given again: a layer over the earlier ones"},
	{0, "mount", "DIR", OPT_STRING, offsetof(struct options, mount), "the folder where the signals appear"},
	{0, "config", "FILE", OPT_STRING, offsetof(struct options, config), "owners, modes, ACLs, maximum ages (TOML)"},
	{0, "state", "DIR", OPT_STRING, offsetof(struct options, state),
	 "where the socket lies by which a restarted daemon goes on"},
	{0, "socket", "PATH", OPT_STRING, offsetof(struct options, socket),
	 "where programs connect (libaxle-signal, the line protocol)"},
	{0, "check", NULL, OPT_FLAG, offsetof(struct options, check), "read and check everything, serve nothing"},
	{0, "log-level", "LEVEL", OPT_STRING, offsetof(struct options, log_level), "error, warning, info (default) or debug"},
	{0, "version", NULL, OPT_FLAG, offsetof(struct options, version), "print the version and exit"},
	{0},
};

static void print_help(void)
{
	printf("usage: axsignald --catalogue FILE ... --mount DIR [--config FILE]\n"
	       "       axsignald --catalogue FILE ... [--config FILE] --check\n"
	       "Serves the vehicle's signals as files. SIGHUP reads catalogue and configuration again.\n\n");
	opt_print_help(stdout, OPTIONS);
}

static int check(const struct setup *setup)
{
	printf("%zu signals, %zu rules: no errors\n", catalogue_leaf_count(setup->catalogue), setup->config.policy.count);
	return 0;
}

static int serve(const struct options *options, struct setup *setup, const struct log *log, struct err *err)
{
	char mount[PATH_MAX];
	if (!options->mount)
		return err_set(err, -EINVAL, "options.mount", "expected --mount DIR");
	/* A dead mount has no real path: then as it was given. */
	const char *path = realpath(options->mount, mount) ? mount : options->mount;
	if (*path != '/')
		return err_sys(err, -ENOENT, "signal.mount", "%s", options->mount);
	if (options->state)
		setup->config.daemon.state = options->state;
	if (options->socket)
		setup->config.daemon.socket = options->socket;
	return daemon_run(setup, path, log, err);
}

static int run(const struct options *options, const struct log *log, struct err *err)
{
	struct setup setup;
	int r = setup_read((const char *const *)options->catalogues, options->config, &setup, err);
	if (r < 0)
		return r;
	r = options->check ? check(&setup) : serve(options, &setup, log, err);
	setup_done(&setup);
	return r;
}

int main(int argc, char **argv)
{
	struct options options = {0};
	struct err err = {0};
	struct log log = log_to_stderr("axsignald");
	int first = 0;
	int r = opt_parse(OPTIONS, argv, false, &options, &first, &err);
	scoped(strv_free) char **catalogues = options.catalogues;
	if (r == OPT_HELP) {
		print_help();
		return EXIT_SUCCESS;
	}
	if (r == 0 && options.version) {
		printf("axsignald %s\n", AXLE_VERSION);
		return EXIT_SUCCESS;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	if (r == 0 && first != argc)
		r = err_set(&err, -EINVAL, "options.unknown", "expected options only, found \"%s\"", argv[first]);
	if (r == 0 && !catalogues)
		r = err_set(&err, -EINVAL, "options.catalogue", "expected --catalogue FILE");
	if (r == 0 && options.log_level && log_level_parse(options.log_level, &log.level) < 0)
		r = err_set(&err, -EINVAL, "options.log-level", "--log-level: expected error, warning, info or debug");
	if (r == 0)
		r = run(&options, &log, &err);
	if (r < 0)
		fprintf(stderr, "axsignald: %s\n", err_text(&err, r));
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
