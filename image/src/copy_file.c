#include "image/src/copy_file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/scoped.h"
#include "core/sys/fd.h"

#define CHUNK (256 * 1024)

/* For pairs of file systems between which the kernel copies nothing. */
static int copy_by_hand(int from, int to, uint64_t left)
{
	scoped_free char *bytes = malloc(CHUNK);
	if (!bytes)
		return -ENOMEM;
	while (left) {
		ssize_t n = read(from, bytes, left < CHUNK ? (size_t)left : CHUNK);
		if (n < 0 && errno == EINTR)
			continue;
		int r = n < 0 ? -errno : n == 0 ? -EUCLEAN : fd_write_all(to, bytes, (size_t)n);
		if (r < 0)
			return r;
		left -= (uint64_t)n;
	}
	return 0;
}

int copy_file_bytes(int from, int to, uint64_t size)
{
	struct stat st;
	if (fstat(from, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != size)
		return -EUCLEAN;
	uint64_t left = size;
	while (left) {
		ssize_t n = copy_file_range(from, NULL, to, NULL, left < (1u << 30) ? (size_t)left : 1u << 30, 0);
		if (n > 0) {
			left -= (uint64_t)n;
			continue;
		}
		bool cannot = n == 0 || errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP || errno == ENOSYS;
		if (cannot)
			return copy_by_hand(from, to, left);
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}
