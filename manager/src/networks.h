/* The network that new pods of this node get: the configuration as it is in its folder at that moment, and whether it can be
 * used. */
#pragma once

#include <jansson.h>

#include "manager/src/cni_list.h"

struct err;
struct node;
struct networks;

int networks_new(struct networks **ret_networks);
void networks_free(struct networks *networks);

enum networks_outcome {
	NETWORKS_CNI = 0,
	NETWORKS_LOOPBACK_ONLY, /* the configuration of axled wants no CNI */
	NETWORKS_UNCONFIGURED,	/* there is no configuration; @err says where it was looked for */
};

/* The configuration that holds now: read again where the folder or its file changed. *ret_list is borrowed until the caller
 * parks. Errors: -ENETUNREACH (network.not-ready: it is broken), -ENOMEM. */
int networks_current(struct node *node, const struct cni_list **ret_list, struct err *err);

/* Could a pod be attached now? Looks for the plugins, and asks those that know STATUS. Parks.
 * Returns a networks_outcome or an error; @err says why for all but NETWORKS_CNI. */
int networks_ready(struct node *node, struct err *err);

/* For the start, before anybody is served: plugins that know GC drop what they hold for pods that are no more. Parks. */
void networks_collect(struct node *node);
