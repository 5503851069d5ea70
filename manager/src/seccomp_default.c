#include "manager/src/seccomp_default.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/codec/oci_runtime.h"

#define ALLOW "SCMP_ACT_ALLOW"
#define ERRNO "SCMP_ACT_ERRNO"
#define SET(capability) (UINT64_C(1) << (capability))

/* What makes namespaces: of clone(2)'s flags, those that an ordinary container may not give. */
#define NAMESPACE_FLAGS                                                                                                \
	(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP)

#ifdef __s390x__
#error "clone(2) has its flags in the second argument here: adapt CLONE_ARGS"
#endif

static const char *const FILES[] = {
	"access", "cachestat", "chdir", "chmod", "chown", "chown32", "close", "close_range", "copy_file_range", "creat",
	"dup", "dup2", "dup3", "faccessat", "faccessat2", "fadvise64", "fadvise64_64", "fallocate",
	"fchdir", "fchmod", "fchmodat", "fchmodat2", "fchown", "fchown32", "fchownat", "fcntl", "fcntl64", "fdatasync",
	"fgetxattr", "flistxattr", "flock", "fremovexattr", "fsetxattr", "fstat", "fstat64", "fstatat64", "fstatfs",
	"fstatfs64", "fsync", "ftruncate", "ftruncate64", "futimesat", "getcwd", "getdents", "getdents64", "getxattr",
	"getxattrat", "inotify_add_watch", "inotify_init", "inotify_init1", "inotify_rm_watch", "ioctl", "lchown",
	"lchown32", "lgetxattr", "link", "linkat", "listxattr", "listxattrat", "llistxattr", "_llseek", "lremovexattr",
	"lseek", "lsetxattr", "lstat", "lstat64", "mkdir", "mkdirat", "mknod", "mknodat", "newfstatat", "open", "openat",
	"openat2", "pread64", "preadv", "preadv2", "pwrite64", "pwritev", "pwritev2", "read", "readahead", "readlink",
	"readlinkat", "readv", "removexattr", "removexattrat", "rename", "renameat", "renameat2", "rmdir", "sendfile",
	"sendfile64", "setxattr", "setxattrat", "splice", "stat", "stat64", "statfs", "statfs64", "statx", "symlink",
	"symlinkat", "sync", "sync_file_range", "sync_file_range2", "arm_sync_file_range", "syncfs", "tee", "truncate",
	"truncate64", "umask", "unlink", "unlinkat", "utime", "utimensat", "utimensat_time64", "utimes", "vmsplice",
	"write", "writev", NULL,
};

static const char *const MEMORY[] = {
	"brk", "madvise", "map_shadow_stack", "membarrier", "memfd_create", "memfd_secret", "mincore", "mlock", "mlock2",
	"mlockall", "mmap", "mmap2", "mprotect", "mremap", "mseal", "msync", "munlock", "munlockall", "munmap",
	"pkey_alloc", "pkey_free", "pkey_mprotect", "process_madvise", "process_mrelease", "remap_file_pages", NULL,
};

static const char *const PROCESSES[] = {
	"alarm", "capget", "capset", "execve", "execveat", "exit", "exit_group", "fork", "futex", "futex_requeue",
	"futex_time64", "futex_wait", "futex_waitv", "futex_wake", "get_robust_list", "getcpu", "getegid", "getegid32",
	"geteuid", "geteuid32", "getgid", "getgid32", "getgroups", "getgroups32", "getitimer", "getpgid", "getpgrp",
	"getpid", "getppid", "getpriority", "getresgid", "getresgid32", "getresuid", "getresuid32", "getrlimit",
	"ugetrlimit", "getrusage", "getsid", "gettid", "getuid", "getuid32", "ioprio_get", "ioprio_set", "kill", "nanosleep",
	"pause", "pidfd_getfd", "pidfd_open", "pidfd_send_signal", "prctl", "prlimit64", "ptrace", "process_vm_readv",
	"process_vm_writev", "restart_syscall", "rseq", "rt_sigaction", "rt_sigpending", "rt_sigprocmask",
	"rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait", "rt_sigtimedwait_time64",
	"rt_tgsigqueueinfo", "sched_get_priority_max", "sched_get_priority_min", "sched_getaffinity", "sched_getattr",
	"sched_getparam", "sched_getscheduler", "sched_rr_get_interval", "sched_rr_get_interval_time64",
	"sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler", "sched_yield", "set_robust_list",
	"set_thread_area", "get_thread_area", "set_tid_address", "setfsgid", "setfsgid32", "setfsuid", "setfsuid32",
	"setgid", "setgid32", "setgroups", "setgroups32", "setitimer", "setpgid", "setpriority", "setregid", "setregid32",
	"setresgid", "setresgid32", "setresuid", "setresuid32", "setreuid", "setreuid32", "setrlimit", "setsid", "setuid",
	"setuid32", "sigaction", "sigaltstack", "signal", "signalfd", "signalfd4", "sigpending", "sigprocmask",
	"sigreturn", "sigsuspend", "tgkill", "tkill", "vfork", "wait4", "waitid", "waitpid", "landlock_add_rule",
	"landlock_create_ruleset", "landlock_restrict_self", "seccomp", "lsm_get_self_attr", "lsm_set_self_attr",
	"lsm_list_modules", NULL,
};

static const char *const COMMUNICATION[] = {
	"accept", "accept4", "bind", "connect", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_ctl_old",
	"epoll_pwait", "epoll_pwait2", "epoll_wait", "epoll_wait_old", "eventfd", "eventfd2", "getpeername",
	"getsockname", "getsockopt", "io_cancel", "io_destroy", "io_getevents", "io_pgetevents", "io_pgetevents_time64",
	"io_setup", "io_submit", "ipc", "listen", "mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive",
	"mq_timedreceive_time64", "mq_timedsend", "mq_timedsend_time64", "mq_unlink", "msgctl", "msgget", "msgrcv",
	"msgsnd", "pipe", "pipe2", "poll", "ppoll", "ppoll_time64", "pselect6", "pselect6_time64", "recv", "recvfrom",
	"recvmmsg", "recvmmsg_time64", "recvmsg", "select", "_newselect", "semctl", "semget", "semop", "semtimedop",
	"semtimedop_time64", "send", "sendmmsg", "sendmsg", "sendto", "setsockopt", "shmat", "shmctl", "shmdt", "shmget",
	"shutdown", "socketcall", "socketpair", NULL,
};

static const char *const TIME_AND_SYSTEM[] = {
	"adjtimex", "clock_adjtime", "clock_adjtime64", "clock_getres", "clock_getres_time64", "clock_gettime",
	"clock_gettime64", "clock_nanosleep", "clock_nanosleep_time64", "getrandom", "gettimeofday", "name_to_handle_at",
	"sysinfo", "time", "timer_create", "timer_delete", "timer_getoverrun", "timer_gettime", "timer_gettime64",
	"timer_settime", "timer_settime64", "timerfd_create", "timerfd_gettime", "timerfd_gettime64", "timerfd_settime",
	"timerfd_settime64", "times", "uname", "uretprobe", NULL,
};

/* Of one machine each; the names that another machine does not have are nothing to it. */
static const char *const MACHINE[] = {
	"arch_prctl", "modify_ldt", "arm_fadvise64_64", "breakpoint", "cacheflush", "set_tls", "get_tls",
	"riscv_flush_icache", "riscv_hwprobe", NULL,
};

static const char *const ADMIN[] = {
	"bpf", "clone", "clone3", "fanotify_init", "fanotify_mark", "fsconfig", "fsmount", "fsopen", "fspick", "listmount",
	"lookup_dcookie", "mount", "mount_setattr", "move_mount", "open_tree", "open_tree_attr", "perf_event_open",
	"quotactl", "quotactl_fd", "setdomainname", "sethostname", "setns", "statmount", "syslog",
	"umount", "umount2", "unshare", NULL,
};

static const char *const BOOT[] = {"reboot", NULL};
static const char *const BPF[] = {"bpf", NULL};
static const char *const CHROOT[] = {"chroot", NULL};
static const char *const HANDLES[] = {"open_by_handle_at", NULL};
static const char *const MODULES[] = {"delete_module", "finit_module", "init_module", NULL};
static const char *const NUMA[] = {"get_mempolicy", "mbind", "move_pages", "migrate_pages", "set_mempolicy",
				   "set_mempolicy_home_node", NULL};
static const char *const ACCOUNTING[] = {"acct", NULL};
static const char *const PERFORMANCE[] = {"perf_event_open", NULL};
static const char *const PORTS[] = {"ioperm", "iopl", NULL};
static const char *const CLOCK[] = {"clock_settime", "clock_settime64", "settimeofday", "stime", NULL};
static const char *const TERMINAL[] = {"vhangup", NULL};
static const char *const COMPARE[] = {"kcmp", NULL};
static const char *const KERNEL_LOG[] = {"syslog", NULL};

static const char *const CLONE[] = {"clone", NULL};
static const char *const CLONE3[] = {"clone3", NULL};
static const char *const PERSONALITY[] = {"personality", NULL};
static const char *const SOCKET[] = {"socket", NULL};

/* No new namespaces; which only the flags tell. */
static const struct oci_seccomp_arg CLONE_ARGS[] = {
	{.index = 0, .value = NAMESPACE_FLAGS, .value_two = 0, .op = "SCMP_CMP_MASKED_EQ"},
};
/* Everything but AF_VSOCK, by which a container would reach the host of its virtual machine, and no namespace divides it. */
static const struct oci_seccomp_arg SOCKET_ARGS[] = {{.index = 0, .value = AF_VSOCK, .op = "SCMP_CMP_NE"}};
/* PER_LINUX, UNAME26, PER_LINUX32, both, and the question what is set. */
static const struct oci_seccomp_arg PERSONALITY_ARGS[] = {
	{.index = 0, .value = 0x0, .op = "SCMP_CMP_EQ"},     {.index = 0, .value = 0x0020000, .op = "SCMP_CMP_EQ"},
	{.index = 0, .value = 0x8, .op = "SCMP_CMP_EQ"},     {.index = 0, .value = 0x0020008, .op = "SCMP_CMP_EQ"},
	{.index = 0, .value = 0xffffffff, .op = "SCMP_CMP_EQ"},
};

static const uint32_t NO_SUCH_CALL = ENOSYS;
static const uint32_t NOT_PERMITTED = EPERM;

/* One row for each rule: who gets it, and what it is. A call refused here falls to the profile's default. */
static const struct rule {
	uint64_t any_of;  /* capabilities of which one is enough; 0: everybody */
	uint64_t none_of; /* not with one of these (they have a wider rule) */
	const char *const *names;
	const struct oci_seccomp_arg *arg; /* NULL: whatever the arguments */
	const uint32_t *refuse_with;	   /* NULL: allowed */
} RULES[] = {
	{0, 0, FILES, NULL, NULL},
	{0, 0, MEMORY, NULL, NULL},
	{0, 0, PROCESSES, NULL, NULL},
	{0, 0, COMMUNICATION, NULL, NULL},
	{0, 0, TIME_AND_SYSTEM, NULL, NULL},
	{0, 0, MACHINE, NULL, NULL},
	{0, 0, SOCKET, SOCKET_ARGS, NULL},
	{0, 0, PERSONALITY, &PERSONALITY_ARGS[0], NULL},
	{0, 0, PERSONALITY, &PERSONALITY_ARGS[1], NULL},
	{0, 0, PERSONALITY, &PERSONALITY_ARGS[2], NULL},
	{0, 0, PERSONALITY, &PERSONALITY_ARGS[3], NULL},
	{0, 0, PERSONALITY, &PERSONALITY_ARGS[4], NULL},
	{0, SET(CAP_SYS_ADMIN), CLONE, CLONE_ARGS, NULL},
	/* Its flags are behind a pointer, which no filter sees; C libraries go back to clone(2) on this answer. */
	{0, SET(CAP_SYS_ADMIN), CLONE3, NULL, &NO_SUCH_CALL},
	{SET(CAP_SYS_ADMIN), 0, ADMIN, NULL, NULL},
	{SET(CAP_BPF), SET(CAP_SYS_ADMIN), BPF, NULL, NULL},
	{SET(CAP_PERFMON), SET(CAP_SYS_ADMIN), PERFORMANCE, NULL, NULL},
	{SET(CAP_SYSLOG), SET(CAP_SYS_ADMIN), KERNEL_LOG, NULL, NULL},
	{SET(CAP_DAC_READ_SEARCH), 0, HANDLES, NULL, NULL},
	{SET(CAP_SYS_BOOT), 0, BOOT, NULL, NULL},
	{SET(CAP_SYS_CHROOT), 0, CHROOT, NULL, NULL},
	{SET(CAP_SYS_MODULE), 0, MODULES, NULL, NULL},
	{SET(CAP_SYS_NICE), 0, NUMA, NULL, NULL},
	{SET(CAP_SYS_PACCT), 0, ACCOUNTING, NULL, NULL},
	{SET(CAP_SYS_PTRACE), 0, COMPARE, NULL, NULL},
	{SET(CAP_SYS_RAWIO), 0, PORTS, NULL, NULL},
	{SET(CAP_SYS_TIME), 0, CLOCK, NULL, NULL},
	{SET(CAP_SYS_TTY_CONFIG), 0, TERMINAL, NULL, NULL},
};

/* Native programs, and those of the same machine's 32-bit modes. */
static const char *const ARCHITECTURES[] = {
#if defined(__x86_64__)
	"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32",
#elif defined(__aarch64__)
	"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM",
#elif defined(__riscv) && __riscv_xlen == 64
	"SCMP_ARCH_RISCV64",
#else
#error "name this machine's architectures"
#endif
	NULL,
};

static bool applies(const struct rule *rule, uint64_t capabilities)
{
	return (rule->any_of == 0 || rule->any_of & capabilities) && !(rule->none_of & capabilities);
}

int seccomp_default_make(uint64_t capabilities, struct arena *arena, const struct oci_seccomp **ret_seccomp)
{
	struct oci_seccomp *seccomp = arena_alloc(arena, sizeof *seccomp);
	struct oci_seccomp_rule *rules = arena_array(arena, ARRAY_COUNT(RULES), sizeof *rules);
	if (!seccomp || !rules)
		return -ENOMEM;
	size_t count = 0;
	for (size_t i = 0; i < ARRAY_COUNT(RULES); i++) {
		if (!applies(&RULES[i], capabilities))
			continue;
		rules[count++] = (struct oci_seccomp_rule){
			.names = RULES[i].names,
			.action = RULES[i].refuse_with ? ERRNO : ALLOW,
			.errno_ret = RULES[i].refuse_with,
			.args = RULES[i].arg,
			.args_count = RULES[i].arg ? 1 : 0,
		};
	}
	*seccomp = (struct oci_seccomp){
		.default_action = ERRNO,
		.default_errno_ret = &NOT_PERMITTED,
		.architectures = ARCHITECTURES,
		.syscalls = rules,
		.syscalls_count = count,
	};
	*ret_seccomp = seccomp;
	return 0;
}
