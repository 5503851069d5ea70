/* The one container that this monitor looks after: its life from create to the recorded exit, its stdio and its log.
 * It reports by callbacks and knows nothing of clients. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/arena.h"
#include "runtime/include/axle/monitor.h"
#include "runtime/src/monitor/console.h"
#include "runtime/src/monitor/failure.h"
#include "runtime/src/monitor/input.h"
#include "runtime/src/monitor/log_sink.h"
#include "runtime/src/monitor/loop.h"
#include "runtime/src/monitor/oom.h"
#include "runtime/src/monitor/output.h"
#include "runtime/src/monitor/reaper.h"
#include "runtime/src/monitor/record.h"
#include "runtime/src/monitor/runtime_command.h"

struct log_queue;

/* What becomes of it; each may be NULL. @failure NULL: it succeeded. */
struct container_events {
	void (*created)(void *owner, const struct failure *failure);
	void (*started)(void *owner, const struct failure *failure);
	void (*exited)(void *owner);  /* and recorded */
	void (*settled)(void *owner); /* after that: its output has ended too */
	void (*stdin_closed)(void *owner);
	void (*log_reopened)(void *owner, int code, const struct err *err);
	void *owner;
};

struct container {
	struct loop *loop;
	struct reaper *reaper;
	struct container_events events;

	struct arena arena; /* holds config */
	struct monitor_config config;
	int record_dir_fd;
	int lock_fd;
	enum monitor_phase phase;

	struct log_queue *log;
	struct log_sink sink;
	bool reopening;
	struct output outputs[2]; /* stdout, stderr; with a tty only the first */
	struct input input;
	struct console console;
	struct record_pipes pipes;

	struct runtime_command command; /* create or start */
	struct child init;              /* while it is our child */
	struct watch init_watch;        /* of the pidfd: an adopted one */
	struct timer status_timer;      /* asks again for an adopted one's exit status */
	unsigned status_retries;
	int pidfd;
	pid_t pid;
	uint64_t pid_start;
	struct oom oom;
	int64_t created_ns;
	int64_t started_ns;

	bool ended; /* init is gone; what follows is in container_end.c */
	bool recorded;
	struct child_status status;
	bool status_lost;
	struct timer end_timer; /* the longest wait for its last output; then tries to write the record again */
	char start_failure[RUNTIME_MESSAGE_MAX];
	struct monitor_exit exit; /* in phase MONITOR_STOPPED; strings static, in arena, or start_failure */
};

void container_init(struct container *container, struct loop *loop, struct reaper *reaper,
		    const struct container_events *events);
void container_done(struct container *container);

/* Checks the configuration (which moves here with its arena), takes the record directory's lock, opens the log.
 * Errors: -EINVAL ("monitor.config"), -EBUSY ("monitor.alive"), those of the log. */
int container_configure(struct container *container, struct arena *arena, const struct monitor_config *config,
			struct err *err);

/* Runs the runtime's create; events.created follows. @rootfs_fd: -1, or passed on to the runtime (stays the caller's, who
 * closes it when this returns). Errors: as returned; events.created is not called then. */
int container_create(struct container *container, int rootfs_fd, struct err *err);

/* Runs the runtime's start; events.started follows. Errors: -EBUSY, -ESRCH ("monitor.phase"). */
int container_start(struct container *container, struct err *err);

/* Descriptors that a client kept over the end of the former monitor; -1: lost. All are taken over. */
struct container_kept {
	int pidfd, input, output, error, pty;
};

/* Goes on with a container that lives without a monitor, or has ended meanwhile (then events.exited follows).
 * Errors: -ENOENT (there is neither a record nor a pid), those of the record. */
int container_adopt(struct container *container, struct container_kept *kept, struct err *err);

/* By pidfd. Errors: -ESRCH ("monitor.phase"), those of pidfd_send_signal(2). */
int container_signal(struct container *container, int signal, struct err *err);

/* Errors: -ENOTTY ("monitor.no-tty"). */
int container_resize(struct container *container, unsigned rows, unsigned columns, struct err *err);

/* events.log_reopened follows. Errors: -EBUSY. */
int container_reopen_log(struct container *container, struct err *err);

/* Names and descriptors (borrowed) of what a client may keep; returns how many of at most MONITOR_FDS_MAX. */
size_t container_descriptors(const struct container *container, const char *ret_names[MONITOR_FDS_MAX + 1],
			     int ret_fds[MONITOR_FDS_MAX]);

uint64_t container_log_dropped(const struct container *container);

/* Has everything come to its end: recorded, and no more output to take? */
bool container_is_settled(const struct container *container);

/* ---- between the container's own files ---- */

/* Writes monitor.json. Errors: those of file_replace_at(). */
int container_write_state(struct container *container, struct err *err);

/* Init has ended: takes the last output, then records the exit. container_end.c */
void container_end(struct container *container);
void container_end_init(struct container *container);

/* Init runs and is known by pid: watches memory, begins to read its output. container.c */
void container_begin(struct container *container);
