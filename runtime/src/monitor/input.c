#include "runtime/src/monitor/input.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/base/scoped.h"
#include "core/sys/fd.h"

void input_remove_source(struct source *source)
{
	struct input *input = source->input;
	if (!input)
		return;
	loop_unwatch(input->loop, &source->watch);
	for (struct source **link = &input->sources; *link; link = &(*link)->next) {
		if (*link != source)
			continue;
		*link = source->next;
		break;
	}
	(void)close(TAKE_FD(source->fd));
	source->input = NULL;
}

static void source_leaves(struct source *source)
{
	input_remove_source(source);
	source->gone(source->owner);
}

static void watch_sources(struct input *input, bool on)
{
	for (struct source *source = input->sources; source; source = source->next) {
		if (on)
			(void)loop_watch(input->loop, &source->watch, source->fd, EPOLLIN);
		else
			loop_unwatch(input->loop, &source->watch);
	}
}

static void finish(struct input *input)
{
	if (input->fd < 0)
		return;
	loop_unwatch(input->loop, &input->watch);
	(void)close(TAKE_FD(input->fd));
	input->size = input->offset = 0;
	while (input->sources)
		source_leaves(input->sources);
	input->closed(input->owner);
}

/* Writes what is pending; then the sources may speak again. */
static void flush(struct input *input)
{
	while (input->offset < input->size) {
		ssize_t count = write(input->fd, input->pending + input->offset, input->size - input->offset);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0 && errno != EAGAIN) { /* the container closed its end */
			finish(input);
			return;
		}
		if (count < 0) {
			watch_sources(input, false);
			(void)loop_watch(input->loop, &input->watch, input->fd, EPOLLOUT);
			return;
		}
		input->offset += (size_t)count;
	}
	input->size = input->offset = 0;
	loop_unwatch(input->loop, &input->watch);
	if (input->closing)
		finish(input);
	else
		watch_sources(input, true);
}

static void on_writable(struct watch *watch, uint32_t events)
{
	(void)events; /* an error shows with the write */
	flush(watch->owner);
}

static void on_source(struct watch *watch, uint32_t events)
{
	(void)events;
	struct source *source = watch->owner;
	struct input *input = source->input;
	ssize_t count = read(source->fd, input->pending, sizeof input->pending);
	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (count <= 0) {
		source_leaves(source);
		if (input->once)
			input_close(input);
		return;
	}
	input->size = (size_t)count;
	flush(input);
}

void input_init(struct input *input, struct loop *loop)
{
	*input = (struct input){.loop = loop, .fd = -1};
	input->watch = (struct watch){.fd = -1, .ready = on_writable, .owner = input};
}

void input_done(struct input *input)
{
	if (!input->loop)
		return;
	while (input->sources)
		input_remove_source(input->sources);
	loop_unwatch(input->loop, &input->watch);
	if (input->fd >= 0)
		(void)close(TAKE_FD(input->fd));
}

int input_open(struct input *input, int fd, bool once)
{
	int r = fd_set_nonblock(fd, true);
	if (r < 0)
		return r;
	input->fd = fd;
	input->once = once;
	return 0;
}

void input_close(struct input *input)
{
	input->closing = true;
	if (input->fd >= 0 && input->size == 0)
		finish(input);
}

int input_add_source(struct input *input, struct source *source, int fd)
{
	if (input->fd < 0)
		return -EPIPE;
	int r = fd_set_nonblock(fd, true);
	source->watch = (struct watch){.fd = -1, .ready = on_source, .owner = source};
	if (r == 0 && input->size == 0)
		r = loop_watch(input->loop, &source->watch, fd, EPOLLIN);
	if (r < 0)
		return r;
	source->fd = fd;
	source->input = input;
	source->next = input->sources;
	input->sources = source;
	return 0;
}
