#include "image/src/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/sys/fd.h"

#define RESOLVER_FILE_MAX (1024 * 1024)

/* What the unprivileged half calls, with glibc 2.36 and libcurl 7.88; tests/image pulls and loads under it. Everything
 * else fails with ENOSYS, so that libraries fall back or report. No exec, no new process, no ptrace, no mount, no module. */
static const char *const ALLOWED[] = {
	/* memory and time */
	"brk", "madvise", "mmap", "mprotect", "mremap", "munmap", "clock_gettime", "clock_nanosleep", "gettimeofday",
	"nanosleep", "time",
	/* threads and signals */
	"exit", "exit_group", "futex", "getpid", "gettid", "get_robust_list", "membarrier", "rseq", "rt_sigaction",
	"rt_sigprocmask", "rt_sigreturn", "sched_getaffinity", "sched_yield", "set_robust_list", "set_tid_address",
	"sigaltstack", "tgkill", "restart_syscall",
	/* files by descriptor */
	"access", "close", "close_range", "copy_file_range", "dup", "dup3", "faccessat", "faccessat2", "fallocate", "fchmod",
	"fcntl", "fdatasync", "fstat", "fstatfs", "fsync", "ftruncate", "getdents64", "linkat", "lseek", "mkdirat",
	"newfstatat", "open", "openat", "openat2", "pipe2", "poll", "ppoll", "pread64", "pwrite64", "pwritev", "read",
	"readlink", "readlinkat", "readv", "renameat", "renameat2", "rmdir", "stat", "statx", "symlinkat", "umask", "unlink",
	"unlinkat", "utimensat", "write", "writev",
	/* network */
	"bind", "connect", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_wait", "eventfd2", "getpeername",
	"getsockname", "getsockopt", "recvfrom", "recvmmsg", "recvmsg", "select", "pselect6", "sendmmsg", "sendmsg",
	"sendto", "setsockopt", "shutdown", "socketpair",
	/* facts about the machine */
	"getegid", "geteuid", "getgid", "getrandom", "getresuid", "getresgid", "getrusage", "getuid", "prlimit64", "sysinfo",
	"uname",
};

static int copy_file(int root_fd, const char *from, const char *to, struct err *err)
{
	scoped_done(buf_done) struct buf text = {.max = RESOLVER_FILE_MAX};
	struct err ignored;
	if (file_read_at(AT_FDCWD, from, &text, &ignored) < 0)
		return 0; /* a machine without it resolves by the rest */
	return file_replace_at(root_fd, to, text.data ? text.data : "", text.size, 0644, FILE_VOLATILE, err);
}

int jail_copy_resolver_files(int root_fd, struct err *err)
{
	static const char NSSWITCH[] = "hosts: files dns\n"; /* no module is there to be loaded */
	if (mkdirat(root_fd, "etc", 0755) < 0)
		return err_sys(err, -errno, "store.io", "make the worker's root");
	int r = copy_file(root_fd, "/etc/resolv.conf", "etc/resolv.conf", err);
	if (r == 0)
		r = copy_file(root_fd, "/etc/hosts", "etc/hosts", err);
	if (r == 0)
		r = file_replace_at(root_fd, "etc/nsswitch.conf", NSSWITCH, strlen(NSSWITCH), 0644, FILE_VOLATILE, err);
	return r;
}

static int change_identity(const struct jail_options *options, struct err *err)
{
	if (geteuid() != 0)
		return 0;
	bool ok = fchdir(options->root_fd) == 0 && chroot(".") == 0 && chdir("/") == 0 && setgroups(0, NULL) == 0 &&
		  setresgid(options->gid, options->gid, options->gid) == 0 &&
		  setresuid(options->uid, options->uid, options->uid) == 0;
	return ok ? 0 : err_sys(err, -errno, "job.worker", "change to uid %u", options->uid);
}

static int drop_capabilities(struct err *err)
{
	cap_t none = cap_init(); /* all sets empty */
	bool ok = none && cap_set_proc(none) == 0;
	int code = -errno;
	(void)cap_free(none);
	return ok ? 0 : err_sys(err, code, "job.worker", "drop capabilities");
}

static int set_limits(struct err *err)
{
	static const struct {
		int resource;
		rlim_t value;
	} LIMITS[] = {{RLIMIT_CORE, 0}, {RLIMIT_NOFILE, 256}};
	for (size_t i = 0; i < ARRAY_COUNT(LIMITS); i++) {
		struct rlimit limit = {LIMITS[i].value, LIMITS[i].value};
		if (setrlimit((__rlimit_resource_t)LIMITS[i].resource, &limit) < 0)
			return err_sys(err, -errno, "job.worker", "set a limit");
	}
	return 0;
}

/* Rules that look at arguments: threads but no processes, network sockets only. */
static int add_narrow_rules(scmp_filter_ctx filter)
{
	static const int DOMAINS[] = {1 /* AF_UNIX: nscd, asked by glibc, is not in the jail */, 2 /* AF_INET */,
				      10 /* AF_INET6 */, 16 /* AF_NETLINK: getaddrinfo asks for addresses */};
	const unsigned long thread = 0x00010000; /* CLONE_THREAD */
	int r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				 SCMP_A0(SCMP_CMP_MASKED_EQ, thread, thread));
	for (size_t i = 0; r == 0 && i < ARRAY_COUNT(DOMAINS); i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				     SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)DOMAINS[i]));
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				     SCMP_A1(SCMP_CMP_EQ, 0x5421)); /* FIONBIO: curl's way to set O_NONBLOCK */
	return r;
}

static int set_filter(struct err *err)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int r = filter ? 0 : -ENOMEM;
	for (size_t i = 0; r == 0 && i < ARRAY_COUNT(ALLOWED); i++) {
		int number = seccomp_syscall_resolve_name(ALLOWED[i]);
		if (number != __NR_SCMP_ERROR) /* not every architecture has every one */
			r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
	}
	if (r == 0)
		r = add_narrow_rules(filter);
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r < 0 ? err_sys(err, r, "job.worker", "load the seccomp filter") : 0;
}

int jail_enter(const struct jail_options *options, struct err *err)
{
	int r = change_identity(options, err);
	if (r == 0)
		r = drop_capabilities(err);
	if (r < 0)
		return r;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, -errno, "job.worker", "prctl");
	r = set_limits(err);
	return r < 0 ? r : set_filter(err);
}
