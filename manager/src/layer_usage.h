/* What the writable layers of containers take of the disk: counted by a helper, at most every LAYER_USAGE_AGE_MS while
 * somebody asks, and kept with their age; nobody's call walks a tree. */
#pragma once

#include <stddef.h>

struct container;
struct layer_walker;
struct node;

#define LAYER_USAGE_AGE_MS 10000
#define LAYER_USAGE_WAIT_MS 5000 /* for one that was never counted */

int layer_walker_new(struct node *node, struct layer_walker **ret_walker);
void layer_walker_free(struct layer_walker *walker);

/* Has those counted that are too old, in the background; parks for those that never were. What cannot be counted in time
 * stays as it is. The caller holds references. Returns 0, or -ECANCELED, -ETIMEDOUT (the fiber's own). */
int layer_usage_refresh(struct node *node, struct container *const *containers, size_t count);
