/* The exit status of a process that is not our child: a container whose former monitor died. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "runtime/src/monitor/reaper.h"

enum proc_status_outcome {
	PROC_STATUS_KNOWN = 0,
	PROC_STATUS_LATER = 1, /* a zombie whose status we may not read: known when its parent has reaped it */
	PROC_STATUS_LOST = 2,  /* reaped, and this kernel does not keep it (before 6.15) */
};

/* Of a process whose pidfd is readable: it has ended. @pid_start: field 22 of its /proc/PID/stat, 0 where not known. Reads the
 * zombie's status (last field of /proc/PID/stat), else what the pidfd remembers (PIDFD_INFO_EXIT).
 * @pidfd: -1 where there is none. */
enum proc_status_outcome proc_status_of_ended(int pidfd, pid_t pid, uint64_t pid_start,
					      struct child_status *ret_status);

/* Takes field 3 (state), 22 (start time) and 52 (exit code, 0 where the kernel hides it) out of the text of /proc/PID/stat.
 * Errors: -EINVAL. */
int proc_stat_parse(const char *text, char *ret_state, uint64_t *ret_start, int *ret_exit_code);

/* Opens anew what the process has as descriptor @number, if it is the pipe with this inode number. @flags: O_RDONLY or
 * O_WRONLY. Returns the descriptor. Errors: -ENOENT (it is not that pipe any more), those of open(2). */
int proc_reopen_pipe(pid_t pid, int number, uint64_t inode, int flags);
