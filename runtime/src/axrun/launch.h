/* Everything that `create`, `run` and `exec` know when the container's process is cloned: filled by the command's side
 * (launch.c, join.c), read by the process's side (init.c), never the other way round. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/sys/cgroup.h"
#include "core/sys/ns.h"
#include "runtime/src/axrun/capability.h"
#include "runtime/src/axrun/seccomp.h"

struct container;
struct err;
struct log;
struct oci_process;
struct oci_spec;

struct launch_options {
	const char *bundle;
	const char *pid_file;
	const char *console_socket;
	uint64_t rootfs_fd_number; /* as given */
	uint64_t preserve_fds;
	bool no_pivot;
	bool no_subreaper; /* accepted as runc has it; nothing here is a subreaper */
	bool no_new_keyring;
	bool no_cgroups; /* --cgroup-manager=disabled */
	bool detach;
	bool keep;
	bool run; /* start at once, over the sync socket */
	int rootfs_fd; /* -1: root.path */
};

struct launch {
	const struct launch_options *options;
	const struct log *log;
	const char *id;
	const char *bundle; /* absolute */
	const struct oci_spec *spec;
	const struct oci_process *process;

	uint64_t new_namespaces;   /* CLONE_NEW* to make */
	int joined[NS_KINDS];	   /* open namespaces to join, by index in NS_KIND; -1 */
	bool new_user;		   /* a new user namespace is made */
	bool any_user;		   /* the process runs in a user namespace that is not the caller's */
	int proc_fd;		   /* the host's /proc, O_PATH */
	int rootfs_tree;	   /* the root as a detached mount */
	int *mount_trees;	   /* per mount of the configuration: the bind source as a detached mount, or -1 */
	const struct cgroup *group;
	int entries[CGROUP_HIERARCHIES_MAX];
	struct seccomp_program seccomp;
	int seccomp_socket;	   /* connected listener of seccomp notifications, -1 */
	char *seccomp_state;	   /* what it is told */
	struct capability_sets capabilities;
	char *hook_state;	   /* for hooks that run in the container */
	int start_socket;	   /* listening; -1: started over the sync socket */
	int sync_socket;	   /* the process's end */
};

/* A cloned process as its maker sees it. */
struct launched {
	pid_t pid;
	int pidfd;
	int sync_socket; /* the command's end */
	int console;	 /* the terminal's master where it was asked for and not sent away, -1 */
};

/* An empty launch: every descriptor -1. */
void launch_init(struct launch *launch);
void launch_done(struct launch *launch);

/* Opens what the process needs from the caller's side: namespaces, root, bind sources, seccomp, cgroup entries. */
int launch_prepare(struct launch *launch, int state_root_fd, struct err *err);

/* The seccomp part of it alone, for `exec`. */
int launch_prepare_seccomp(struct launch *launch, int state_root_fd, struct err *err);

/* Clones the first process; it sets itself up and reports. */
int launch_clone(struct launch *launch, struct launched *ret_launched, struct err *err);

/* Serves the process's requests (maps, hooks, terminal) until it is ready; then sets its resource limits.
 * On failure the process has been killed and reaped. */
int launch_await_ready(struct launch *launch, struct launched *launched, struct err *err);

/* Lets a process that was started over the sync socket execute its program; waits until it has, or has failed. */
int launch_go(struct launched *launched, struct err *err);

/* Kills and reaps it, and closes its descriptors. */
void launched_kill(struct launched *launched);
void launched_done(struct launched *launched);

/* `exec`: clones a process into an existing container. launch->new_namespaces are those to enter. */
int launch_clone_exec(struct launch *launch, int container_pidfd, struct launched *ret_launched, struct err *err);
