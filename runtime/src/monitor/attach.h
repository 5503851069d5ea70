/* Attached clients: each has a pipe of its own for every stream it asked for. */
#pragma once

#include <stddef.h>

#include "runtime/include/axle/monitor.h"

struct attachment;
struct container;
struct err;

#define ATTACH_MAX 16
#define ATTACH_PATIENCE_MAX_MS 60000

struct attach_set {
	struct container *container;
	struct attachment *attachments;
	size_t count;
};

/* What the client gets: its ends of the pipes, to be closed once they are sent. */
struct attach_ends {
	const char *names[MONITOR_FDS_MAX + 1];
	int fds[MONITOR_FDS_MAX];
	size_t count;
};

void attach_ends_done(struct attach_ends *ends);

/* Errors: -EBUSY ("monitor.limit"), -ESRCH ("monitor.phase"), -EINVAL (nothing asked for), -EMFILE. */
int attach_add(struct attach_set *set, const struct monitor_attach *wish, struct attach_ends *ret_ends,
	       struct err *err);

/* Ends all. */
void attach_set_done(struct attach_set *set);
