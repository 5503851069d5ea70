/* axrun's own program file, which a container can reach while a process of ours is inside (/proc/PID/exe). */
#pragma once

struct err;

/* Makes sure that nothing can write to the running program through /proc (CVE-2019-5736): executes it again from a
 * read-only clone of its mount, or from a sealed copy in memory where the caller may not mount. Returns 0 where that is
 * so already (a read-only system, or the second time). */
int self_protect(char **argv, struct err *err);
