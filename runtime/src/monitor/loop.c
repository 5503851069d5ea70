#include "runtime/src/monitor/loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "core/base/err.h"

#define NS_PER_S 1000000000
#define NS_PER_MS 1000000

static int64_t clock_ns(clockid_t clock)
{
	struct timespec now = {0};
	(void)clock_gettime(clock, &now); /* cannot fail with these clocks */
	return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

uint64_t loop_now_ns(void)
{
	return (uint64_t)clock_ns(CLOCK_MONOTONIC);
}

int64_t wall_now_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

int loop_init(struct loop *loop, struct err *err)
{
	*loop = (struct loop){.epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
	return loop->epoll_fd < 0 ? err_sys(err, -errno, "monitor.loop", "make an epoll instance") : 0;
}

void loop_done(struct loop *loop)
{
	if (loop->epoll_fd >= 0)
		(void)close(loop->epoll_fd);
	loop->epoll_fd = -1;
}

int loop_watch(struct loop *loop, struct watch *watch, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = watch};
	if (watch->fd == fd && watch->events == events)
		return 0;
	int operation = watch->fd == fd ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	if (watch->fd >= 0 && watch->fd != fd)
		loop_unwatch(loop, watch);
	if (epoll_ctl(loop->epoll_fd, operation, fd, &event) < 0)
		return -errno;
	watch->fd = fd;
	watch->events = events;
	return 0;
}

void loop_unwatch(struct loop *loop, struct watch *watch)
{
	if (watch->fd >= 0)
		(void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL); /* gone is what we want */
	watch->fd = -1;
}

void loop_timer_cancel(struct loop *loop, struct timer *timer)
{
	if (timer->due_ns == 0)
		return;
	for (struct timer **link = &loop->timers; *link; link = &(*link)->next) {
		if (*link != timer)
			continue;
		*link = timer->next;
		break;
	}
	timer->due_ns = 0;
	timer->next = NULL;
}

/* The list is kept in the order of due times. */
void loop_timer_set(struct loop *loop, struct timer *timer, uint64_t delay_ms)
{
	loop_timer_cancel(loop, timer);
	timer->due_ns = loop_now_ns() + delay_ms * NS_PER_MS;
	struct timer **link = &loop->timers;
	while (*link && (*link)->due_ns <= timer->due_ns)
		link = &(*link)->next;
	timer->next = *link;
	*link = timer;
}

/* Milliseconds until the next timer, rounded up; -1: none. */
static int wait_ms(const struct loop *loop)
{
	if (!loop->timers)
		return -1;
	uint64_t now = loop_now_ns();
	if (loop->timers->due_ns <= now)
		return 0;
	uint64_t ms = (loop->timers->due_ns - now + NS_PER_MS - 1) / NS_PER_MS;
	return ms > 3600000 ? 3600000 : (int)ms;
}

static void fire_timers(struct loop *loop)
{
	uint64_t now = loop_now_ns();
	while (loop->timers && loop->timers->due_ns <= now) {
		struct timer *timer = loop->timers;
		loop_timer_cancel(loop, timer);
		timer->expired(timer);
	}
}

int loop_run(struct loop *loop)
{
	while (!loop->stop) {
		struct epoll_event event;
		int count = epoll_wait(loop->epoll_fd, &event, 1, wait_ms(loop));
		if (count < 0 && errno != EINTR)
			return -errno;
		if (count == 1) {
			struct watch *watch = event.data.ptr;
			watch->ready(watch, event.events);
		}
		fire_timers(loop);
	}
	return 0;
}
