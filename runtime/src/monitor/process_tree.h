/* Ending a process with all that descends from it, where no cgroup of its own tells them apart. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#define PROCESS_TREE_MAX 4096

/* Stops @root and its descendants from the top down, until no new one appears, then sends @signal to them all
 * and lets them go on. A process that has cut its
 * descent before (its parent ended earlier) is found by its session, where that is @root's. @root must be a process that the
 * caller holds (unreaped child, pidfd): its number is not looked up again.
 * Returns how many there were. */
size_t process_tree_signal(pid_t root, int signal);
