/* The last steps of a container process, the same for its first one and for `exec`. All in the process itself, whose root
 * is the container's. */
#pragma once

#include <sys/types.h>

struct err;
struct launch;

struct process_plan {
	char *program; /* as found */
	char **env;
	pid_t host_pid; /* of this process, in the namespace of axrun's caller */
};

/* Session, keyring, oom_score_adj, labels: early, while the host's /proc is at hand. */
int process_prepare(const struct launch *launch, struct process_plan *plan, struct err *err);

/* Everything that can be checked and done before the start: working directory, environment, the program. */
int process_plan(const struct launch *launch, struct process_plan *ret_plan, struct err *err);

/* User, capabilities, seccomp; closes what the program must not inherit; executes it. Returns only on failure. */
int process_execute(const struct launch *launch, const struct process_plan *plan, struct err *err);
