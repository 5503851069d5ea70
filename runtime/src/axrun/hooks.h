/* Hooks of a container's life cycle (config.md, "POSIX-platform Hooks"). */
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct err;
struct buf;
struct oci_hook;
struct oci_spec;

/* Runs the hooks one after the other, the container's state on each one's stdin, until one fails or exceeds its timeout
 * (then it is killed). @when: "createRuntime", for messages. @directory: where they run (NULL: where the caller is). A
 * hook without an environment gets the caller's, as runc and crun do.
 * Errors: -ETIMEDOUT, -ECHILD (ended with another status than 0), of execve(2). */
int hooks_run(const struct oci_hook *hooks, size_t count, const char *when, const char *state, const char *directory,
	      struct err *err);

/* The state document that hooks get (runtime.md, "State"). */
int hooks_state(const char *id, const char *status, pid_t pid, const char *bundle, const struct oci_spec *spec,
		struct buf *ret_text);
