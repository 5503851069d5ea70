#include "runtime/src/monitor/proc_status.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "core/base/buf.h"
#include "core/base/scoped.h"
#include "core/sys/fd.h"
#include "runtime/src/monitor/privileges.h"

#define STAT_TEXT_MAX 4096
#define FIELD_STATE 3
#define FIELD_START 22
#define FIELD_EXIT_CODE 52

/* linux/pidfd.h of 6.15; older headers lack it. */
struct pidfd_info_v0 {
	uint64_t mask;
	uint64_t cgroupid;
	uint32_t pid, tgid, ppid;
	uint32_t ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
	int32_t exit_code;
};
#define PIDFD_GET_INFO_V0 _IOWR(0xFF, 11, struct pidfd_info_v0)
#define PIDFD_INFO_EXIT_BIT (UINT64_C(1) << 3)

int proc_stat_parse(const char *text, char *ret_state, uint64_t *ret_start, int *ret_exit_code)
{
	const char *at = strrchr(text, ')'); /* the name in parentheses may hold anything */
	if (!at || at[1] != ' ')
		return -EINVAL;
	at += 2;
	*ret_state = *at;
	*ret_start = 0;
	*ret_exit_code = 0;
	int field = FIELD_STATE;
	for (; field < FIELD_EXIT_CODE; field++) {
		if (field == FIELD_START)
			*ret_start = strtoull(at, NULL, 10);
		at = strchr(at, ' ');
		if (!at)
			return -EINVAL;
		at++;
	}
	*ret_exit_code = (int)strtol(at, NULL, 10);
	return 0;
}

static bool status_of_zombie(pid_t pid, uint64_t pid_start, struct child_status *ret_status, bool *ret_is_zombie)
{
	char name[32];
	(void)snprintf(name, sizeof name, "/proc/%d/stat", (int)pid);
	scoped_done(buf_done) struct buf text = {.max = STAT_TEXT_MAX};
	privileges_raise(PRIVILEGE_INSPECT);
	int r = file_read_at(AT_FDCWD, name, &text, NULL);
	privileges_lower();
	char state = 0;
	uint64_t start = 0;
	int code = 0;
	if (r < 0 || !text.data || proc_stat_parse(text.data, &state, &start, &code) < 0)
		return false;
	if (pid_start != 0 && start != pid_start)
		return false; /* the number belongs to another process now */
	*ret_is_zombie = state == 'Z' || state == 'X';
	if (!*ret_is_zombie || (code == 0 && !privileges_have(PRIVILEGE_INSPECT)))
		return false; /* to who may not look the kernel shows 0 (fs/proc/array.c, do_task_stat) */
	*ret_status = child_status_of_wait(code);
	return true;
}

static bool status_of_pidfd(int pidfd, struct child_status *ret_status)
{
	struct pidfd_info_v0 info = {.mask = PIDFD_INFO_EXIT_BIT};
	if (pidfd < 0 || ioctl(pidfd, PIDFD_GET_INFO_V0, &info) < 0 || !(info.mask & PIDFD_INFO_EXIT_BIT))
		return false;
	*ret_status = child_status_of_wait(info.exit_code);
	return true;
}

enum proc_status_outcome proc_status_of_ended(int pidfd, pid_t pid, uint64_t pid_start, struct child_status *ret_status)
{
	bool is_zombie = false;
	if (pid > 0 && status_of_zombie(pid, pid_start, ret_status, &is_zombie))
		return PROC_STATUS_KNOWN;
	if (status_of_pidfd(pidfd, ret_status))
		return PROC_STATUS_KNOWN;
	return is_zombie ? PROC_STATUS_LATER : PROC_STATUS_LOST;
}

/* Looked at before it is opened: whatever the container has put there instead is not touched. */
static int open_if_pipe(const char *name, uint64_t inode, int flags)
{
	scoped_fd int path_fd = open(name, O_PATH | O_CLOEXEC);
	struct stat st = {0};
	if (path_fd < 0 || fstat(path_fd, &st) < 0)
		return -errno;
	if (!S_ISFIFO(st.st_mode) || st.st_ino != inode)
		return -ENOENT;
	char again[48];
	(void)snprintf(again, sizeof again, "/proc/self/fd/%d", path_fd);
	int fd = open(again, flags | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int proc_reopen_pipe(pid_t pid, int number, uint64_t inode, int flags)
{
	if (inode == 0)
		return -ENOENT;
	char name[48];
	(void)snprintf(name, sizeof name, "/proc/%d/fd/%d", (int)pid, number);
	privileges_raise(PRIVILEGE_REOPEN);
	int fd = open_if_pipe(name, inode, flags);
	privileges_lower();
	return fd;
}
