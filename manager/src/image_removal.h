/* Removing images: a job of the image library, so that no call waits behind a large tree. */
#pragma once

struct err;
struct node;

/* Removes what @text names (@flags: enum image_remove_flags) and parks until it is done; removals take turns. What went is
 * in *ret_untagged and *ret_id (NULL: names alone), the caller's.
 * Errors: those of image_store_begin_removal() and image_job_finish(). */
int image_removal_run(struct node *node, const char *text, unsigned flags, char ***ret_untagged, char **ret_id,
		      struct err *err);
