/* "@stream" in the top folder: one file for many signals. It speaks the line protocol's subscriptions: writing
 * "sub PATTERN[@FILTER]" or "unsub SUB", reading "name SUB H PATH", "H VALUE" and "lost H COUNT", many lines a read
 * (docs/formats/signal-line-protocol.md).
 *
 * The subscriptions are kept in the table as they were written: a daemon that takes over makes them anew, which names the
 * signals again and gives their newest values. A line of which a part was read is kept too, so that it is continued. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/scoped.h"
#include "core/base/str.h"
#include "signals/src/files/internal.h"
#include "signals/src/line/session.h"

#define KEPT_BLOCKS 8
#define KEPT_BYTES (KEPT_BLOCKS * TABLE_BLOCK_BYTES)

static struct file *of_carrier(struct line_carrier *carrier)
{
	return (struct file *)((char *)carrier - offsetof(struct file, carrier));
}

/* Output may come in the middle of a write that sets many signals: it is given when that is over (files_flush()). */
static void has_output(struct line_carrier *carrier)
{
	struct file *file = of_carrier(carrier);
	if (!list_linked(&file->dirty))
		list_append(&file->connection->files->dirty, &file->dirty);
}

static int feed(struct line_session *session, const char *bytes, size_t size)
{
	while (size) {
		char *tail = NULL;
		size_t room = 0;
		int r = line_session_tail(session, &tail, &room);
		if (r < 0)
			return r;
		size_t n = size < room ? size : room;
		memcpy(tail, bytes, n);
		line_session_received(session, n);
		bytes += n;
		size -= n;
	}
	return 0;
}

int mux_start(struct file *file, bool resume)
{
	struct files *files = file->connection->files;
	const struct table_handle *handle = file_handle(file);
	file->subject = file_subject(file);
	file->carrier.has_output = has_output;
	int r = line_session_new(files->store, &file->subject, &file->carrier, &file->session);
	if (r == 0 && resume && handle->ring_block)
		r = feed(file->session, table_block(files->table, handle->ring_block), handle->tail);
	return r;
}

void mux_end(struct file *file)
{
	list_remove(&file->dirty);
	line_session_free(file->session);
	file->session = NULL;
}

/* ---- writing ---- */

static bool is_subscription(const char *line, size_t size)
{
	return (size > 4 && memcmp(line, "sub ", 4) == 0) || (size > 6 && memcmp(line, "unsub ", 6) == 0);
}

static int check_lines(const char *data, size_t size)
{
	const char *end = data + size;
	if (size == 0 || memchr(data, '\0', size))
		return -EINVAL;
	while (data < end) {
		const char *newline = memchr(data, '\n', (size_t)(end - data));
		if (!is_subscription(data, (size_t)((newline ? newline : end) - data)))
			return -EINVAL;
		data = newline ? newline + 1 : end;
	}
	return 0;
}

static int keep(struct file *file, const char *data, size_t size)
{
	struct files *files = file->connection->files;
	struct table_handle *handle = file_handle(file);
	if (!handle->ring_block) {
		handle->ring_blocks = KEPT_BLOCKS;
		handle->tail = 0;
		uint32_t block = table_take_blocks(files->table, KEPT_BLOCKS);
		if (!block)
			return -ENOSPC;
		table_commit(&handle->ring_block, block);
	}
	if (size > KEPT_BYTES - handle->tail)
		return -ENOSPC;
	memcpy(table_block(files->table, handle->ring_block) + handle->tail, data, size);
	table_commit(&handle->tail, handle->tail + (uint32_t)size);
	return 0;
}

int mux_write(struct file *file, const char *data, size_t size)
{
	int r = check_lines(data, size);
	if (r < 0)
		return r;
	bool whole = data[size - 1] == '\n';
	scoped_free char *lines = malloc(size + 1);
	if (!lines)
		return -ENOMEM;
	memcpy(lines, data, size);
	lines[size] = '\n';
	r = keep(file, lines, size + !whole);
	return r < 0 ? r : feed(file->session, lines, size + !whole);
}

/* ---- reading ---- */

bool mux_has_data(const struct file *file)
{
	size_t size = 0;
	return file->session && line_session_output(file->session, &size) && size > 0;
}

/* As many whole lines as there is room for; of a line that is longer, its beginning: the rest is kept in the table. */
int mux_give(struct file *file, uint64_t unique, uint32_t room)
{
	struct connection *connection = file->connection;
	struct table_handle *handle = file_handle(file);
	size_t size = 0;
	const char *output = line_session_output(file->session, &size);
	const char *last = memrchr(output, '\n', size < room ? size : room);
	size_t count = last ? (size_t)(last - output) + 1 : room;
	size_t used = count;
	if (!last) {
		const char *newline = memchr(output, '\n', size);
		used = newline ? (size_t)(newline - output) + 1 : size;
		count = used < room ? used : room;
		int r = table_text_set(connection->files->table, &handle->text, output, used);
		if (r < 0)
			return r;
	}
	uint64_t values[3] = {handle->head, count, count < used};
	journal_commit(connection, unique, 0, output, count, REDO_READ, file->handle, values);
	(void)fuse_channel_answer(&connection->channel, unique, 0, output, count);
	line_session_sent(file->session, used);
	return 0;
}

void mux_recheck(struct file *file)
{
	if (file->session)
		line_session_recheck(file->session);
}

void files_flush(struct files *files)
{
	LIST_FOR_EACH(link, next, &files->dirty)
	{
		struct file *file = LIST_ENTRY(link, struct file, dirty);
		list_remove(&file->dirty);
		stream_wake(file);
	}
}
