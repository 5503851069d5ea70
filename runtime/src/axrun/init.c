#include "runtime/src/axrun/init.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/codec/oci_runtime.h"
#include "core/sys/fd.h"
#include "core/sys/pidfd.h"
#include "runtime/src/axrun/console.h"
#include "runtime/src/axrun/hooks.h"
#include "runtime/src/axrun/launch.h"
#include "runtime/src/axrun/process.h"
#include "runtime/src/axrun/process_limits.h"
#include "runtime/src/axrun/rootfs.h"
#include "runtime/src/axrun/sync.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

/* What the process holds on its way. */
struct init {
	const struct launch *launch;
	int report; /* where errors go: the sync socket, then the connection of `start` */
	int console; /* the terminal's slave, -1 */
	struct process_plan plan;
};

static int join_namespaces(const struct launch *launch, struct err *err)
{
	for (size_t i = 0; i < NS_KINDS; i++) {
		/* the pid namespace was joined before the clone, for the child; the user namespace by the helper */
		if (launch->joined[i] < 0 || NS_KIND[i].flag == CLONE_NEWPID || NS_KIND[i].flag == CLONE_NEWUSER)
			continue;
		int r = ns_join(launch->joined[i], &NS_KIND[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* A time namespace's offsets are set before anybody enters it (time_namespaces(7)). */
static int make_time_namespace(const struct launch *launch, struct err *err)
{
	if (!(launch->new_namespaces & CLONE_NEWTIME))
		return 0;
	if (unshare(CLONE_NEWTIME) < 0)
		return err_sys(err, -errno, "ns.time", "make a time namespace");
	const struct oci_linux *config = launch->spec->linux_;
	for (size_t i = 0; i < config->time_offsets_count; i++) {
		const struct oci_time_offset *offset = &config->time_offsets[i];
		char text[96];
		(void)snprintf(text, sizeof text, "%.16s %lld %u", offset->clock, (long long)offset->secs, offset->nanosecs);
		int r = file_write_kernel(launch->proc_fd, "self/timens_offsets", text, err);
		if (r < 0)
			return err_add(err, r, "linux.timeOffsets");
	}
	scoped_fd int fd = openat(launch->proc_fd, "self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWTIME) < 0)
		return err_sys(err, -errno, "ns.time", "enter the time namespace");
	return 0;
}

/* The cgroup namespace's root is the group that its maker is in: so first the group, then the namespace. */
static int enter_cgroups(const struct launch *launch, struct err *err)
{
	int entries[CGROUP_HIERARCHIES_MAX];
	memcpy(entries, launch->entries, sizeof entries);
	int r = cgroup_enter(entries, err);
	if (r == 0 && launch->new_namespaces & CLONE_NEWCGROUP && unshare(CLONE_NEWCGROUP) < 0)
		return err_sys(err, -errno, "ns.cgroup", "make a cgroup namespace");
	return r;
}

static int ask(const struct launch *launch, enum sync_kind kind, struct err *err)
{
	int r = sync_send(launch->sync_socket, kind, NULL, -1);
	if (r < 0)
		return err_sys(err, r, "sync.send", "speak to axrun");
	return sync_expect(launch->sync_socket, SYNC_GO, err);
}

/* In a new user namespace: its maps come from outside, then this is its root. */
static int become_namespace_root(const struct launch *launch, struct err *err)
{
	if (!launch->any_user)
		return 0;
	if (launch->new_user) {
		int r = ask(launch, SYNC_MAPS, err);
		if (r < 0)
			return r;
	}
	if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return err_sys(err, -errno, "ns.user", "become root of the user namespace: are uid and gid 0 mapped?");
	return 0;
}

static int set_names(const struct launch *launch, struct err *err)
{
	const struct oci_spec *spec = launch->spec;
	if (!str_empty(spec->hostname) && sethostname(spec->hostname, strlen(spec->hostname)) < 0)
		return err_sys(err, -errno, "ns.uts", "set the hostname %s", spec->hostname);
	if (!str_empty(spec->domainname) && setdomainname(spec->domainname, strlen(spec->domainname)) < 0)
		return err_sys(err, -errno, "ns.uts", "set the domainname %s", spec->domainname);
	return 0;
}

/* Through the host's /proc, which shows each process the sysctls of its own namespaces. */
static int set_sysctls(const struct launch *launch, struct err *err)
{
	const struct oci_linux *config = launch->spec->linux_;
	for (size_t i = 0; config && i < config->sysctl_count; i++) {
		const struct json_pair *pair = &config->sysctl[i];
		char name[512];
		(void)snprintf(name, sizeof name, "sys/%s", pair->key);
		if (strstr(name, "..") || strlen(pair->key) > 400)
			return err_set(err, -EINVAL, "config.invalid", "linux.sysctl: \"%.100s\": expected a sysctl's name",
				       pair->key);
		/* "net.ipv4.ip_forward"; a name with '/' in it uses '.' within its parts (sysctl(8)) */
		bool slashes = strchr(pair->key, '/');
		for (char *c = name + 4; *c && !slashes; c++)
			if (*c == '.')
				*c = '/';
		int r = file_write_kernel(launch->proc_fd, name, pair->value, err);
		if (r < 0)
			return err_add(err, r, "linux.sysctl %s", pair->key);
	}
	return 0;
}

static int make_namespaces(struct init *init, struct err *err)
{
	const struct launch *launch = init->launch;
	int r = process_prepare(launch, &init->plan, err); /* before the identity changes: its /proc files belong to root */
	if (r == 0)
		r = enter_cgroups(launch, err);
	if (r == 0)
		r = join_namespaces(launch, err);
	if (r == 0)
		r = make_time_namespace(launch, err);
	if (r == 0)
		r = become_namespace_root(launch, err);
	if (r == 0)
		r = set_names(launch, err);
	return r;
}

static int run_create_hooks(const struct launch *launch, struct err *err)
{
	const struct oci_hooks *hooks = launch->spec->hooks;
	if (!hooks)
		return 0;
	int r = hooks->prestart_count + hooks->create_runtime_count > 0 ? ask(launch, SYNC_HOOKS, err) : 0;
	if (r < 0)
		return r;
	return hooks_run(hooks->create_container, hooks->create_container_count, "createContainer", launch->hook_state,
			 launch->bundle, err);
}

/* The terminal is made before the old root goes: then no path of the image is involved but /dev/pts and /dev/console. */
static int make_console(struct init *init, int root_fd, struct err *err)
{
	const struct launch *launch = init->launch;
	if (!launch->process || !launch->process->terminal)
		return 0;
	scoped_fd int master = -1;
	int r = console_open(root_fd, launch->process, &master, &init->console, err);
	if (r == 0)
		r = console_bind(root_fd, init->console, err);
	if (r < 0)
		return r;
	r = sync_send(launch->sync_socket, SYNC_CONSOLE, NULL, master);
	return r < 0 ? err_sys(err, r, "console.send", "hand the terminal over") : 0;
}

static int make_root(struct init *init, struct err *err)
{
	const struct launch *launch = init->launch;
	scoped_fd int root_fd = -1;
	int r = rootfs_attach(launch, &root_fd, err);
	if (r == 0)
		r = rootfs_fill(launch, root_fd, err);
	if (r == 0)
		r = make_console(init, root_fd, err);
	if (r == 0)
		r = set_sysctls(launch, err);
	if (r == 0)
		r = run_create_hooks(launch, err);
	if (r == 0)
		r = rootfs_protect(launch, root_fd, err);
	if (r == 0)
		r = rootfs_enter(launch, root_fd, err);
	return r;
}

/* Closes everything but stdio, what the program inherits, and @keep: descriptors of host directories end here. */
static int close_others(const struct launch *launch, const int *keep, size_t count, struct err *err)
{
	unsigned from = STDERR_FILENO + 1 + (unsigned)launch->options->preserve_fds;
	for (;;) {
		unsigned next = ~0U; /* the lowest of @keep from here on */
		for (size_t i = 0; i < count; i++)
			if (keep[i] >= 0 && (unsigned)keep[i] >= from && (unsigned)keep[i] < next)
				next = (unsigned)keep[i];
		unsigned last = next == ~0U ? ~0U : next - 1;
		if (next > from && close_range(from, last, 0) < 0)
			return err_sys(err, -errno, "process.descriptors", "close descriptors from %u", from);
		if (next == ~0U)
			return 0;
		from = next + 1;
	}
}

/* `start` connects and says go; one that dies before it did is as if it had never been. */
static int await_start_connection(struct init *init, struct err *err)
{
	for (;;) {
		scoped_fd int connection = accept4(init->launch->start_socket, NULL, NULL, SOCK_CLOEXEC);
		if (connection < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (connection < 0)
			return err_sys(err, -errno, "start.accept", "wait for the start");
		if (sync_expect(connection, SYNC_GO, NULL) < 0)
			continue;
		init->report = TAKE_FD(connection);
		(void)close(init->launch->start_socket); /* nobody else may start it */
		return 0;
	}
}

static int await_start(struct init *init, struct err *err)
{
	const struct launch *launch = init->launch;
	int r = sync_send(launch->sync_socket, SYNC_READY, NULL, -1);
	if (r < 0)
		return err_sys(err, r, "sync.send", "speak to axrun");
	if (launch->start_socket < 0)
		return sync_expect(launch->sync_socket, SYNC_GO, err);
	r = await_start_connection(init, err);
	(void)close(launch->sync_socket); /* `create` has gone */
	return r;
}

static int run_start_hooks(const struct launch *launch, struct err *err)
{
	const struct oci_hooks *hooks = launch->spec->hooks;
	if (!hooks)
		return 0;
	return hooks_run(hooks->start_container, hooks->start_container_count, "startContainer", launch->hook_state, NULL,
			 err);
}

/* What is the command's alone: with a copy of its end of the socket here, its death would go unnoticed. */
static void close_callers(const struct launch *launch)
{
	if (launch->callers_socket >= 0)
		(void)close(launch->callers_socket); /* nothing was written through it here */
	if (launch->callers_lock >= 0)
		(void)close(launch->callers_lock);
}

static int run(struct init *init, struct err *err)
{
	const struct launch *launch = init->launch;
	int r = make_namespaces(init, err);
	if (r == 0)
		r = make_root(init, err);
	if (r == 0 && init->console >= 0) {
		r = console_become(init->console, err);
		init->console = -1;
	}
	const int keep[] = {launch->sync_socket, launch->start_socket, launch->seccomp_socket};
	if (r == 0)
		r = close_others(launch, keep, sizeof keep / sizeof *keep, err);
	if (r == 0)
		r = process_plan(launch, &init->plan, err);
	if (r == 0 && !launch->any_user) /* else from outside, where the right to raise them is (launcher.c) */
		r = rlimits_apply(0, launch->process, err);
	if (r == 0)
		r = await_start(init, err);
	if (r == 0)
		r = run_start_hooks(launch, err);
	if (r == 0)
		r = process_execute(launch, &init->plan, err);
	return r;
}

static void __attribute__((noreturn)) end(const struct init *init, const struct err *err, int code)
{
	(void)sync_send_error(init->report, err, code); /* nobody there: then nobody wants to know */
	_exit(1);
}

int init_join_pid_namespace(const struct launch *launch, struct err *err)
{
	for (size_t i = 0; i < NS_KINDS; i++)
		if (NS_KIND[i].flag == CLONE_NEWPID && launch->joined[i] >= 0)
			return ns_join(launch->joined[i], &NS_KIND[i], err);
	return 0;
}

/* Where a user namespace is joined, the first process must be born inside of it, so that its new namespaces belong there:
 * a helper joins, clones it as its own sibling, and tells its pid and pidfd (the descriptor table is shared). */
static void __attribute__((noreturn)) run_helper(const struct launch *launch, size_t user_index)
{
	struct init init = {.launch = launch, .report = launch->sync_socket, .console = -1};
	struct err err = {0};
	int r = init_join_pid_namespace(launch, &err);
	if (r == 0)
		r = ns_join(launch->joined[user_index], &NS_KIND[user_index], &err);
	if (r < 0)
		end(&init, &err, r);
	struct process_clone how = {.flags = launch->new_namespaces | CLONE_PARENT, .cgroup_fd = -1};
	how.flags &= ~(uint64_t)(CLONE_NEWCGROUP | CLONE_NEWTIME | CLONE_NEWUSER);
	int pidfd = -1;
	pid_t pid = process_clone(&how, &pidfd);
	if (pid == 0) {
		close_callers(launch); /* its own table by now; the helper's is the command's */
		r = sync_expect(launch->sync_socket, SYNC_GO, &err);
		if (r == 0)
			r = run(&init, &err);
		end(&init, &err, r);
	}
	if (pid < 0)
		end(&init, &err, err_sys(&err, pid, "ns.user", "clone in the user namespace"));
	r = sync_send(launch->sync_socket, SYNC_PID, (int[]){pid, pidfd}, -1);
	_exit(r < 0 ? 1 : 0);
}

void init_run(const struct launch *launch)
{
	/* What is inherited from axrun is no business of the container's other processes: no access through /proc or
	 * ptrace until the program takes over (CVE-2016-9962). */
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	for (size_t i = 0; i < NS_KINDS; i++)
		if (NS_KIND[i].flag == CLONE_NEWUSER && launch->joined[i] >= 0)
			run_helper(launch, i);
	close_callers(launch);
	struct init init = {.launch = launch, .report = launch->sync_socket, .console = -1};
	struct err err = {0};
	int r = run(&init, &err);
	end(&init, &err, r);
}

static int enter_container(struct init *init, int container_pidfd, struct err *err)
{
	const struct launch *launch = init->launch;
	int r = process_prepare(launch, &init->plan, err);
	if (r == 0)
		r = enter_cgroups(launch, err);
	if (r < 0)
		return r;
	/* all at once: each checks the rights that the user namespace among them gives */
	int flags = (int)(launch->new_namespaces & ~(uint64_t)CLONE_NEWPID);
	if (flags && setns(container_pidfd, flags) < 0)
		return err_sys(err, -errno, "ns.join", "enter the container's namespaces");
	if (launch->any_user && (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0))
		return err_sys(err, -errno, "ns.user", "become root of the user namespace");
	return 0;
}

static int open_exec_console(struct init *init, struct err *err)
{
	const struct launch *launch = init->launch;
	if (!launch->process->terminal)
		return 0;
	scoped_fd int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	scoped_fd int master = -1;
	int r = root_fd < 0 ? err_sys(err, -errno, "console.open", "open the root")
			    : console_open(root_fd, launch->process, &master, &init->console, err);
	if (r == 0)
		r = sync_send(launch->sync_socket, SYNC_CONSOLE, NULL, master);
	if (r == 0) {
		r = console_become(init->console, err);
		init->console = -1;
	}
	return r;
}

static int run_exec(struct init *init, int container_pidfd, struct err *err)
{
	const struct launch *launch = init->launch;
	close_callers(launch);
	int r = enter_container(init, container_pidfd, err);
	if (r == 0)
		r = open_exec_console(init, err);
	const int keep[] = {launch->sync_socket, launch->seccomp_socket};
	if (r == 0)
		r = close_others(launch, keep, sizeof keep / sizeof *keep, err);
	if (r == 0)
		r = process_plan(launch, &init->plan, err);
	if (r == 0 && !launch->any_user) /* else from outside, where the right to raise them is (launcher.c) */
		r = rlimits_apply(0, launch->process, err);
	if (r == 0)
		r = await_start(init, err);
	if (r == 0)
		r = process_execute(launch, &init->plan, err);
	return r;
}

void init_run_exec(const struct launch *launch, int container_pidfd)
{
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* as above */
	struct init init = {.launch = launch, .report = launch->sync_socket, .console = -1};
	struct err err = {0};
	int r = run_exec(&init, container_pidfd, &err);
	end(&init, &err, r);
}
