/* The sink that makes a layer's directory for overlayfs, in two halves: the worker makes directories, files and symbolic links
 * as what it is (layer_dir_make); the privileged half adds what only root may (layer_apply.h). */
#pragma once

#include "core/codec/digest.h"

struct err;
struct tree;

#define STORE_LAYER_PATH_MAX 200

/* Writes "@before HEX @after". */
void layer_path(const char *before, const struct digest *chain, const char *after,
		char ret_path[static STORE_LAYER_PATH_MAX]);

/* Makes "layers/HEX" below @ingest_fd with "fs" (bytes of files are moved in from @data_fd) and, last, "list".
 * Errors: store.full, store.io, those of tree_emit_layer(). */
int layer_dir_make(int ingest_fd, int data_fd, const struct digest *chain, struct tree *tree, struct err *err);
