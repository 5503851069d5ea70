#include "manager/src/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/log.h"
#include "core/base/scoped.h"
#include "core/sys/fd.h"
#include "manager/src/fiber.h"

static const struct json_field NETWORK_FIELDS[] = {
	JSON_FIELD(struct network_record, name, "name", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct network_record, interface, "interface", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct network_record, args, "args", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct network_record, list, "list", JSON_RAW, JSON_REQUIRED),
	JSON_FIELD(struct network_record, capabilities, "capabilities", JSON_RAW, 0),
	JSON_FIELD(struct network_record, result, "result", JSON_RAW, 0),
};
static const struct json_table NETWORK = JSON_TABLE(struct network_record, NETWORK_FIELDS);

static const struct json_field POD_FIELDS[] = {
	JSON_FIELD(struct pod_record, version, "version", JSON_U32, JSON_REQUIRED),
	JSON_FIELD(struct pod_record, id, "id", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct pod_record, owner, "owner", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct pod_record, phase, "phase", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct pod_record, created_ns, "created_ns", JSON_I64, 0),
	JSON_FIELD(struct pod_record, runtime_handler, "runtime_handler", JSON_STRING_T, JSON_KEEP),
	JSON_FIELD(struct pod_record, cgroup, "cgroup", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct pod_record, cgroup_is_ours, "cgroup_is_ours", JSON_BOOL_T, 0),
	JSON_NESTED(struct pod_record, network, "network", JSON_STRUCT_OPT, &NETWORK, 0),
	JSON_FIELD(struct pod_record, config, "config", JSON_RAW, JSON_REQUIRED),
};
const struct json_table POD_RECORD = JSON_TABLE(struct pod_record, POD_FIELDS);

static const struct json_field EXIT_FIELDS[] = {
	JSON_FIELD(struct exit_record, code, "code", JSON_I32, JSON_KEEP),
	JSON_FIELD(struct exit_record, signal, "signal", JSON_I32, 0),
	JSON_FIELD(struct exit_record, oom_killed, "oom_killed", JSON_BOOL_T, 0),
	JSON_FIELD(struct exit_record, reason, "reason", JSON_STRING_T, 0),
	JSON_FIELD(struct exit_record, message, "message", JSON_STRING_T, 0),
};
static const struct json_table EXIT = JSON_TABLE(struct exit_record, EXIT_FIELDS);

static const struct json_field ERROR_FIELDS[] = {
	JSON_FIELD(struct error_record, step, "step", JSON_STRING_T, 0),
	JSON_FIELD(struct error_record, path, "path", JSON_STRING_T, 0),
	JSON_FIELD(struct error_record, code, "code", JSON_I32, 0),
	JSON_FIELD(struct error_record, reason, "reason", JSON_STRING_T, 0),
	JSON_FIELD(struct error_record, message, "message", JSON_STRING_T, 0),
	JSON_FIELD(struct error_record, runtime_message, "runtime_message", JSON_STRING_T, 0),
	JSON_FIELD(struct error_record, at_ns, "at_ns", JSON_I64, 0),
};
static const struct json_table ERROR = JSON_TABLE(struct error_record, ERROR_FIELDS);

static const struct json_field CONTAINER_FIELDS[] = {
	JSON_FIELD(struct container_record, version, "version", JSON_U32, JSON_REQUIRED),
	JSON_FIELD(struct container_record, id, "id", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct container_record, pod_id, "pod_id", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct container_record, owner, "owner", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct container_record, phase, "phase", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct container_record, created_ns, "created_ns", JSON_I64, 0),
	JSON_FIELD(struct container_record, started_ns, "started_ns", JSON_I64, 0),
	JSON_FIELD(struct container_record, finished_ns, "finished_ns", JSON_I64, 0),
	JSON_FIELD(struct container_record, image, "image", JSON_STRING_T, JSON_KEEP),
	JSON_FIELD(struct container_record, image_id, "image_id", JSON_STRING_T, JSON_KEEP),
	JSON_FIELD(struct container_record, runtime_handler, "runtime_handler", JSON_STRING_T, JSON_KEEP),
	JSON_FIELD(struct container_record, cgroup, "cgroup", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct container_record, log_path, "log_path", JSON_STRING_T, JSON_KEEP),
	JSON_FIELD(struct container_record, log_is_ours, "log_is_ours", JSON_BOOL_T, 0),
	JSON_FIELD(struct container_record, uid, "uid", JSON_U32, JSON_KEEP),
	JSON_FIELD(struct container_record, gid, "gid", JSON_U32, JSON_KEEP),
	JSON_COUNTED(struct container_record, groups, "groups", JSON_U32S, 0),
	JSON_FIELD(struct container_record, home, "home", JSON_STRING_T, 0),
	JSON_FIELD(struct container_record, stop_signal, "stop_signal", JSON_I32, 0),
	JSON_FIELD(struct container_record, volume_images, "volume_images", JSON_STRINGS, 0),
	JSON_FIELD(struct container_record, auto_remove, "auto_remove", JSON_BOOL_T, 0),
	JSON_NESTED(struct container_record, exit, "exit", JSON_STRUCT_OPT, &EXIT, 0),
	JSON_NESTED(struct container_record, last_error, "last_error", JSON_STRUCT_OPT, &ERROR, 0),
	JSON_FIELD(struct container_record, cdi, "cdi", JSON_RAW, 0),
	JSON_FIELD(struct container_record, config, "config", JSON_RAW, JSON_REQUIRED),
};
const struct json_table CONTAINER_RECORD = JSON_TABLE(struct container_record, CONTAINER_FIELDS);

struct record_job {
	int dir_fd;
	char name[80];
	const struct buf *text; /* NULL: remove */
	struct err *err;
	int result;
};

static void do_write(void *data)
{
	struct record_job *job = data;
	job->result = file_replace_at(job->dir_fd, job->name, job->text->data, job->text->size, 0600, FILE_SYNCED,
				      job->err);
}

static void do_remove(void *data)
{
	struct record_job *job = data;
	if (unlinkat(job->dir_fd, job->name, 0) < 0 && errno != ENOENT)
		job->result = err_sys(job->err, -errno, "record.remove", "remove the record %s", job->name);
	else if (fsync(job->dir_fd) < 0)
		job->result = err_sys(job->err, -errno, "record.remove", "sync the folder of the record %s", job->name);
}

static int run_job(struct fibers *fibers, struct record_job *job, const char *id, fiber_function *function)
{
	(void)snprintf(job->name, sizeof job->name, "%s.json", id);
	int r = fiber_work(fibers, function, job);
	return r < 0 ? r : job->result;
}

int record_write(struct fibers *fibers, int dir_fd, const char *id, const struct json_table *table, const void *record,
		 struct err *err)
{
	scoped_done(buf_done) struct buf text = {.max = RECORD_BYTES_MAX};
	int r = json_encode(table, record, &text);
	if (r < 0)
		return err_sys(err, r, "record.encode", "write the record of %s", id);
	struct record_job job = {.dir_fd = dir_fd, .text = &text, .err = err};
	return run_job(fibers, &job, id, do_write);
}

int record_remove(struct fibers *fibers, int dir_fd, const char *id, struct err *err)
{
	struct record_job job = {.dir_fd = dir_fd, .err = err};
	return run_job(fibers, &job, id, do_remove);
}

int record_end_noted(const struct log *log, const char *id, int result)
{
	if (result != -ENOSPC && result != -EDQUOT)
		return result;
	log_warning(log, "record.disk-full", "%s: the disk is full: it ends without a note of it", id);
	return 0;
}

struct record_head {
	uint32_t version;
};

static const struct json_field HEAD_FIELDS[] = {
	JSON_FIELD(struct record_head, version, "version", JSON_U32, JSON_REQUIRED),
};
static const struct json_table HEAD = JSON_TABLE(struct record_head, HEAD_FIELDS);

int record_parse(const char *name, const char *text, size_t length, const struct json_table *table,
		 struct arena *arena, void *ret_record, json_t **ret_document, struct err *err)
{
	json_t *document = NULL;
	struct record_head head = {0};
	int r = json_parse(name, text, length, &document, err);
	if (r < 0)
		return r;
	/* the version first: what a newer Axle wrote may look like anything else */
	r = json_decode_value(name, document, &HEAD, arena, &head, err);
	if (r == 0 && head.version != RECORD_VERSION)
		r = err_set(err, -ENOTSUP, "record.version",
			    "%s: has version %u, expected %d: it was written by another Axle and is left untouched", name,
			    head.version, RECORD_VERSION);
	if (r == 0)
		r = json_decode_value(name, document, table, arena, ret_record, err);
	if (r < 0)
		json_decref(document);
	else
		*ret_document = document;
	return r;
}

int record_read(int dir_fd, const char *name, const struct json_table *table, struct arena *arena, void *ret_record,
		json_t **ret_document, struct err *err)
{
	scoped_done(buf_done) struct buf text = {.max = RECORD_BYTES_MAX};
	int r = file_read_at(dir_fd, name, &text, err);
	return r < 0 ? r
		     : record_parse(name, text.data ? text.data : "", text.size, table, arena, ret_record, ret_document,
				    err);
}
