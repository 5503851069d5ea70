#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "signals/src/files/internal.h"

#define TIME_GRANULARITY 1

/* ---- answers that survive ---- */

static void apply_effect(struct files *files, const struct table_journal *journal)
{
	struct table_handle *handle = &files->table->handles[journal->handle];
	switch ((enum table_redo)journal->redo) {
	case REDO_NONE:
		return;
	case REDO_OPEN:
		table_commit(&handle->used, (uint8_t)1);
		return;
	case REDO_READ:
		if (!handle->used)
			return;
		handle->head = (uint32_t)journal->values[0];
		handle->offset = (uint32_t)journal->values[1];
		handle->text_whole = (uint32_t)journal->values[2];
		return;
	}
}

void journal_apply(struct files *files)
{
	if (files->table->journal->valid)
		apply_effect(files, files->table->journal);
}

void journal_forget_effect(struct files *files, uint32_t handle)
{
	struct table_journal *journal = files->table->journal;
	if (journal->redo != REDO_NONE && journal->handle == handle)
		table_commit(&journal->redo, (uint32_t)REDO_NONE);
}

void journal_commit(struct connection *connection, uint64_t unique, int error, const void *bytes, size_t size,
		    enum table_redo redo, uint32_t handle, const uint64_t values[3])
{
	struct table_journal *journal = connection->files->table->journal;
	struct fuse_out_header header = {.error = error, .unique = unique};
	if (error || size > sizeof journal->answer - sizeof header)
		size = 0;
	header.len = (uint32_t)(sizeof header + size);
	table_commit(&journal->valid, UINT64_C(0));
	memcpy(journal->answer, &header, sizeof header);
	if (size)
		memcpy(journal->answer + sizeof header, bytes, size);
	journal->size = header.len;
	journal->connection = connection->number;
	journal->unique = fuse_unique_first(unique);
	journal->redo = redo;
	journal->handle = handle;
	for (size_t i = 0; values && i < 3; i++)
		journal->values[i] = values[i];
	table_commit(&journal->valid, UINT64_C(1));
	apply_effect(connection->files, journal);
}

/* Has an earlier daemon done this already, and died before the kernel had its answer? */
static bool answer_from_journal(struct connection *connection, const struct fuse_request *request)
{
	const struct table_journal *journal = connection->files->table->journal;
	if (!(request->unique & FUSE_WIRE_UNIQUE_RESEND) || !journal->valid || journal->connection != connection->number ||
	    journal->unique != fuse_unique_first(request->unique))
		return false;
	(void)fuse_channel_answer_again(&connection->channel, request->unique, journal->answer, journal->size);
	return true;
}

void answer(struct connection *connection, const struct fuse_request *request, int error, const void *bytes,
	    size_t size)
{
	/* fails only when the connection is gone, which the next receive says too */
	(void)fuse_channel_answer(&connection->channel, request->unique, error, bytes, size);
}

void answer_kept(struct connection *connection, uint64_t unique, int error, const void *bytes, size_t size)
{
	journal_commit(connection, unique, error, bytes, size, REDO_NONE, 0, NULL);
	(void)fuse_channel_answer(&connection->channel, unique, error, bytes, size);
}

/* ---- operations ---- */

static void op_init(struct connection *connection, const struct fuse_request *request)
{
	const struct fuse_init_in *in = &request->in.init;
	uint64_t offered = in->flags | (in->flags & FUSE_INIT_EXT ? (uint64_t)in->flags2 << 32 : 0);
	/* POSIX ACLs only on the host: in a view the grant decides, not the uid */
	uint64_t wanted = FUSE_BIG_WRITES | FUSE_ATOMIC_O_TRUNC | FUSE_PARALLEL_DIROPS | FUSE_HANDLE_KILLPRIV_V2 |
			  FUSE_INIT_EXT | FUSE_MAX_PAGES | FUSE_WIRE_HAS_RESEND |
			  (connection->view ? 0 : FUSE_POSIX_ACL);
	uint64_t flags = offered & wanted;
	struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_readahead = 0,
		.flags = (uint32_t)flags,
		.flags2 = (uint32_t)(flags >> 32),
		.max_background = 64,
		.congestion_threshold = 48,
		.max_write = FUSE_WIRE_WRITE_MAX,
		.time_gran = TIME_GRANULARITY,
		.max_pages = FUSE_WIRE_WRITE_MAX / 4096,
	};
	answer(connection, request, in->major < FUSE_KERNEL_VERSION ? -EPROTO : 0, &out, sizeof out);
}

static void op_statfs(struct connection *connection, const struct fuse_request *request)
{
	struct fuse_statfs_out out = {.st = {.bsize = 4096, .frsize = 4096, .namelen = 255}};
	answer(connection, request, 0, &out, sizeof out);
}

static void op_read(struct connection *connection, const struct fuse_request *request)
{
	int error = -EBADF;
	struct file *file = file_of(connection, request->in.read.fh, &error);
	if (!file)
		answer(connection, request, error, NULL, 0);
	else if (kind_is_stream(file_handle(file)->kind))
		stream_read(file, request);
	else
		snapshot_read(file, request);
}

static void op_interrupt(struct connection *connection, const struct fuse_request *request)
{
	stream_cancel(connection, request->in.interrupt.unique);
}

static void op_nothing(struct connection *connection, const struct fuse_request *request)
{
	answer(connection, request, 0, NULL, 0);
}

static void op_refused(struct connection *connection, const struct fuse_request *request)
{
	answer(connection, request, -EACCES, NULL, 0);
}

static void op_not_permitted(struct connection *connection, const struct fuse_request *request)
{
	answer(connection, request, -EPERM, NULL, 0);
}

static void op_no_ioctl(struct connection *connection, const struct fuse_request *request)
{
	answer(connection, request, -ENOTTY, NULL, 0);
}

static void op_unsupported(struct connection *connection, const struct fuse_request *request)
{
	answer(connection, request, -EOPNOTSUPP, NULL, 0);
}

typedef void operation(struct connection *connection, const struct fuse_request *request);

/* What is not here is ENOSYS: the kernel then does without, for ever. */
static operation *const OPERATIONS[] = {
	[FUSE_LOOKUP] = op_lookup,
	[FUSE_FORGET] = op_forget,
	[FUSE_GETATTR] = op_getattr,
	[FUSE_SETATTR] = op_setattr,
	[FUSE_SYMLINK] = op_refused,
	[FUSE_MKNOD] = op_refused,
	[FUSE_MKDIR] = op_refused,
	[FUSE_UNLINK] = op_refused,
	[FUSE_RMDIR] = op_refused,
	[FUSE_RENAME] = op_refused,
	[FUSE_LINK] = op_refused,
	[FUSE_OPEN] = op_open,
	[FUSE_READ] = op_read,
	[FUSE_WRITE] = op_write,
	[FUSE_STATFS] = op_statfs,
	[FUSE_RELEASE] = op_release,
	[FUSE_FSYNC] = op_nothing,
	[FUSE_SETXATTR] = op_not_permitted,
	[FUSE_GETXATTR] = op_getxattr,
	[FUSE_LISTXATTR] = op_listxattr,
	[FUSE_REMOVEXATTR] = op_not_permitted,
	[FUSE_FLUSH] = op_nothing,
	[FUSE_INIT] = op_init,
	[FUSE_OPENDIR] = op_opendir,
	[FUSE_READDIR] = op_readdir,
	[FUSE_RELEASEDIR] = op_nothing,
	[FUSE_FSYNCDIR] = op_nothing,
	[FUSE_ACCESS] = op_access,
	[FUSE_CREATE] = op_refused,
	[FUSE_INTERRUPT] = op_interrupt,
	[FUSE_IOCTL] = op_no_ioctl,
	[FUSE_POLL] = op_poll,
	[FUSE_BATCH_FORGET] = op_batch_forget,
	[FUSE_FALLOCATE] = op_unsupported,
	[FUSE_RENAME2] = op_refused,
};

static void dispatch(struct connection *connection, const struct fuse_request *request)
{
	if (answer_from_journal(connection, request))
		return;
	if (request->opcode < ARRAY_COUNT(OPERATIONS) && OPERATIONS[request->opcode])
		OPERATIONS[request->opcode](connection, request);
	else if (fuse_request_has_answer(request->opcode))
		answer(connection, request, -ENOSYS, NULL, 0);
}

int connection_serve(struct connection *connection)
{
	struct fuse_request request;
	/* bounded, so that one busy connection leaves room for the others */
	for (int i = 0; i < 64; i++) {
		int r = fuse_channel_receive(&connection->channel, &request);
		if (r <= 0)
			return r;
		dispatch(connection, &request);
	}
	return 0;
}

int connection_fd(const struct connection *connection)
{
	return connection->channel.fd;
}

/* ---- life ---- */

static void connection_free(struct connection *connection)
{
	connection->files->connections[connection->number] = NULL;
	if (connection->channel.fd >= 0)
		(void)close(connection->channel.fd);
	fuse_channel_done(&connection->channel);
	free(connection);
}

static int resume_connection(struct connection *connection, struct err *err)
{
	int r = files_take_over(connection);
	if (r < 0)
		return r;
	names_take_over(connection);
	r = fuse_channel_notify_resend(&connection->channel);
	if (r < 0)
		return err_set(err, r == -EINVAL ? -ENOTSUP : r, "files.resend",
			       "the kernel cannot send requests again: expected Linux 6.9 or later");
	poll_wake_all(connection);
	return 0;
}

/* What an earlier mount of this number left in the table names nothing in this one. */
static void forget_earlier_mount(struct connection *connection)
{
	struct table_journal *journal = connection->files->table->journal;
	files_release_all(connection);
	names_drop_all(connection);
	if (journal->connection == connection->number)
		table_commit(&journal->valid, UINT64_C(0));
}

int files_connect(struct files *files, int fd, unsigned number, const struct view *view, const char *name,
		  bool resume, struct connection **ret_connection, struct err *err)
{
	if (number >= CONNECTIONS_MAX || files->connections[number]) {
		(void)close(fd);
		return err_set(err, -EBUSY, "files.connection", "connection %u is in use", number);
	}
	struct connection *connection = calloc(1, sizeof *connection);
	if (!connection) {
		(void)close(fd);
		return -ENOMEM;
	}
	*connection = (struct connection){.files = files, .number = number, .view = view, .channel.fd = fd};
	list_init(&connection->parked);
	(void)snprintf(connection->name, sizeof connection->name, "%s", name ? name : "");
	files->connections[number] = connection;
	int r = fuse_channel_init(&connection->channel, fd);
	if (r == 0 && resume)
		r = resume_connection(connection, err);
	else if (r == 0)
		forget_earlier_mount(connection);
	if (r < 0) {
		connection->channel.fd = fd;
		connection_free(connection);
		return r;
	}
	*ret_connection = connection;
	return 0;
}

void files_disconnect(struct connection *connection)
{
	if (!connection)
		return;
	fuse_invalidator_forget(connection->files->invalidator, connection->channel.fd);
	files_release_all(connection);
	names_drop_all(connection);
	connection_free(connection);
}

/* After a reload what the kernel remembers of names and attributes may be wrong. */
static void reloaded(struct store_listener *listener)
{
	struct files *files = (struct files *)((char *)listener - offsetof(struct files, listener));
	for (uint32_t i = 0; i < files->table->header->handle_high; i++)
		if (files->open[i] && files->open[i]->session)
			line_session_reloaded(files->open[i]->session);
	for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
		if (!files->connections[i])
			continue;
		int fd = files->connections[i]->channel.fd;
		for (uint32_t id = 0; id < files->table->header->entry_count; id++) {
			fuse_invalidate_node(files->invalidator, fd, (uint64_t)id + 1);
			if (!store_node(files->store, id) && files->table->entries[id].parent != UINT32_MAX)
				fuse_invalidate_name(files->invalidator, fd,
						     (uint64_t)files->table->entries[id].parent + 1,
						     table_entry_name(files->table, id));
		}
	}
}

int files_new(struct store *store, struct table *table, const struct log *log, struct files **ret_files)
{
	scoped(files_free) struct files *files = calloc(1, sizeof *files);
	if (!files)
		return -ENOMEM;
	*files = (struct files){.store = store, .table = table, .log = log, .text = {.max = 2 * SNAPSHOT_MAX},
				.listener.reloaded = reloaded, .idle_names.fire = names_idle};
	files->open = calloc(TABLE_HANDLES_MAX, sizeof(struct file *));
	files->free_handles = calloc(TABLE_HANDLES_MAX, sizeof *files->free_handles);
	if (!files->open || !files->free_handles)
		return -ENOMEM;
	int r = fuse_invalidator_new(&files->invalidator);
	if (r < 0)
		return r;
	journal_apply(files);
	for (uint32_t i = table->header->handle_high; i-- > 0;)
		if (!table->handles[i].used)
			files->free_handles[files->free_count++] = i;
	list_init(&files->dirty);
	store_listen(store, &files->listener);
	*ret_files = TAKE(files);
	return 0;
}

void files_free(struct files *files)
{
	if (!files)
		return;
	for (unsigned i = 0; files->open && i < CONNECTIONS_MAX; i++)
		files_disconnect(files->connections[i]);
	store_unlisten(files->store, &files->listener);
	timer_cancel(store_timers(files->store), &files->idle_names);
	fuse_invalidator_free(files->invalidator);
	buf_done(&files->text);
	free(files->free_handles);
	free(files->open);
	free(files);
}

struct files_stats files_stats(const struct files *files)
{
	return files->stats;
}
