/* The sink that makes a flat tree: the merged view of all layers in one directory, without mounts. */
#pragma once

#include <stddef.h>

struct err;

/* @layers: paths of the layers' trees ("layers/HEX/fs") below @store_fd, lowest first. Not root: everything belongs to the
 * caller and devices are left out. Blocks. Errors: store.damaged, store.full, store.io, -ENOMEM. */
int flat_make(int store_fd, const char *const *layers, size_t count, int root_fd, struct err *err);
