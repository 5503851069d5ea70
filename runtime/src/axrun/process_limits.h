/* Resource limits and scheduling of a container process. */
#pragma once

#include <sys/types.h>

struct err;
struct oci_process;

/* "RLIMIT_NOFILE" to its number, or -EINVAL. */
int rlimit_parse(const char *type);

/* Sets the limits of a process that waits (prlimit(2): the caller's rights count, not the process's). */
int rlimits_apply(pid_t pid, const struct oci_process *process, struct err *err);

/* I/O priority, scheduler and CPU affinity of the calling process. */
int scheduling_apply(const struct oci_process *process, struct err *err);
