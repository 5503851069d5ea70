/* How a container ends: its last output is taken, memory kills are counted, the exit is recorded, then reported. */
#include <stdio.h>
#include <string.h>

#include "core/base/err.h"
#include "runtime/src/monitor/container.h"
#include "runtime/src/monitor/log_queue.h"

#define LAST_OUTPUT_MS 500 /* for what a process outside of the pid namespace, or a slow reader, holds back */
#define RECORD_RETRY_MS 1000
#define EXIT_LOST 255

static bool output_is_taken(const struct container *container)
{
	for (size_t i = 0; i < 2; i++) {
		const struct output *output = &container->outputs[i];
		bool taken = container->config.tty ? output->fd < 0 : output_is_drained(output);
		if (!taken)
			return false;
	}
	return log_queue_flushed(container->log);
}

static const char *reason_of(const struct container *container, bool oom_killed)
{
	if (container->status_lost)
		return "monitor-lost";
	if (container->start_failure[0])
		return "start-failed";
	if (oom_killed)
		return "oom-killed";
	return container->status.signal ? "signaled" : "exited";
}

static void fill_exit(struct container *container)
{
	uint64_t kills = oom_kills(&container->oom);
	int code = container->status_lost ? EXIT_LOST : container->status.exit_code;
	bool oom_killed = kills > 0 && code != 0;
	container->exit = (struct monitor_exit){
		.version = MONITOR_RECORD_VERSION,
		.id = container->config.id,
		.pid = container->pid,
		.exit_code = code,
		.signal = container->status.signal,
		.oom_killed = oom_killed,
		.oom_kills = kills,
		.created_ns = container->created_ns,
		.started_ns = container->started_ns,
		.finished_ns = wall_now_ns(),
		.reason = reason_of(container, oom_killed),
		.message = container->start_failure[0] ? container->start_failure : NULL,
	};
}

/* The record first: who is told of the exit finds it. Where /run is full it is tried again, and the clients are told. */
static void finish(struct container *container)
{
	if (record_exit_write(container->record_dir_fd, &container->exit, NULL) < 0)
		loop_timer_set(container->loop, &container->end_timer, RECORD_RETRY_MS);
	else
		container->recorded = true;
	if (container->phase == MONITOR_STOPPED)
		return;
	container->phase = MONITOR_STOPPED;
	container->events.exited(container->events.owner);
}

static void on_end_timer(struct timer *timer)
{
	finish(timer->owner);
	container_end(timer->owner);
}

void container_end_init(struct container *container)
{
	container->end_timer = (struct timer){.expired = on_end_timer, .owner = container};
}

/* Called whenever something may have brought the end nearer. */
void container_end(struct container *container)
{
	bool has_container = container->phase == MONITOR_CREATED || container->phase == MONITOR_RUNNING;
	if (container->phase == MONITOR_STOPPED && container_is_settled(container))
		container->events.settled(container->events.owner);
	if (!container->ended || !has_container || container->command.running)
		return; /* a start that is under way is reported before the exit */
	if (container->exit.version == 0) {
		fill_exit(container); /* at once: whoever hears of the end from elsewhere removes the memory group */
		loop_timer_set(container->loop, &container->end_timer, LAST_OUTPUT_MS);
		input_close(&container->input);
	}
	if (!output_is_taken(container))
		return;
	loop_timer_cancel(container->loop, &container->end_timer);
	finish(container);
}

bool container_is_settled(const struct container *container)
{
	if (container->phase == MONITOR_FAILED)
		return true;
	return container->recorded && container->outputs[0].fd < 0 && container->outputs[1].fd < 0;
}
