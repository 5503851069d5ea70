/* Why a request failed, with the runtime's own words where it was the runtime. */
#pragma once

#include "core/base/err.h"
#include "runtime/src/monitor/runtime_log.h"

struct runtime_result;

struct failure {
	struct err err;
	const char *step; /* "create", "start", "exec"; NULL: not the runtime */
	int status;       /* the runtime's exit status */
	char runtime[RUNTIME_MESSAGE_MAX];
};

/* Makes a failure of a runtime command that did not succeed. Returns its code. */
int failure_of_runtime(struct failure *failure, const char *step, const struct runtime_result *result);
