/* Running one CNI plugin (CNI specification, section 2): a program of the host's that gets its parameters as environment, its
 * configuration on stdin, and answers on stdout.
 *
 * It runs in a session and a cgroup of its own, with a deadline. When this returns, nothing that it started is left. Where axled
 * is killed, a plugin runs on to its end: one that is cut off in the middle of its DEL may leave what no second DEL finds (bridge
 * takes the addresses of its rules from the link that it has just removed). */
#pragma once

#include <stddef.h>

struct arena;
struct buf;
struct err;
struct node;

struct cni_invocation {
	const char *command; /* "ADD", "CHECK", "DEL", "GC", "STATUS", "VERSION" */
	const char *type;
	const char *path; /* of the program */
	const char *network;
	const char *container_id; /* NULL: not part of this command; likewise below */
	const char *netns;
	const char *interface;
	const char *args;
	const struct buf *input;
};

/* Finds a plugin's program. The path lies in @arena. Errors: -ENETUNREACH (cni.no-plugin: @err says where it was looked for). */
int cni_plugin_find(const struct node *node, const char *type, struct arena *arena, const char **ret_path, struct err *err);

/* For the start, before anything is undone: lets plugins that a dead axled left end, kills those that do not, and makes the group
 * below which new ones run. Parks. Errors: -EBUSY, of mkdir(2). */
int cni_plugins_settle(struct node *node, struct err *err);

/* Runs it to its end and appends what it wrote to @ret_output. Parks. Every error names network, plugin and command.
 * Errors: -EIO (cni.plugin-failed: with its own words), -ETIMEDOUT and -ECANCELED (cni.plugin-timeout, cni.plugin-cancelled: it
 * was killed, with all it started), -EMSGSIZE, those of spawn_process(). */
int cni_plugin_run(struct node *node, const struct cni_invocation *invocation, struct buf *ret_output, struct err *err);
