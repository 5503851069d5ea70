#include "runtime/src/monitor/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/scoped.h"
#include "runtime/src/monitor/cri_frame.h"
#include "runtime/src/monitor/loop.h"

static bool is_null_device(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3);
}

/* O_NONBLOCK: a FIFO that lies there must not stop us before we see what it is. */
static int open_path(const char *path, uint64_t *ret_size, struct err *err)
{
	scoped_fd int fd =
		open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0640);
	if (fd < 0)
		return err_sys(err, -errno, "log.open", "open the log %s", path);
	struct stat st = {0};
	if (fstat(fd, &st) < 0)
		return err_sys(err, -errno, "log.open", "stat the log %s", path);
	if (!S_ISREG(st.st_mode) && !is_null_device(&st))
		return err_set(err, -EINVAL, "log.open", "the log %s: expected a regular file", path);
	*ret_size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
	return TAKE_FD(fd);
}

int log_file_open(struct log_file *file, const char *path, uint64_t max_bytes, uint32_t files, struct err *err)
{
	*file = (struct log_file){.max_bytes = max_bytes, .files = files, .fd = -1};
	file->path = strdup(path);
	if (!file->path)
		return err_sys(err, -ENOMEM, "log.open", "open the log %s", path);
	return log_file_reopen(file, err);
}

void log_file_done(struct log_file *file)
{
	if (file->fd >= 0)
		(void)close(file->fd);
	file->fd = -1;
	free(TAKE(file->path));
}

int log_file_reopen(struct log_file *file, struct err *err)
{
	uint64_t size = 0;
	int fd = open_path(file->path, &size, err);
	if (fd < 0)
		return fd;
	if (file->fd >= 0)
		(void)close(file->fd);
	file->fd = fd;
	file->size = size;
	return 0;
}

/* PATH.N-1 becomes PATH.N, ... PATH becomes PATH.1; the oldest is overwritten by its successor. */
static void rotate(struct log_file *file)
{
	char from[4200];
	char to[4200];
	for (uint32_t i = file->files; i > 0; i--) {
		(void)snprintf(to, sizeof to, "%s.%" PRIu32, file->path, i);
		(void)snprintf(from, sizeof from, i > 1 ? "%s.%" PRIu32 : "%s", file->path, i - 1);
		(void)rename(from, to); /* one that is missing leaves its successor's place alone */
	}
	(void)log_file_reopen(file, NULL); /* where that fails the moved file goes on */
}

/* How much of @bytes is content: all but each record's header and newline. */
static uint64_t content_of(const char *bytes, size_t size)
{
	uint64_t records = 0;
	for (size_t i = 0; i < size; i++)
		records += bytes[i] == '\n';
	return (uint64_t)size - records * (CRI_HEADER_BYTES + 1);
}

static uint64_t lose(struct log_file *file, const char *bytes, size_t size, const char *why)
{
	uint64_t content = content_of(bytes, size);
	file->lost += content;
	file->lost_why = why;
	return content;
}

/* Appends; a part that does not end with a record is cut off again. Returns the bytes that stay. */
static size_t append(struct log_file *file, const char *bytes, size_t size, int *ret_errno)
{
	size_t done = 0;
	*ret_errno = 0;
	while (done < size) {
		ssize_t count = write(file->fd, bytes + done, size - done);
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0) {
			*ret_errno = count < 0 ? errno : EIO;
			break;
		}
		done += (size_t)count;
	}
	const char *end = done < size ? memrchr(bytes, '\n', done) : bytes + size - 1;
	size_t whole = end ? (size_t)(end - bytes) + 1 : 0;
	if (whole < done && ftruncate(file->fd, (off_t)(file->size + whole)) < 0)
		whole = done; /* the tail of a torn record stays: no worse than before */
	file->size += whole;
	return whole;
}

/* Puts the record about lost bytes where they are missing. False: the disk does not even take that. */
static bool tell_lost(struct log_file *file)
{
	if (file->lost == 0)
		return true;
	struct cri_record record;
	cri_record_make(&record, "stderr", 'F', wall_now_ns());
	char line[256];
	int length = snprintf(line, sizeof line, "%saxle: %" PRIu64 " bytes of output are missing here: %s\n",
			      record.header, file->lost, file->lost_why);
	int error = 0;
	if (append(file, line, (size_t)length, &error) < (size_t)length)
		return false;
	file->lost = 0;
	return true;
}

/* The most of @bytes, in whole records, that the limit lets into the file; at least one record into an empty one. */
static size_t fitting(const struct log_file *file, const char *bytes, size_t size)
{
	if (file->max_bytes == 0 || file->size + size <= file->max_bytes)
		return size;
	uint64_t room = file->size < file->max_bytes ? file->max_bytes - file->size : 0;
	const char *end = room > 0 ? memrchr(bytes, '\n', room) : NULL;
	if (!end && file->size == 0)
		end = memchr(bytes, '\n', size);
	return end ? (size_t)(end - bytes) + 1 : 0;
}

/* Appends what fits. Returns the bytes dealt with; adds those lost to *lost. */
static size_t append_fitting(struct log_file *file, const char *bytes, size_t size, uint64_t *lost)
{
	size_t part = fitting(file, bytes, size);
	if (part == 0 && file->files > 0) {
		rotate(file);
		return 0;
	}
	if (part == 0) {
		*lost += lose(file, bytes, size, "the log has reached its limit");
		return size;
	}
	if (!tell_lost(file)) {
		*lost += lose(file, bytes, part, file->lost_why);
		return part;
	}
	int error = 0;
	size_t kept = append(file, bytes, part, &error);
	if (kept < part)
		*lost += lose(file, bytes + kept, part - kept,
			      error == ENOSPC ? "no space left on the disk" : "the disk failed");
	return part;
}

uint64_t log_file_append(struct log_file *file, const char *bytes, size_t size)
{
	uint64_t lost = 0;
	for (size_t at = 0; at < size;)
		at += append_fitting(file, bytes + at, size - at, &lost);
	return lost;
}
