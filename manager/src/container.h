/* Containers in memory: what is recorded of them, their monitor, and how they ended. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/arena.h"
#include "core/base/scoped.h"
#include "manager/src/fiber.h"
#include "manager/src/idtable.h"
#include "manager/src/node.h"
#include "manager/src/pod.h"
#include "manager/src/record.h"
#include "manager/src/usage_figures.h"
#include "proto/cri.h"

struct err;
struct attachment;
struct exec_session;
struct monitor_link;

enum container_phase {
	CONTAINER_CREATING,
	CONTAINER_CREATED,
	CONTAINER_STARTED, /* asked to start: it runs, or a start was cut off */
	CONTAINER_EXITED,
	CONTAINER_REMOVING,
	CONTAINER_PHASE_COUNT,
};

#define CONTAINER_STDIO 4 /* duplicates kept for a new monitor: stdin, stdout, stderr, pty */

struct container {
	char id[ID_TEXT_MAX]; /* first: struct idtable */
	unsigned refs;
	struct node *node;
	struct pod *pod; /* a reference */
	struct arena arena;
	struct arena updated; /* of config, where its resources have been changed */
	struct container_record record;
	json_t *document; /* of record.config */
	json_t *cdi;	  /* of record.cdi */
	const Cri__ContainerConfig *config;
	enum owner owner;
	enum container_phase phase;
	struct fiber_lock lock;	     /* held while it is made, started, stopped, removed */
	struct fiber_signal changed; /* its phase has, or it is gone */
	struct exit_record exit;     /* what record.exit points to */
	struct error_record last_error;
	struct usage_rate cpu_rate;
	struct layer_usage layer;
	bool gone; /* removed: no longer in the node's table */

	struct monitor_link *monitor; /* NULL: none */
	bool monitor_ready;	      /* it answers; false while another one adopts the container */
	pid_t monitor_pid;
	pid_t pid;     /* of its init; 0: none */
	int pidfd;     /* -1: none */
	int rootfs_fd; /* the detached mount, between create and start; -1 */
	int target_fd; /* the pid namespace of the container it targets, during its start; -1 */
	int stdio[CONTAINER_STDIO];
	bool running;		       /* its start has succeeded and it has not ended */
	bool image_held;	       /* in the store */
	size_t volumes_held;	       /* of record.volume_images */
	bool cleaned;		       /* after its end: runtime's state, cgroup and mount are gone */
	struct attachment *attachments; /* those that wait for the start */
	struct exec_session *sessions;	/* processes beside the first one */
};

/* A container of @pod by this configuration, not yet in the node's table nor recorded. Its only reference is the caller's.
 * Errors: -EINVAL, -ENOMEM. */
int container_new(struct pod *pod, const Cri__ContainerConfig *config, struct container **ret_container,
		  struct err *err);

/* A container out of its record ("ID.json"), whose pod is in the node's table. Blocks.
 * Errors: those of record_read(); -ENOENT (its pod is unknown; *ret_container is set all the same, with pod NULL). */
int container_load(struct node *node, const char *name, struct container **ret_container, struct err *err);

struct container *container_ref(struct container *container);
void container_unref(struct container *container);
SCOPED_DEFINE(struct container, container_unref)

/* Moves to @phase, records it and wakes those who wait for a change. Parks. */
int container_save(struct container *container, enum container_phase phase, struct err *err);

/* Finds a container that @owner may see by id or a unique prefix. The caller gets a reference. Errors: -ENOENT, -EEXIST. */
int container_find(const struct node *node, enum owner owner, const char *id, struct container **ret_container,
		   struct err *err);

/* The same by id, prefix or name, of @owner first, of any owner where @all_owners. */
int container_find_by_name(const struct node *node, enum owner owner, bool all_owners, const char *text,
			   struct container **ret_container, struct err *err);

/* The container of @pod with the same name and attempt, or NULL (borrowed). */
struct container *container_find_by_metadata(const struct pod *pod, const Cri__ContainerMetadata *metadata);

/* Removes it from the node's table, where it was in, and wakes those who wait. */
void container_forget(struct container *container);

const char *container_phase_name(enum container_phase phase);
Cri__ContainerState container_cri_state(const struct container *container);

/* Notes how it ended (strings are copied). The caller saves it. */
int container_set_exit(struct container *container, const struct exit_record *exit, int64_t finished_ns);

/* Notes why something failed (strings are copied). The caller saves it. */
void container_set_last_error(struct container *container, const char *step, const char *runtime_message,
			      const struct err *err, int code);

/* Tells the watchers of events. */
void container_event(const struct container *container, const char *action);

/* Its directories; malloc()ed, NULL when out of memory. */
char *container_state_path(const struct container *container, const char *name); /* STATE/containers/ID[/NAME] */
char *container_rootfs_path(const struct container *container);			  /* ROOT/rootfs/ID */
