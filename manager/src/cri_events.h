/* CRI's events: what happens to containers and pods, with the whole state of the pod at that moment, for kubelets that do
 * not want to ask again ("evented PLEG").
 *
 * Each listener has a queue of its own; one that does not keep up loses its stream with an error, so that it lists again:
 * events are never thinned out silently. */
#pragma once

#include <stddef.h>

struct cri_listeners;
struct node;

#define CRI_LISTENERS_MAX 64
#define CRI_LISTENER_EVENTS_MAX 1024 /* waiting to be sent to one listener */
#define CRI_LISTENER_BYTES_MAX (8 << 20)

/* Begins to observe the node's events. */
int cri_listeners_new(struct node *node, struct cri_listeners **ret_listeners);

/* All calls have ended. NULL is allowed. */
void cri_listeners_free(struct cri_listeners *listeners);
