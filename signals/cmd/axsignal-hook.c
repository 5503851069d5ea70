/* axsignal-hook: an OCI hook (createRuntime). docs/man/axsignal-hook.8 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/opt.h"
#include "core/base/scoped.h"
#include "core/sys/fd.h"
#include "signals/src/hook.h"

struct options {
	struct hook_options hook;
	bool version;
};

static const struct opt OPTIONS[] = {
	{0, "control", "SOCKET", OPT_STRING, offsetof(struct options, hook.control), "axsignald's control socket"},
	{0, "manager", "NAME", OPT_STRING, offsetof(struct options, hook.identity.manager),
	 "who vouches for the container (default: unmanaged, which by default gets nothing)"},
	{0, "namespace", "NAME", OPT_STRING, offsetof(struct options, hook.identity.pod_namespace), "the pod's namespace"},
	{0, "pod", "NAME", OPT_STRING, offsetof(struct options, hook.identity.pod), "the pod's name"},
	{0, "service-account", "NAME", OPT_STRING, offsetof(struct options, hook.identity.service_account),
	 "the pod's service account"},
	{0, "image", "DIGESTS", OPT_STRING, offsetof(struct options, hook.identity.image),
	 "the image's digest; several are separated by blanks"},
	{0, "version", NULL, OPT_FLAG, offsetof(struct options, version), "print the version and exit"},
	{0},
};

static int run(const struct hook_options *options, struct err *err)
{
	scoped_done(buf_done) struct buf state = {.max = HOOK_STATE_MAX};
	size_t granted = 0;
	int r = fd_read_all(STDIN_FILENO, &state);
	if (r < 0)
		return err_sys(err, r, "hook.state", "the container's state on standard input");
	return hook_run(options, state.data ? state.data : "", state.size, &granted, err);
}

int main(int argc, char **argv)
{
	struct options options = {.hook.identity.manager = "unmanaged"};
	struct err err = {0};
	int first = 0;
	int r = opt_parse(OPTIONS, argv, false, &options, &first, &err);
	if (r == OPT_HELP) {
		printf("usage: axsignal-hook --control SOCKET [--manager NAME ...] <STATE\n"
		       "Gives a container that asks for signals its view of them. Run by an OCI runtime at createRuntime.\n\n");
		opt_print_help(stdout, OPTIONS);
		return EXIT_SUCCESS;
	}
	if (r == 0 && options.version) {
		printf("axsignal-hook %s\n", AXLE_VERSION);
		return EXIT_SUCCESS;
	}
	if (r == 0 && (first != argc || !options.hook.control))
		r = err_set(&err, -EINVAL, "options.control", "expected --control SOCKET");
	if (r == 0)
		r = run(&options.hook, &err);
	if (r < 0)
		fprintf(stderr, "axsignal-hook: %s\n", err_text(&err, r));
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
