/* Shared by the files of this folder: connection.c (requests to operations), nodes.c (lookup, attributes, directories),
 * names.c (names with suffixes), handles.c (opening, releasing, taking over), snapshot.c (files read as a whole),
 * stream.c (files read line by line), write.c, provide.c, poll.c, acl.c. */
#pragma once

#include "core/base/buf.h"
#include "core/base/list.h"
#include "signals/src/files/files.h"
#include "signals/src/fuse/channel.h"
#include "signals/src/line/session.h"
#include "signals/src/store.h"
#include "signals/src/table.h"

#define NAME_NODE (UINT64_C(1) << 62) /* node ids of names; below: 1 + a signal's id */
#define NAMES_PER_CONNECTION 1024
#define HANDLES_PER_VIEW 16384
#define SNAPSHOT_MAX (1U << 20)
#define NO_VALUE_ANSWER (-ENODATA)

/* What a file is. Kept in the table: never renumber. */
enum file_kind {
	FILE_NONE,
	FILE_VALUE,
	FILE_STREAM,
	FILE_META,
	FILE_STATE,
	FILE_GROUP,
	FILE_PROVIDE,
	FILE_MUX,
};

/* An open file: what is not in the table. */
struct file {
	uint32_t handle;
	struct connection *connection;
	struct subscription subscription; /* of a stream */
	struct watcher watcher;		  /* of a snapshot file somebody polls, */
	struct timer due;		  /* and when a view's rate shows it something newer */
	struct provider provider;	  /* of FILE_PROVIDE */
	struct line_session *session;	  /* of FILE_MUX, and the next three */
	struct line_carrier carrier;
	struct subject subject;
	struct list dirty; /* in files.dirty: its session has something new */
	struct list parked;		  /* reads that wait, oldest first */
	gid_t *groups;			  /* of the opener of FILE_GROUP, FILE_MUX */
	size_t group_count;
	bool revoked; /* its right was taken away */
};

/* A READ without an answer. */
struct parked {
	struct list of_file;
	struct list of_connection;
	uint64_t unique;
	uint32_t size;
	struct file *file;
};

struct connection {
	struct files *files;
	struct fuse_channel channel;
	unsigned number;
	const struct view *view;
	char name[SUBJECT_NAME_MAX]; /* of the view */
	struct list parked;
	unsigned names;
	unsigned handles;
};

struct files {
	struct store *store;
	struct table *table;
	const struct log *log;
	struct connection *connections[CONNECTIONS_MAX];
	struct file **open; /* by handle */
	uint32_t *free_handles;
	uint32_t free_count;
	struct fuse_invalidator *invalidator;
	struct store_listener listener;
	struct list dirty;
	struct timer idle_names; /* names that were looked up and never opened */
	struct buf text;	 /* scratch of one request */
	struct files_stats stats;
};

/* ---- nodes.c ---- */

/* What a node id stands for. */
struct node_ref {
	enum file_kind kind; /* FILE_NONE: a directory */
	signal_id signal;
	struct table_name *name; /* NULL: a plain name */
};

/* Is it read line by line, without a file position? */
static inline bool kind_is_stream(unsigned kind)
{
	return kind == FILE_STREAM || kind == FILE_PROVIDE || kind == FILE_MUX;
}

/* Does it reach signals whose own files the kernel was not asked about? */
static inline bool kind_spans_signals(unsigned kind)
{
	return kind == FILE_GROUP || kind == FILE_MUX;
}

/* Errors: -ENOENT (no such node, or it does not exist in this connection's view). */
int files_resolve(const struct connection *connection, uint64_t node, struct node_ref *ret_ref);
void files_fill_attr(const struct connection *connection, uint64_t node, const struct node_ref *ref,
		     struct fuse_attr *ret_attr);
uint64_t files_attr_seconds(const struct node_ref *ref);

void op_lookup(struct connection *connection, const struct fuse_request *request);
void op_access(struct connection *connection, const struct fuse_request *request);
void op_getattr(struct connection *connection, const struct fuse_request *request);
void op_setattr(struct connection *connection, const struct fuse_request *request);
void op_readdir(struct connection *connection, const struct fuse_request *request);
void op_opendir(struct connection *connection, const struct fuse_request *request);

/* ---- names.c ---- */

/* Finds or makes the name of @kind and @suffix of a signal. Errors: -ENFILE (too many are in use). */
int names_get(struct connection *connection, signal_id signal, enum file_kind kind, const char *suffix,
	      struct table_name **ret_name);
/* Reads the part behind "@". Errors: -ENOENT. @canonical: FILTER_TEXT_MAX bytes. */
int names_parse(const struct connection *connection, signal_id signal, const char *suffix, enum file_kind *ret_kind,
		char *canonical);
uint64_t names_node(const struct files *files, const struct table_name *name);
struct table_name *names_of_node(const struct files *files, uint64_t node);
void names_forget(struct files *files, uint64_t node, uint64_t lookups);
void names_opened(struct files *files, struct table_name *name);
void names_released(struct files *files, struct table_name *name);
void names_take_over(struct connection *connection);
void names_drop_all(struct connection *connection);
void names_idle(struct timer *timer);
void op_forget(struct connection *connection, const struct fuse_request *request);
void op_batch_forget(struct connection *connection, const struct fuse_request *request);

/* ---- handles.c ---- */

static inline struct table_handle *file_handle(const struct file *file)
{
	return &file->connection->files->table->handles[file->handle];
}

uint64_t handle_number(const struct files *files, uint32_t handle);
/* The open file of a request; NULL: there is none (or its right was revoked: *ret_error). */
struct file *file_of(struct connection *connection, uint64_t number, int *ret_error);
struct subject file_subject(const struct file *file);

void op_open(struct connection *connection, const struct fuse_request *request);
void op_release(struct connection *connection, const struct fuse_request *request);
int files_take_over(struct connection *connection);
void files_release_all(struct connection *connection);
void file_free(struct file *file);

/* ---- the journal (connection.c) ---- */

enum table_redo {
	REDO_NONE,
	REDO_READ, /* values: head, offset, text_whole */
	REDO_OPEN,
};

/* Keeps the answer and puts its effect in force; to be called before the answer is sent. */
void journal_commit(struct connection *connection, uint64_t unique, int error, const void *bytes, size_t size,
		    enum table_redo redo, uint32_t handle, const uint64_t values[3]);
void journal_apply(struct files *files);
/* The effect no longer fits: what is unread was changed otherwise. */
void journal_forget_effect(struct files *files, uint32_t handle);

/* commit, then send */
void answer_kept(struct connection *connection, uint64_t unique, int error, const void *bytes, size_t size);
void answer(struct connection *connection, const struct fuse_request *request, int error, const void *bytes,
	    size_t size);

/* ---- snapshot.c ---- */

void snapshot_read(struct file *file, const struct fuse_request *request);

/* ---- stream.c ---- */

int stream_start(struct file *file, const struct filter *filter, bool resume);
void stream_read(struct file *file, const struct fuse_request *request);
bool stream_has_data(const struct file *file);
/* Queues a line (with its newline) and wakes who waits. Errors: -EAGAIN (no room, only with @keep_old), -ENOSPC. */
int stream_push(struct file *file, const char *line, size_t size, bool keep_old);
bool stream_has_room(struct file *file, size_t size);
/* There may be something to read: parked reads are served, pollers woken. */
void stream_wake(struct file *file);
void stream_cancel(struct connection *connection, uint64_t unique);
void stream_drop_parked(struct file *file, int error);

/* ---- poll.c ---- */

void op_poll(struct connection *connection, const struct fuse_request *request);
void poll_wake(struct file *file);
/* Tells all that are armed to look again: what happened between two daemons is unknown. */
void poll_wake_all(struct connection *connection);

/* ---- mux.c ---- */

int mux_start(struct file *file, bool resume);
void mux_end(struct file *file);
int mux_write(struct file *file, const char *data, size_t size);
bool mux_has_data(const struct file *file);
int mux_give(struct file *file, uint64_t unique, uint32_t room);
void mux_recheck(struct file *file);

/* ---- write.c, provide.c ---- */

void op_write(struct connection *connection, const struct fuse_request *request);
int provide_open(struct file *file, bool resume);
int provide_write(struct file *file, const char *text, size_t size);

/* ---- acl.c ---- */

void op_getxattr(struct connection *connection, const struct fuse_request *request);
void op_listxattr(struct connection *connection, const struct fuse_request *request);
