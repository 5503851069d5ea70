/* Images that collectors shall leave alone, because the configuration says so. */
#pragma once

#include <stdbool.h>

struct image;
struct node;

bool image_is_pinned(const struct node *node, const struct image *image);
