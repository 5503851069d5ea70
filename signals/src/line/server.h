/* The line protocol on a UNIX socket: one listener, its clients, libuv. What a client may do is decided by the socket
 * (a view's) or by the user behind it (the host's). */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

struct buf;
struct err;
struct line_server;
struct log;
struct store;
struct subject;
struct view;

#define LINE_CLIENTS_MAX 4096	     /* of the host's socket */
#define LINE_CLIENTS_OF_VIEW_MAX 256 /* of a view's */

struct line_server_options {
	uv_loop_t *loop;
	struct store *store;
	const struct log *log;	 /* may be NULL */
	const struct view *view; /* NULL: the host's socket; each client is the user behind it (SO_PEERCRED) */
	const char *name;	 /* of the view, for subjects; NULL: "uid:N" */
	/* What containers were granted, for `views`: as line_carrier's. NULL: nobody may ask. */
	int (*each_view)(void *user, int (*say)(void *say_user, const char *json), void *say_user);
	void *user;
};

/* Binds and listens at @path, whose directory is there; a socket that nobody serves is replaced. @mode: of the file.
 * Errors: of socket(2), bind(2); -EADDRINUSE (somebody serves it); @err names it. */
int line_server_bind(const char *path, mode_t mode, int *ret_fd, struct err *err);

/* Serves the listening socket @listen_fd, which it takes over. Names in @options are copied, the rest is borrowed.
 * Errors: -ENOMEM, of uv_poll_init(). */
int line_server_new(const struct line_server_options *options, int listen_fd, struct line_server **ret_server,
		    struct err *err);

/* Ends all sessions now; memory is given back when the loop has closed the handles, or at once where it was NULL. */
void line_server_close(struct line_server *server);

/* The rights of subjects were changed: what is not permitted any more ends. */
void line_server_recheck(struct line_server *server);

size_t line_server_client_count(const struct line_server *server);
