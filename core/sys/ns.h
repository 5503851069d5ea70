/* The kinds of Linux namespaces, and joining existing ones. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct err;

struct ns_kind {
	const char *name;      /* as the OCI runtime specification calls it: "network" */
	const char *proc_name; /* below /proc/PID/ns: "net" */
	uint64_t flag;	       /* CLONE_NEW* */
};

/* All kinds, in the order in which they are joined: user first (it grants the rights for the others), mount last
 * (paths change their meaning). */
#define NS_KINDS 8
extern const struct ns_kind NS_KIND[NS_KINDS];

/* By the specification's name; NULL where there is none. */
const struct ns_kind *ns_kind_find(const char *name);
const struct ns_kind *ns_kind_of_flag(uint64_t flag);

/* Opens a namespace file and checks that it is one of this kind.
 * Errors: those of open(2); -EINVAL (no namespace, or another kind). */
int ns_open(const char *path, const struct ns_kind *kind, int *ret_fd, struct err *err);

/* Opens /proc/PID/ns/KIND. */
int ns_open_of_process(int pid, const struct ns_kind *kind, int *ret_fd, struct err *err);

/* setns(2). Errors: those of setns(2). */
int ns_join(int fd, const struct ns_kind *kind, struct err *err);
