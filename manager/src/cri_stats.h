/* What the calls about statistics share with those about images. */
#pragma once

#include "manager/src/cri.h"

/* Space that is used on the file system with this mount point. NULL: out of memory. */
Cri__FilesystemUsage *cri_make_filesystem_usage(struct rpc *rpc, const char *mountpoint, uint64_t bytes, uint64_t inodes,
						int64_t at_ns);

/* Where images and writable layers lie: one name for both where they share a file system. In the arena of the call. */
int cri_find_filesystems(struct rpc *rpc, const char **ret_images, const char **ret_layers);
