#include "cli/src/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BYTES (32 * 1024)

/* What epoll takes (terminals, pipes, sockets) is read when it has something, and then does not block. Files have always
 * something, and are read once in each round of the loop. */
struct input {
	union {
		uv_handle_t handle;
		uv_poll_t poll;
		uv_idle_t idle;
	} source;
	bool is_file;
	bool ended;
	int fd;
	input_read *on_read;
	void *data;
};

static void read_once(struct input *input)
{
	uint8_t bytes[READ_BYTES];
	ssize_t size = read(input->fd, bytes, sizeof bytes);
	if (size < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (size <= 0) {
		input_pause(input);
		input->ended = true;
	}
	input->on_read(bytes, size > 0 ? (size_t)size : 0, input->data);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	(void)status; /* read(2) tells what is wrong */
	(void)events;
	read_once(poll->data);
}

static void on_round(uv_idle_t *idle)
{
	read_once(idle->data);
}

void input_pause(struct input *input)
{
	if (input->is_file)
		(void)uv_idle_stop(&input->source.idle);
	else
		(void)uv_poll_stop(&input->source.poll);
}

void input_resume(struct input *input)
{
	if (input->ended)
		return;
	if (input->is_file)
		(void)uv_idle_start(&input->source.idle, on_round);
	else
		(void)uv_poll_start(&input->source.poll, UV_READABLE | UV_DISCONNECT, on_readable);
}

/* /dev/null is a device that epoll does not take: whatever it refuses is read like a file. */
static bool is_pollable(int fd)
{
	struct stat stat;
	if (fstat(fd, &stat) < 0)
		return false;
	return S_ISFIFO(stat.st_mode) || S_ISSOCK(stat.st_mode) || (S_ISCHR(stat.st_mode) && isatty(fd));
}

/* libuv makes the descriptor non-blocking, which would be so for everyone who shares it, our standard output above all. */
static int poll_init(uv_loop_t *loop, struct input *input, int fd)
{
	int flags = fcntl(fd, F_GETFL);
	int r = uv_poll_init(loop, &input->source.poll, fd);
	if (flags >= 0)
		(void)fcntl(fd, F_SETFL, flags); /* it was possible before */
	return r;
}

struct input *input_new(uv_loop_t *loop, int fd, input_read *on_read, void *data)
{
	struct input *input = calloc(1, sizeof *input);
	if (!input)
		return NULL;
	*input = (struct input){.fd = fd, .on_read = on_read, .data = data};
	input->is_file = !is_pollable(fd) || poll_init(loop, input, fd) < 0;
	if (input->is_file)
		(void)uv_idle_init(loop, &input->source.idle);
	input->source.handle.data = input;
	input_resume(input);
	return input;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void input_free(struct input *input)
{
	if (input)
		uv_close(&input->source.handle, on_closed);
}
