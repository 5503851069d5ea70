/* axhelper: one step of axled's that needs a process of its own. Started by axled alone, never by hand. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/sys/fd.h"
#include "manager/src/helper_protocol.h"
#include "manager/src/helper_work.h"

#define DECODED_BYTES_MAX (1 << 20)

static int serve(const struct helper_request *request, struct arena *arena, struct helper_reply *ret_reply, int *ret_fd,
		 struct err *err)
{
	if (!helper_request_name(request))
		return err_set(err, -EINVAL, "helper.request", "expected one request");
	if (request->prepare)
		return helper_prepare(request->prepare, err);
	if (request->pod_make)
		return helper_pod_make(request->pod_make, err);
	if (request->pod_remove)
		return helper_pod_remove(request->pod_remove, err);
	if (request->pod_init)
		return helper_pod_init(request->pod_init, ret_fd, &ret_reply->pid, err);
	if (request->user_probe)
		return helper_user_probe(request->user_probe, err);
	if (request->rootfs_mount)
		return helper_rootfs_mount(request->rootfs_mount, arena, ret_fd, &ret_reply->user, err);
	if (request->user_find)
		return helper_user_find(request->user_find, arena, &ret_reply->user, err);
	if (request->volume_mount)
		return helper_volume_mount(request->volume_mount, err);
	if (request->relabel)
		return helper_relabel(request->relabel, err);
	if (request->connect)
		return helper_connect(request->connect, ret_fd, err);
	if (request->net_open)
		return helper_net_open(request->net_open, ret_fd, err);
	if (request->disk_usage)
		return helper_disk_usage(request->disk_usage, arena, ret_reply, err);
	return helper_container_remove(request->container_remove, err);
}

static int reply(const struct helper_reply *answer, int fd)
{
	scoped_done(buf_done) struct buf text = {.max = HELPER_MESSAGE_MAX};
	int r = json_encode(&HELPER_REPLY, answer, &text);
	return r < 0 ? r : fd_send_message(HELPER_SOCKET, text.data, text.size, &fd, fd >= 0 ? 1 : 0);
}

static int receive_and_serve(struct arena *arena)
{
	scoped_free char *bytes = malloc(HELPER_MESSAGE_MAX);
	size_t fds = 0;
	ssize_t size = bytes ? fd_receive_message(HELPER_SOCKET, bytes, HELPER_MESSAGE_MAX, NULL, 0, &fds) : -ENOMEM;
	if (size <= 0)
		return -EPIPE; /* axled has gone before it said what it wants */

	struct helper_request request = {0};
	struct helper_reply answer = {0};
	struct err err = {0};
	scoped_fd int fd = -1;
	int r = json_decode("request", bytes, (size_t)size, &HELPER_REQUEST, arena, &request, &err);
	if (r == 0)
		r = serve(&request, arena, &answer, &fd, &err);
	const struct helper_failure failure = {
		.code = r,
		.reason = err.reason ? err.reason : "helper.failed",
		.message = err_text(&err, r),
	};
	if (r < 0)
		answer = (struct helper_reply){.failure = &failure};
	return reply(&answer, fd);
}

int main(int argc, char **argv)
{
	if (argc > 1 && str_equal(argv[1], "--version"))
		return puts(HELPER_PROGRAM " " AXLE_VERSION) < 0;
	struct stat status = {0};
	if (argc > 1 || fstat(HELPER_SOCKET, &status) < 0 || !S_ISSOCK(status.st_mode)) {
		(void)fprintf(argc > 1 && str_equal(argv[1], "--help") ? stdout : stderr,
			      HELPER_PROGRAM " is started by axled, with a socket as descriptor 3; see axled(8).\n");
		return argc > 1 && str_equal(argv[1], "--help") ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	(void)umask(0);
	scoped_done(arena_done) struct arena arena = {.max = DECODED_BYTES_MAX};
	return receive_and_serve(&arena) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
