/* Getting images: shared by `pull`, `run`, `create`. */
#pragma once

#include "cli/src/cli.h"

struct pull_options {
	const char *image;
	const char *platform; /* NULL: the node's */
	Axle__PullPolicy policy;
	const char *credentials; /* "USER:PASSWORD", or NULL */
	bool plain_http;
	bool quiet;
};

/* Pulls with progress on standard error. *ret_id: the image's id, as long as @cli. Errors: the status as -errno. */
int pull_image(struct cli *cli, const struct pull_options *options, const char **ret_id, struct err *err);
