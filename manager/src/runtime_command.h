/* Commands of an OCI runtime that axled gives itself (all others are the monitor's). */
#pragma once

struct container_runtime;
struct err;
struct node;

/* Runs PATH ARGS... @args and waits for its end; parks. Its words are kept for the error.
 * Errors: -EIO (runtime.failed), -ETIMEDOUT (it was killed), those of spawn_process(). */
int runtime_command(struct node *node, const struct container_runtime *runtime, const char *const *args,
		    struct err *err);
