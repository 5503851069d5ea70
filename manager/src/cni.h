/* The verbs of the Container Network Interface (CNI specification, section 3), over all plugins of a list.
 *
 * Plugins are run one after the other, each with the result of the one before it; for DEL in the opposite order. Nobody may run
 * two verbs for one attachment at a time: the pod's lock is held. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "manager/src/cni_list.h"

struct err;
struct node;

/* One pod's membership in one network. */
struct cni_attachment {
	const char *container_id;
	const char *netns; /* absolute; "": it is gone */
	const char *interface;
	const char *args;	    /* CNI_ARGS */
	const json_t *capabilities; /* object: for plugins that ask for one of them (CONVENTIONS.md); NULL: none */
	const json_t *result;	    /* of ADD, as far as it came; NULL: not known */
};

/* Is told the result after each plugin of an ADD; it may keep a reference. */
struct cni_listener {
	int (*on_result)(json_t *result, void *data, struct err *err);
	void *data;
};

/* ADD. What @listener was told last is the result. On failure the caller runs cni_delete(), with what is known until then:
 * some plugins find by it alone what they made (firewall its rules). Parks.
 * Errors: of cni_plugin_run() and cni_plugin_find(), -EINVAL (a result that is none), of the listener. */
int cni_add(struct node *node, const struct cni_list *list, const struct cni_attachment *attachment,
	    const struct cni_listener *listener, struct err *err);

/* DEL: may be repeated, and may come without an ADD before it. Parks, whatever the call's deadline (each plugin has its own). */
int cni_delete(struct node *node, const struct cni_list *list, const struct cni_attachment *attachment, struct err *err);

#define CNI_UNCHECKED 1

/* CHECK: is all still as ADD made it? Parks. Returns 0, CNI_UNCHECKED (the list's version has no CHECK, or it is disabled), or
 * what the plugin complains about. */
int cni_check(struct node *node, const struct cni_list *list, const struct cni_attachment *attachment, struct err *err);

/* STATUS: of the plugins that know it, is one not ready for ADD? Parks. */
int cni_status(struct node *node, const struct cni_list *list, struct err *err);

/* GC by the plugins that know it: what they hold for others than @attachments (array of {"containerID", "ifname"}) goes. Parks.
 * The caller sees to it that nothing is attached or detached meanwhile. */
int cni_collect(struct node *node, const struct cni_list *list, const json_t *attachments, struct err *err);

/* Are all programs of the list there? Errors: -ENETUNREACH. */
int cni_find_plugins(const struct node *node, const struct cni_list *list, struct err *err);
