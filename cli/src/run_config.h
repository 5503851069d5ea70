/* From the options of `run` to the configurations that CRI takes. */
#pragma once

#include "cli/src/run_options.h"
#include "proto/axle.h"

struct arena;
struct err;

struct run_config {
	Cri__PodSandboxConfig pod;
	Cri__ContainerConfig container;
	Axle__PullPolicy pull;
	bool name_by_chance; /* a name that is taken is replaced by another one */
};

/* Fills @ret_config, all in @arena. @image: as it was typed. @command: NULL-terminated, may be empty.
 * Errors: -EINVAL (@err names the option and what was expected), -ENOENT (a file of the host), -ENOMEM. */
int run_config_make(const struct run_options *options, const char *image, char **command, struct arena *arena,
		    struct run_config *ret_config, struct err *err);

/* Gives the pod and the container another name by chance. Errors: -ENOMEM. */
int run_config_rename(struct run_config *config, struct arena *arena, struct err *err);
