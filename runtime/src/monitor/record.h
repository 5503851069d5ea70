/* The files in a container's record directory (docs/formats/exit-record.md). */
#pragma once

#include <stdint.h>

#include "core/codec/json.h"
#include "runtime/include/axle/monitor.h"

#define RECORD_BYTES_MAX 16384
#define RECORD_LOCK_FILE "lock"

extern const struct json_table MONITOR_EXIT_TABLE;

/* Inode numbers of the container's pipes, to know them again in /proc/PID/fd; 0: none. */
struct record_pipes {
	uint64_t input, output, error;
};

/* monitor.json: what a new monitor needs to adopt the container. */
struct record_state {
	uint32_t version;
	const char *id;
	const char *phase;
	int32_t pid;
	uint64_t pid_start; /* field 22 of /proc/PID/stat: tells a reused pid */
	int64_t created_ns;
	int64_t started_ns;
	struct record_pipes pipes;
};

/* Bytes -> struct. Errors: -EINVAL ("record.malformed"), -ENOTSUP ("record.version"), -ENOMEM. */
int record_exit_decode(const char *bytes, size_t size, struct arena *arena, struct monitor_exit *ret_exit,
		       struct err *err);
int record_state_decode(const char *bytes, size_t size, struct arena *arena, struct record_state *ret_state,
			struct err *err);

/* Replaces the file, atomically. Errors: those of file_replace_at(). */
int record_exit_write(int dir_fd, const struct monitor_exit *exit, struct err *err);
int record_state_write(int dir_fd, const struct record_state *state, struct err *err);

/* As monitor_exit_read(). */
int record_state_read(int dir_fd, struct arena *arena, struct record_state *ret_state, struct err *err);

/* Takes the lock that a living monitor holds; released when the descriptor is closed.
 * Returns the descriptor. Errors: -EBUSY (another monitor lives), those of open(2). */
int record_lock(int dir_fd);
