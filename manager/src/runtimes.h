/* OCI runtimes by their handlers' names: where they are, how they are called, what they can do. */
#pragma once

#include <stdbool.h>

#include "manager/src/node.h"
#include "proto/cri.h"

struct arena;
struct buf;
struct err;

/* Where a runtime is and how it is called. */
struct runtime {
	const char *path;	 /* absolute: what is executed */
	const char *program;	 /* the runtime itself, which a wrapper may stand before */
	const char *const *args; /* "--root", DIR ..., before those of a command */
	bool takes_rootfs_fd;	 /* axrun: the root file system comes as a descriptor */
};

/* All of *ret_runtime lies in @arena. @handler: "" is the default one. Errors: -ENOENT (runtime.missing: no such handler or
 * program), -ENOMEM. */
int runtime_find(const struct node *node, const char *handler, struct arena *arena, struct runtime *ret_runtime,
		 struct err *err);

/* Runs it with its own options and @args (NULL-terminated), and waits for its end. @ret_output (may be NULL) gets what it
 * writes. Parks; always to its end, or until it is killed after 30 s.
 * Errors: -EIO (runtime.failed, with its first line), runtime.timeout. */
int runtime_run(struct node *node, const struct runtime *runtime, const char *const *args, struct buf *ret_output,
		struct err *err);

struct runtime_features {
	bool present; /* its program is there */
	bool recursive_read_only;
	bool user_namespaces; /* with idmapped mounts, which this machine's kernel and file systems must know too */
};

/* What a handler can do: its program is asked (`features` of the runtime specification), the kernel is tried once. Answers
 * are kept until the program changes. Parks. A handler that cannot be asked can do nothing special. */
struct runtime_features runtime_features(struct node *node, const char *handler);

/* Why no pod can have a user namespace here; NULL: each can, or it was not tried yet. */
const char *runtime_user_namespace_problem(const struct node *node);

/* Is the handler's runtime there, and does it do what this pod, or this container, asks of it? Parks.
 * Errors: -ENOTSUP; of runtime_find(). */
int runtime_check_pod(struct node *node, const char *handler, const Cri__PodSandboxConfig *config, struct err *err);
int runtime_check_container(struct node *node, const char *handler, const Cri__ContainerConfig *config, struct err *err);
