/* What `axle load` sends: the bytes of an archive, or a folder (an OCI image layout) as the bytes of a tar archive of it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct archive;
struct err;

/* Opens a file or a folder; "-" is standard input. Errors: of open(2), -EINVAL (a folder without oci-layout, standard input
 * that is a terminal), -E2BIG (a folder with too many files), -ENAMETOOLONG. */
int archive_open(const char *path, struct archive **ret_archive, struct err *err);
void archive_free(struct archive *archive);

/* Reads the next bytes. Returns how many, 0 at the end. Errors: of read(2); -EIO (a file of the folder has shrunk). */
int archive_read(struct archive *archive, uint8_t *bytes, size_t size, size_t *ret_size, struct err *err);
