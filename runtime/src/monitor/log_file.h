/* One container's log file: whole records are appended, or counted as lost. Blocks on the disk: the writer's thread only. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

struct log_file {
	char *path;
	uint64_t max_bytes; /* 0: none */
	uint32_t files;     /* older ones to keep; 0: what exceeds max_bytes is lost until the next reopen */
	int fd;
	uint64_t size;
	uint64_t lost;        /* content bytes not yet told in the log */
	const char *lost_why; /* of the latest */
};

/* Opens or makes @path, which must be a regular file (not a link) or /dev/null. Errors: -EINVAL, those of open(2). */
int log_file_open(struct log_file *file, const char *path, uint64_t max_bytes, uint32_t files, struct err *err);
void log_file_done(struct log_file *file);

/* Opens the path anew (somebody moved the file away). The old file is kept where that fails. */
int log_file_reopen(struct log_file *file, struct err *err);

/* Appends @bytes: whole records of the CRI format. What the disk does not take is cut off at a record's end, and counted; the
 * next successful append says so in a record of its own. Returns the content bytes lost by this call. */
uint64_t log_file_append(struct log_file *file, const char *bytes, size_t size);
