#include "signals/adaptors/adaptor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "core/base/err.h"

static int64_t clock_ns(clockid_t clock)
{
	struct timespec now = {0};
	(void)clock_gettime(clock, &now); /* cannot fail */
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t adaptor_now(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

int64_t adaptor_wall(void)
{
	return clock_ns(CLOCK_REALTIME);
}

int adaptor_parse(const struct adaptor_usage *usage, char **argv, void *values, int *ret_first, int *ret_status)
{
	struct err err = {0};
	if (argv[0] && argv[1] && strcmp(argv[1], "--version") == 0) {
		(void)printf("%s %s\n", usage->program, AXLE_VERSION);
		*ret_status = EXIT_SUCCESS;
		return 1;
	}
	int r = opt_parse(usage->options, argv, true, values, ret_first, &err);
	if (r == OPT_HELP) {
		(void)printf("Usage: %s %s\n%s\n\nOptions:\n", usage->program, usage->arguments, usage->what);
		opt_print_help(stdout, usage->options);
		*ret_status = EXIT_SUCCESS;
		return 1;
	}
	if (r < 0) {
		(void)fprintf(stderr, "%s: %s\n", usage->program, err_text(&err, r));
		*ret_status = 2;
		return 1;
	}
	return 0;
}

int adaptor_start(struct adaptor *adaptor, const char *name, struct err *err)
{
	sigset_t signals;
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &signals, NULL); /* none of these fails with these arguments */
	adaptor->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (adaptor->signal_fd < 0)
		return err_sys(err, -errno, "adaptor.signals", "signalfd");
	int r = axle_signal_open(adaptor->socket, name, &adaptor->signals);
	if (r < 0)
		return err_sys(err, r, "adaptor.connect", "connect to %s", adaptor->socket ? adaptor->socket : "the "
			"signal service");
	return 0;
}

void adaptor_stop(struct adaptor *adaptor)
{
	axle_signal_close(adaptor->signals);
	adaptor->signals = NULL;
	if (adaptor->signal_fd >= 0)
		(void)close(adaptor->signal_fd);
	adaptor->signal_fd = -1;
}

unsigned adaptor_wait(struct adaptor *adaptor, int fd, int64_t due_ns)
{
	struct pollfd fds[] = {
		{.fd = axle_signal_fd(adaptor->signals), .events = POLLIN},
		{.fd = adaptor->signal_fd, .events = POLLIN},
		{.fd = fd, .events = POLLIN},
	};
	(void)axle_signal_flush(adaptor->signals);
	int64_t left = due_ns - adaptor_now();
	if (left < 0)
		left = 0;
	struct timespec timeout = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
	int count = ppoll(fds, 3, due_ns == INT64_MAX ? NULL : &timeout, NULL);
	if (count < 0)
		return 0; /* EINTR: the caller comes again */
	if (fds[0].revents)
		(void)axle_signal_dispatch(adaptor->signals);
	if (fds[1].revents)
		adaptor->ended = true;
	unsigned events = fds[2].revents ? ADAPTOR_READABLE : 0;
	return events | (adaptor_now() >= due_ns ? ADAPTOR_DUE : 0);
}

int adaptor_settle(struct adaptor *adaptor, struct axle_signal_claim *const *claims, const char *const *paths, size_t count,
		   int timeout_ms)
{
	int64_t deadline = adaptor_now() + (int64_t)timeout_ms * 1000000;
	for (size_t i = 0; i < count && !adaptor->ended; i++)
		while (axle_signal_claim_error(claims[i]) == -EINPROGRESS && adaptor_now() < deadline && !adaptor->ended)
			(void)adaptor_wait(adaptor, -1, deadline);
	int standing = 0;
	for (size_t i = 0; i < count; i++) {
		int r = axle_signal_claim_error(claims[i]);
		standing += r == 0;
		if (r == -EINPROGRESS)
			log_warning(&adaptor->log, "adaptor.waiting", "%s: no answer from the service yet: %s", paths[i],
				    axle_signal_error(adaptor->signals));
		else if (r < 0)
			log_warning(&adaptor->log, "adaptor.refused", "%s: not provided: %s", paths[i], strerror(-r));
	}
	return standing;
}
