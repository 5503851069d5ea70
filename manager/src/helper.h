/* Running a helper, from a fiber. */
#pragma once

#include "manager/src/helper_protocol.h"

struct arena;
struct err;
struct fibers;

struct helper_runner {
	struct fibers *fibers;
	const char *program; /* absolute path of axhelper */
	int cgroup_fd;	     /* v2 directory that helpers are born in; -1: none */
};

/* Runs one helper to its end and decodes its reply into @arena. *ret_fd (may be NULL where none is expected) is the
 * descriptor that it brought, or -1. Parks; a helper that takes longer than HELPER_TIMEOUT_MS, or than the fiber's
 * deadline, is killed and reaped before this returns.
 * Errors: what the helper says, "helper.died", "helper.timeout", of spawn_process(). */
int helper_run(const struct helper_runner *runner, const struct helper_request *request, struct arena *arena,
	       struct helper_reply *ret_reply, int *ret_fd, struct err *err);
