#include "signals/src/views.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/log.h"
#include "core/base/str.h"
#include "core/sys/fd.h"
#include "signals/src/config.h"
#include "signals/src/files/files.h"
#include "signals/src/grant.h"
#include "signals/src/holder.h"
#include "signals/src/line/server.h"
#include "signals/src/store.h"

#define ANSWER_MAX 4096

struct served {
	struct views *views;
	unsigned number; /* from 1 */
	struct arena arena; /* of the request */
	struct view_request request;
	struct view view;
	struct connection *connection;
	struct line_server *line;
	uv_poll_t poll;
	bool polled; /* the loop knows of poll */
	bool closing;
};

struct views {
	struct views_options options;
	struct served *served[VIEWS_MAX + 1];
	bool coming[VIEWS_MAX + 1]; /* the holder mounts it again */
	size_t count;
	int listen_fd;
	uv_poll_t *control;
	struct resumed {
		int fd;
		int socket;
		char *text;
	} resumed[VIEWS_MAX + 1];
};

/* ---- one view ---- */

static void served_free(uv_handle_t *handle)
{
	struct served *served = handle->data;
	view_done(&served->view);
	arena_done(&served->arena);
	free(served);
}

/* Everything that was its ends; the holder's record of it stays. */
static void served_close(struct served *served)
{
	struct views *views = served->views;
	if (served->closing)
		return;
	served->closing = true;
	log_info(views->options.audit, "audit.view-end", "container %s", served->request.id);
	views->served[served->number] = NULL;
	views->count--;
	(void)uv_poll_stop(&served->poll);
	line_server_close(served->line);
	files_disconnect(served->connection);
	uv_close((uv_handle_t *)&served->poll, served_free);
}

static void drop_kept(const struct views *views, unsigned number)
{
	holder_drop(views->options.holder, number);
	holder_drop(views->options.holder, HOLDER_SOCKETS + number);
}

/* The container is gone, or its mount: it will not return. */
static void served_end(struct served *served)
{
	drop_kept(served->views, served->number);
	served_close(served);
}

static void on_request(uv_poll_t *poll, int status, int events)
{
	struct served *served = poll->data;
	(void)status;
	(void)events;
	if (connection_serve(served->connection) < 0)
		served_end(served);
}

static int compute(struct served *served)
{
	const struct config *config = served->views->options.config;
	struct view fresh = {0};
	int r = view_compute(served->views->options.store, &served->request, config->grants, config->grants_count, &fresh);
	if (r < 0)
		return r;
	view_done(&served->view);
	served->view = fresh;
	return 0;
}

static size_t granted_count(const struct served *served)
{
	const struct store *store = served->views->options.store;
	size_t count = 0;
	for (signal_id id = 0; id < served->view.count; id++) {
		const struct node *node = store_node(store, id);
		count += served->view.rights[id] && node && node_is_leaf(node);
	}
	return count;
}

static void audit_grants(const struct served *served, const char *event)
{
	const struct view_identity *identity = &served->request.identity;
	log_info(served->views->options.audit, event, "container %s (%s %s/%s): %zu signals granted", served->request.id,
		 identity->manager ? identity->manager : "unmanaged",
		 identity->pod_namespace ? identity->pod_namespace : "-", identity->pod ? identity->pod : "-",
		 granted_count(served));
}

static int start_line(struct served *served, int socket, struct err *err)
{
	const struct views_options *options = &served->views->options;
	struct line_server_options line = {.loop = options->loop, .store = options->store, .log = options->log,
					   .view = &served->view, .name = served->request.id};
	return line_server_new(&line, socket, &served->line, err);
}

/* Takes over both descriptors, whatever happens. */
static int start_serving(struct served *served, int fd, int socket, bool resume, struct err *err)
{
	struct views *views = served->views;
	int r = files_connect(views->options.files, fd, served->number, &served->view, served->request.id, resume,
			      &served->connection, err);
	if (r < 0) {
		(void)close(socket);
		return r;
	}
	r = start_line(served, socket, err);
	if (r == 0)
		r = uv_poll_init(views->options.loop, &served->poll, fd);
	served->poll.data = served;
	served->polled = r == 0;
	if (r == 0)
		r = uv_poll_start(&served->poll, UV_READABLE, on_request);
	return r;
}

static void served_abandon(struct served *served)
{
	line_server_close(served->line);
	files_disconnect(served->connection);
	served->poll.data = served;
	if (served->polled)
		uv_close((uv_handle_t *)&served->poll, served_free);
	else
		served_free((uv_handle_t *)&served->poll);
}

static int read_request(struct served *served, const char *text, size_t size, struct err *err)
{
	served->arena.max = 16 * VIEW_TEXT_MAX;
	int r = json_decode("request", text, size, &VIEW_REQUEST_TABLE, &served->arena, &served->request, err);
	if (r == 0 && (str_empty(served->request.id) || strlen(served->request.id) > 255))
		r = err_set(err, -EINVAL, "view.id", "id: expected 1 to 255 characters");
	return r < 0 ? r : signal_lists_check(&served->request.lists, err);
}

static int check_new(const struct views *views, const struct served *served, struct err *err)
{
	for (unsigned i = 1; i <= VIEWS_MAX; i++)
		if (views->served[i] && str_equal(views->served[i]->request.id, served->request.id))
			return err_set(err, -EEXIST, "view.exists", "container %s has its view already", served->request.id);
	return 0;
}

/* Makes a view of @text under @number; takes over the descriptors. */
static int serve_view(struct views *views, unsigned number, int fd, int socket, const char *text, size_t size,
		      bool resume, size_t *ret_granted, struct err *err)
{
	struct served *served = calloc(1, sizeof *served);
	int r = served ? read_request(served, text, size, err) : -ENOMEM;
	if (r == 0)
		r = check_new(views, served, err);
	if (served) {
		served->views = views;
		served->number = number;
	}
	if (r == 0)
		r = compute(served);
	if (r < 0) {
		(void)close(fd);
		(void)close(socket);
	} else {
		r = start_serving(served, fd, socket, resume, err);
	}
	if (r < 0) {
		if (served)
			served_abandon(served);
		return r;
	}
	views->served[number] = served;
	views->count++;
	*ret_granted = granted_count(served);
	audit_grants(served, "audit.view");
	return 0;
}

/* ---- the control socket ---- */

static unsigned free_number(const struct views *views)
{
	for (unsigned i = 1; i <= VIEWS_MAX; i++)
		if (!views->served[i] && !views->coming[i])
			return i;
	return 0;
}

/* The holder first: a daemon that is killed in between leaves a view that goes on, or none. */
static int create_view(struct views *views, const char *text, size_t size, const int fds[static 2], size_t *ret_granted,
		       struct err *err)
{
	unsigned number = free_number(views);
	int r = number ? 0 : err_set(err, -ENOSPC, "view.limit", "expected at most %d views", VIEWS_MAX);
	if (r == 0)
		r = holder_keep(views->options.holder, number, fds[0], text, size);
	if (r == 0)
		r = holder_keep(views->options.holder, HOLDER_SOCKETS + number, fds[1], "", 0);
	if (r < 0) {
		(void)close(fds[0]);
		(void)close(fds[1]);
		return r;
	}
	r = serve_view(views, number, fds[0], fds[1], text, size, false, ret_granted, err);
	if (r < 0) {
		drop_kept(views, number);
	}
	return r;
}

static void answer_control(int socket, int result, size_t granted, const struct err *err)
{
	struct buf answer = {.max = ANSWER_MAX};
	int r = result == 0 ? buf_printf(&answer, "{\"granted\":%zu}", granted) : buf_add_text(&answer, "{\"error\":");
	if (r == 0 && result < 0)
		r = json_add_string(&answer, err_text(err, result));
	if (r == 0 && result < 0)
		r = buf_add_char(&answer, '}');
	if (r == 0)
		(void)fd_send_message(socket, answer.data, answer.size, NULL, 0); /* who is gone hears nothing */
	buf_done(&answer);
}

/* One connection, one request: who connects is root (the socket's mode) and has sent already, or is not waited for. */
static void serve_control(struct views *views, int socket)
{
	static const struct timeval PATIENCE = {.tv_sec = 1};
	char text[VIEW_TEXT_MAX];
	int fds[2] = {-1, -1};
	size_t count = 0, granted = 0;
	struct err err = {0};
	(void)setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &PATIENCE, sizeof PATIENCE);
	(void)setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &PATIENCE, sizeof PATIENCE);
	ssize_t n = fd_receive_message(socket, text, sizeof text, fds, 2, &count);
	int r = n < 0 ? (int)n : 0;
	if (n >= 0 && count != 2) {
		for (size_t i = 0; i < count; i++)
			(void)close(fds[i]);
		r = err_set(&err, -EINVAL, "view.descriptors", "expected two descriptors, found %zu", count);
	}
	if (r == 0)
		r = create_view(views, text, (size_t)n, fds, &granted, &err);
	if (r < 0)
		log_err(views->options.log, &err, r, "a view was refused");
	answer_control(socket, r, granted, &err);
}

static void on_control(uv_poll_t *poll, int status, int events)
{
	struct views *views = poll->data;
	(void)status;
	(void)events;
	int socket = accept4(views->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (socket < 0)
		return;
	serve_control(views, socket);
	(void)close(socket);
}

int views_listen(struct views *views, int listen_fd, struct err *err)
{
	views->listen_fd = listen_fd;
	views->control = calloc(1, sizeof *views->control);
	int r = views->control ? uv_poll_init(views->options.loop, views->control, listen_fd) : -ENOMEM;
	if (r < 0)
		return err_set(err, r, "view.control", "the control socket");
	views->control->data = views;
	return uv_poll_start(views->control, UV_READABLE, on_control);
}

/* ---- after a restart ---- */

static void resume_one(struct views *views, unsigned number)
{
	struct resumed *resumed = &views->resumed[number];
	struct err err = {0};
	size_t granted = 0;
	int r = serve_view(views, number, TAKE_FD(resumed->fd), TAKE_FD(resumed->socket), resumed->text,
			   strlen(resumed->text), true, &granted, &err);
	if (r < 0) {
		log_err(views->options.log, &err, r, "a view of the last daemon");
		drop_kept(views, number);
	}
	free(resumed->text);
	resumed->text = NULL;
}

/* Its two items come one by one. */
static void take_item(struct views *views, uint32_t number, int fd, const char *text, size_t size)
{
	bool is_socket = number > HOLDER_SOCKETS;
	uint32_t index = is_socket ? number - HOLDER_SOCKETS : number;
	if (index == 0 || index > VIEWS_MAX) {
		(void)close(fd);
		return;
	}
	struct resumed *resumed = &views->resumed[index];
	if (is_socket) {
		resumed->socket = fd;
	} else {
		resumed->fd = fd;
		resumed->text = strndup(text, size);
	}
	if (resumed->fd >= 0 && resumed->socket >= 0 && resumed->text)
		resume_one(views, index);
}

/* A new connection in a container that an earlier daemon served. */
static void take_back(struct views *views, const struct holder_item *item)
{
	struct err err = {0};
	size_t granted = 0;
	scoped_free char *text = strndup(item->text, item->size);
	int r = text ? serve_view(views, item->number, item->fds[0], item->fds[1], text, item->size, false, &granted, &err)
		     : -ENOMEM;
	if (r < 0) {
		log_err(views->options.log, &err, r, "a view that came back");
		drop_kept(views, item->number);
	}
}

void views_resume(struct views *views, const struct holder_item *item)
{
	bool is_view = item->number >= 1 && item->number <= VIEWS_MAX;
	if (item->type == HOLDER_ITEM)
		take_item(views, item->number, item->fds[0], item->text, item->size);
	else if (is_view)
		views->coming[item->number] = item->type == HOLDER_COMING;
	if (item->type == HOLDER_BACK && is_view && !views->served[item->number])
		take_back(views, item);
}

/* ---- all ---- */

void views_recheck(struct views *views)
{
	for (unsigned i = 1; i <= VIEWS_MAX; i++) {
		struct served *served = views->served[i];
		if (!served)
			continue;
		if (compute(served) < 0) {
			served_end(served); /* without memory for its rights it has none */
			continue;
		}
		connection_recheck(served->connection);
		line_server_recheck(served->line);
		audit_grants(served, "audit.regrant");
	}
}

int views_each(const struct views *views, int (*say)(void *user, const char *json), void *user)
{
	int r = 0;
	for (unsigned i = 1; r == 0 && i <= VIEWS_MAX; i++) {
		scoped_done(buf_done) struct buf json = {0};
		const struct served *served = views->served[i];
		if (!served)
			continue;
		r = views_add_one(views->options.store, &served->request, &served->view, &json);
		if (r == 0)
			r = say(user, json.data);
	}
	return r;
}

size_t views_count(const struct views *views)
{
	return views->count;
}

int views_new(const struct views_options *options, struct views **ret_views)
{
	struct views *views = calloc(1, sizeof *views);
	if (!views)
		return -ENOMEM;
	views->options = *options;
	views->listen_fd = -1;
	for (size_t i = 0; i <= VIEWS_MAX; i++)
		views->resumed[i] = (struct resumed){.fd = -1, .socket = -1};
	*ret_views = views;
	return 0;
}

static void free_handle(uv_handle_t *handle)
{
	free(handle);
}

void views_free(struct views *views)
{
	if (!views)
		return;
	for (unsigned i = 1; i <= VIEWS_MAX; i++) {
		if (views->served[i])
			served_close(views->served[i]);
		if (views->resumed[i].fd >= 0)
			(void)close(views->resumed[i].fd);
		if (views->resumed[i].socket >= 0)
			(void)close(views->resumed[i].socket);
		free(views->resumed[i].text);
	}
	if (views->control) {
		(void)uv_poll_stop(views->control);
		uv_close((uv_handle_t *)views->control, free_handle);
	}
	if (views->listen_fd >= 0)
		(void)close(views->listen_fd);
	free(views);
}
