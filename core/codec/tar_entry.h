/* What a tar archive says of one file: values that tar.h gives out. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define TAR_NAME_MAX 4095	       /* bytes of a path or link target */
#define TAR_EXTENSION_MAX (1024 * 1024) /* bytes of one pax header or GNU long name */
#define TAR_XATTRS_MAX 64	       /* of one entry */

enum tar_type {
	TAR_FILE,
	TAR_HARD_LINK,
	TAR_SYMLINK,
	TAR_CHAR_DEVICE,
	TAR_BLOCK_DEVICE,
	TAR_DIRECTORY,
	TAR_FIFO,
};

struct tar_xattr {
	const char *name;
	const void *value;
	size_t size;
};

/* Valid during the callback only. */
struct tar_entry {
	enum tar_type type;
	const char *path; /* as it stands there: may be absolute, hold "..", be empty */
	const char *link; /* of links, else "" */
	uint64_t size;	  /* bytes of data that follow; 0 for all but files */
	uint32_t mode;	  /* the 12 permission bits */
	uint32_t uid;
	uint32_t gid;
	int64_t mtime_s;
	uint32_t mtime_ns;
	uint32_t dev_major;
	uint32_t dev_minor;
	const struct tar_xattr *xattrs;
	size_t xattrs_count;
};
