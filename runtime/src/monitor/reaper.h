/* The monitor's children: runtime commands, and as a subreaper the container's init and exec'd processes, whose number it
 * learns only after the runtime has ended. All zombies are collected; the statuses of unknown ones are kept while somebody may
 * still ask for them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "runtime/src/monitor/loop.h"

struct err;

#define REAPER_STRAYS_MAX 256

struct child_status {
	int exit_code; /* 0..255; 128 + signal */
	int signal;    /* 0: none */
};

struct child {
	pid_t pid;
	void (*ended)(struct child *child, const struct child_status *status); /* the child is removed before */
	void *owner;
	struct child *next;
};

struct reaper {
	struct loop *loop;
	struct watch watch; /* of a signalfd for SIGCHLD */
	struct child *children;
	unsigned commands; /* running runtime commands: their offspring may still be claimed */
	struct {
		pid_t pid;
		struct child_status status;
	} strays[REAPER_STRAYS_MAX]; /* the latest unknown ones */
	size_t stray_count;
};

/* Blocks SIGCHLD and becomes a subreaper. Errors: of signalfd(2). */
int reaper_init(struct reaper *reaper, struct loop *loop, struct err *err);
void reaper_done(struct reaper *reaper);

/* Waits for @child->pid, a child that this process has just made. */
void reaper_add(struct reaper *reaper, struct child *child);

/* Waits for @child->pid, a process that became a child when the runtime that made it ended. Returns 0, or 1 where it has
 * ended already (*ret_status; ended() is not called). */
int reaper_claim(struct reaper *reaper, struct child *child, struct child_status *ret_status);
void reaper_remove(struct reaper *reaper, struct child *child);

/* Between them, statuses of unknown children are kept. */
void reaper_begin_command(struct reaper *reaper);
void reaper_end_command(struct reaper *reaper);

/* As waitid(2) and /proc give it (wait(2)'s encoding). */
struct child_status child_status_of_wait(int wait_status);
