/* axsignal-holder: started by axsignald, never by hand (signals/src/holder.h). */
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "core/base/err.h"
#include "core/base/opt.h"
#include "signals/src/holder.h"

struct options {
	const char *mount;
	const char *socket;
	bool version;
};

static const struct opt OPTIONS[] = {
	{0, "mount", "DIR", OPT_STRING, offsetof(struct options, mount), "where the file system lies that is held"},
	{0, "socket", "FILE", OPT_STRING, offsetof(struct options, socket), "where it listens; removed at the end"},
	{0, "version", NULL, OPT_FLAG, offsetof(struct options, version), "print the version and exit"},
	{0},
};

int main(int argc, char **argv)
{
	struct options options = {0};
	struct err err = {0};
	int first = 0;
	int r = opt_parse(OPTIONS, argv, false, &options, &first, &err);
	if (r == OPT_HELP) {
		printf("usage: axsignal-holder --mount DIR --socket FILE\n"
		       "Keeps what axsignald needs to go on after it was killed. Started by axsignald.\n\n");
		opt_print_help(stdout, OPTIONS);
		return EXIT_SUCCESS;
	}
	if (r == 0 && options.version) {
		printf("axsignal-holder %s\n", AXLE_VERSION);
		return EXIT_SUCCESS;
	}
	if (r < 0 || first != argc || !options.mount || !options.socket) {
		fprintf(stderr, "axsignal-holder: %s\n", r < 0 ? err_text(&err, r) : "expected --mount DIR --socket FILE");
		return EXIT_FAILURE;
	}
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* its descriptors are nobody else's */
	return holder_run(options.mount, options.socket);
}
