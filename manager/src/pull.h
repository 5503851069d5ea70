/* Getting images: pulls and loads, each one job of the image library. Callers that want the same at the same time share
 * one job; it goes on while one of them still waits. */
#pragma once

#include "image/include/axle/image.h"
#include "manager/src/node.h"

struct err;

/* A caller's ear: each piece of progress, in the loop or a fiber of the job's; must not park. */
struct pull_listener {
	void (*on_progress)(const struct image_progress *progress, void *data);
	void *data;
	struct pull_listener *next; /* the job's */
};

struct pull_request {
	const char *reference;
	struct image_platform platform;
	struct image_credentials credentials;
	bool plain_http;
	int load_fd;	       /* >= 0: load from here; such a job is never shared */
	const char *load_name; /* for an image without a name; NULL: none */
};

/* Pulls (or loads) and parks until it is done. @listener may be NULL. *ret_image is borrowed from the store.
 * Errors: those of image_job_finish(), -ETIMEDOUT, -ECANCELED. */
int pull_image(struct node *node, const struct pull_request *request, struct pull_listener *listener,
	       const struct image **ret_image, struct err *err);

int pull_table_new(struct pull_table **ret_table);
void pull_table_free(struct pull_table *table);
