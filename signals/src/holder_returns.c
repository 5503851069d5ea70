#include "signals/src/holder_returns.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/log.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/sys/fd.h"
#include "core/sys/path.h"
#include "signals/src/container_mount.h"

#define RECORD_MAX 32768
#define ARENA_MAX (16 * RECORD_MAX)
#define UNMOUNT_LIMIT_MS 700

/* A child at work in a container. */
struct worker {
	pid_t pid;  /* 0: none */
	int socket; /* what it made arrives here, or its end */
	int64_t deadline_ms;
};

struct returns {
	const struct log *log;
	int folder;
	struct worker workers[RETURNS_MAX + 1];
};

struct record {
	const struct container_place *container;
};
static const struct json_field RECORD_FIELDS[] = {
	JSON_NESTED(struct record, container, "container", JSON_STRUCT_OPT, &CONTAINER_PLACE_TABLE, 0),
};
static const struct json_table RECORD = JSON_TABLE(struct record, RECORD_FIELDS);

static int64_t now_ms(void)
{
	struct timespec now = {0};
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- records ---- */

static void record_name(uint32_t number, char name[static 16])
{
	(void)snprintf(name, 16, "%u.json", number);
}

static int read_place(const char *text, size_t size, struct arena *arena, struct container_place *ret_place,
		      struct err *err)
{
	struct record record = {0};
	int r = json_decode("record", text, size, &RECORD, arena, &record, err);
	if (r == 0 && !record.container)
		return -ENOENT;
	if (r == 0)
		*ret_place = *record.container;
	return r;
}

void returns_keep(struct returns *returns, uint32_t number, const char *text, size_t size)
{
	scoped_done(arena_done) struct arena arena = {.max = ARENA_MAX};
	struct container_place place;
	struct err err = {0};
	char name[16];
	record_name(number, name);
	int r = read_place(text, size, &arena, &place, &err);
	if (r == 0)
		r = file_replace_at(returns->folder, name, text, size, 0600, FILE_VOLATILE, &err);
	if (r < 0 && r != -ENOENT)
		log_err(returns->log, &err, r, "the record of view %u: it would not return", number);
}

void returns_forget(struct returns *returns, uint32_t number)
{
	char name[16];
	record_name(number, name);
	(void)unlinkat(returns->folder, name, 0); /* one without a container has none */
}

/* The text of a record (buf_done()) and its place in @arena. -ESRCH: its container is gone. */
static int read_record(const struct returns *returns, uint32_t number, struct buf *text, struct arena *arena,
		       struct container_place *ret_place)
{
	char name[16];
	struct err err = {0};
	record_name(number, name);
	int r = file_read_at(returns->folder, name, text, &err);
	if (r == -ENOENT)
		return r;
	if (r == 0)
		r = read_place(text->data ? text->data : "", text->size, arena, ret_place, &err);
	if (r < 0)
		log_err(returns->log, &err, r, "the record of view %u", number);
	return r < 0 ? r : container_is_alive(ret_place) ? 0 : -ESRCH;
}

/* ---- children ---- */

static void mount_again(const struct returns *returns, struct container_place *place, int socket)
{
	int fds[2] = {-1, -1};
	struct err err = {0};
	int r = container_mount(place, &fds[0], &fds[1], &err);
	if (r == 0)
		r = fd_send_message(socket, "m", 1, fds, 2) < 0 ? -EPIPE : 0;
	if (r < 0)
		log_err(returns->log, &err, r, "a view does not return");
}

static void take_away(const struct returns *returns, struct container_place *place, int socket)
{
	struct err err = {0};
	(void)socket;
	int r = container_unmount_dead(place, &err);
	if (r < 0 && r != -ESRCH)
		log_err(returns->log, &err, r, "a dead view stays");
}

typedef void worker_task(const struct returns *returns, struct container_place *place, int socket);

/* The child holds nothing of what we keep: what it waits for must not keep a connection alive. */
static void run_worker(const struct returns *returns, worker_task *task, struct container_place *place, int socket)
{
	enum { FIRST_FREE = 3 };
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (dup3(socket, FIRST_FREE, O_CLOEXEC) < 0 && socket != FIRST_FREE)
		_exit(EXIT_FAILURE);
	(void)close_range(FIRST_FREE + 1, ~0U, 0);
	task(returns, place, FIRST_FREE);
	_exit(EXIT_SUCCESS);
}

static int start_worker(struct returns *returns, uint32_t number, worker_task *task, struct container_place *place,
			int limit_ms)
{
	int pair[2] = {-1, -1};
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	pid_t pid = fork();
	if (pid == 0)
		run_worker(returns, task, place, pair[1]);
	(void)close(pair[1]);
	if (pid < 0) {
		(void)close(pair[0]);
		return -errno;
	}
	returns->workers[number] = (struct worker){.pid = pid, .socket = pair[0], .deadline_ms = now_ms() + limit_ms};
	return 0;
}

static void end_worker(struct worker *worker)
{
	if (worker->pid == 0)
		return;
	(void)kill(worker->pid, SIGKILL); /* ours, and not reaped: the number is still its own */
	(void)waitpid(worker->pid, NULL, 0);
	(void)close(worker->socket);
	*worker = (struct worker){.socket = -1};
}

/* ---- returning ---- */

void returns_begin(struct returns *returns)
{
	for (uint32_t i = 1; i <= RETURNS_MAX; i++) {
		scoped_done(arena_done) struct arena arena = {.max = ARENA_MAX};
		scoped_done(buf_done) struct buf text = {.max = RECORD_MAX};
		struct container_place place = {0};
		int r = read_record(returns, i, &text, &arena, &place);
		if (r == 0)
			r = start_worker(returns, i, mount_again, &place, RETURN_LIMIT_MS);
		if (r < 0 && r != -ENOENT)
			returns_forget(returns, i);
	}
}

bool returns_pending(const struct returns *returns, uint32_t number)
{
	return returns->workers[number].pid != 0;
}

size_t returns_watch(const struct returns *returns, struct pollfd *polled, int *timeout_ms)
{
	size_t count = 0;
	int64_t now = now_ms();
	for (uint32_t i = 1; i <= RETURNS_MAX; i++) {
		const struct worker *worker = &returns->workers[i];
		if (worker->pid == 0)
			continue;
		polled[count++] = (struct pollfd){.fd = worker->socket, .events = POLLIN};
		int left = worker->deadline_ms > now ? (int)(worker->deadline_ms - now) : 0;
		if (*timeout_ms < 0 || left < *timeout_ms)
			*timeout_ms = left;
	}
	return count;
}

/* 1: it has made what it was to make; 0: it is still at work; -ESTALE: nothing comes of it. */
static int hear_worker(const struct worker *worker, int ret_fds[static 2])
{
	struct pollfd polled = {.fd = worker->socket, .events = POLLIN};
	char made[8];
	size_t count = 0;
	if (poll(&polled, 1, 0) <= 0)
		return worker->deadline_ms > now_ms() ? 0 : -ESTALE;
	ssize_t n = fd_receive_message(worker->socket, made, sizeof made, ret_fds, 2, &count);
	return n > 0 && count == 2 ? 1 : -ESTALE;
}

static int take_one(struct returns *returns, uint32_t number, const int fds[static 2], struct returned *ret_returned)
{
	scoped_done(arena_done) struct arena arena = {.max = ARENA_MAX};
	scoped_done(buf_done) struct buf text = {.max = RECORD_MAX};
	struct container_place place = {0};
	int r = read_record(returns, number, &text, &arena, &place);
	char *copy = r == 0 ? strndup(text.data, text.size) : NULL;
	if (!copy) {
		(void)close(fds[0]);
		(void)close(fds[1]);
		return -ESTALE;
	}
	*ret_returned = (struct returned){number, fds[0], fds[1], copy, (uint32_t)text.size};
	return 1;
}

int returns_take(struct returns *returns, struct returned *ret_returned)
{
	for (uint32_t i = 1; i <= RETURNS_MAX; i++) {
		struct worker *worker = &returns->workers[i];
		int fds[2] = {-1, -1};
		int r = worker->pid ? hear_worker(worker, fds) : 0;
		if (r == 0)
			continue;
		end_worker(worker);
		if (r > 0)
			r = take_one(returns, i, fds, ret_returned);
		if (r < 0) {
			ret_returned->number = i;
			returns_forget(returns, i);
		}
		return r;
	}
	return 0;
}

/* ---- the end ---- */

static void await_workers(struct returns *returns)
{
	for (uint32_t i = 1; i <= RETURNS_MAX; i++) {
		struct worker *worker = &returns->workers[i];
		struct pollfd polled = {.fd = worker->socket, .events = POLLIN};
		int64_t left = worker->deadline_ms - now_ms();
		if (worker->pid)
			(void)poll(&polled, 1, left > 0 ? (int)left : 0); /* its end closes the socket */
		end_worker(worker);
	}
}

void returns_unmount(struct returns *returns)
{
	for (uint32_t i = 1; i <= RETURNS_MAX; i++) {
		scoped_done(arena_done) struct arena arena = {.max = ARENA_MAX};
		scoped_done(buf_done) struct buf text = {.max = RECORD_MAX};
		struct container_place place = {0};
		end_worker(&returns->workers[i]);
		int r = read_record(returns, i, &text, &arena, &place);
		if (r == 0)
			(void)start_worker(returns, i, take_away, &place, UNMOUNT_LIMIT_MS); /* else the next start does it */
		else if (r == -ESRCH)
			returns_forget(returns, i);
	}
	await_workers(returns);
}

/* ---- life ---- */

struct returns *returns_new(const char *folder, const struct log *log)
{
	struct err err = {0};
	struct returns *returns = calloc(1, sizeof *returns);
	int r = returns ? path_make_directories(folder, 0700, &err) : -ENOMEM;
	if (r == 0)
		returns->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r == 0 && returns->folder < 0)
		r = err_sys(&err, -errno, "view.records", "%s", folder);
	if (r < 0) {
		log_err(log, &err, r, "views will not return");
		free(returns);
		return NULL;
	}
	returns->log = log;
	for (uint32_t i = 0; i <= RETURNS_MAX; i++)
		returns->workers[i].socket = -1;
	return returns;
}

void returns_free(struct returns *returns)
{
	if (!returns)
		return;
	for (uint32_t i = 1; i <= RETURNS_MAX; i++)
		end_worker(&returns->workers[i]);
	(void)close(returns->folder);
	free(returns);
}
