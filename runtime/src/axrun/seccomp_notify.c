#include "runtime/src/axrun/seccomp_notify.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/codec/oci_runtime.h"
#include "core/sys/fd.h"
#include "runtime/src/axrun/hooks.h"
#include "runtime/src/axrun/launch.h"
#include "runtime/src/axrun/seccomp.h"

#define WAIT_STEP_NS 200000
#define HELPER_STACK 65536

int seccomp_notify_connect(struct launch *launch, struct err *err)
{
	const char *path = launch->spec->linux_->seccomp->listener_path;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (!path)
		return err_set(err, -EINVAL, "config.invalid", "linux.seccomp: SCMP_ACT_NOTIFY needs a listenerPath");
	if (strlen(path) >= sizeof address.sun_path)
		return err_set(err, -ENAMETOOLONG, "seccomp.notify", "listenerPath %s: expected a path below %zu bytes", path,
			       sizeof address.sun_path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	scoped_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
		return err_sys(err, -errno, "seccomp.notify", "connect to listenerPath %s", path);
	launch->seccomp_socket = TAKE_FD(fd);
	return 0;
}

/* What a seccomp agent is told beside the descriptor (config-linux.md, "The Container Process State"). */
static int make_state(const struct launch *launch, pid_t host_pid, struct buf *ret_text)
{
	scoped_done(buf_done) struct buf state = {.max = 1 << 20};
	const char *metadata = launch->spec->linux_->seccomp->listener_metadata;
	int r = hooks_state(launch->id, "creating", host_pid, launch->bundle, launch->spec, &state);
	if (r == 0)
		r = buf_printf(ret_text, "{\"ociVersion\":\"%s\",\"fds\":[\"seccompFd\"],\"pid\":%d,\"metadata\":",
			       OCI_RUNTIME_VERSION, host_pid);
	if (r == 0)
		r = json_add_string(ret_text, metadata ? metadata : "");
	return r < 0 ? r : buf_printf(ret_text, ",\"state\":%s}", state.data);
}

/* Shared with the helper thread. */
struct handover {
	const struct launch *launch;
	const struct buf *state;
	_Atomic int listener; /* 0 while nothing is known, then descriptor + 1, or -errno */
	_Atomic int result;   /* NOT_YET, then 0 or -errno */
};

#define NOT_YET 1

/* A thread of the process, made before the filter is loaded, so that the filter does not bind it. */
static int send_listener(void *arg)
{
	struct handover *handover = arg;
	int value = 0;
	while ((value = atomic_load(&handover->listener)) == 0)
		(void)nanosleep(&(struct timespec){.tv_nsec = WAIT_STEP_NS}, NULL);
	int r = value;
	if (value > 0) {
		const struct buf *state = handover->state;
		int listener = value - 1;
		r = fd_send_message(handover->launch->seccomp_socket, state->data, state->size, &listener, 1);
	}
	atomic_store(&handover->result, r);
	(void)syscall(SYS_exit, 0); /* this thread alone */
	return 0;
}

static int start_helper(struct handover *handover, struct err *err)
{
	char *stack = mmap(NULL, HELPER_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (stack == MAP_FAILED)
		return err_sys(err, -errno, "seccomp.notify", "memory for the helper");
	int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
	if (clone(send_listener, stack + HELPER_STACK, flags, handover) < 0)
		return err_sys(err, -errno, "seccomp.notify", "start the helper");
	return 0;
}

int seccomp_notify_load(const struct launch *launch, pid_t host_pid, struct err *err)
{
	scoped_done(buf_done) struct buf state = {.max = 2 << 20};
	struct handover handover = {.launch = launch, .state = &state, .result = NOT_YET};
	int r = make_state(launch, host_pid, &state);
	if (r < 0)
		return err_sys(err, r, "seccomp.notify", "state for the seccomp agent");
	r = start_helper(&handover, err);
	if (r < 0)
		return r;
	int listener = -1;
	r = seccomp_program_load(&launch->seccomp, &listener, err);
	atomic_store(&handover.listener, r < 0 ? r : listener + 1);
	/* No system call may be made here, since it could wait for the listener that nobody has yet. execve(2) ends the
	 * helper, and the listener's descriptor is closed on exec. */
	int result = NOT_YET;
	while ((result = atomic_load(&handover.result)) == NOT_YET)
		atomic_thread_fence(memory_order_seq_cst);
	if (r == 0 && result < 0)
		return err_sys(err, result, "seccomp.notify", "send the listener to listenerPath");
	return r;
}
