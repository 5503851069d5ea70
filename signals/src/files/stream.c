/* Files read line by line: each read gives (the rest of) one line, or waits for it.
 *
 * Unread lines lie in a ring in the table. When it is full the oldest go, are counted, and nobody else notices. A read
 * that finds nothing is parked until there is a line; the kernel's INTERRUPT takes it back. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "signals/src/files/internal.h"
#include "signals/src/store_internal.h"

#define RING_BLOCKS_SHORT 1 /* of numbers and booleans */
#define RING_BLOCKS_LONG 8  /* 32 KiB: a line of VALUE_TEXT_MAX always fits */

/* ---- the ring ---- */

static uint32_t ring_bytes(const struct table_handle *handle)
{
	return handle->ring_blocks * TABLE_BLOCK_BYTES; /* a power of two */
}

static uint32_t ring_used(const struct table_handle *handle)
{
	return handle->tail - handle->head;
}

static uint32_t blocks_for(const struct files *files, const struct table_handle *handle)
{
	const struct node *node = store_node(files->store, handle->signal);
	bool small = node && node->leaf && !node->leaf->rule.type.array &&
		     node->leaf->rule.type.kind != DATATYPE_STRING && node->leaf->rule.type.kind != DATATYPE_STRUCT;
	return small ? RING_BLOCKS_SHORT : RING_BLOCKS_LONG;
}

static int ensure_ring(struct files *files, struct table_handle *handle)
{
	if (handle->ring_block)
		return 0;
	handle->ring_blocks = blocks_for(files, handle);
	handle->head = handle->tail = 0;
	uint32_t block = table_take_blocks(files->table, handle->ring_blocks);
	if (!block)
		return -ENOSPC;
	table_commit(&handle->ring_block, block);
	return 0;
}

/* An empty ring costs nothing. */
static void drop_ring(struct files *files, struct table_handle *handle)
{
	uint32_t block = handle->ring_block;
	journal_forget_effect(files, (uint32_t)(handle - files->table->handles));
	table_commit(&handle->ring_block, 0U);
	table_give_blocks(files->table, block, handle->ring_blocks);
}

static void ring_copy_in(const struct files *files, const struct table_handle *handle, const char *line, size_t size)
{
	char *ring = table_block(files->table, handle->ring_block);
	uint32_t bytes = ring_bytes(handle), at = handle->tail % bytes;
	size_t first = size < bytes - at ? size : bytes - at;
	memcpy(ring + at, line, first);
	memcpy(ring, line + first, size - first);
}

/* The length of the oldest line, with its newline. */
static uint32_t ring_line(const struct files *files, const struct table_handle *handle)
{
	const char *ring = table_block(files->table, handle->ring_block);
	uint32_t bytes = ring_bytes(handle), n = 0;
	while (n < ring_used(handle) && ring[(handle->head + n) % bytes] != '\n')
		n++;
	return n + 1;
}

static void ring_copy_out(const struct files *files, const struct table_handle *handle, char *out, size_t size)
{
	const char *ring = table_block(files->table, handle->ring_block);
	uint32_t bytes = ring_bytes(handle), at = handle->head % bytes;
	size_t first = size < bytes - at ? size : bytes - at;
	memcpy(out, ring + at, first);
	memcpy(out + first, ring, size - first);
}

static void drop_oldest(struct file *file, size_t needed)
{
	struct files *files = file->connection->files;
	struct table_handle *handle = file_handle(file);
	uint64_t lost = 0;
	journal_forget_effect(files, file->handle);
	while (ring_used(handle) && ring_bytes(handle) - ring_used(handle) < needed) {
		table_commit(&handle->head, handle->head + ring_line(files, handle));
		lost++;
	}
	handle->lost += lost;
	store_count_lost(files->store, handle->signal, lost);
}

bool stream_has_room(struct file *file, size_t size)
{
	struct table_handle *handle = file_handle(file);
	if (ensure_ring(file->connection->files, handle) < 0)
		return false;
	return ring_bytes(handle) - ring_used(handle) >= size;
}

bool stream_has_data(const struct file *file)
{
	const struct table_handle *handle = file_handle(file);
	if (handle->kind == FILE_MUX)
		return handle->text_whole || mux_has_data(file);
	return handle->text_whole || (handle->ring_block && ring_used(handle));
}

/* ---- reading ---- */

/* What is left of the line that is being read. */
static void give_rest(struct file *file, uint64_t unique, uint32_t size)
{
	struct connection *connection = file->connection;
	const struct table_handle *handle = file_handle(file);
	uint32_t left = handle->text.size - handle->offset;
	uint32_t count = left < size ? left : size;
	const char *bytes = table_text_bytes(connection->files->table, &handle->text) + handle->offset;
	uint64_t values[3] = {handle->head, handle->offset + count, count < left};
	journal_commit(connection, unique, 0, bytes, count, REDO_READ, file->handle, values);
	(void)fuse_channel_answer(&connection->channel, unique, 0, bytes, count);
}

/* The oldest line, or its beginning; the rest is then kept beside the ring. */
static int give_line(struct file *file, uint64_t unique, uint32_t size)
{
	struct connection *connection = file->connection;
	struct files *files = connection->files;
	struct table_handle *handle = file_handle(file);
	uint32_t length = ring_line(files, handle);
	char *line = NULL;
	buf_clear(&files->text);
	int r = buf_reserve(&files->text, length, &line);
	if (r < 0)
		return r;
	ring_copy_out(files, handle, line, length);
	uint32_t count = length < size ? length : size;
	if (count < length) {
		r = table_text_set(files->table, &handle->text, line, length);
		if (r < 0)
			return r;
	}
	uint64_t values[3] = {handle->head + length, count, count < length};
	journal_commit(connection, unique, 0, line, count, REDO_READ, file->handle, values);
	(void)fuse_channel_answer(&connection->channel, unique, 0, line, count);
	if (!ring_used(handle) && !handle->text_whole)
		drop_ring(files, handle);
	return 0;
}

static void give(struct file *file, uint64_t unique, uint32_t size)
{
	int r = 0;
	if (file_handle(file)->text_whole)
		give_rest(file, unique, size);
	else if (file_handle(file)->kind == FILE_MUX)
		r = mux_give(file, unique, size);
	else
		r = give_line(file, unique, size);
	if (r < 0)
		(void)fuse_channel_answer(&file->connection->channel, unique, r, NULL, 0);
}

/* ---- parked reads ---- */

static int park(struct file *file, const struct fuse_request *request)
{
	struct parked *parked = calloc(1, sizeof *parked);
	if (!parked)
		return -ENOMEM;
	parked->unique = request->unique;
	parked->size = request->in.read.size;
	parked->file = file;
	list_append(&file->parked, &parked->of_file);
	list_append(&file->connection->parked, &parked->of_connection);
	file->connection->files->stats.parked_reads++;
	return 0;
}

static void unpark(struct parked *parked)
{
	list_remove(&parked->of_file);
	list_remove(&parked->of_connection);
	parked->file->connection->files->stats.parked_reads--;
	free(parked);
}

static void serve_parked(struct file *file)
{
	while (!list_empty(&file->parked) && stream_has_data(file)) {
		struct parked *parked = LIST_ENTRY(file->parked.next, struct parked, of_file);
		uint64_t unique = parked->unique;
		uint32_t size = parked->size;
		unpark(parked);
		give(file, unique, size);
	}
}

void stream_cancel(struct connection *connection, uint64_t unique)
{
	LIST_FOR_EACH(link, next, &connection->parked)
	{
		struct parked *parked = LIST_ENTRY(link, struct parked, of_connection);
		if (parked->unique != unique)
			continue;
		unpark(parked);
		(void)fuse_channel_answer(&connection->channel, unique, -EINTR, NULL, 0);
		return;
	}
}

void stream_drop_parked(struct file *file, int error)
{
	LIST_FOR_EACH(link, next, &file->parked)
	{
		struct parked *parked = LIST_ENTRY(link, struct parked, of_file);
		uint64_t unique = parked->unique;
		unpark(parked);
		(void)fuse_channel_answer(&file->connection->channel, unique, error, NULL, 0);
	}
}

/* Whether a read may wait was said at open(2), by O_NONBLOCK; what fcntl(2) changes later means nothing: Go sets it on
 * every file it opens. */
void stream_read(struct file *file, const struct fuse_request *request)
{
	const struct table_handle *handle = file_handle(file);
	int r = 0;
	if ((handle->flags & O_ACCMODE) == O_WRONLY)
		r = -EBADF;
	else if (request->in.read.size == 0)
		answer(file->connection, request, 0, NULL, 0);
	else if (stream_has_data(file))
		give(file, request->unique, request->in.read.size);
	else
		r = handle->flags & O_NONBLOCK ? -EAGAIN : park(file, request);
	if (r < 0)
		answer(file->connection, request, r, NULL, 0);
}

void stream_wake(struct file *file)
{
	serve_parked(file);
	if (stream_has_data(file))
		poll_wake(file);
}

/* ---- filling ---- */

int stream_push(struct file *file, const char *line, size_t size, bool keep_old)
{
	struct files *files = file->connection->files;
	struct table_handle *handle = file_handle(file);
	int r = ensure_ring(files, handle);
	if (r < 0)
		return r;
	if (ring_bytes(handle) - ring_used(handle) < size) {
		if (keep_old)
			return -EAGAIN;
		drop_oldest(file, size);
	}
	ring_copy_in(files, handle, line, size);
	table_commit(&handle->tail, handle->tail + (uint32_t)size);
	stream_wake(file);
	return 0;
}

static void deliver(struct subscription *subscription, const struct reading *reading)
{
	struct file *file = (struct file *)((char *)subscription - offsetof(struct file, subscription));
	struct files *files = file->connection->files;
	buf_clear(&files->text);
	int r = reading->text ? buf_add(&files->text, reading->text, reading->length) : 0;
	if (r == 0)
		r = buf_add_char(&files->text, '\n');
	/* @text is the scratch that giving uses too: the line is in the ring before */
	if (r == 0)
		r = stream_push(file, files->text.data, files->text.size, false);
	if (r < 0)
		store_count_lost(files->store, subscription->id, 1);
}

int stream_start(struct file *file, const struct filter *filter, bool resume)
{
	struct table_handle *handle = file_handle(file);
	file->subscription.id = handle->signal;
	file->subscription.filter = *filter;
	file->subscription.view = file->connection->view;
	file->subscription.state = &handle->filter;
	file->subscription.deliver = deliver;
	if ((handle->flags & O_ACCMODE) == O_WRONLY)
		return 0; /* reads nothing */
	store_subscribe(file->connection->files->store, &file->subscription, resume);
	return 0;
}
