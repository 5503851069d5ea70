/* aximage-worker: one pull or load, in a process of its own. Started by libaximage, not by hand. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdbool.h>

#include "core/base/err.h"
#include "core/base/opt.h"
#include "image/src/supervise.h"

struct arguments {
	int64_t store_fd;
	int64_t request_fd;
	int64_t progress_fd;
	int64_t input_fd;
	bool version;
};

static const struct opt OPTIONS[] = {
	{0, "store-fd", "N", OPT_I64, offsetof(struct arguments, store_fd), "descriptor of the store's directory"},
	{0, "request-fd", "N", OPT_I64, offsetof(struct arguments, request_fd), "descriptor of the request (JSON)"},
	{0, "progress-fd", "N", OPT_I64, offsetof(struct arguments, progress_fd), "descriptor for progress (JSON lines)"},
	{0, "input-fd", "N", OPT_I64, offsetof(struct arguments, input_fd), "descriptor of the archive or layout to load"},
	{0, "version", NULL, OPT_FLAG, offsetof(struct arguments, version), "print the version"},
	{0},
};

static void print_help(void)
{
	(void)printf("Usage: aximage-worker --store-fd N --request-fd N --progress-fd N [--input-fd N]\n\n"
		     "Pulls or loads one image into a store. Started by the image library.\n\nOptions:\n");
	opt_print_help(stdout, OPTIONS);
}

static bool is_open(int64_t fd)
{
	return fd >= 3 && fd <= 1024 && fcntl((int)fd, F_GETFD) >= 0;
}

int main(int argc, char **argv)
{
	struct arguments arguments = {-1, -1, -1, -1, false};
	struct err err = {0};
	int first = argc;
	int r = opt_parse(OPTIONS, argv, false, &arguments, &first, &err);
	if (r == OPT_HELP)
		return print_help(), EXIT_SUCCESS;
	if (r == 0 && arguments.version)
		return printf("aximage-worker %s\n", AXLE_VERSION) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	if (r == 0 && (first < argc || !is_open(arguments.store_fd) || !is_open(arguments.request_fd) ||
		       !is_open(arguments.progress_fd)))
		r = err_set(&err, -EINVAL, "option", "expected --store-fd, --request-fd and --progress-fd with open "
						     "descriptors from 3 on");
	if (r < 0) {
		(void)fprintf(stderr, "aximage-worker: %s\n", err_text(&err, r));
		return 2;
	}
	struct supervise supervise = {
		.store_fd = (int)arguments.store_fd,
		.request_fd = (int)arguments.request_fd,
		.input_fd = is_open(arguments.input_fd) ? (int)arguments.input_fd : -1,
		.progress = {.fd = (int)arguments.progress_fd, .lock = PTHREAD_MUTEX_INITIALIZER},
	};
	return supervise_run(&supervise) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
