#include "runtime/src/monitor/failure.h"

#include <errno.h>
#include <string.h>

#include "runtime/src/monitor/runtime_command.h"

int failure_of_runtime(struct failure *failure, const char *step, const struct runtime_result *result)
{
	failure->step = step;
	failure->status = result->status;
	memcpy(failure->runtime, result->message, sizeof failure->runtime);
	if (result->timed_out)
		return err_set(&failure->err, -ETIMEDOUT, "runtime.timeout",
			       "the runtime's %s took too long and was killed", step);
	return err_set(&failure->err, -EIO, "runtime.failed", "the runtime's %s failed: %s", step,
		       result->message[0] ? result->message : "it said nothing about the cause");
}
