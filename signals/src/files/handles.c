/* Opening, releasing, and taking over what an earlier daemon had open. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/parse.h"
#include "core/sys/fd.h"
#include "signals/src/files/internal.h"
#include "signals/src/view.h"

#define GROUPS_MAX 64
#define STATUS_MAX 65536

uint64_t handle_number(const struct files *files, uint32_t handle)
{
	return (uint64_t)files->table->handles[handle].reuse << 32 | handle;
}

struct file *file_of(struct connection *connection, uint64_t number, int *ret_error)
{
	struct files *files = connection->files;
	uint32_t handle = (uint32_t)number;
	*ret_error = -EBADF;
	if (handle >= files->table->header->handle_high || !files->open[handle] ||
	    handle_number(files, handle) != number || files->open[handle]->connection != connection)
		return NULL;
	if (files->open[handle]->revoked) {
		*ret_error = -EACCES;
		return NULL;
	}
	return files->open[handle];
}

/* On the host the kernel has compared owner, mode and ACL of the file at open(2): what it let in may do what it opened
 * for. Only a group's members are others' files. */
struct subject file_subject(const struct file *file)
{
	const struct table_handle *handle = file_handle(file);
	struct subject subject = {.view = file->connection->view};
	if (kind_spans_signals(handle->kind)) {
		subject.uid = handle->uid;
		subject.gid = handle->gid;
		subject.groups = file->groups;
		subject.group_count = file->group_count;
	}
	if (subject.view)
		(void)snprintf(subject.name, sizeof subject.name, "%s", file->connection->name);
	else
		(void)snprintf(subject.name, sizeof subject.name, "uid:%u", handle->uid);
	return subject;
}

static bool is_writing(uint32_t flags)
{
	return (flags & O_ACCMODE) != O_RDONLY;
}

static bool is_reading(uint32_t flags)
{
	return (flags & O_ACCMODE) != O_WRONLY;
}

/* What open(2) itself says is fixed for the file's life; a plain name becomes a stream by O_NONBLOCK. */
static enum file_kind kind_of(const struct node_ref *ref, uint32_t flags)
{
	return ref->kind == FILE_VALUE && flags & O_NONBLOCK && is_reading(flags) ? FILE_STREAM : ref->kind;
}

static int check_view(const struct connection *connection, const struct node_ref *ref, uint32_t flags)
{
	if (!connection->view || kind_spans_signals(ref->kind))
		return 0;
	unsigned rights = view_rights(connection->view, ref->signal);
	bool publishes = ref->kind == FILE_PROVIDE ||
			 store_node(connection->files->store, ref->signal)->kind != NODE_ACTUATOR;
	unsigned to_write = publishes ? RIGHT_PUBLISH : RIGHT_ACTUATE;
	bool bad = (is_reading(flags) && ref->kind != FILE_PROVIDE && !(rights & RIGHT_READ)) ||
		   (is_writing(flags) && !(rights & to_write));
	return bad ? -EACCES : 0;
}

static void audit_denial(const struct connection *connection, const struct fuse_request *request, signal_id signal)
{
	struct subject subject = {.view = connection->view, .uid = request->uid, .gid = request->gid};
	(void)snprintf(subject.name, sizeof subject.name, "%s", connection->name);
	store_audit(connection->files->store, AUDIT_DENY, &subject, signal, NULL, -EACCES);
}

static int check_open(const struct connection *connection, const struct node_ref *ref, uint32_t flags)
{
	if (ref->kind == FILE_NONE)
		return -EISDIR;
	if (is_writing(flags) && (ref->kind == FILE_META || ref->kind == FILE_STATE))
		return -EACCES;
	if (ref->kind == FILE_PROVIDE && !is_writing(flags))
		return -EACCES;
	return check_view(connection, ref, flags);
}

/* ---- the supplementary groups of who opens a group ---- */

static int parse_groups(char *line, gid_t *groups, size_t *count)
{
	char *save = NULL;
	for (char *word = strtok_r(line, " \t", &save); word; word = strtok_r(NULL, " \t", &save)) {
		uint64_t gid = 0;
		if (*count == GROUPS_MAX || parse_u64(word, 0, UINT32_MAX, &gid) < 0)
			return 0;
		groups[(*count)++] = (gid_t)gid;
	}
	return 0;
}

/* FUSE tells uid and gid alone. The opener waits for our answer, so its /proc entry is its own. Where it cannot be read
 * there are no supplementary groups: less is granted, never more. */
static void read_groups(struct file *file, uint32_t pid)
{
	char path[32];
	struct buf status = {.max = STATUS_MAX};
	(void)snprintf(path, sizeof path, "/proc/%u/status", pid);
	char *line = file_read_at(AT_FDCWD, path, &status, NULL) == 0 ? strstr(status.data, "\nGroups:") : NULL;
	file->groups = line ? calloc(GROUPS_MAX, sizeof *file->groups) : NULL;
	if (file->groups) {
		line += strlen("\nGroups:");
		line[strcspn(line, "\n")] = '\0';
		(void)parse_groups(line, file->groups, &file->group_count);
	}
	buf_done(&status);
}

/* ---- files ---- */

static struct file *file_new(struct connection *connection, uint32_t handle)
{
	struct file *file = calloc(1, sizeof *file);
	if (!file)
		return NULL;
	file->handle = handle;
	file->connection = connection;
	file->provider.signal = SIGNAL_NONE;
	list_init(&file->parked);
	connection->files->open[handle] = file;
	connection->files->stats.open_files++;
	connection->handles++;
	return file;
}

void file_free(struct file *file)
{
	struct files *files = file->connection->files;
	stream_drop_parked(file, -EIO);
	store_unsubscribe(&file->subscription);
	store_unwatch(&file->watcher);
	timer_cancel(store_timers(file->connection->files->store), &file->due);
	store_release(files->store, &file->provider);
	mux_end(file);
	files->open[file->handle] = NULL;
	files->stats.open_files--;
	file->connection->handles--;
	free(file->groups);
	free(file);
}

static int stream_filter(const struct files *files, const struct table_handle *handle, struct filter *ret_filter)
{
	const struct node *node = store_node(files->store, handle->signal);
	const char *suffix = handle->name ? files->table->names[handle->name - 1].suffix : "follow";
	if (!node || !node->leaf)
		return -ENOENT;
	return filter_parse(suffix, strlen(suffix), &node->leaf->rule.type, ret_filter);
}

/* What an open file of its kind needs at work. @resume: it was open under an earlier daemon. */
static int file_start(struct file *file, bool resume)
{
	struct table_handle *handle = file_handle(file);
	struct filter filter;
	int r = 0;
	switch ((enum file_kind)handle->kind) {
	case FILE_STREAM:
		r = stream_filter(file->connection->files, handle, &filter);
		return r < 0 ? r : stream_start(file, &filter, resume);
	case FILE_PROVIDE:
		return provide_open(file, resume);
	case FILE_MUX:
		return mux_start(file, resume);
	default:
		return 0;
	}
}

static int take_handle(struct connection *connection, uint32_t *ret_handle)
{
	struct files *files = connection->files;
	if (connection->view && connection->handles >= HANDLES_PER_VIEW)
		return -ENFILE;
	if (files->free_count) {
		*ret_handle = files->free_handles[--files->free_count];
		return 0;
	}
	if (files->table->header->handle_high == TABLE_HANDLES_MAX)
		return -ENFILE;
	*ret_handle = files->table->header->handle_high++;
	return 0;
}

static void give_handle(struct files *files, uint32_t handle)
{
	struct table_handle *slot = &files->table->handles[handle];
	journal_forget_effect(files, handle);
	table_commit(&slot->used, (uint8_t)0);
	table_text_clear(files->table, &slot->text);
	table_give_blocks(files->table, slot->ring_block, slot->ring_blocks);
	slot->ring_block = 0;
	files->free_handles[files->free_count++] = handle;
}

static void init_handle(struct connection *connection, uint32_t number, const struct fuse_request *request,
			const struct node_ref *ref)
{
	struct table_handle *handle = &connection->files->table->handles[number];
	uint32_t flags = request->in.open.flags;
	*handle = (struct table_handle){
		.kind = (uint8_t)kind_of(ref, flags),
		.connection = (uint8_t)connection->number,
		.reuse = handle->reuse + 1,
		.flags = flags,
		.signal = ref->signal,
		.name = ref->name ? 1 + (uint32_t)(ref->name - connection->files->table->names) : 0,
		.uid = request->uid,
		.gid = request->gid,
		.pid = request->pid,
	};
}

/* A stream has no file position: its reads may wait without holding the position's lock. */
static uint32_t open_flags(enum file_kind kind)
{
	return FOPEN_DIRECT_IO | FOPEN_NOFLUSH | (kind_is_stream(kind) ? FOPEN_STREAM | FOPEN_NONSEEKABLE : 0);
}

static int open_file(struct connection *connection, const struct fuse_request *request, const struct node_ref *ref,
		     uint32_t *ret_handle)
{
	struct files *files = connection->files;
	uint32_t handle = 0;
	int r = take_handle(connection, &handle);
	if (r < 0)
		return r;
	init_handle(connection, handle, request, ref);
	struct file *file = file_new(connection, handle);
	if (!file) {
		give_handle(files, handle);
		return -ENOMEM;
	}
	if (kind_spans_signals(ref->kind))
		read_groups(file, request->pid);
	r = file_start(file, false);
	if (r < 0) {
		file_free(file);
		give_handle(files, handle);
		return r;
	}
	*ret_handle = handle;
	return 0;
}

void op_open(struct connection *connection, const struct fuse_request *request)
{
	struct files *files = connection->files;
	struct node_ref ref;
	uint32_t handle = 0;
	int r = files_resolve(connection, request->node, &ref);
	if (r == 0)
		r = check_open(connection, &ref, request->in.open.flags);
	if (r == 0)
		r = open_file(connection, request, &ref, &handle);
	if (r == -EACCES && connection->view)
		audit_denial(connection, request, ref.signal);
	if (r < 0) {
		answer(connection, request, r, NULL, 0);
		return;
	}
	if (ref.name)
		names_opened(files, ref.name);
	struct fuse_open_out out = {.fh = handle_number(files, handle),
				    .open_flags = open_flags((enum file_kind)files->table->handles[handle].kind)};
	journal_commit(connection, request->unique, 0, &out, sizeof out, REDO_OPEN, handle, NULL);
	/* nobody waits for it any more: it will never be released either */
	if (fuse_channel_answer(&connection->channel, request->unique, 0, &out, sizeof out) < 0)
		return;
}

static void release(struct file *file)
{
	struct files *files = file->connection->files;
	uint32_t handle = file->handle;
	uint32_t name = files->table->handles[handle].name;
	file_free(file);
	give_handle(files, handle);
	if (name)
		names_released(files, &files->table->names[name - 1]);
}

void op_release(struct connection *connection, const struct fuse_request *request)
{
	int error = 0;
	uint32_t handle = (uint32_t)request->in.release.fh;
	struct file *file = file_of(connection, request->in.release.fh, &error);
	if (!file && error == -EACCES)
		file = connection->files->open[handle]; /* revoked, but open */
	if (file)
		release(file);
	answer(connection, request, 0, NULL, 0); /* one that is sent again finds it gone */
}

int files_take_over(struct connection *connection)
{
	struct files *files = connection->files;
	for (uint32_t i = 0; i < files->table->header->handle_high; i++) {
		const struct table_handle *handle = &files->table->handles[i];
		if (!handle->used || handle->connection != connection->number)
			continue;
		struct file *file = file_new(connection, i);
		if (!file)
			return -ENOMEM;
		/* a signal that left the catalogue meanwhile stays silent */
		if (file_start(file, true) == -ENOMEM)
			return -ENOMEM;
	}
	return 0;
}

void files_release_all(struct connection *connection)
{
	struct files *files = connection->files;
	for (uint32_t i = 0; i < files->table->header->handle_high; i++) {
		const struct table_handle *handle = &files->table->handles[i];
		if (!handle->used || handle->connection != connection->number)
			continue;
		if (files->open[i])
			file_free(files->open[i]);
		give_handle(files, i);
	}
}

void connection_recheck(struct connection *connection)
{
	struct files *files = connection->files;
	for (uint32_t i = 0; i < files->table->header->handle_high; i++) {
		struct file *file = files->open[i];
		if (!file || file->connection != connection)
			continue;
		const struct table_handle *handle = file_handle(file);
		struct node_ref ref = {.kind = (enum file_kind)handle->kind, .signal = handle->signal};
		mux_recheck(file);
		file->revoked = !store_node(files->store, ref.signal) || check_view(connection, &ref, handle->flags) < 0;
		if (!file->revoked)
			continue;
		store_release(files->store, &file->provider);
		stream_drop_parked(file, -EACCES);
		poll_wake(file);
	}
	for (uint32_t id = 0; id < files->table->header->entry_count; id++)
		fuse_invalidate_name(files->invalidator, connection->channel.fd,
				     (uint64_t)files->table->entries[id].parent + 1, table_entry_name(files->table, id));
}
