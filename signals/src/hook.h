/* The OCI hook that gives a container its view of the signals (runtime-spec 1.1, config.md, "POSIX-platform Hooks").
 *
 * It mounts a FUSE file system on the container's /dev/signal, makes a socket beside it, and hands both to axsignald,
 * which decides what is seen there. Single-threaded: it enters the container's mount namespace. */
#pragma once

#include <stddef.h>

#include "signals/src/grant.h"

struct err;

#define HOOK_STATE_MAX (1U << 20)

struct hook_options {
	const char *control; /* axsignald's control socket */
	struct view_identity identity; /* what the caller of the runtime vouches for */
};

/* Does it all for the container whose state (runtime-spec, runtime.md, "State") is @state. Returns 0 also where the
 * container asks for nothing. *ret_granted: signals that it may see. Errors: of mounting, of the service; @err says. */
int hook_run(const struct hook_options *options, const char *state, size_t size, size_t *ret_granted, struct err *err);
