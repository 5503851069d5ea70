/* axle: the command line of a node. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/src/cli.h"
#include "cli/src/exit.h"
#include "cli/src/verb.h"
#include "core/base/err.h"
#include "core/base/str.h"

struct globals {
	const char *socket;
	bool version;
};

static const struct opt OPTIONS[] = {
	{0, "socket", "PATH", OPT_STRING, offsetof(struct globals, socket),
	 "the daemon's socket (AXLE_SOCKET, else /run/axle/axle.sock)"},
	{'v', "version", NULL, OPT_FLAG, offsetof(struct globals, version), "print the version and end"},
	{0, "host", "PATH", OPT_STRING, offsetof(struct globals, socket), NULL},
	{'H', NULL, "PATH", OPT_STRING, offsetof(struct globals, socket), NULL},
	{0},
};

static void print_help(void)
{
	(void)puts("Usage: axle [OPTIONS] COMMAND [ARGUMENT...]\n\nContainers and images of this node.");
	verbs_print(VERBS);
	(void)puts("\nOptions:");
	opt_print_help(stdout, OPTIONS);
	(void)puts("\n`axle COMMAND --help` says more of a command.");
}

/* As if SIGPIPE had ended this program, which it does to others; here it would also come from the daemon's socket. */
static bool reader_has_gone(void)
{
	struct pollfd output = {.fd = STDOUT_FILENO};
	return poll(&output, 1, 0) > 0 && output.revents & POLLERR;
}

static int run(char **words, const char *socket)
{
	struct err err = {0};
	struct cli cli;
	int r = cli_init(&cli, socket, &err);
	if (r == 0) {
		r = verbs_run(&cli, "axle", VERBS, words, &err);
		cli_done(&cli);
	}
	bool unwritten = fflush(stdout) != 0 || ferror(stdout);
	if (unwritten && reader_has_gone())
		return 128 + SIGPIPE;
	if (unwritten && r >= 0)
		r = err_sys(&err, -EIO, "cli.output", "write to standard output");
	if (r >= 0)
		return r;
	print_error(&err, r);
	return exit_code_of_error(&err);
}

int main(int argc, char **argv)
{
	struct globals globals = {0};
	struct err err = {0};
	int first = 0;
	int r = opt_parse(OPTIONS, argv, false, &globals, &first, &err);
	if (r < 0) {
		print_error(&err, r);
		return EXIT_OURS;
	}
	if (globals.version) {
		(void)puts("axle version " AXLE_VERSION);
		return EXIT_SUCCESS;
	}
	if (r == OPT_HELP || (first < argc && str_equal(argv[first], "help"))) {
		print_help();
		return EXIT_SUCCESS;
	}
	if (first >= argc) {
		print_help();
		return EXIT_OURS;
	}
	return run(argv + first, globals.socket);
}
