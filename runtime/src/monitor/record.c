#include "runtime/src/monitor/record.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/sys/fd.h"

static const struct json_field EXIT_FIELDS[] = {
	JSON_FIELD(struct monitor_exit, version, "version", JSON_U32, JSON_REQUIRED),
	JSON_FIELD(struct monitor_exit, id, "id", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct monitor_exit, pid, "pid", JSON_I32, JSON_KEEP),
	JSON_FIELD(struct monitor_exit, exit_code, "exit_code", JSON_I32, JSON_REQUIRED | JSON_KEEP),
	JSON_FIELD(struct monitor_exit, signal, "signal", JSON_I32, JSON_KEEP),
	JSON_FIELD(struct monitor_exit, oom_killed, "oom_killed", JSON_BOOL_T, JSON_KEEP),
	JSON_FIELD(struct monitor_exit, oom_kills, "oom_kills", JSON_U64, JSON_KEEP),
	JSON_FIELD(struct monitor_exit, created_ns, "created_ns", JSON_I64, JSON_KEEP),
	JSON_FIELD(struct monitor_exit, started_ns, "started_ns", JSON_I64, JSON_KEEP),
	JSON_FIELD(struct monitor_exit, finished_ns, "finished_ns", JSON_I64, JSON_KEEP),
	JSON_FIELD(struct monitor_exit, reason, "reason", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct monitor_exit, message, "message", JSON_STRING_T, 0),
};
const struct json_table MONITOR_EXIT_TABLE = JSON_TABLE(struct monitor_exit, EXIT_FIELDS);

static const struct json_field PIPES_FIELDS[] = {
	JSON_FIELD(struct record_pipes, input, "stdin", JSON_U64, JSON_KEEP),
	JSON_FIELD(struct record_pipes, output, "stdout", JSON_U64, JSON_KEEP),
	JSON_FIELD(struct record_pipes, error, "stderr", JSON_U64, JSON_KEEP),
};
static const struct json_table PIPES = JSON_TABLE(struct record_pipes, PIPES_FIELDS);

static const struct json_field STATE_FIELDS[] = {
	JSON_FIELD(struct record_state, version, "version", JSON_U32, JSON_REQUIRED),
	JSON_FIELD(struct record_state, id, "id", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct record_state, phase, "phase", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct record_state, pid, "pid", JSON_I32, JSON_KEEP),
	JSON_FIELD(struct record_state, pid_start, "pid_start", JSON_U64, JSON_KEEP),
	JSON_FIELD(struct record_state, created_ns, "created_ns", JSON_I64, JSON_KEEP),
	JSON_FIELD(struct record_state, started_ns, "started_ns", JSON_I64, JSON_KEEP),
	JSON_NESTED(struct record_state, pipes, "pipes", JSON_STRUCT, &PIPES, JSON_KEEP),
};
static const struct json_table STATE = JSON_TABLE(struct record_state, STATE_FIELDS);

/* The version stands alone, so that a newer record is refused as such even where it no longer fits the table. */
struct versioned {
	uint32_t version;
};

static const struct json_field VERSIONED_FIELDS[] = {
	JSON_FIELD(struct versioned, version, "version", JSON_U32, JSON_REQUIRED),
};
static const struct json_table VERSIONED = JSON_TABLE(struct versioned, VERSIONED_FIELDS);

static int decode(const char *source, const char *bytes, size_t size, const struct json_table *table,
		  struct arena *arena, void *ret_record, struct err *err)
{
	struct versioned versioned = {0};
	int r = json_decode(source, bytes, size, &VERSIONED, arena, &versioned, err);
	if (r == 0 && versioned.version != MONITOR_RECORD_VERSION)
		return err_set(err, -ENOTSUP, "record.version", "%s: version %u, expected %d: written by another axle",
			       source, versioned.version, MONITOR_RECORD_VERSION);
	if (r == 0)
		r = json_decode(source, bytes, size, table, arena, ret_record, err);
	if (r == -EINVAL && err)
		err->reason = "record.malformed";
	return r;
}

int record_exit_decode(const char *bytes, size_t size, struct arena *arena, struct monitor_exit *ret_exit,
		       struct err *err)
{
	struct monitor_exit exit = {0};
	int r = decode(MONITOR_EXIT_FILE, bytes, size, &MONITOR_EXIT_TABLE, arena, &exit, err);
	if (r == 0)
		*ret_exit = exit;
	return r;
}

int record_state_decode(const char *bytes, size_t size, struct arena *arena, struct record_state *ret_state,
			struct err *err)
{
	struct record_state state = {0};
	int r = decode(MONITOR_STATE_FILE, bytes, size, &STATE, arena, &state, err);
	if (r == 0)
		*ret_state = state;
	return r;
}

static int write_record(int dir_fd, const char *name, const struct json_table *table, const void *record,
			struct err *err)
{
	scoped_done(buf_done) struct buf text = {.max = RECORD_BYTES_MAX};
	int r = json_encode(table, record, &text);
	if (r == 0)
		r = buf_add_char(&text, '\n');
	if (r < 0)
		return err_sys(err, r, "record.write", "encode %s", name);
	return file_replace_at(dir_fd, name, text.data, text.size, 0640, FILE_VOLATILE, err);
}

int record_exit_write(int dir_fd, const struct monitor_exit *exit, struct err *err)
{
	return write_record(dir_fd, MONITOR_EXIT_FILE, &MONITOR_EXIT_TABLE, exit, err);
}

int record_state_write(int dir_fd, const struct record_state *state, struct err *err)
{
	return write_record(dir_fd, MONITOR_STATE_FILE, &STATE, state, err);
}

int monitor_exit_read(int record_dir_fd, struct arena *arena, struct monitor_exit *ret_exit, struct err *err)
{
	scoped_done(buf_done) struct buf text = {.max = RECORD_BYTES_MAX};
	int r = file_read_at(record_dir_fd, MONITOR_EXIT_FILE, &text, err);
	return r < 0 ? r : record_exit_decode(text.data ? text.data : "", text.size, arena, ret_exit, err);
}

int record_state_read(int dir_fd, struct arena *arena, struct record_state *ret_state, struct err *err)
{
	scoped_done(buf_done) struct buf text = {.max = RECORD_BYTES_MAX};
	int r = file_read_at(dir_fd, MONITOR_STATE_FILE, &text, err);
	return r < 0 ? r : record_state_decode(text.data ? text.data : "", text.size, arena, ret_state, err);
}

int record_lock(int dir_fd)
{
	scoped_fd int fd = openat(dir_fd, RECORD_LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	return TAKE_FD(fd);
}

int monitor_is_alive(int record_dir_fd)
{
	scoped_fd int fd = openat(record_dir_fd, RECORD_LOCK_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (flock(fd, LOCK_SH | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? 1 : -errno;
	return 0;
}
