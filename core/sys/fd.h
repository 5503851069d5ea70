/* Whole files and whole writes on descriptors, and records that survive a power cut. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct buf;
struct err;

/* Writes all bytes, through EINTR and short writes. Errors: those of write(2). */
int fd_write_all(int fd, const void *bytes, size_t size);

/* Reads to the end of file into @ret_buf (its max is the limit). Errors: -EMSGSIZE, those of read(2). */
int fd_read_all(int fd, struct buf *ret_buf);

/* Reads a file below @dir_fd (AT_FDCWD allowed; an ordinary path: for files that are ours, not for foreign trees: path.h).
 * Errors: those of open(2) and read(2), -EMSGSIZE; @err names the file. */
int file_read_at(int dir_fd, const char *name, struct buf *ret_buf, struct err *err);

/* Writes a one-line kernel file (cgroup, sysctl, /proc) with one write(2). Errors: of open(2), write(2); @err has both. */
int file_write_kernel(int dir_fd, const char *name, const char *text, struct err *err);

enum file_durability {
	FILE_VOLATILE, /* replaced atomically (below /run) */
	FILE_SYNCED,   /* and synced, file and directory, before the call returns (below /var/lib) */
};

/* Replaces @name below @dir_fd: written beside it, then renamed. Errors: of open, write, fsync, rename; the old file is
 * kept and nothing is left behind. */
int file_replace_at(int dir_fd, const char *name, const void *bytes, size_t size, mode_t mode,
		    enum file_durability durability, struct err *err);

/* Adds or removes FD_CLOEXEC, O_NONBLOCK. Errors: of fcntl(2). */
int fd_set_cloexec(int fd, bool on);
int fd_set_nonblock(int fd, bool on);

/* Sends @size bytes and @count descriptors in one message; receives one. A received message that was cut, or that carries
 * more than @ret_fds has room for, is -EMSGSIZE and all its descriptors are closed. Descriptors arrive with FD_CLOEXEC.
 * Returns the bytes received (0: the peer is gone). @ret_count: descriptors received. */
int fd_send_message(int socket, const void *bytes, size_t size, const int *fds, size_t count);
ssize_t fd_receive_message(int socket, void *bytes, size_t size, int *ret_fds, size_t fds_max, size_t *ret_count);
