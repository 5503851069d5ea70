#include "manager/src/attachment.h"

#include <errno.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/scoped.h"
#include "manager/src/container_life.h"
#include "manager/src/monitor_link.h"

#define PATIENCE_MS 10000

struct attachment {
	struct fiber *fiber;
	const struct attachment_wish *wish;
	struct attachment_streams *streams;
	struct err *err;
	int result;	 /* > 0: not yet */
	bool connecting; /* the start is at it: this must stay where it is */
	struct attachment *next;
};

void attachment_streams_done(struct attachment_streams *streams)
{
	const int fds[] = {streams->stdin_fd, streams->stdout_fd, streams->stderr_fd};
	for (int i = 0; i < 3; i++)
		if (fds[i] >= 0)
			(void)close(fds[i]);
}

static int attach(struct container *container, const struct attachment_wish *wish,
		  struct attachment_streams *ret_streams, struct err *err)
{
	if (!container->monitor)
		return err_set(err, -EBUSY, "container.state", "container %s does not run", container->id);
	const struct monitor_attach want = {
		.with_stdin = wish->with_stdin && container->config->stdin,
		.with_stdout = wish->with_stdout,
		.with_stderr = wish->with_stderr && !container->config->tty,
		.patience_ms = PATIENCE_MS,
	};
	struct monitor_message request = {.op = MONITOR_ATTACH, .attach = &want};
	scoped_done(monitor_received_done) struct monitor_received received = {0};
	int r = container->running ? container_ask(container, &request, NULL, &received, err)
				   : monitor_link_call(container->monitor, &request, NULL, &received, err);
	if (r < 0)
		return r;
	*ret_streams = (struct attachment_streams){
		.stdin_fd = monitor_received_take(&received, "stdin"),
		.stdout_fd = monitor_received_take(&received, "stdout"),
		.stderr_fd = monitor_received_take(&received, "stderr"),
	};
	return 0;
}

static void leave(struct container *container, struct attachment *attachment)
{
	for (struct attachment **place = &container->attachments; *place; place = &(*place)->next)
		if (*place == attachment) {
			*place = attachment->next;
			return;
		}
}

int attachment_open(struct container *container, const struct attachment_wish *wish,
		    struct attachment_streams *ret_streams, struct err *err)
{
	struct fibers *fibers = container->node->fibers;
	if (container->phase == CONTAINER_STARTED && container->running)
		return attach(container, wish, ret_streams, err);
	if (container->phase == CONTAINER_EXITED || container->phase == CONTAINER_REMOVING || container->gone)
		return err_set(err, -EBUSY, "container.state", "container %s has ended", container->id);
	struct attachment attachment = {
		.fiber = fiber_self(fibers),
		.wish = wish,
		.streams = ret_streams,
		.err = err,
		.result = 1,
		.next = container->attachments,
	};
	container->attachments = &attachment;
	if (wish->on_waiting)
		wish->on_waiting(wish->data);
	int r = attachment.result > 0 ? fiber_park(fibers) : 0;
	leave(container, &attachment);
	if (attachment.result > 0 && attachment.connecting) {
		fiber_shield(fibers);
		(void)fiber_park(fibers);
		fiber_unshield(fibers);
	}
	if (attachment.result > 0)
		return err_set(err, r < 0 ? r : -ECANCELED, "attach.cancelled", "container %s was not started", container->id);
	return attachment.result;
}

void attachments_connect(struct container *container)
{
	while (container->attachments) {
		struct attachment *attachment = container->attachments;
		container->attachments = attachment->next;
		struct attachment_streams streams = {-1, -1, -1};
		struct err err = {0};
		attachment->connecting = true;
		attachment->result = attach(container, attachment->wish, &streams, &err);
		*attachment->streams = streams;
		if (attachment->err)
			*attachment->err = err;
		fiber_wake(attachment->fiber, 0);
	}
}

void attachments_fail(struct container *container, const struct err *cause, int code)
{
	while (container->attachments) {
		struct attachment *attachment = container->attachments;
		container->attachments = attachment->next;
		if (attachment->err)
			*attachment->err = *cause;
		attachment->result = code;
		fiber_wake(attachment->fiber, 0);
	}
}
