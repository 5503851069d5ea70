/* axmon: looks after one container. Started by axled (docs/formats/monitor-protocol.md), not by hand. */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/log.h"
#include "core/base/opt.h"
#include "core/base/scoped.h"
#include "core/sys/cgroup.h"
#include "core/sys/fd.h"
#include "runtime/src/monitor/privileges.h"
#include "runtime/src/monitor/requests.h"

#define EXIT_USAGE 125

struct options {
	int64_t control_fd;
	const char *cgroup;
	bool version;
};

static const struct opt OPTIONS[] = {
	{0, "control-fd", "N", OPT_I64, offsetof(struct options, control_fd),
	 "an inherited SOCK_SEQPACKET socket: the first client (required)"},
	{0, "cgroup", "PATH", OPT_STRING, offsetof(struct options, cgroup),
	 "enter this control group; made where missing"},
	{0, "version", NULL, OPT_FLAG, offsetof(struct options, version), "print the version and exit"},
	{0},
};

static void print_help(void)
{
	(void)printf("Usage: axmon --control-fd N [OPTIONS]\n"
		     "\n"
		     "Looks after one container: runs the OCI runtime, keeps the container's stdio, writes its log,\n"
		     "records its exit. Started by axled, which speaks to it; see axmon(8).\n"
		     "\n"
		     "Options:\n");
	opt_print_help(stdout, OPTIONS);
}

/* Are we in this group of the v2 tree already? A client that could had us born there (monitor_spawn()). */
static bool is_in_v2_group(const char *path)
{
	scoped_done(buf_done) struct buf text = {.max = 65536};
	if (file_read_at(AT_FDCWD, "/proc/self/cgroup", &text, NULL) < 0)
		return false;
	const char *line = text.data ? strstr(text.data, "0::/") : NULL; /* v2's line is the last (cgroups(7)) */
	size_t length = strlen(path);
	return line && strncmp(line + 4, path, length) == 0 && line[4 + length] == '\n';
}

/* The path of a v1 group and of a v2 group is one: "/NODE/monitors". The process is single-threaded still, which makes
 * entering cheap (core/sys/cgroup.h). */
static int enter_cgroup(const char *path, struct err *err)
{
	struct cgroup_layout layout;
	int r = cgroup_layout_open(CGROUP_ROOT, &layout, err);
	if (r < 0)
		return r;
	struct cgroup group;
	int fds[CGROUP_HIERARCHIES_MAX];
	path += path[0] == '/';
	r = cgroup_make(&layout, path, &group, err);
	if (r == 0) {
		r = cgroup_open_entries(&group, !is_in_v2_group(path), fds, err);
		if (r == 0)
			r = cgroup_enter(fds, err);
		cgroup_done(&group);
	}
	cgroup_layout_done(&layout);
	return r;
}

/* Of what was inherited only the socket and stderr stay; a session of its own: no terminal's and no parent's signals. */
static int detach(int control_fd, struct err *err)
{
	(void)setsid(); /* fails where we lead one already */
	(void)umask(022);
	if (chdir("/") < 0)
		return err_sys(err, -errno, "monitor.detach", "change to /");
	static const int IGNORED[] = {SIGPIPE, SIGHUP,  SIGINT,  SIGQUIT, SIGTERM,
				      SIGUSR1, SIGUSR2, SIGTSTP, SIGTTIN, SIGTTOU};
	for (size_t i = 0; i < sizeof IGNORED / sizeof *IGNORED; i++)
		(void)signal(IGNORED[i], SIG_IGN);
	sigset_t none;
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (control_fd > 3)
		(void)syscall(SYS_close_range, 3U, (unsigned)control_fd - 1, 0U);
	(void)syscall(SYS_close_range, (unsigned)control_fd + 1, ~0U, 0U);
	return fcntl(control_fd, F_SETFD, FD_CLOEXEC) < 0
		       ? err_sys(err, -errno, "monitor.detach", "take over descriptor %d", control_fd)
		       : 0;
}

static int check_socket(int fd, struct err *err)
{
	int type = 0;
	socklen_t size = sizeof type;
	if (fd < 3 || getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_SEQPACKET)
		return err_set(
			err, -EINVAL, "monitor.control-fd",
			"--control-fd %d: expected the number (3 or more) of an inherited SOCK_SEQPACKET socket; "
			"axmon is started by axled, not by hand",
			fd);
	return 0;
}

/* Says nothing from here on: its stderr may be a pipe that nobody reads any more. Clients are told. */
static void close_stdio(void)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; null_fd >= 0 && fd < 3; fd++)
		(void)dup2(null_fd, fd);
	if (null_fd > 2)
		(void)close(null_fd);
}

static int run(const struct options *options, struct err *err)
{
	int control_fd = (int)options->control_fd;
	int r = check_socket(control_fd, err);
	if (r == 0)
		r = detach(control_fd, err);
	if (r == 0 && options->cgroup)
		r = enter_cgroup(options->cgroup, err);
	if (r == 0)
		r = privileges_drop(err);
	struct monitor *monitor = r == 0 ? calloc(1, sizeof *monitor) : NULL;
	if (r == 0 && !monitor)
		r = err_sys(err, -ENOMEM, "monitor.memory", "start");
	if (r == 0)
		r = monitor_init(monitor, control_fd, err);
	if (r < 0) {
		free(monitor);
		return r;
	}
	close_stdio();
	r = monitor_run(monitor);
	monitor_done(monitor);
	free(monitor);
	return r;
}

int main(int argc, char **argv)
{
	(void)argc;
	struct log log = log_to_stderr("axmon");
	struct options options = {.control_fd = -1};
	struct err err = {0};
	int first = 0;
	int r = opt_parse(OPTIONS, argv, false, &options, &first, &err);
	if (r == OPT_HELP) {
		print_help();
		return EXIT_SUCCESS;
	}
	if (r == 0 && options.version) {
		(void)printf("axmon %s\n", AXLE_VERSION);
		return EXIT_SUCCESS;
	}
	if (r == 0 && argv[first])
		r = err_set(&err, -EINVAL, "monitor.usage", "%s: expected no argument; see axmon --help", argv[first]);
	if (r == 0)
		r = run(&options, &err);
	if (r < 0) {
		log_err(&log, &err, r, "axmon");
		return EXIT_USAGE;
	}
	return EXIT_SUCCESS;
}
