#include "signals/src/fuse/channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/sys/fd.h"

#define SMALL_BYTES 4096U

int fuse_channel_init(struct fuse_channel *channel, int fd)
{
	*channel = (struct fuse_channel){.fd = fd};
	int r = fd_set_nonblock(fd, true);
	if (r < 0)
		return r;
	channel->buffer = aligned_alloc(SMALL_BYTES, FUSE_WIRE_REQUEST_MAX + SMALL_BYTES);
	if (!channel->buffer)
		return -ENOMEM;
	channel->small = channel->buffer + FUSE_WIRE_REQUEST_MAX;
	return 0;
}

void fuse_channel_done(struct fuse_channel *channel)
{
	free(channel->buffer);
	*channel = (struct fuse_channel){.fd = -1};
}

int fuse_channel_receive(struct fuse_channel *channel, struct fuse_request *ret_request)
{
	for (;;) {
		ssize_t n = read(channel->fd, channel->buffer, FUSE_WIRE_REQUEST_MAX);
		/* ENOENT: the request was taken back (its caller died) while we were reading it */
		if (n < 0 && (errno == EINTR || errno == ENOENT))
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0)
			return -errno;
		if (fuse_request_parse(channel->buffer, (size_t)n, ret_request) == 0)
			return 1;
		if (ret_request->unique && fuse_request_has_answer(ret_request->opcode))
			(void)fuse_channel_answer(channel, ret_request->unique, -EINVAL, NULL, 0);
	}
}

static int send_parts(int fd, const struct iovec *parts, int count)
{
	ssize_t n = writev(fd, parts, count);
	if (n < 0 && errno == EINTR)
		n = writev(fd, parts, count);
	/* ENOENT: nobody waits for it any more; EINTR: likewise */
	return n < 0 && errno != ENOENT ? -errno : 0;
}

int fuse_channel_answer(const struct fuse_channel *channel, uint64_t unique, int error, const void *bytes, size_t size)
{
	if (error)
		size = 0;
	struct fuse_out_header header = {.len = (uint32_t)(sizeof header + size), .error = error, .unique = unique};
	struct iovec parts[2] = {{&header, sizeof header}, {(void *)(uintptr_t)bytes, size}};
	if (header.len > SMALL_BYTES)
		return send_parts(channel->fd, parts, 2);
	memcpy(channel->small, &header, sizeof header);
	if (size)
		memcpy(channel->small + sizeof header, bytes, size);
	parts[0] = (struct iovec){channel->small, header.len};
	return send_parts(channel->fd, parts, 1);
}

int fuse_channel_answer_again(const struct fuse_channel *channel, uint64_t unique, const char *answer, size_t size)
{
	struct fuse_out_header header;
	if (size < sizeof header)
		return -EINVAL;
	memcpy(&header, answer, sizeof header);
	return fuse_channel_answer(channel, unique, header.error, answer + sizeof header, size - sizeof header);
}

void fuse_channel_notify_poll(const struct fuse_channel *channel, uint64_t poll_handle)
{
	struct fuse_notify_poll_wakeup_out out = {.kh = poll_handle};
	struct fuse_out_header header = {.len = sizeof header + sizeof out, .error = FUSE_NOTIFY_POLL};
	struct iovec parts[2] = {{&header, sizeof header}, {&out, sizeof out}};
	(void)send_parts(channel->fd, parts, 2); /* a file that is gone waits for nothing */
}

int fuse_channel_notify_resend(const struct fuse_channel *channel)
{
	struct fuse_out_header header = {.len = sizeof header, .error = FUSE_WIRE_NOTIFY_RESEND};
	struct iovec part = {&header, sizeof header};
	return send_parts(channel->fd, &part, 1);
}
