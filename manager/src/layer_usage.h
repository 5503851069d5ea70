/* What the writable layers of containers take of the disk: counted by a helper, at most every LAYER_USAGE_AGE_MS while
 * somebody asks, and kept with their age; nobody's call walks a tree. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct container;
struct layer_walker;
struct node;

#define LAYER_USAGE_AGE_MS 10000
#define LAYER_USAGE_WAIT_MS 5000 /* for one that was never counted */

/* In struct container. */
struct layer_usage {
	uint64_t bytes;
	uint64_t inodes;
	int64_t counted_ns; /* since the epoch; 0: not yet */
	uint64_t tried_ns;  /* uv_hrtime() of the last walk's end, also of one that failed */
	bool wanted;
};

int layer_walker_new(struct node *node, struct layer_walker **ret_walker);
void layer_walker_free(struct layer_walker *walker);

/* Has those counted that are too old, in the background; parks for those that never were. What cannot be counted in time
 * stays as it is. The caller holds references. Returns 0, or -ECANCELED, -ETIMEDOUT (the fiber's own). */
int layer_usage_refresh(struct node *node, struct container *const *containers, size_t count);
