#include "core/sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/scoped.h"

#define READ_STEP 4096
#define MESSAGE_FDS_MAX 16

int fd_write_all(int fd, const void *bytes, size_t size)
{
	const char *next = bytes;
	while (size > 0) {
		ssize_t written = write(fd, next, size);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -errno;
		next += written;
		size -= (size_t)written;
	}
	return 0;
}

/* Room for the next read: a step, but at the maximum one byte less than a step may be all that is left. */
static size_t next_step(const struct buf *buf)
{
	size_t left = buf->max - buf->size;
	return left < READ_STEP ? left : READ_STEP;
}

/* At the maximum, only the end of file is still in order. */
static int expect_end(int fd)
{
	char extra = 0;
	ssize_t count = 0;
	do
		count = read(fd, &extra, 1);
	while (count < 0 && errno == EINTR);
	if (count < 0)
		return -errno;
	return count == 0 ? 0 : -EMSGSIZE;
}

int fd_read_all(int fd, struct buf *ret_buf)
{
	for (;;) {
		size_t step = next_step(ret_buf);
		if (step == 0)
			return expect_end(fd);
		char *tail = NULL;
		int r = buf_reserve(ret_buf, step, &tail);
		if (r < 0)
			return r;
		ssize_t count = read(fd, tail, step);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return -errno;
		if (count == 0)
			return 0;
		buf_claim(ret_buf, (size_t)count);
	}
}

int file_read_at(int dir_fd, const char *name, struct buf *ret_buf, struct err *err)
{
	scoped_fd int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, -errno, "file.open", "open %s", name);
	int r = fd_read_all(fd, ret_buf);
	if (r < 0)
		return err_sys(err, r, "file.read", "read %s", name);
	return 0;
}

int file_write_kernel(int dir_fd, const char *name, const char *text, struct err *err)
{
	scoped_fd int fd = openat(dir_fd, name, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, -errno, "file.open", "open %s", name);
	ssize_t written = 0;
	do
		written = write(fd, text, strlen(text));
	while (written < 0 && errno == EINTR);
	if (written < 0)
		return err_sys(err, -errno, "file.write", "write \"%s\" to %s", text, name);
	return 0;
}

static int write_synced(int fd, const void *bytes, size_t size, enum file_durability durability)
{
	int r = fd_write_all(fd, bytes, size);
	if (r < 0)
		return r;
	if (durability == FILE_SYNCED && fsync(fd) < 0)
		return -errno;
	return 0;
}

/* Syncs the directory that holds @name, so that a rename in it survives a power cut. */
static int sync_parent(int dir_fd, const char *name)
{
	const char *slash = strrchr(name, '/');
	char parent[4096] = ".";
	if (slash && (size_t)(slash - name) >= sizeof parent)
		return -ENAMETOOLONG;
	if (slash) {
		size_t length = slash == name ? 1 : (size_t)(slash - name);
		memcpy(parent, name, length);
		parent[length] = '\0';
	}
	scoped_fd int fd = openat(dir_fd, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}

int file_replace_at(int dir_fd, const char *name, const void *bytes, size_t size, mode_t mode,
		    enum file_durability durability, struct err *err)
{
	char temporary[4096];
	if ((size_t)snprintf(temporary, sizeof temporary, "%s.new", name) >= sizeof temporary)
		return err_sys(err, -ENAMETOOLONG, "file.write", "write %s", name);
	(void)unlinkat(dir_fd, temporary, 0); /* left by a writer that was killed */
	scoped_fd int fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return err_sys(err, -errno, "file.write", "create %s", temporary);

	int r = write_synced(fd, bytes, size, durability);
	if (r == 0 && renameat(dir_fd, temporary, dir_fd, name) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlinkat(dir_fd, temporary, 0); /* the first failure is the one to tell */
		return err_sys(err, r, "file.write", "write %s", name);
	}
	if (durability == FILE_SYNCED)
		r = sync_parent(dir_fd, name);
	return r < 0 ? err_sys(err, r, "file.write", "sync the directory of %s", name) : 0;
}

static int change_flag(int fd, int get, int set, int flag, bool on)
{
	int flags = fcntl(fd, get);
	if (flags < 0)
		return -errno;
	int wanted = on ? flags | flag : flags & ~flag;
	if (wanted != flags && fcntl(fd, set, wanted) < 0)
		return -errno;
	return 0;
}

int fd_set_cloexec(int fd, bool on)
{
	return change_flag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, on);
}

int fd_set_nonblock(int fd, bool on)
{
	return change_flag(fd, F_GETFL, F_SETFL, O_NONBLOCK, on);
}

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int) * MESSAGE_FDS_MAX)];
};

int fd_send_message(int socket, const void *bytes, size_t size, const int *fds, size_t count)
{
	if (count > MESSAGE_FDS_MAX)
		return -EMSGSIZE;
	struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	union control control = {0};
	if (count > 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int) * count);
		memcpy(CMSG_DATA(header), fds, sizeof(int) * count);
	}
	ssize_t sent = 0;
	do
		sent = sendmsg(socket, &message, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return -errno;
	return (size_t)sent == size ? 0 : -EMSGSIZE;
}

/* Collects the descriptors of a message; those beyond @max are closed and counted all the same. */
static size_t collect_fds(struct msghdr *message, int *ret_fds, size_t max)
{
	size_t count = 0;
	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		size_t here = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < here; i++, count++) {
			int fd = -1;
			memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
			if (count < max)
				ret_fds[count] = fd;
			else
				(void)close(fd); /* not wanted, and the message is refused below */
		}
	}
	return count;
}

ssize_t fd_receive_message(int socket, void *bytes, size_t size, int *ret_fds, size_t fds_max, size_t *ret_count)
{
	struct iovec part = {.iov_base = bytes, .iov_len = size};
	union control control = {0};
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
	ssize_t received = 0;
	do
		received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	while (received < 0 && errno == EINTR);
	if (received < 0)
		return -errno;

	size_t count = collect_fds(&message, ret_fds, fds_max);
	if (count > fds_max || message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		for (size_t i = 0; i < count && i < fds_max; i++)
			(void)close(ret_fds[i]);
		return -EMSGSIZE;
	}
	if (ret_count)
		*ret_count = count;
	return received;
}
