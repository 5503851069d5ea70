#include "manager/src/process_watch.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct process_watch {
	uv_poll_t poll;
	int pidfd;
	process_watch_ended *ended;
	void *data;
};

static void on_readable(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	struct process_watch *watch = poll->data;
	(void)uv_poll_stop(poll); /* it stays readable */
	watch->ended(watch->data);
}

static void on_closed(uv_handle_t *handle)
{
	struct process_watch *watch = handle->data;
	(void)close(watch->pidfd);
	free(watch);
}

void process_watch_free(struct process_watch *watch)
{
	if (watch && !uv_is_closing((uv_handle_t *)&watch->poll))
		uv_close((uv_handle_t *)&watch->poll, on_closed);
}

int process_watch_new(uv_loop_t *loop, int pidfd, process_watch_ended *ended, void *data, struct process_watch **ret_watch)
{
	struct process_watch *watch = calloc(1, sizeof *watch);
	int r = watch ? uv_poll_init(loop, &watch->poll, pidfd) : -ENOMEM;
	if (r < 0) {
		(void)close(pidfd);
		free(watch);
		return r;
	}
	watch->poll.data = watch;
	watch->pidfd = pidfd;
	watch->ended = ended;
	watch->data = data;
	r = uv_poll_start(&watch->poll, UV_READABLE, on_readable);
	if (r < 0)
		process_watch_free(watch);
	else
		*ret_watch = watch;
	return r;
}
