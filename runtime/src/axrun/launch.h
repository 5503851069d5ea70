/* Everything that `create`, `run` and `exec` know when the container's process is cloned: filled by the command's side
 * (launcher.c, command_exec.c), read by the process's side (init.c), never the other way round. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/sys/cgroup.h"
#include "core/sys/ns.h"
#include "runtime/src/axrun/capability.h"
#include "runtime/src/axrun/seccomp_program.h"

struct container;
struct err;
struct log;
struct oci_process;
struct oci_spec;

struct launch_options {
	const char *bundle;
	const char *config; /* the configuration's name in it */
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
	struct capability_sets capabilities;
	char *hook_state;	   /* for hooks that run in the container */
	int start_socket;	   /* listening; -1: started over the sync socket */
	int sync_socket;	   /* the process's end */
	int callers_socket;	   /* the command's end, which the process closes: it must see when the command is gone */
	int callers_lock;	   /* likewise: a lock ends with its last holder */
};
