/* Making and starting a container: shared by `run`, `create`, `start`. */
#pragma once

#include "cli/src/cli.h"
#include "cli/src/run_options.h"

struct container {
	const char *id, *pod_id; /* live as long as the cli */
};

/* Pulls the image by --pull, makes a pod and one container in it; nothing is left where that fails.
 * Errors: the statuses as -errno, those of run_config_make(). */
int container_make(struct cli *cli, const struct run_options *options, const char *image, char **command,
		   struct container *ret_container, struct err *err);

/* CRI's StartContainer. */
int container_start(struct cli *cli, const char *id, struct err *err);

/* Removes a container and, where no other container is in it, its pod. */
int container_remove(struct cli *cli, const char *id, const char *pod_id, struct err *err);

/* Waits for the end, or until it is gone. @ret_code may be NULL. */
int container_wait(struct cli *cli, const char *id, bool removed, int *ret_code, struct err *err);
