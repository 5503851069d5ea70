/* Copies the bytes of one file to another: by reflink where the file system can, in the kernel where it cannot. */
#pragma once

#include <stdint.h>

/* @from must be a regular file of exactly @size bytes (-EUCLEAN). Errors: of copy_file_range(2), read(2), write(2). */
int copy_file_bytes(int from, int to, uint64_t size);
