/* Where a container is: enough to find it again, and to know that it is the same. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/codec/json.h"

struct container_place {
	int64_t pid;	  /* its first process */
	uint64_t started; /* when that was started: process_start_time() */
	const char *root; /* where its root lies before the runtime has changed into it */
	uint64_t device;  /* of the root, as statx(2) numbers it */
	uint64_t inode;	  /* 0: the root was not seen yet */
};

extern const struct json_table CONTAINER_PLACE_TABLE;

/* Does its first process live? A process of another start that has its number is another container's. */
bool container_is_alive(const struct container_place *place);
