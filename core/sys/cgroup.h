/* Control groups on v1, on v2, and on the mix of both.
 *
 * A group is one path in every hierarchy. Processes are tracked, frozen and killed through v2 wherever a v2 tree is
 * mounted, even one without controllers; limits go where the controllers are.
 *
 * Traps (runtime/README.md, "cgroups"): a process moves itself by writing "0" to v1's tasks files (a foreign pid, or
 * cgroup.procs, waits some 11 ms for an RCU period); after cgroup.kill nobody may be born in that group again; the v1
 * freezer blocks cgroup.kill until it is thawed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

#define CGROUP_HIERARCHIES_MAX 16
#define CGROUP_ROOT "/sys/fs/cgroup"

struct cgroup_hierarchy {
	char controllers[64]; /* v1: "cpu,cpuacct", "name=systemd"; v2: "" */
	char directory[64];   /* below CGROUP_ROOT: "cpu,cpuacct", "unified", "." */
	bool v2;
	int root_fd; /* O_PATH */
};

struct cgroup_layout {
	struct cgroup_hierarchy hierarchies[CGROUP_HIERARCHIES_MAX];
	size_t count;
	int v2_index; /* of the v2 hierarchy, -1 where there is none */
	bool pure_v2; /* there is no other */
};

/* One group: its directory in each hierarchy of the layout (same index), -1 where it does not exist. */
struct cgroup {
	const struct cgroup_layout *layout; /* borrowed; outlives the group */
	int dir_fds[CGROUP_HIERARCHIES_MAX];
	char path[512]; /* from the hierarchies' roots, without a leading '/' */
};

/* Finds what is mounted below @mount_root (normally CGROUP_ROOT). A machine without any is a layout of count 0.
 * Errors: of open(2), read(2). */
int cgroup_layout_open(const char *mount_root, struct cgroup_layout *ret_layout, struct err *err);
void cgroup_layout_done(struct cgroup_layout *layout);

/* Makes @path in every hierarchy, with missing parents; an existing group is used as it is. On failure nothing that this
 * call made is left. Errors: of mkdir(2); -EINVAL (@path leaves the tree). */
int cgroup_make(const struct cgroup_layout *layout, const char *path, struct cgroup *ret_group, struct err *err);

/* Opens what exists of @path. Returns 0, or -ENOENT where no hierarchy has it. */
int cgroup_open(const struct cgroup_layout *layout, const char *path, struct cgroup *ret_group);
void cgroup_done(struct cgroup *group);

/* The v2 directory, for CLONE_INTO_CGROUP; -1 where there is none. */
int cgroup_v2_fd(const struct cgroup *group);

/* The directory that holds this controller's files; -1 where the controller is nowhere. @ret_v2 tells which dialect they
 * speak. */
int cgroup_controller_fd(const struct cgroup *group, const char *controller, bool *ret_v2);

/* Makes a v2 controller available in the group by cgroup.subtree_control of all its parents. Errors: of write(2). */
int cgroup_enable(const struct cgroup *group, const char *controller, struct err *err);

/* Opens the files through which a process enters: v1 tasks files, and v2 cgroup.procs with @with_v2 (not needed by a
 * child made with CLONE_INTO_CGROUP). @ret_fds: one per hierarchy, -1 where not needed. */
int cgroup_open_entries(const struct cgroup *group, bool with_v2, int ret_fds[CGROUP_HIERARCHIES_MAX], struct err *err);

/* The calling (single-threaded) process enters through these files, which are closed. Errors: of write(2). */
int cgroup_enter(int fds[CGROUP_HIERARCHIES_MAX], struct err *err);

/* Stops or resumes all processes of the group; waits for at most two seconds until the kernel says so.
 * Errors: -ETIMEDOUT, -EOPNOTSUPP (neither v2 nor a v1 freezer). */
int cgroup_freeze(const struct cgroup *group, bool frozen, struct err *err);
bool cgroup_is_frozen(const struct cgroup *group);

/* Sends SIGKILL to everything in the group and below it. The group cannot be used afterwards.
 * Returns 0, or -EOPNOTSUPP where there is no group to do it by. */
int cgroup_kill(const struct cgroup *group);

/* Sends @signal to every process of the group and below it. */
int cgroup_signal(const struct cgroup *group, int signal);

/* The processes of the group and of those below it: *ret_pids is malloc()ed. */
int cgroup_pids(const struct cgroup *group, pid_t **ret_pids, size_t *ret_count);

/* Removes @path and all groups below it in every hierarchy, waiting for at most @wait_ms for their last processes to be
 * gone. A missing group is success. Errors: -EBUSY. */
int cgroup_remove(const struct cgroup_layout *layout, const char *path, int wait_ms, struct err *err);
