/* axle.v1 Containers: Logs. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "manager/src/axle.h"
#include "manager/src/container_life.h"
#include "manager/src/cri_log.h"
#include "manager/src/stream.h"

#define READ_STEP 65536
#define LINE_BYTES_MAX (64 << 10)
#define BATCH_LINES 256
#define BATCH_BYTES (128 << 10)

struct log_reader {
	struct stream *stream;
	const Axle__LogsRequest *request;
	const struct container *container;
	int fd;
	ino_t inode;
	struct buf line; /* what was read of a line that is not whole yet */
	uint64_t skip;	 /* whole lines that come before the wanted ones */
	uint64_t lines;	 /* whole lines seen */
	bool counting;
	bool unfinished; /* the last record was a part of a line whose end has not come */
	Axle__LogLine batch[BATCH_LINES];
	Axle__LogLine *pointers[BATCH_LINES];
	size_t batch_count;
	struct buf text; /* of the batch */
	size_t offsets[BATCH_LINES];
};

static int flush(struct log_reader *reader)
{
	if (!reader->batch_count)
		return 0;
	Axle__LogsResponse response = AXLE__LOGS_RESPONSE__INIT;
	for (size_t i = 0; i < reader->batch_count; i++) {
		reader->batch[i].text.data = (uint8_t *)reader->text.data + reader->offsets[i];
		reader->pointers[i] = &reader->batch[i];
	}
	response.lines = reader->pointers;
	response.n_lines = reader->batch_count;
	int r = stream_send(reader->stream, &response);
	reader->batch_count = 0;
	buf_clear(&reader->text);
	return r;
}

static int add_line(struct log_reader *reader, const struct cri_log_line *line)
{
	if (reader->batch_count == BATCH_LINES || reader->text.size + line->length > BATCH_BYTES) {
		int r = flush(reader);
		if (r < 0)
			return r;
	}
	size_t at = reader->batch_count++;
	axle__log_line__init(&reader->batch[at]);
	reader->batch[at].time = line->time_ns;
	reader->batch[at].stderr = line->stderr_;
	reader->batch[at].partial = line->partial;
	reader->batch[at].text.len = line->length;
	reader->offsets[at] = reader->text.size;
	return buf_add(&reader->text, line->text, line->length);
}

/* One record of the log. What is none was not written by us, and is skipped. */
static int take_record(struct log_reader *reader, const char *text, size_t length)
{
	struct cri_log_line line = {0};
	if (cri_log_parse(text, length, &line) < 0)
		return 0;
	bool wanted = reader->lines >= reader->skip;
	if (!line.partial)
		reader->lines++;
	reader->unfinished = line.partial;
	if (reader->counting || !wanted || line.time_ns < reader->request->since ||
	    (reader->request->until && line.time_ns > reader->request->until))
		return 0;
	return add_line(reader, &line);
}

static int take_bytes(struct log_reader *reader, const char *bytes, size_t size)
{
	while (size) {
		const char *end = memchr(bytes, '\n', size);
		size_t part = end ? (size_t)(end - bytes) : size;
		if (buf_add(&reader->line, bytes, part) < 0)
			buf_clear(&reader->line); /* longer than any record of ours */
		if (!end)
			return 0;
		int r = take_record(reader, reader->line.data ? reader->line.data : "", reader->line.size);
		buf_clear(&reader->line);
		if (r < 0)
			return r;
		bytes = end + 1;
		size -= part + 1;
	}
	return 0;
}

static int read_to_end(struct log_reader *reader)
{
	scoped_free char *bytes = malloc(READ_STEP);
	ssize_t count = bytes ? 1 : -1;
	while (count > 0) {
		count = read(reader->fd, bytes, READ_STEP);
		int r = count > 0 ? take_bytes(reader, bytes, (size_t)count) : 0;
		if (r < 0)
			return r;
	}
	return bytes ? 0 : -ENOMEM;
}

/* Returns 0 where there is no such file. */
static int open_log(struct log_reader *reader, const char *path)
{
	struct stat status = {0};
	if (reader->fd >= 0)
		(void)close(reader->fd);
	reader->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (reader->fd < 0 || fstat(reader->fd, &status) < 0 || !S_ISREG(status.st_mode))
		return 0;
	reader->inode = status.st_ino;
	return 1;
}

/* The rotated files of a log of ours, oldest first, then the file itself. */
static int read_all(struct log_reader *reader)
{
	const struct container_record *record = &reader->container->record;
	int r = 0;
	for (uint32_t i = record->log_is_ours ? reader->container->node->config.container_logs.files : 0; r == 0 && i > 0; i--) {
		scoped_free char *path = str_printf("%s.%u", record->log_path, i);
		if (path && open_log(reader, path) > 0)
			r = read_to_end(reader);
	}
	if (r == 0 && open_log(reader, record->log_path) > 0)
		r = read_to_end(reader);
	return r;
}

/* --- following --- */

struct awaiting {
	struct container *container;
	struct fiber *reader;
};

static void await_end(void *data)
{
	struct awaiting *awaiting = data;
	if (container_wait(awaiting->container, false) == 0)
		fiber_wake(awaiting->reader, 0);
}

/* The file may have been rotated away under us. */
static int reopen_if_rotated(struct log_reader *reader)
{
	struct stat status = {0};
	const char *path = reader->container->record.log_path;
	if (stat(path, &status) < 0 || status.st_ino == reader->inode)
		return 0;
	int r = read_to_end(reader); /* of the old one */
	if (r == 0 && open_log(reader, path) > 0)
		r = read_to_end(reader);
	return r;
}

static void drain(int inotify)
{
	char events[4096];
	while (read(inotify, events, sizeof events) > 0)
		;
}

static int follow(struct log_reader *reader, struct container *container)
{
	struct fibers *fibers = container->node->fibers;
	scoped_fd int inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	scoped_free char *folder = strdup(container->record.log_path);
	char *slash = folder ? strrchr(folder, '/') : NULL;
	if (inotify < 0 || !slash)
		return inotify < 0 ? -errno : -ENOMEM;
	*slash = '\0';
	if (inotify_add_watch(inotify, folder, IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_ONLYDIR) < 0 && errno != ENOENT)
		return -errno;
	struct awaiting awaiting = {container, fiber_self(fibers)};
	int r = stream_fork(reader->stream, await_end, &awaiting);
	while (r == 0) {
		bool ended = container->phase == CONTAINER_EXITED || container->gone;
		r = reader->fd >= 0 ? read_to_end(reader) : 0;
		if (r == 0)
			r = reopen_if_rotated(reader);
		if (r == 0)
			r = flush(reader);
		if (r < 0 || ended)
			break;
		r = fiber_await_fd(fibers, inotify, UV_READABLE);
		drain(inotify);
	}
	stream_join(reader->stream, true);
	return r;
}

static int read_log(struct log_reader *reader, struct container *container)
{
	const Axle__LogsRequest *request = reader->request;
	int r = 0;
	if (request->tail__case == AXLE__LOGS_REQUEST__TAIL__TAIL) {
		reader->counting = true;
		r = read_all(reader);
		reader->counting = false;
		reader->lines += reader->unfinished; /* it counts as a line */
		reader->skip = reader->lines > request->tail ? reader->lines - request->tail : 0;
		reader->lines = 0;
		buf_clear(&reader->line);
	}
	if (r == 0)
		r = read_all(reader);
	if (r == 0)
		r = flush(reader);
	return r == 0 && request->follow ? follow(reader, container) : r;
}

static void reader_done(struct log_reader *reader)
{
	if (reader->fd >= 0)
		(void)close(reader->fd);
	buf_done(&reader->line);
	buf_done(&reader->text);
}

static void reader_free(struct log_reader **reader)
{
	if (*reader)
		reader_done(*reader);
	free(*reader);
}

static int run(struct stream *stream, struct err *err)
{
	struct rpc *rpc = stream_rpc(stream);
	const Axle__LogsRequest *request = stream_request(stream);
	scoped(container_unref) struct container *container = NULL;
	int r = container_find_by_name(rpc->node, rpc->owner, true, request->container, &container, err);
	if (r < 0)
		return r;
	if (str_empty(container->record.log_path))
		return err_set(err, -ENOENT, "logs.none", "container %s has no log: it was made without a log path",
			       container->id);
	__attribute__((cleanup(reader_free))) struct log_reader *reader = calloc(1, sizeof *reader);
	if (!reader)
		return -ENOMEM;
	reader->stream = stream;
	reader->request = request;
	reader->container = container;
	reader->fd = -1;
	reader->line.max = LINE_BYTES_MAX;
	reader->text.max = BATCH_BYTES + LINE_BYTES_MAX;
	return read_log(reader, container);
}

void axle_logs(struct grpc_call *call, const ProtobufCMessage *request, void *context)
{
	stream_open(call, request, NULL, context, run);
}
