/* What the unprivileged half gives up before it reads a byte of foreign origin. */
#pragma once

#include <sys/types.h>

struct err;

struct jail_options {
	uid_t uid; /* without effect when not root */
	gid_t gid;
	int root_fd; /* becomes the root directory, when root */
};

/* Own uid and gid, no supplementary groups, no capability, no_new_privs, not dumpable, killed with its parent, root directory
 * changed, limits set; then a seccomp filter that leaves files by descriptor, sockets and threads. Cannot be undone. */
int jail_enter(const struct jail_options *options, struct err *err);

/* Copies what name resolution reads (resolv.conf, hosts) below @root_fd: etc/. Missing files are left out. */
int jail_copy_resolver_files(int root_fd, struct err *err);
