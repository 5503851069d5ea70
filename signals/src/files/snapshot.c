/* Files that are read as a whole: a read at offset 0 takes a snapshot, later offsets continue it. They never wait. */
#include <errno.h>
#include <string.h>

#include "signals/src/files/internal.h"
#include "signals/src/store_internal.h"

static int value_text(struct file *file, struct buf *text, uint64_t *ret_sequence)
{
	struct reading reading;
	store_read(file->connection->files->store, file->connection->view, file_handle(file)->signal, &reading);
	*ret_sequence = reading.sequence;
	if (!reading.text)
		return NO_VALUE_ANSWER;
	int r = buf_add(text, reading.text, reading.length);
	return r < 0 ? r : buf_add_char(text, '\n');
}

static int json_text(struct file *file, struct buf *text, uint64_t *ret_sequence)
{
	struct store *store = file->connection->files->store;
	const struct table_handle *handle = file_handle(file);
	struct subject subject = file_subject(file);
	struct reading reading;
	int r = -ENOENT;
	if (handle->kind == FILE_META)
		r = store_add_meta(store, handle->signal, text);
	else if (handle->kind == FILE_GROUP)
		r = store_add_branch(store, &subject, handle->signal, text);
	else if (store_node(store, handle->signal))
		r = store_add_state(store, file->connection->view, handle->signal, text);
	store_read(store, file->connection->view, handle->signal, &reading);
	*ret_sequence = reading.sequence;
	return r < 0 ? r : buf_add_char(text, '\n');
}

static int take_snapshot(struct file *file)
{
	struct files *files = file->connection->files;
	struct table_handle *handle = file_handle(file);
	uint64_t sequence = 0;
	buf_clear(&files->text);
	int r = handle->kind == FILE_VALUE ? value_text(file, &files->text, &sequence)
					   : json_text(file, &files->text, &sequence);
	handle->seen_sequence = sequence; /* also "there is none" was seen */
	table_commit(&handle->text_whole, 0U);
	if (r == 0 && files->text.size > SNAPSHOT_MAX)
		r = -EFBIG;
	if (r == 0)
		r = table_text_set(files->table, &handle->text, files->text.data, files->text.size);
	if (r == 0)
		table_commit(&handle->text_whole, 1U);
	return r;
}

void snapshot_read(struct file *file, const struct fuse_request *request)
{
	struct connection *connection = file->connection;
	const struct table_handle *handle = file_handle(file);
	uint64_t offset = request->in.read.offset;
	int r = offset == 0 || !handle->text_whole ? take_snapshot(file) : 0;
	if (r < 0) {
		answer(connection, request, r, NULL, 0);
		return;
	}
	size_t size = handle->text.size;
	size_t from = offset < size ? (size_t)offset : size;
	size_t count = size - from < request->in.read.size ? size - from : request->in.read.size;
	/* nothing is used up: one that is sent again may be done again, but for offset 0, where a newer snapshot is no harm */
	answer(connection, request, 0, table_text_bytes(connection->files->table, &handle->text) + from, count);
}
