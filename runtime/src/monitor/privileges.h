/* The monitor runs as root because it executes the runtime, but holds nothing for itself: no effective capability, and in its
 * permitted set only what single steps need. A program of root gets its capabilities back by execve(2), from the bounding
 * set. (no_new_privs would be inherited by the runtime and its containers: it cannot be set here.) */
#pragma once

#include <stdbool.h>

struct err;

enum privilege {
	PRIVILEGE_SIGNAL,  /* CAP_KILL: container processes with other uids */
	PRIVILEGE_INSPECT, /* CAP_SYS_PTRACE: the exit status of a process that is not our child (adoption) */
	PRIVILEGE_REOPEN,  /* that and CAP_DAC_OVERRIDE: the pipes of a container below /proc/PID/fd (adoption) */
};

/* Gives up all but the steps' capabilities (of those that the process has), and lets nobody without CAP_SYS_PTRACE look into
 * the process: its sets no longer keep a container's root in the host's pid namespace away (ptrace(2)). Errors: of
 * capset(2). */
int privileges_drop(struct err *err);

/* Gives up, for good and for the calling thread, what none of these steps needs: `privileges_keep(1U << PRIVILEGE_SIGNAL)`. */
void privileges_keep(unsigned steps);

/* Raises what one step needs; privileges_lower() gives it back. Where the process does not have it the step itself fails. */
void privileges_raise(enum privilege privilege);
void privileges_lower(void);

/* Can the step be expected to work? */
bool privileges_have(enum privilege privilege);
