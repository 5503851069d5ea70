#include "runtime/src/monitor/reaper.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/err.h"

struct child_status child_status_of_wait(int wait_status)
{
	if (WIFSIGNALED(wait_status))
		return (struct child_status){.exit_code = 128 + WTERMSIG(wait_status), .signal = WTERMSIG(wait_status)};
	return (struct child_status){.exit_code = WEXITSTATUS(wait_status)};
}

static struct child *find(const struct reaper *reaper, pid_t pid)
{
	struct child *child = reaper->children;
	while (child && child->pid != pid)
		child = child->next;
	return child;
}

/* The oldest is overwritten: who asks does so within one runtime command. */
static void keep_stray(struct reaper *reaper, pid_t pid, struct child_status status)
{
	if (reaper->commands == 0)
		return;
	size_t slot = reaper->stray_count++ % REAPER_STRAYS_MAX;
	reaper->strays[slot].pid = pid;
	reaper->strays[slot].status = status;
}

static void collect(struct reaper *reaper)
{
	for (;;) {
		int wait_status = 0;
		pid_t pid = waitpid(-1, &wait_status, WNOHANG);
		if (pid < 0 && errno == EINTR)
			continue;
		if (pid <= 0)
			return;
		struct child_status status = child_status_of_wait(wait_status);
		struct child *child = find(reaper, pid);
		if (!child) {
			keep_stray(reaper, pid, status);
			continue;
		}
		reaper_remove(reaper, child);
		child->ended(child, &status);
	}
}

static void on_signal(struct watch *watch, uint32_t events)
{
	(void)events;
	struct signalfd_siginfo info;
	(void)!read(watch->fd, &info, sizeof info); /* how many does not matter: all are collected */
	collect(watch->owner);
}

int reaper_init(struct reaper *reaper, struct loop *loop, struct err *err)
{
	*reaper = (struct reaper){.loop = loop, .watch = {.fd = -1, .ready = on_signal, .owner = reaper}};
	sigset_t mask;
	(void)sigemptyset(&mask);
	(void)sigaddset(&mask, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return err_sys(err, -errno, "monitor.reaper", "become a subreaper");
	int fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return err_sys(err, -errno, "monitor.reaper", "make a signalfd");
	int r = loop_watch(loop, &reaper->watch, fd, EPOLLIN);
	return r < 0 ? err_sys(err, r, "monitor.reaper", "watch for children") : 0;
}

void reaper_done(struct reaper *reaper)
{
	if (!reaper->loop || reaper->watch.fd < 0)
		return;
	int fd = reaper->watch.fd;
	loop_unwatch(reaper->loop, &reaper->watch);
	(void)close(fd);
}

void reaper_add(struct reaper *reaper, struct child *child)
{
	child->next = reaper->children;
	reaper->children = child;
}

int reaper_claim(struct reaper *reaper, struct child *child, struct child_status *ret_status)
{
	for (size_t i = 0; i < REAPER_STRAYS_MAX; i++) {
		if (reaper->strays[i].pid != child->pid)
			continue;
		*ret_status = reaper->strays[i].status;
		reaper->strays[i].pid = 0;
		return 1;
	}
	reaper_add(reaper, child);
	return 0;
}

void reaper_remove(struct reaper *reaper, struct child *child)
{
	for (struct child **link = &reaper->children; *link; link = &(*link)->next) {
		if (*link != child)
			continue;
		*link = child->next;
		child->next = NULL;
		return;
	}
}

void reaper_begin_command(struct reaper *reaper)
{
	reaper->commands++;
}

void reaper_end_command(struct reaper *reaper)
{
	if (--reaper->commands > 0)
		return;
	for (size_t i = 0; i < REAPER_STRAYS_MAX; i++)
		reaper->strays[i].pid = 0; /* the number may belong to another process from now on */
	reaper->stray_count = 0;
}
