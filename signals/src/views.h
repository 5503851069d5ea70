/* The views that are served: one FUSE connection and one socket of the line protocol for each container that asked.
 *
 * They are made through the control socket (docs/formats/signal-views.md) by whoever mounts: the OCI hook, or axled
 * through it. The holder keeps their descriptors and their requests, so that a killed daemon's views go on. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "core/base/scoped.h"

struct buf;
struct config;
struct err;
struct files;
struct holder;
struct holder_item;
struct log;
struct store;
struct view;
struct view_request;
struct views;

#define VIEWS_MAX 254

struct views_options {
	uv_loop_t *loop;
	struct store *store;
	struct files *files;
	const struct holder *holder;
	const struct config *config; /* read again by views_recheck() */
	const struct log *log;
	const struct log *audit;
};

/* All in @options is borrowed. */
int views_new(const struct views_options *options, struct views **ret_views);
/* Ends the serving, not the views: the holder's records stay. */
void views_free(struct views *views);
SCOPED_DEFINE(struct views, views_free)

/* Listens for those who make views. Takes over @listen_fd. */
int views_listen(struct views *views, int listen_fd, struct err *err);

/* What the holder kept of an earlier daemon, or tells of a view that comes back. Takes over its descriptors. */
void views_resume(struct views *views, const struct holder_item *item);

/* Catalogue or configuration are new: grants are computed again, what is no longer granted ends. */
void views_recheck(struct views *views);

/* Calls @say with what each view's container was granted (JSON of one line); stops at the first result that is not 0 and
 * returns it. Errors: -ENOMEM, -EMSGSIZE. */
int views_each(const struct views *views, int (*say)(void *user, const char *json), void *user);
/* One of them. */
int views_add_one(const struct store *store, const struct view_request *request, const struct view *view,
		  struct buf *ret_json);

size_t views_count(const struct views *views);
