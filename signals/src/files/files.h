/* Signals as files: the face of the value store that the kernel's FUSE speaks to.
 *
 * A connection is one mounted file system: the host's, or a container's view. What must outlive a killed daemon (open
 * files, their unread lines, the names the kernel knows) lies in the table; files_connect(..., resume) takes it over.
 * docs/formats/signal-files.md says what each file does. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/scoped.h"

struct connection;
struct err;
struct files;
struct log;
struct store;
struct table;
struct view;

#define CONNECTIONS_MAX 255

/* The store and the table are borrowed, as is the log (which may be NULL). */
int files_new(struct store *store, struct table *table, const struct log *log, struct files **ret_files);
void files_free(struct files *files);
SCOPED_DEFINE(struct files, files_free)

/* Serves the connection behind @fd, which it takes over. @number: 0 for the host's, the same over restarts.
 * @view: NULL for the host's; borrowed. @name: how its subjects are called; NULL on the host (their uid).
 * @resume: an earlier daemon served it: its open files go on.
 * Errors: -ENOMEM, -EBUSY (the number is in use), -ENOTSUP (the kernel cannot send requests again: before 6.9). */
int files_connect(struct files *files, int fd, unsigned number, const struct view *view, const char *name,
		  bool resume, struct connection **ret_connection, struct err *err);

/* Closes it: its open files are released. */
void files_disconnect(struct connection *connection);

int connection_fd(const struct connection *connection);

/* Serves what is waiting. Call it when the descriptor is readable.
 * Errors: -ENODEV (unmounted or aborted: disconnect it). */
int connection_serve(struct connection *connection);

/* Gives what was set since the last call to the readers of "@stream". Call it before the loop sleeps. */
void files_flush(struct files *files);

/* The grants of its view were changed: what is no longer allowed gives EACCES, also on descriptors that are open. */
void connection_recheck(struct connection *connection);

struct files_stats {
	unsigned open_files;
	unsigned parked_reads;
	unsigned names;
};
struct files_stats files_stats(const struct files *files);
