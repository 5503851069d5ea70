/* poll, select, epoll. */
#include <fcntl.h>
#include <poll.h>

#include "signals/src/files/internal.h"

static bool is_stream(const struct table_handle *handle)
{
	return kind_is_stream(handle->kind);
}

static uint32_t ready(const struct file *file)
{
	const struct table_handle *handle = file_handle(file);
	if (file->revoked)
		return POLLIN | POLLRDNORM | POLLERR | POLLHUP;
	uint32_t events = POLLOUT | POLLWRNORM;
	if (is_stream(handle))
		return stream_has_data(file) ? events | POLLIN | POLLRDNORM : events;
	/* a value is always readable; POLLPRI | POLLERR: there is a newer one (as in sysfs) */
	struct reading reading;
	store_read(file->connection->files->store, file->connection->view, handle->signal, &reading);
	events |= POLLIN | POLLRDNORM;
	return reading.sequence != handle->seen_sequence ? events | POLLPRI | POLLERR : events;
}

void poll_wake(struct file *file)
{
	struct table_handle *handle = file_handle(file);
	if (!handle->poll_armed)
		return;
	table_commit(&handle->poll_armed, (uint8_t)0);
	fuse_channel_notify_poll(&file->connection->channel, handle->poll_handle);
}

static void rate_due(struct timer *timer)
{
	poll_wake((struct file *)((char *)timer - offsetof(struct file, due)));
}

/* Somebody waits for a value that the view's rate does not show yet. */
static bool wait_for_rate(struct file *file)
{
	struct store *store = file->connection->files->store;
	int64_t due = store_read_due(store, file->connection->view, file_handle(file)->signal);
	if (due == INT64_MAX)
		return false;
	file->due.fire = rate_due;
	(void)timer_set(store_timers(store), &file->due, due);
	return true;
}

static void updated(struct watcher *watcher, signal_id id, const struct reading *reading)
{
	struct file *file = (struct file *)((char *)watcher - offsetof(struct file, watcher));
	(void)id;
	(void)reading;
	if (!file_handle(file)->poll_armed || !wait_for_rate(file))
		poll_wake(file);
}

static void watch(struct file *file)
{
	const struct table_handle *handle = file_handle(file);
	if (is_stream(handle) || handle->kind == FILE_GROUP || file->watcher.link)
		return;
	file->watcher.updated = updated;
	store_watch(file->connection->files->store, handle->signal, &file->watcher);
}

void op_poll(struct connection *connection, const struct fuse_request *request)
{
	int error = 0;
	struct file *file = file_of(connection, request->in.poll.fh, &error);
	struct fuse_poll_out out = {.revents = POLLERR | POLLHUP | POLLIN};
	if (file) {
		struct table_handle *handle = file_handle(file);
		handle->poll_handle = request->in.poll.kh;
		if (request->in.poll.flags & FUSE_POLL_SCHEDULE_NOTIFY) {
			watch(file);
			table_commit(&handle->poll_armed, (uint8_t)1);
			if (file->watcher.link)
				(void)wait_for_rate(file);
		}
		out.revents = ready(file);
	}
	answer(connection, request, 0, &out, sizeof out);
}

void poll_wake_all(struct connection *connection)
{
	struct files *files = connection->files;
	for (uint32_t i = 0; i < files->table->header->handle_high; i++) {
		struct file *file = files->open[i];
		if (!file || file->connection != connection)
			continue;
		if (files->table->handles[i].poll_armed)
			watch(file);
		poll_wake(file);
	}
}
