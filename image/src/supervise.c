#include "image/src/supervise.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/sys/fd.h"
#include "core/sys/path.h"
#include "image/src/commit.h"
#include "image/src/hosts.h"
#include "image/src/jail.h"
#include "image/src/layout_copy.h"
#include "image/src/worker.h"

#define CA_MAX (8 * 1024 * 1024)
#define JAIL_ROOT "root"
#define DEFAULT_UID 65534
#define DEFAULT_MAX_UNPACKED ((uint64_t)64 << 30)
#define EXIT_REPORTED 1

struct job {
	struct supervise *supervise;
	struct image_store *store;
	struct arena arena;
	struct wire_request request;
	char ingest_name[32];
	int ingest_fd;
	int root_fd; /* of the jail */
	int blobs_fd;
	int layers_fd;
	struct buf ca;
	struct hosts hosts;
	bool privileged;
};

static const char *const SYSTEM_CA[] = {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
					"/etc/ssl/cert.pem"};

static void job_done(struct job *job)
{
	const int fds[] = {job->ingest_fd, job->root_fd, job->blobs_fd, job->layers_fd};
	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		if (fds[i] >= 0)
			(void)close(fds[i]);
	image_store_free(job->store);
	buf_done(&job->ca);
	arena_done(&job->arena);
}

/* ---- Before the fork -------------------------------------------------------------------------------------------- */

static int read_request(struct job *job, struct err *err)
{
	scoped_done(buf_done) struct buf text = {.max = WIRE_REQUEST_MAX};
	int r = fd_read_all(job->supervise->request_fd, &text);
	if (r < 0)
		return err_sys(err, r, "job.worker", "read the request");
	job->arena.max = 4 * WIRE_REQUEST_MAX + HOSTS_MEMORY_MAX;
	r = json_decode("request", text.data ? text.data : "", text.size, &WIRE_REQUEST, &job->arena, &job->request, err);
	if (r < 0)
		return r;
	bool pull = str_equal(job->request.kind, "pull");
	bool load = str_equal(job->request.kind, "load");
	bool remove = str_equal(job->request.kind, "remove");
	if (job->request.version != WIRE_VERSION || !(pull || load || remove) || (!load && !job->request.reference) ||
	    (load && job->supervise->input_fd < 0))
		return err_set(err, -EINVAL, "job.worker", "the request is none of this version (%d)", WIRE_VERSION);
	if (!job->request.uid)
		job->request.uid = DEFAULT_UID;
	if (!job->request.gid)
		job->request.gid = DEFAULT_UID;
	if (!job->request.max_unpacked_bytes)
		job->request.max_unpacked_bytes = DEFAULT_MAX_UNPACKED;
	return 0;
}

/* Certificate authorities are read here: the jail has no files. A machine without any trusts nobody. */
static int read_authorities(struct job *job, struct err *err)
{
	job->ca.max = CA_MAX;
	struct err ignored;
	for (size_t i = 0; job->ca.size == 0 && i < sizeof SYSTEM_CA / sizeof *SYSTEM_CA; i++)
		if (file_read_at(AT_FDCWD, SYSTEM_CA[i], &job->ca, &ignored) < 0)
			buf_clear(&job->ca);
	if (!job->request.ca_file)
		return 0;
	scoped_done(buf_done) struct buf own = {.max = CA_MAX};
	int r = file_read_at(AT_FDCWD, job->request.ca_file, &own, err);
	if (r == 0)
		r = buf_add_char(&job->ca, '\n');
	return r < 0 ? err_add(err, r, "certificate authorities") : buf_add(&job->ca, own.data, own.size);
}

/* So are hosts.toml and the certificates that it names. An endpoint of the request goes before any file. */
static int read_hosts(struct job *job, struct err *err)
{
	const struct wire_request *request = &job->request;
	struct image_reference reference;
	if (!request->hosts_dir || request->endpoint || !str_equal(request->kind, "pull"))
		return 0;
	int r = image_reference_parse(request->reference, &reference, err);
	return r < 0 ? r : hosts_load(request->hosts_dir, reference.registry, &job->arena, &job->hosts, err);
}

static int open_below(int dir_fd, const char *name, int *ret_fd, struct err *err)
{
	*ret_fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return *ret_fd < 0 ? err_sys(err, -errno, "store.io", "image store: open %s", name) : 0;
}

static int make_ingest(struct job *job, struct err *err)
{
	int r = store_ingest_make(job->store, job->ingest_name, &job->ingest_fd, err);
	if (r == 0 && mkdirat(job->ingest_fd, JAIL_ROOT, 0755) < 0)
		r = err_sys(err, -errno, errno == ENOSPC ? "store.full" : "store.io", "make the worker's root");
	if (r == 0)
		r = open_below(job->ingest_fd, JAIL_ROOT, &job->root_fd, err);
	if (r == 0 && job->privileged)
		r = jail_copy_resolver_files(job->root_fd, err);
	if (r == 0 && job->privileged && fchown(job->ingest_fd, job->request.uid, job->request.gid) < 0)
		r = err_sys(err, -errno, "store.io", "give the job's directory to uid %u", job->request.uid);
	if (r == 0)
		r = open_below(job->store->dir_fd, STORE_BLOBS, &job->blobs_fd, err);
	if (r == 0)
		r = open_below(job->store->dir_fd, STORE_LAYERS, &job->layers_fd, err);
	return r;
}

static int copy_input(const struct job *job, struct err *err)
{
	struct stat st;
	int input = job->supervise->input_fd;
	bool directory = str_equal(job->request.kind, "load") && fstat(input, &st) == 0 && S_ISDIR(st.st_mode);
	return directory ? layout_copy(input, job->ingest_fd, job->request.uid, job->request.gid, err) : 0;
}

/* ---- The unprivileged half -------------------------------------------------------------------------------------- */

enum child_fd {
	CHILD_PROGRESS = 3,
	CHILD_INGEST,
	CHILD_BLOBS,
	CHILD_LAYERS,
	CHILD_ROOT,
	CHILD_INPUT,
	CHILD_FDS_END,
};

/* Moves the descriptors that the unprivileged half may have to fixed numbers and closes all others. */
static int keep_only(const struct job *job)
{
	const int from[] = {job->supervise->progress.fd, job->ingest_fd, job->blobs_fd, job->layers_fd, job->root_fd,
			    job->supervise->input_fd};
	int high[sizeof from / sizeof *from];
	for (size_t i = 0; i < sizeof from / sizeof *from; i++) {
		high[i] = from[i] < 0 ? -1 : fcntl(from[i], F_DUPFD, CHILD_FDS_END);
		if (from[i] >= 0 && high[i] < 0)
			return -errno;
	}
	for (size_t i = 0; i < sizeof from / sizeof *from; i++) {
		int to = CHILD_PROGRESS + (int)i;
		if (high[i] < 0)
			(void)close(to);
		else if (dup2(high[i], to) < 0)
			return -errno;
	}
	return close_range(CHILD_FDS_END, ~0u, 0) < 0 ? -errno : 0;
}

static struct model_platform wanted_platform(const struct wire_request *request)
{
	struct model_platform machine = model_platform_of_machine();
	const struct wire_platform *asked = &request->platform;
	bool other = asked->architecture && !str_equal(asked->architecture, machine.architecture);
	return (struct model_platform){
		.os = asked->os ? asked->os : machine.os,
		.architecture = asked->architecture ? asked->architecture : machine.architecture,
		.variant = asked->variant ? asked->variant : other ? "" : machine.variant,
	};
}

static int work(struct worker *worker, struct err *err)
{
	int r = worker_begin(worker, err);
	if (r == 0)
		r = str_equal(worker->request->kind, "pull") ? pull_run(worker, err) : load_run(worker, err);
	return r < 0 ? r : worker_write_result(worker, err);
}

static _Noreturn void run_unprivileged(struct job *job)
{
	struct progress progress = {.fd = CHILD_PROGRESS, .lock = PTHREAD_MUTEX_INITIALIZER};
	struct err err = {0};
	sigset_t none;
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)umask(0); /* modes of files are those of the layer */
	if (keep_only(job) < 0)
		_exit(2);
	/* Before the jail: OpenSSL reads its configuration, curl finds its features. */
	bool curl = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
	struct jail_options options = {job->request.uid, job->request.gid, CHILD_ROOT};
	int r = curl ? jail_enter(&options, &err) : err_set(&err, -ENOMEM, "job.worker", "curl cannot be set up");
	(void)close(CHILD_ROOT);
	struct worker worker = {
		.progress = &progress,
		.request = &job->request,
		.hosts = &job->hosts,
		.ca_pem = job->ca.size ? job->ca.data : NULL,
		.ingest_fd = CHILD_INGEST,
		.blobs_fd = CHILD_BLOBS,
		.layers_fd = CHILD_LAYERS,
		.input_fd = job->supervise->input_fd < 0 ? -1 : CHILD_INPUT,
		.bytes_left = job->request.max_unpacked_bytes,
		.platform = wanted_platform(&job->request),
	};
	if (r == 0)
		r = work(&worker, &err);
	if (r < 0)
		progress_error(&progress, r, &err);
	_exit(r < 0 ? EXIT_REPORTED : EXIT_SUCCESS);
}

/* ---- Waiting ---------------------------------------------------------------------------------------------------- */

static int cancelled(struct err *err)
{
	return err_set(err, -ECANCELED, "job.cancelled", "cancelled");
}

/* How the child ended. Returns 1 where it has reported its failure. */
static int outcome(int status, struct err *err)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) <= EXIT_REPORTED)
		return WEXITSTATUS(status);
	return err_set(err, -EIO, "job.worker", "the unprivileged worker ended with %s %d",
		       WIFSIGNALED(status) ? "signal" : "status",
		       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

/* Whether somebody wants the job to end: by a signal, or by closing the other end of the progress pipe. */
static bool is_cancelled(int signal_fd, const struct pollfd *progress)
{
	struct signalfd_siginfo info;
	bool cancel = progress->revents & (POLLERR | POLLHUP);
	while (read(signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
		cancel = cancel || info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT;
	return cancel;
}

/* Waits for the child; the wish to end is passed on as a kill. Returns as outcome(). */
static int wait_for(pid_t child, const sigset_t *signals, int progress_fd, struct err *err)
{
	bool cancel = false;
	scoped_fd int signal_fd = signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signal_fd < 0)
		return err_sys(err, -errno, "job.worker", "signalfd");
	for (;;) {
		int status;
		if (waitpid(child, &status, WNOHANG) == child)
			return cancel ? cancelled(err) : outcome(status, err);
		struct pollfd fds[] = {{signal_fd, POLLIN, 0}, {cancel ? -1 : progress_fd, 0, 0}};
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return err_sys(err, -errno, "job.worker", "poll");
		if (!cancel && is_cancelled(signal_fd, &fds[1])) {
			cancel = true;
			(void)kill(child, SIGKILL);
		}
	}
}

static int read_result(const struct job *job, struct arena *arena, struct wire_result *ret_result, struct err *err)
{
	scoped_done(buf_done) struct buf text = {.max = WIRE_RESULT_MAX};
	scoped_fd int fd = path_open_beneath(job->ingest_fd, WIRE_RESULT, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
	int r = fd < 0 ? fd : fd_read_all(fd, &text);
	if (r < 0)
		return err_sys(err, r, "job.worker", "read the worker's result");
	arena->max = 4 * WIRE_RESULT_MAX;
	r = json_decode(WIRE_RESULT, text.data ? text.data : "", text.size, &WIRE_RESULT_TABLE, arena, ret_result, err);
	if (r == 0 && ret_result->version != WIRE_VERSION)
		r = err_set(err, -EINVAL, "job.worker", "the worker's result has another version");
	return r;
}

static int commit(struct job *job, struct err *err)
{
	/* The directory becomes ours: no process of the worker's uid that has not got a descriptor of it reaches it now. */
	if (job->privileged && (fchown(job->ingest_fd, 0, 0) < 0 || fchmod(job->ingest_fd, 0700) < 0))
		return err_sys(err, -errno, "store.io", "take the job's directory back");
	scoped_done(arena_done) struct arena arena = {0};
	struct wire_result result = {0};
	int r = read_result(job, &arena, &result, err);
	if (r < 0)
		return r;
	struct commit commit = {.store = job->store,
				.progress = &job->supervise->progress,
				.request = &job->request,
				.ingest_fd = job->ingest_fd,
				.privileged = job->privileged};
	return commit_run(&commit, &result, err);
}

static int block_signals(sigset_t *ret_signals)
{
	(void)sigemptyset(ret_signals);
	(void)sigaddset(ret_signals, SIGTERM);
	(void)sigaddset(ret_signals, SIGINT);
	(void)sigaddset(ret_signals, SIGCHLD);
	return sigprocmask(SIG_BLOCK, ret_signals, NULL) < 0 ? -errno : 0;
}

/* The whole of a removal: nothing of it needs bytes of others, so that there is no unprivileged half. It is not cancelled. */
static int run_removal(struct job *job, struct err *err)
{
	int r = image_store_open(job->supervise->store_fd, 0, &job->store, err);
	return r < 0 ? r
		     : image_store_remove(job->store, job->request.reference, job->request.remove_flags, NULL, NULL, err);
}

static int run(struct job *job, struct err *err)
{
	sigset_t signals;
	int r = block_signals(&signals);
	if (r == 0)
		r = read_request(job, err);
	if (r == 0 && str_equal(job->request.kind, "remove"))
		return run_removal(job, err);
	if (r == 0)
		r = read_authorities(job, err);
	if (r == 0)
		r = read_hosts(job, err);
	if (r == 0)
		r = image_store_open(job->supervise->store_fd, 0, &job->store, err);
	if (r == 0)
		r = make_ingest(job, err);
	if (r == 0)
		r = copy_input(job, err);
	if (r < 0)
		return r;
	pid_t child = fork();
	if (child == 0)
		run_unprivileged(job);
	if (child < 0)
		return err_sys(err, -errno, "job.worker", "fork");
	r = wait_for(child, &signals, job->supervise->progress.fd, err);
	if (r != 0)
		return r;
	return commit(job, err);
}

static void clean_up(struct job *job)
{
	scoped_fd int ingest = openat(job->store->dir_fd, STORE_INGEST, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (ingest >= 0 && job->ingest_fd >= 0) {
		(void)path_remove_tree(ingest, job->ingest_name, NULL); /* else the next job's sweep removes it */
		(void)close(job->ingest_fd); /* unlocks: this job needs nothing any more */
		job->ingest_fd = -1;
	}
	(void)image_store_collect(job->store, NULL); /* what this job kept others from collecting; else the next does */
}

int supervise_run(struct supervise *supervise)
{
	scoped_done(job_done) struct job job = {.supervise = supervise,
						.ingest_fd = -1,
						.root_fd = -1,
						.blobs_fd = -1,
						.layers_fd = -1,
						.privileged = geteuid() == 0};
	struct err err = {0};
	int r = run(&job, &err);
	if (job.store)
		clean_up(&job);
	if (r < 0)
		progress_error(&supervise->progress, r, &err);
	return r;
}
