#include "manager/src/layer_usage.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "manager/src/container.h"

struct layer_walker {
	struct node *node;
	bool walking;
	struct fiber_signal counted; /* a batch has ended, well or not */
};

int layer_walker_new(struct node *node, struct layer_walker **ret_walker)
{
	struct layer_walker *walker = calloc(1, sizeof *walker);
	if (!walker)
		return -ENOMEM;
	walker->node = node;
	*ret_walker = walker;
	return 0;
}

void layer_walker_free(struct layer_walker *walker)
{
	free(walker);
}

/* --- the walk --- */

struct batch {
	struct container *containers[HELPER_TREES_MAX];
	size_t count;
};

static void take_batch(struct node *node, struct batch *batch)
{
	batch->count = 0;
	for (size_t i = 0; i < node->containers.count && batch->count < HELPER_TREES_MAX; i++) {
		struct container *container = node->containers.objects[i];
		if (!container->layer.wanted)
			continue;
		container->layer.wanted = false;
		batch->containers[batch->count++] = container_ref(container);
	}
}

static int ask(struct node *node, const struct batch *batch, struct arena *arena, struct helper_reply *ret_reply,
	       struct err *err)
{
	const char **trees = arena_array(arena, batch->count + 1, sizeof *trees);
	for (size_t i = 0; trees && i < batch->count; i++) {
		trees[i] = arena_printf(arena, "%s/%s/upper", node->places.rootfs, batch->containers[i]->id);
		if (!trees[i])
			return -ENOMEM;
	}
	if (!trees)
		return -ENOMEM;
	const struct helper_disk_usage usage = {.trees = trees};
	const struct helper_request request = {.disk_usage = &usage};
	int r = helper_run(&node->helper, &request, arena, ret_reply, NULL, err);
	if (r == 0 && ret_reply->trees_count != batch->count)
		return err_set(err, -EIO, "helper.failed", "disk-usage: %zu answers to %zu trees", ret_reply->trees_count,
			       batch->count);
	return r;
}

static void walk_batch(struct node *node, struct batch *batch)
{
	scoped_done(arena_done) struct arena arena = {.max = 1 << 20};
	struct helper_reply reply = {0};
	struct err err = {0};
	int r = ask(node, batch, &arena, &reply, &err);
	if (r < 0)
		log_err(&node->log, &err, r, "count the writable layers of %zu containers", batch->count);
	for (size_t i = 0; i < batch->count; i++) {
		struct layer_usage *layer = &batch->containers[i]->layer;
		layer->tried_ns = uv_hrtime();
		if (r == 0) {
			layer->bytes = reply.trees[i].bytes;
			layer->inodes = reply.trees[i].inodes;
			layer->counted_ns = node_now_ns();
		}
		container_unref(batch->containers[i]);
	}
}

static void run(void *data)
{
	struct layer_walker *walker = data;
	struct batch batch = {0};
	for (take_batch(walker->node, &batch); batch.count > 0; take_batch(walker->node, &batch)) {
		walk_batch(walker->node, &batch);
		fiber_signal_all(&walker->counted);
	}
	walker->walking = false;
}

/* --- asking for it --- */

static bool is_old(const struct layer_usage *layer)
{
	return !layer->tried_ns || uv_hrtime() - layer->tried_ns > LAYER_USAGE_AGE_MS * UINT64_C(1000000);
}

static bool any_never_tried(struct container *const *containers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!containers[i]->layer.tried_ns && !containers[i]->gone)
			return true;
	return false;
}

int layer_usage_refresh(struct node *node, struct container *const *containers, size_t count)
{
	struct layer_walker *walker = node->layers;
	bool wanted = false;
	for (size_t i = 0; i < count; i++)
		if (is_old(&containers[i]->layer))
			wanted = containers[i]->layer.wanted = true;
	if (wanted && !walker->walking && fiber_start(node->fibers, run, walker, NULL) == 0)
		walker->walking = true;
	uint64_t limit = uv_hrtime() + LAYER_USAGE_WAIT_MS * UINT64_C(1000000);
	uint64_t own = fiber_set_deadline(node->fibers, limit);
	if (own < limit)
		(void)fiber_set_deadline(node->fibers, own);
	int r = 0;
	while (r == 0 && walker->walking && any_never_tried(containers, count))
		r = fiber_signal_wait(node->fibers, &walker->counted);
	(void)fiber_set_deadline(node->fibers, own);
	return r == -ETIMEDOUT && limit <= own ? 0 : r;
}
