/* The record of one container: a directory below the state root (docs/formats/runtime-state.md).
 *
 *	ROOT/ID/lock         flock()ed by the command that changes the container
 *	ROOT/ID/state.json   struct state, replaced atomically
 *	ROOT/ID/config.json  the configuration it was created with
 *	ROOT/ID/start.sock   where its first process waits for `start`; exists while the container is "created"
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/arena.h"
#include "core/base/scoped.h"

struct err;
struct json_table;

#define STATE_VERSION 1
#define STATE_BYTES_MAX (1 << 20)
#define CONFIG_BYTES_MAX (4 << 20)
#define CONTAINER_ID_MAX 1024
#define START_SOCKET "start.sock"

struct state {
	uint64_t version;
	const char *id;
	const char *bundle;
	const char *rootfs;
	const char *created; /* RFC 3339 */
	uint32_t owner;	     /* uid of the caller */
	int32_t pid;	     /* 0: not there yet (a half-made container) */
	uint64_t pid_start;  /* clock ticks since boot: tells a reused pid */
	const char *cgroup;  /* path in every hierarchy; NULL: none was made */
	uint64_t namespaces; /* CLONE_NEW* that the container does not share with axrun */
	bool pid_namespace_new;
};

extern const struct json_table STATE;

/* An open container directory with its decoded record. */
struct container {
	struct arena arena;
	struct state state;
	char *id;
	int root_fd; /* the state root */
	int dir_fd;
	int lock_fd;
	char *dir_path;
};

enum container_status {
	CONTAINER_CREATING,
	CONTAINER_CREATED,
	CONTAINER_RUNNING,
	CONTAINER_PAUSED,
	CONTAINER_STOPPED,
};

/* Is @id a name that we accept: letters, digits, "_", "+", "-", "."; no "." in front? */
bool container_id_is_valid(const char *id);

/* Makes the directory for a new container, locked, without a record.
 * Errors: -EEXIST, -EINVAL (id), of mkdir(2). */
int container_reserve(const char *root, const char *id, struct container **ret_container, struct err *err);

enum container_lock {
	LOCK_NONE,
	LOCK_WAIT, /* until another command on this container is done */
};

/* Opens an existing container. Errors: -ENOENT; -EUCLEAN (record damaged or of another version; @err says which):
 * with @damaged_too such a container is opened all the same, with an empty record. */
int container_open(const char *root, const char *id, enum container_lock lock, bool damaged_too,
		   struct container **ret_container, struct err *err);

/* Closes; the lock is released, the directory stays. */
void container_free(struct container *container);
SCOPED_DEFINE(struct container, container_free)

/* Writes the record. */
int container_save(struct container *container, struct err *err);

/* Decodes a record. Errors: -EUCLEAN (@err: what is wrong with it). */
int state_decode(const char *text, size_t length, struct arena *arena, struct state *ret_state, struct err *err);

/* Removes the directory with all that is in it. */
int container_remove(struct container *container, struct err *err);

/* What the container is doing now; asks the kernel. Needs no lock. */
enum container_status container_status(const struct container *container);
const char *container_status_name(enum container_status status);

/* Opens the first process, or -ESRCH where it has ended (also: where its pid has been reused). */
int container_open_process(const struct container *container, int *ret_pidfd);
