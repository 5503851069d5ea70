#include "manager/src/pod_init.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/sys/fd.h"
#include "core/sys/path.h"
#include "core/sys/pidfd.h"
#include "manager/src/helper.h"
#include "manager/src/pod.h"
#include "manager/src/pod_user.h"

#define INIT_PROGRAM "axinit"
#define FILE_BYTES_MAX 4096

/* --- watching --- */

void pod_init_forget(struct pod *pod)
{
	process_watch_free(pod->init);
	pod->init = NULL;
	pod->init_pid = 0;
}

/* Takes @pidfd. */
static int watch(struct pod *pod, int pidfd, int pid, process_watch_ended *ended, struct err *err)
{
	int r = process_watch_new(pod->node->loop, pidfd, ended, pod, &pod->init);
	if (r < 0)
		return err_sys(err, r, "pod.init", "watch the init of pod %s", pod->id);
	pod->init_pid = pid;
	return 0;
}

/* --- making --- */

char *pod_init_cgroup(const struct pod *pod)
{
	return str_printf("%s/%s-init", pod->record.cgroup, pod->id);
}

int pod_init_ensure(struct pod *pod, process_watch_ended *ended, struct err *err)
{
	if (pod->init)
		return 0;
	scoped_free char *pins = pod_pins_path(pod);
	scoped_free char *files = pod_files_path(pod);
	scoped_free char *cgroup = pod_init_cgroup(pod);
	scoped_free char *program = path_of_sibling_program(INIT_PROGRAM);
	if (!pins || !files || !cgroup || !program)
		return -ENOMEM;
	const struct pod_user user = pod_user_of(pod->config);
	const struct helper_pod_init wanted = {
		.pins = pins,
		.files = files,
		.cgroup = cgroup,
		.program = program,
		.uid = pod_user_init_uid(&user),
		.gid = pod_user_init_gid(&user),
	};
	struct helper_request request = {.pod_init = &wanted};
	struct helper_reply reply = {0};
	scoped_done(arena_done) struct arena arena = {.max = 64 << 10};
	int pidfd = -1;
	int r = helper_run(&pod->node->helper, &request, &arena, &reply, &pidfd, err);
	if (r == 0 && pidfd < 0)
		r = err_set(err, -EIO, "helper.answer", "the helper gave no process");
	return r < 0 ? r : watch(pod, pidfd, reply.pid, ended, err);
}

/* --- after a restart --- */

static int read_pid(const char *files, int *ret_pid)
{
	scoped_free char *path = str_printf("%s/" POD_INIT_FILE, files);
	scoped_done(buf_done) struct buf text = {.max = FILE_BYTES_MAX};
	scoped_done(arena_done) struct arena arena = {.max = 64 << 10};
	struct pod_init_file file = {0};
	int r = path ? file_read_at(AT_FDCWD, path, &text, NULL) : -ENOMEM;
	if (r == 0)
		r = json_decode(POD_INIT_FILE, text.data ? text.data : "", text.size, &POD_INIT_TABLE, &arena, &file, NULL);
	if (r == 0 && (file.version != POD_INIT_VERSION || file.pid <= 0))
		r = -EINVAL;
	if (r == 0)
		*ret_pid = file.pid;
	return r;
}

/* A pid may have come to another process; the namespace that is pinned tells whether it has. */
static bool is_in_namespace(int pid, const char *pins)
{
	char path[64];
	scoped_free char *pin = str_printf("%s/pid", pins);
	struct stat its = {0};
	struct stat pinned = {0};
	(void)snprintf(path, sizeof path, "/proc/%d/ns/pid", pid);
	return pin && stat(path, &its) == 0 && stat(pin, &pinned) == 0 && its.st_ino == pinned.st_ino &&
	       its.st_dev == pinned.st_dev;
}

int pod_init_resume(struct pod *pod, process_watch_ended *ended, struct err *err)
{
	scoped_free char *pins = pod_pins_path(pod);
	scoped_free char *files = pod_files_path(pod);
	if (!pins || !files)
		return -ENOMEM;
	int pid = 0;
	int r = read_pid(files, &pid);
	if (r == -ENOENT)
		return 0;
	scoped_fd int pidfd = -1;
	if (r == 0 && pidfd_open_process(pid, &pidfd) < 0)
		r = -ESRCH;
	if (r < 0 || !is_in_namespace(pid, pins) || pidfd_await_end(pidfd, 0) == 0)
		return err_set(err, -ESRCH, "pod.init-ended", "pod %s: its init has ended meanwhile", pod->id);
	return watch(pod, TAKE_FD(pidfd), pid, ended, err);
}
