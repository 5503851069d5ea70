#include "manager/src/image_removal.h"

#include <errno.h>

#include "core/base/err.h"
#include "core/base/str.h"
#include "image/include/axle/image.h"
#include "manager/src/node.h"

static int run_job(struct node *node, const char *text, unsigned flags, struct err *err)
{
	scoped(image_job_free) struct image_job *job = NULL;
	const struct image_job_options options = {.kind = IMAGE_JOB_REMOVE, .reference = text, .remove_flags = flags, .input_fd = -1};
	const struct image *none = NULL;
	int r = image_job_start(node->images, &options, &job, err);
	if (r == 0)
		r = fiber_await_fd(node->fibers, image_job_pidfd(job), UV_READABLE);
	return r < 0 ? r : image_job_finish(job, &none, err);
}

/* A worker that was killed may have taken the names away and not the blobs: it is run once more, and what it left is collected
 * here, though that blocks: nobody else would before the next pull. */
static int run_job_again(struct node *node, const char *text, unsigned flags, struct err *err)
{
	struct err first = {0};
	int r = run_job(node, text, flags, &first);
	if (r == -EIO) {
		log_err(&node->log, &first, r, "remove image %.200s: once more", text);
		first = (struct err){0};
		r = run_job(node, text, flags, &first);
		(void)image_store_collect(node->images, NULL); /* the next start does, where this fails */
		if (r == -ENOENT)
			return 0;
	}
	if (r < 0 && err)
		*err = first;
	return r;
}

static int remove_in_turn(struct node *node, const char *text, unsigned flags, char ***ret_untagged, char **ret_id,
			  struct err *err)
{
	scoped(strv_free) char **untagged = NULL;
	scoped_free char *id = NULL;
	int r = image_store_begin_removal(node->images, text, flags, &untagged, &id, err);
	if (r < 0)
		return r;
	r = run_job_again(node, id ? id : text, id ? flags & ~(unsigned)IMAGE_REMOVE_REFERENCE : flags, err);
	if (id)
		image_store_end_removal(node->images, id);
	if (r < 0)
		return r;
	*ret_untagged = TAKE(untagged);
	*ret_id = TAKE(id);
	return 0;
}

int image_removal_run(struct node *node, const char *text, unsigned flags, char ***ret_untagged, char **ret_id,
		      struct err *err)
{
	int r = fiber_lock(node->fibers, &node->removals);
	if (r < 0)
		return err_set(err, r, "image.busy", "image %.200s: another image is being removed", text);
	fiber_shield(node->fibers); /* once begun it ends, whoever still waits for it */
	r = remove_in_turn(node, text, flags, ret_untagged, ret_id, err);
	fiber_unshield(node->fibers);
	fiber_unlock(node->fibers, &node->removals);
	return r;
}
