/* How many processes of a container the kernel killed for lack of memory: oom_kill of the container's own memory group, on
 * cgroup v1 (memory.oom_control) and v2 (memory.events). Counted as it happens, and read once more at the end, for the group
 * may be gone by then. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "runtime/src/monitor/loop.h"

struct oom {
	struct loop *loop;
	struct watch watch; /* v1: of an eventfd; v2: of memory.events itself */
	int file_fd;        /* the file with the counter; -1: not watched */
	int event_fd;       /* v1 */
	uint64_t kills;
};

void oom_init(struct oom *oom, struct loop *loop);

/* Watches the group that @pid is in. Without a memory controller the count stays 0. Errors: -ENOENT, those of open(2). */
int oom_watch(struct oom *oom, pid_t pid);
void oom_done(struct oom *oom);

/* The count as of now. */
uint64_t oom_kills(struct oom *oom);

/* The path of @controller's group in the text of /proc/PID/cgroup (v1's line of that controller, else v2's), without the
 * leading '/'. Returns its length, or -ENOENT. */
int oom_find_group(const char *text, const char *controller, char *ret_path, size_t size);

/* The number behind "oom_kill " in @text; 0 where there is none. */
uint64_t oom_parse_kills(const char *text);
