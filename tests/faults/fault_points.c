/* Fault points of the programs under test: every call with which they change something outside of themselves.
 *
 * Linked, with --wrap for each function below, into copies of axled, axhelper, axmon and aximage-worker that are never
 * installed (meson.build): what is installed has no such place, and no line of it knows of them. A copy counts its calls in the file
 * "faults" beside it, which all copies of one node share; at the number that is written there it stops itself (SIGSTOP),
 * before the call. Whoever waits for that then ends it, its parent, or the machine (tests/lib/faults.py). */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#define NAMES_MAX 8192
#define NAME_BYTES 64

/* tests/lib/faults.py knows this layout. */
struct control {
	_Atomic uint32_t hits;
	_Atomic uint32_t stop_at; /* 0: nowhere */
	_Atomic uint32_t stopped; /* the pid that is, or is about to be */
	uint32_t reserved;
	char names[NAMES_MAX][NAME_BYTES];
};

static struct control *control;

__attribute__((constructor)) static void open_control(void)
{
	char path[4096];
	ssize_t length = readlink("/proc/self/exe", path, sizeof path - sizeof "faults");
	if (length <= 0)
		return;
	path[length] = '\0';
	memcpy(strrchr(path, '/') + 1, "faults", sizeof "faults");
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	void *memory = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	control = memory == MAP_FAILED ? NULL : memory;
	(void)close(fd);
}

static void fault_point(const char *function, const char *subject)
{
	if (!control)
		return;
	uint32_t hit = atomic_fetch_add(&control->hits, 1) + 1;
	const char *slash = subject ? strrchr(subject, '/') : NULL;
	if (hit < NAMES_MAX)
		(void)snprintf(control->names[hit], NAME_BYTES, "%s %s %.30s", program_invocation_short_name, function,
			       slash ? slash + 1 : subject ? subject : "");
	if (hit != atomic_load(&control->stop_at))
		return;
	atomic_store(&control->stopped, (uint32_t)getpid());
	(void)raise(SIGSTOP); /* the jail of the image worker knows no such call: it goes on */
	atomic_store(&control->stopped, 0);
}

#define WRAPPED(type, name, parameters, arguments, subject) \
	type __real_##name parameters;                      \
	type __wrap_##name parameters;                      \
	type __wrap_##name parameters                       \
	{                                                   \
		fault_point(#name, subject);                \
		return __real_##name arguments;             \
	}

WRAPPED(int, mount, (const char *source, const char *target, const char *type, unsigned long flags, const void *data),
	(source, target, type, flags, data), target)
WRAPPED(int, umount2, (const char *target, int flags), (target, flags), target)
WRAPPED(int, unshare, (int flags), (flags), NULL)
WRAPPED(int, setns, (int fd, int type), (fd, type), NULL)
WRAPPED(int, mkdir, (const char *path, mode_t mode), (path, mode), path)
WRAPPED(int, mkdirat, (int dir, const char *path, mode_t mode), (dir, path, mode), path)
WRAPPED(int, rmdir, (const char *path), (path), path)
WRAPPED(int, unlink, (const char *path), (path), path)
WRAPPED(int, unlinkat, (int dir, const char *path, int flags), (dir, path, flags), path)
WRAPPED(int, rename, (const char *from, const char *to), (from, to), to)
WRAPPED(int, renameat, (int from_dir, const char *from, int to_dir, const char *to), (from_dir, from, to_dir, to), to)
WRAPPED(int, renameat2, (int from_dir, const char *from, int to_dir, const char *to, unsigned flags),
	(from_dir, from, to_dir, to, flags), to)
WRAPPED(int, linkat, (int from_dir, const char *from, int to_dir, const char *to, int flags),
	(from_dir, from, to_dir, to, flags), to)
WRAPPED(int, symlinkat, (const char *target, int dir, const char *path), (target, dir, path), path)
WRAPPED(int, mknodat, (int dir, const char *path, mode_t mode, dev_t device), (dir, path, mode, device), path)
WRAPPED(int, fchown, (int fd, uid_t uid, gid_t gid), (fd, uid, gid), NULL)
WRAPPED(int, fchownat, (int dir, const char *path, uid_t uid, gid_t gid, int flags), (dir, path, uid, gid, flags), path)
WRAPPED(int, fsync, (int fd), (fd), NULL)
WRAPPED(int, syncfs, (int fd), (fd), NULL)
WRAPPED(int, kill, (pid_t pid, int signal), (pid, signal), NULL)
WRAPPED(int, bind, (int fd, const struct sockaddr *address, socklen_t length), (fd, address, length), NULL)
WRAPPED(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags), NULL)
WRAPPED(int, execve, (const char *path, char *const argv[], char *const envp[]), (path, argv, envp), path)

/* Of a monitor it is its container's output, and of all others the log: no side effect between two others. */
ssize_t __real_write(int fd, const void *bytes, size_t size);
ssize_t __wrap_write(int fd, const void *bytes, size_t size);
ssize_t __wrap_write(int fd, const void *bytes, size_t size)
{
	if (fd > STDERR_FILENO && strncmp(program_invocation_short_name, "axmon", 5) != 0)
		fault_point("write", NULL);
	return __real_write(fd, bytes, size);
}

/* Opening is a side effect where it makes the file. */

int __real_openat(int dir, const char *path, int flags, ...);
int __wrap_openat(int dir, const char *path, int flags, ...);
int __wrap_openat(int dir, const char *path, int flags, ...)
{
	va_list arguments;
	va_start(arguments, flags);
	mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
	va_end(arguments);
	if (flags & O_CREAT)
		fault_point("openat", path);
	return __real_openat(dir, path, flags, mode);
}

/* The calls that the C library has no name for. */
static const struct {
	long number;
	const char *name;
} CALLS[] = {
	{SYS_clone3, "clone3"},	      {SYS_fsmount, "fsmount"},		{SYS_move_mount, "move_mount"},
	{SYS_open_tree, "open_tree"}, {SYS_mount_setattr, "mount_setattr"}, {SYS_pidfd_send_signal, "pidfd_send_signal"},
	{SYS_renameat2, "renameat2"},
};

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
	va_list arguments;
	va_start(arguments, number);
	long words[6];
	for (size_t i = 0; i < 6; i++)
		words[i] = va_arg(arguments, long);
	va_end(arguments);
	for (size_t i = 0; i < sizeof CALLS / sizeof *CALLS; i++)
		if (CALLS[i].number == number)
			fault_point(CALLS[i].name, NULL);
	return __real_syscall(number, words[0], words[1], words[2], words[3], words[4], words[5]);
}
