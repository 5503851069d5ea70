#include "manager/src/helper.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <uv.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/sys/fd.h"
#include "core/sys/pidfd.h"
#include "core/sys/spawn.h"
#include "manager/src/fiber.h"

static int start(const struct helper_runner *runner, int socket, int *ret_pidfd, struct err *err)
{
	const char *const argv[] = {runner->program, NULL};
	const char *const envp[] = {NULL};
	int fds[] = {-1, 2, 2, socket};
	struct spawn spawn = {
		.path = runner->program,
		.argv = argv,
		.envp = envp,
		.fds = fds,
		.fds_count = 4,
		.cgroup_fd = runner->cgroup_fd,
		.die_with_caller = true,
		.new_session = true,
	};
	pid_t pid = 0;
	return spawn_process(&spawn, &pid, ret_pidfd, err);
}

static int send_request(int socket, const struct helper_request *request, struct err *err)
{
	scoped_done(buf_done) struct buf text = {.max = HELPER_MESSAGE_MAX};
	int r = json_encode(&HELPER_REQUEST, request, &text);
	if (r == 0)
		r = fd_send_message(socket, text.data, text.size, NULL, 0);
	return r < 0 ? err_sys(err, r, "helper.request", "ask %s for %s", HELPER_PROGRAM, helper_request_name(request))
		     : 0;
}

/* A reason must outlive the reply that it came in. */
static const char *keep_reason(const char *reason)
{
	static const char *const REASONS[] = {
		"pod.init",	 "pod.user-namespace", "rootfs.idmap",
		"node.pins",	 "pod.files",	  "pod.hostname", "pod.loopback",  "pod.namespaces", "pod.pin",
		"pod.sysctl",	 "remove.open",	  "remove.path",  "rootfs.attach", "rootfs.data",    "rootfs.layer",
		"rootfs.layers", "unmount",	  "user.malformed", "user.not-found", "user.root",   "json.invalid",
		"connect.refused", "connect.network", "volume.folder", "volume.sub-path", "volume.mount",
		"relabel.path", "relabel", "mount.clone",
		"json.malformed", "path.remove", "cgroup.remove", "mount.option",  "mount.filesystem",
		"disk-usage",	 "net.open",
	};
	for (size_t i = 0; i < ARRAY_COUNT(REASONS); i++)
		if (str_equal(REASONS[i], reason))
			return REASONS[i];
	return "helper.failed";
}

/* Decodes what the helper said. No word at all: it died. */
static int read_reply(int socket, const struct helper_request *request, struct arena *arena,
		      struct helper_reply *ret_reply, int *ret_fd, struct err *err)
{
	scoped_free char *bytes = malloc(HELPER_MESSAGE_MAX);
	if (!bytes)
		return -ENOMEM;
	size_t count = 0;
	int received = -1;
	ssize_t size = fd_receive_message(socket, bytes, HELPER_MESSAGE_MAX, &received, 1, &count);
	scoped_fd int fd = count == 1 ? received : -1;
	if (size <= 0)
		return err_set(err, -EIO, "helper.died", "%s ended during %s without an answer", HELPER_PROGRAM,
			       helper_request_name(request));
	int r = json_decode(HELPER_PROGRAM, bytes, (size_t)size, &HELPER_REPLY, arena, ret_reply, err);
	if (r < 0)
		return r;
	if (ret_reply->failure)
		return err_set(err, ret_reply->failure->code, keep_reason(ret_reply->failure->reason), "%s",
			       ret_reply->failure->message);
	if (ret_fd)
		*ret_fd = TAKE_FD(fd);
	return 0;
}

/* The helper ends with its answer; who does not is killed. Nothing of it is left when this returns. */
static void end(struct fibers *fibers, int pidfd, int result)
{
	if (result < 0)
		(void)pidfd_signal(pidfd, SIGKILL);
	fiber_shield(fibers);
	while (spawn_reap(pidfd) == -EAGAIN)
		if (fiber_await_fd(fibers, pidfd, UV_READABLE) < 0)
			break;
	fiber_unshield(fibers);
}

static int converse(const struct helper_runner *runner, int socket, const struct helper_request *request,
		    struct arena *arena, struct helper_reply *ret_reply, int *ret_fd, struct err *err)
{
	int r = send_request(socket, request, err);
	if (r < 0)
		return r;
	uint64_t limit = uv_hrtime() + HELPER_TIMEOUT_MS * UINT64_C(1000000);
	uint64_t old = fiber_set_deadline(runner->fibers, limit);
	if (old < limit)
		(void)fiber_set_deadline(runner->fibers, old);
	r = fiber_await_fd(runner->fibers, socket, UV_READABLE);
	(void)fiber_set_deadline(runner->fibers, old);
	if (r < 0)
		return err_set(err, r, r == -ETIMEDOUT ? "helper.timeout" : "helper.cancelled",
			       "%s did not end in time and was killed", helper_request_name(request));
	return read_reply(socket, request, arena, ret_reply, ret_fd, err);
}

int helper_run(const struct helper_runner *runner, const struct helper_request *request, struct arena *arena,
	       struct helper_reply *ret_reply, int *ret_fd, struct err *err)
{
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return err_sys(err, -errno, "helper.socket", "start %s", HELPER_PROGRAM);
	scoped_fd int ours = ends[0];
	scoped_fd int theirs = ends[1];
	scoped_fd int pidfd = -1;
	int r = start(runner, theirs, &pidfd, err);
	if (r < 0)
		return r;
	close(TAKE_FD(theirs));
	r = converse(runner, ours, request, arena, ret_reply, ret_fd, err);
	end(runner->fibers, pidfd, r);
	return r;
}
