/* A container from its creation to its removal; what the commands are made of. */
#pragma once

#include <stdbool.h>

struct container;
struct err;
struct globals;
struct launch_options;

/* `create`, and `run` (options->run). *ret_status of a container that ran in the foreground: its exit status; else 0.
 * On failure nothing is left. */
int lifecycle_create(const struct globals *globals, const char *id, const struct launch_options *options,
		     int *ret_status, struct err *err);

/* `start`: the waiting process executes its program; then the poststart hooks run. */
int lifecycle_start(struct container *container, struct err *err);

/* `delete`: with @force also a container that runs, or a half-made or damaged one. @warning: a poststop hook that failed,
 * which keeps nothing (runtime.md, "Lifecycle", 13). */
int lifecycle_delete(struct container *container, bool force, struct err *warning, struct err *err);
