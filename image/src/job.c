/* A job as its caller sees it: a process and a pipe. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/sys/fd.h"
#include "core/sys/path.h"
#include "core/sys/spawn.h"
#include "image/src/store_internal.h"
#include "image/src/wire.h"

struct image_job {
	struct image_store *store;
	pid_t pid; /* 0: waited for */
	int pidfd;
	int progress_fd;
	struct buf lines;
	size_t consumed; /* bytes of lines that the last image_job_read() gave */
	struct arena arena;
	bool removes;
	bool ended; /* the stream */
	int error;  /* of the error line */
	struct err err;
	char id[DIGEST_TEXT_MAX]; /* of the last done line */
};

/* ---- Starting --------------------------------------------------------------------------------------------------- */

static int check_options(const struct image_job_options *options, struct err *err)
{
	struct image_reference reference;
	if (options->kind == IMAGE_JOB_REMOVE) /* also by id */
		return str_empty(options->reference) ? err_set(err, -EINVAL, "reference.malformed", "expected an image") : 0;
	if (options->kind == IMAGE_JOB_PULL || options->reference)
		return image_reference_parse(options->reference, &reference, err);
	return 0;
}

/* The request goes through an anonymous file: credentials stand on no command line and in no environment. */
static int make_request(const struct image_job_options *options, int *ret_fd, struct err *err)
{
	static const char *const KINDS[] = {
		[IMAGE_JOB_PULL] = "pull",
		[IMAGE_JOB_LOAD] = "load",
		[IMAGE_JOB_REMOVE] = "remove",
	};
	struct wire_request request = {
		.version = WIRE_VERSION,
		.kind = KINDS[options->kind],
		.reference = options->reference,
		.platform = {options->platform.os, options->platform.architecture, options->platform.variant},
		.credentials = {options->credentials.username, options->credentials.password,
				options->credentials.identity_token, options->credentials.registry_token},
		.plain_http = options->plain_http,
		.skip_tls_verify = options->skip_tls_verify,
		.ca_file = options->ca_file,
		.endpoint = options->endpoint,
		.hosts_dir = options->hosts_dir,
		.remove_flags = options->remove_flags,
		.uid = options->worker_uid,
		.gid = options->worker_gid,
		.connect_timeout_s = options->connect_timeout_s,
		.stall_timeout_s = options->stall_timeout_s,
		.max_unpacked_bytes = options->max_unpacked_bytes,
	};
	scoped_done(buf_done) struct buf text = {.max = WIRE_REQUEST_MAX};
	int r = json_encode(&WIRE_REQUEST, &request, &text);
	if (r < 0)
		return err_sys(err, r, "job.worker", "the request (is its text UTF-8?)");
	scoped_fd int fd = memfd_create("aximage-request", MFD_CLOEXEC);
	if (fd < 0)
		return err_sys(err, -errno, "job.worker", "memfd_create");
	r = fd_write_all(fd, text.data, text.size);
	if (r < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(err, r < 0 ? r : -errno, "job.worker", "write the request");
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int start(struct image_job *job, const struct image_job_options *options, struct err *err)
{
	scoped_fd int request = -1;
	int r = make_request(options, &request, err);
	if (r < 0)
		return r;
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, -errno, "job.worker", "pipe");
	job->progress_fd = ends[0];
	scoped_fd int progress = ends[1];
	scoped_free char *sibling = options->worker_path ? NULL : path_of_sibling_program("aximage-worker");
	const char *path = options->worker_path ? options->worker_path : sibling;
	if (!path)
		return err_memory(err, "aximage-worker");
	bool load = options->kind == IMAGE_JOB_LOAD;
	const int fds[] = {-1, -1, STDERR_FILENO, job->store->dir_fd, request, progress, load ? options->input_fd : -1};
	const char *const argv[] = {"aximage-worker",	  "--store-fd=3", "--request-fd=4",
				    "--progress-fd=5", load ? "--input-fd=6" : NULL, NULL};
	struct spawn spawn = {
		.path = path,
		.argv = argv,
		.fds = fds,
		.fds_count = load ? 7 : 6,
		.cgroup_fd = -1,
		.die_with_caller = true, /* nobody waits for the image any more; the next start collects what is left */
	};
	r = spawn_process(&spawn, &job->pid, &job->pidfd, err);
	if (r < 0) {
		job->pid = 0;
		return err_add(err, r, "image job");
	}
	return fd_set_nonblock(job->progress_fd, true);
}

int image_job_start(struct image_store *store, const struct image_job_options *options, struct image_job **ret_job,
		    struct err *err)
{
	int r = check_options(options, err);
	if (r < 0)
		return r;
	scoped(image_job_free) struct image_job *job = calloc(1, sizeof *job);
	if (!job)
		return err_memory(err, "job");
	job->store = store;
	job->removes = options->kind == IMAGE_JOB_REMOVE;
	job->pidfd = -1;
	job->progress_fd = -1;
	job->lines.max = 2 * WIRE_LINE_MAX;
	r = start(job, options, err);
	if (r == 0)
		*ret_job = TAKE(job);
	return r;
}

/* ---- Watching --------------------------------------------------------------------------------------------------- */

pid_t image_job_pid(const struct image_job *job)
{
	return job->pid;
}

int image_job_pidfd(const struct image_job *job)
{
	return job->pidfd;
}

int image_job_progress_fd(const struct image_job *job)
{
	return job->progress_fd;
}

/* What finish() must know is kept from the lines as they pass. */
static void note(struct image_job *job, const struct image_progress *progress)
{
	if (progress->event == IMAGE_PROGRESS_DONE && progress->digest && strlen(progress->digest) < sizeof job->id)
		memcpy(job->id, progress->digest, strlen(progress->digest) + 1);
	if (progress->event != IMAGE_PROGRESS_ERROR || job->error)
		return;
	job->error = progress->code < 0 ? progress->code : -EIO;
	(void)err_set(&job->err, job->error, image_reason(progress->reason), "%s",
		      progress->message ? progress->message : "");
}

/* Takes the line at the front of the buffer. Returns 0 where there is no whole one. */
static int next_line(struct image_job *job, struct image_progress *ret_progress)
{
	buf_consume(&job->lines, job->consumed);
	job->consumed = 0;
	const char *end = job->lines.size ? memchr(job->lines.data, '\n', job->lines.size) : NULL;
	if (!end)
		return 0;
	size_t length = (size_t)(end - job->lines.data);
	job->consumed = length + 1;
	arena_done(&job->arena);
	job->arena = (struct arena){.max = 16 * WIRE_LINE_MAX};
	int r = wire_progress_decode(job->lines.data, length, &job->arena, ret_progress);
	if (r < 0)
		return r;
	note(job, ret_progress);
	return 1;
}

int image_job_read(struct image_job *job, struct image_progress *ret_progress)
{
	for (;;) {
		int r = next_line(job, ret_progress);
		if (r != 0)
			return r;
		if (job->ended)
			return -EPIPE;
		char *tail;
		r = buf_reserve(&job->lines, WIRE_LINE_MAX, &tail);
		if (r < 0)
			return -EPROTO; /* a line longer than any of ours */
		ssize_t n = read(job->progress_fd, tail, WIRE_LINE_MAX);
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		job->ended = n == 0;
		buf_claim(&job->lines, (size_t)n);
	}
}

void image_job_cancel(struct image_job *job)
{
	if (job->pid > 0)
		(void)kill(job->pid, SIGTERM); /* not waited for yet: the pid is still its own */
}

/* ---- The end ---------------------------------------------------------------------------------------------------- */

static int wait_for_end(struct image_job *job, struct err *err)
{
	int status = 0;
	while (waitpid(job->pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(err, -errno, "job.worker", "wait for aximage-worker");
	job->pid = 0;
	struct image_progress progress;
	int r;
	do
		r = image_job_read(job, &progress);
	while (r == 1 || r == -EPROTO);
	if (job->error) {
		if (err)
			*err = job->err;
		return job->error;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return err_set(err, -EIO, "job.worker", "aximage-worker ended with %s %d", WIFSIGNALED(status) ? "signal" : "status",
		       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

int image_job_finish(struct image_job *job, const struct image **ret_image, struct err *err)
{
	int r = wait_for_end(job, err);
	int refreshed = image_store_refresh(job->store, r < 0 ? NULL : err);
	if (r < 0)
		return r;
	if (refreshed < 0)
		return refreshed;
	if (job->removes) {
		*ret_image = NULL;
		return 0;
	}
	return image_store_resolve(job->store, job->id, ret_image, err);
}

void image_job_free(struct image_job *job)
{
	if (!job)
		return;
	if (job->pid > 0) {
		(void)kill(job->pid, SIGKILL);
		(void)waitpid(job->pid, NULL, 0);
	}
	if (job->pidfd >= 0)
		(void)close(job->pidfd);
	if (job->progress_fd >= 0)
		(void)close(job->progress_fd);
	buf_done(&job->lines);
	arena_done(&job->arena);
	free(job);
}
