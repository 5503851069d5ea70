#include "runtime/src/axrun/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/parse.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/codec/oci_runtime.h"
#include "core/sys/fd.h"
#include "core/sys/path.h"
#include "runtime/src/axrun/launch.h"
#include "runtime/src/axrun/process_limits.h"
#include "runtime/src/axrun/program.h"
#include "runtime/src/axrun/seccomp.h"
#include "runtime/src/axrun/seccomp_notify.h"

/* Writes a file of the calling process in the host's /proc, whose descriptor was checked to be one: nothing that a
 * container mounts over /proc can take its place (CVE-2019-16884, CVE-2025-52881). */
static int write_own(const struct launch *launch, const char *file, const char *text, struct err *err)
{
	char name[64];
	(void)snprintf(name, sizeof name, "self/%s", file);
	return file_write_kernel(launch->proc_fd, name, text, err);
}

static int set_oom_score(const struct launch *launch, struct err *err)
{
	if (!launch->process->oom_score_adj)
		return 0;
	char text[16];
	(void)snprintf(text, sizeof text, "%d", *launch->process->oom_score_adj);
	int r = write_own(launch, "oom_score_adj", text, err);
	return r < 0 ? err_add(err, r, "process.oomScoreAdj") : 0;
}

static int set_labels(const struct launch *launch, struct err *err)
{
	int r = 0;
	if (!str_empty(launch->process->apparmor_profile)) {
		scoped_free char *text = str_printf("exec %s", launch->process->apparmor_profile);
		r = text ? write_own(launch, "attr/apparmor/exec", text, err) : -ENOMEM;
		if (r == -ENOENT)
			r = write_own(launch, "attr/exec", text, err);
		if (r < 0)
			return err_add(err, r, "process.apparmorProfile %s", launch->process->apparmor_profile);
	}
	if (!str_empty(launch->process->selinux_label))
		r = write_own(launch, "attr/exec", launch->process->selinux_label, err);
	return r < 0 ? err_add(err, r, "process.selinuxLabel %s", launch->process->selinux_label) : 0;
}

/* A session keyring of its own: the caller's keys are not the container's (keyrings(7)). */
static int join_keyring(const struct launch *launch, struct err *err)
{
	if (launch->options->no_new_keyring)
		return 0;
	char name[80];
	(void)snprintf(name, sizeof name, "_ses.%.70s", launch->id);
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name, 0, 0, 0) < 0 && errno != ENOSYS && errno != EPERM &&
	    errno != EDQUOT)
		return err_sys(err, -errno, "process.keyring", "make a session keyring");
	return 0;
}

/* The host's /proc knows this process by its pid there. */
static int find_host_pid(const struct launch *launch, pid_t *ret_pid, struct err *err)
{
	char text[24] = "";
	ssize_t length = readlinkat(launch->proc_fd, "self", text, sizeof text - 1);
	int64_t pid = 0;
	if (length < 0 || parse_i64(text, 1, INT32_MAX, &pid) < 0)
		return err_sys(err, length < 0 ? -errno : -EINVAL, "proc.open", "read /proc/self");
	*ret_pid = (pid_t)pid;
	return 0;
}

int process_prepare(const struct launch *launch, struct process_plan *plan, struct err *err)
{
	if (setsid() < 0 && errno != EPERM) /* a leader already */
		return err_sys(err, -errno, "process.session", "make a session");
	int r = find_host_pid(launch, &plan->host_pid, err);
	if (r == 0)
		r = join_keyring(launch, err);
	if (r == 0)
		r = set_oom_score(launch, err);
	if (r == 0)
		r = set_labels(launch, err);
	return r;
}

/* The home directory of @uid as the container's /etc/passwd has it: "name:password:uid:gid:comment:home:shell". */
static int find_home(uid_t uid, char **ret_home)
{
	scoped_fd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	scoped_fd int fd = root < 0 ? -1 : path_open_in_root(root, "/etc/passwd", O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0);
	struct stat st = {0};
	scoped_done(buf_done) struct buf text = {.max = 1 << 20};
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || fd_read_all(fd, &text) < 0 || !text.data)
		return -ENOENT;
	char *rest = NULL;
	for (char *line = strtok_r(text.data, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		scoped(strv_free) char **fields = str_split(line, ':');
		uint64_t number = 0;
		if (strv_count((const char *const *)fields) < 6 || parse_u64(fields[2], 0, UINT32_MAX, &number) < 0)
			continue;
		if (number != uid || !*fields[5])
			continue;
		*ret_home = strdup(fields[5]);
		return *ret_home ? 0 : -ENOMEM;
	}
	return -ENOENT;
}

static int plan_environment(const struct launch *launch, char ***ret_env, struct err *err)
{
	scoped(strv_free) char **env = strv_copy(launch->process->env);
	int r = env ? 0 : -ENOMEM;
	if (r == 0 && !strv_env_get((const char *const *)env, "HOME")) {
		scoped_free char *home = NULL;
		(void)find_home(launch->process->user.uid, &home); /* none known: the root, as login(1) does */
		r = strv_env_set(&env, "HOME", home ? home : "/");
	}
	if (r == 0 && launch->options->preserve_fds > 0 && getenv("LISTEN_FDS")) {
		r = strv_env_set(&env, "LISTEN_FDS", getenv("LISTEN_FDS"));
		if (r == 0)
			r = strv_env_set(&env, "LISTEN_PID", "1");
	}
	if (r < 0)
		return err_sys(err, r, "process.environment", "environment");
	*ret_env = TAKE(env);
	return 0;
}

/* Enters the working directory, and makes sure that it lies in the container's root: a descriptor that leaked from the
 * host could otherwise be reached by a name such as /proc/self/fd/7 (CVE-2024-21626). */
static int enter_directory(const char *cwd, struct err *err)
{
	if (chdir(cwd) < 0)
		return err_sys(err, -errno, "process.cwd", "chdir to the working directory %s", cwd);
	char real[4096];
	long length = syscall(SYS_getcwd, real, sizeof real);
	if (length < 0 || real[0] != '/')
		return err_set(err, -EXDEV, "process.cwd", "working directory %s: lies outside of the container", cwd);
	return 0;
}

static int make_directory(const char *cwd, struct err *err)
{
	scoped_fd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	scoped_fd int fd = -1;
	int r = root < 0 ? -errno : path_make_directories_in_root(root, cwd, 0755, &fd);
	/* one that exists as something else, or that leads through /proc's links, is judged when it is entered */
	bool judged_later = r == -EEXIST || r == -EROFS || r == -ELOOP || r == -ENOTDIR;
	return r < 0 && !judged_later ? err_sys(err, r, "process.cwd", "make the working directory %s", cwd) : 0;
}

int process_plan(const struct launch *launch, struct process_plan *ret_plan, struct err *err)
{
	const struct oci_process *process = launch->process;
	int r = make_directory(process->cwd, err);
	if (r == 0)
		r = enter_directory(process->cwd, err);
	if (r == 0)
		r = plan_environment(launch, &ret_plan->env, err);
	if (r == 0)
		r = program_find(process->args[0], (const char *const *)ret_plan->env, &ret_plan->program, err);
	return r;
}

static int set_personality(const struct oci_personality *wanted, struct err *err)
{
	static const struct {
		const char *name;
		unsigned long domain;
	} DOMAINS[] = {{"LINUX", PER_LINUX}, {"LINUX32", PER_LINUX32}};
	for (size_t i = 0; i < ARRAY_COUNT(DOMAINS); i++) {
		if (strcmp(DOMAINS[i].name, wanted->domain) != 0)
			continue;
		if (personality(DOMAINS[i].domain) < 0)
			return err_sys(err, -errno, "process.personality", "personality %s", wanted->domain);
		return 0;
	}
	return err_set(err, -EINVAL, "config.invalid", "linux.personality.domain: expected LINUX or LINUX32, found %s",
		       wanted->domain);
}

/* What the container's user may not write to otherwise: its own stdio, where that is nobody else's pipe or terminal. */
static void own_stdio(const struct oci_user *user)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		struct stat st = {0};
		if (fstat(fd, &st) < 0 || st.st_uid == user->uid || S_ISCHR(st.st_mode))
			continue;
		(void)!fchown(fd, user->uid, user->gid); /* on a read-only file system, or of an unmapped owner: as it was */
	}
}

static int set_groups(const struct oci_user *user, struct err *err)
{
	scoped_free gid_t *groups = calloc(user->additional_gids_count + 1, sizeof *groups);
	if (!groups)
		return err_sys(err, -ENOMEM, "process.user", "groups");
	for (size_t i = 0; i < user->additional_gids_count; i++)
		groups[i] = user->additional_gids[i];
	if (setgroups(user->additional_gids_count, groups) == 0)
		return 0;
	/* given up for good in this user namespace (idmap.c): nothing to drop, nothing to gain */
	if (errno == EPERM && user->additional_gids_count == 0)
		return 0;
	return err_sys(err, -errno, "process.user", "set %zu additional groups", user->additional_gids_count);
}

static int become_user(const struct oci_user *user, struct err *err)
{
	int r = set_groups(user, err);
	if (r < 0)
		return r;
	if (setresgid(user->gid, user->gid, user->gid) < 0)
		return err_sys(err, -errno, "process.user", "become gid %u", user->gid);
	if (setresuid(user->uid, user->uid, user->uid) < 0)
		return err_sys(err, -errno, "process.user", "become uid %u", user->uid);
	return 0;
}

static int change_identity(const struct launch *launch, struct err *err)
{
	const struct oci_user *user = &launch->process->user;
	if (user->umask)
		(void)umask(*user->umask & 0777); /* cannot fail */
	else
		(void)umask(022);
	if (user->uid != 0)
		own_stdio(user);
	int r = capability_limit_bounding(launch->capabilities.bounding, err);
	if (r < 0)
		return r;
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return err_sys(err, -errno, "process.user", "keep the capabilities");
	r = become_user(user, err);
	if (r == 0)
		r = capability_apply(&launch->capabilities, err);
	return r;
}

static int set_no_new_privileges(const struct launch *launch, struct err *err)
{
	if (launch->process->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, -errno, "process.no-new-privileges", "set no_new_privs");
	return 0;
}

static int load_filter(const struct launch *launch, const struct process_plan *plan, struct err *err)
{
	if (!launch->seccomp.filter)
		return 0;
	if (launch->seccomp.notifies)
		return seccomp_notify_load(launch, plan->host_pid, err);
	int listener = -1;
	return seccomp_program_load(&launch->seccomp, &listener, err);
}

/* Signals as a fresh program expects them: nothing blocked, nothing ignored (the caller may ignore SIGPIPE). */
static void reset_signals(void)
{
	for (int number = 1; number < NSIG; number++)
		(void)signal(number, SIG_DFL); /* SIGKILL and SIGSTOP cannot be changed */
	sigset_t none;
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

int process_execute(const struct launch *launch, const struct process_plan *plan, struct err *err)
{
	const struct oci_process *process = launch->process;
	const struct oci_personality *wanted = launch->spec->linux_ ? launch->spec->linux_->personality : NULL;
	int r = wanted ? set_personality(wanted, err) : 0;
	if (r == 0)
		r = scheduling_apply(process, err);
	reset_signals();
	/* without no_new_privs a filter needs CAP_SYS_ADMIN, so it comes before the capabilities go (seccomp(2)) */
	if (r == 0 && !process->no_new_privileges)
		r = load_filter(launch, plan, err);
	if (r == 0)
		r = change_identity(launch, err);
	if (r == 0)
		r = set_no_new_privileges(launch, err);
	if (r == 0)
		r = enter_directory(process->cwd, err); /* as the user that will work there */
	if (r == 0 && process->no_new_privileges)
		r = load_filter(launch, plan, err);
	if (r < 0)
		return r;
	unsigned first = STDERR_FILENO + 1 + (unsigned)launch->options->preserve_fds;
	if (close_range(first, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		return err_sys(err, -errno, "process.descriptors", "close descriptors from %u", first);
	(void)execve(plan->program, (char *const *)(uintptr_t)process->args, plan->env);
	return program_exec_failed(plan->program, -errno, err);
}
