/* The privileged half of making a layer's directory: owners, modes, times, attributes, devices, links, copies and whiteouts, as
 * the layer's list says. The tree was written by the unprivileged half: every name is opened beneath the tree's descriptor
 * without following links, and what is found must be of the type that the list says. Single-threaded, blocks. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

struct layer_apply {
	int tree_fd;		  /* the layer's "fs" */
	const int *lower_fds;	  /* "fs" of the layers below, lowest first: where copies come from */
	size_t lower_count;
	bool privileged; /* false: owners and devices are left out; opaque marks are user.overlay.opaque */
};

/* @list: the bytes of the layer's list. Errors: store.damaged (the tree is not what the list says), store.full, store.io. */
int layer_apply(const struct layer_apply *apply, const void *list, size_t size, struct err *err);
