/* Pods in memory: what is recorded of them and what is going on with them. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/scoped.h"
#include "manager/src/fiber.h"
#include "manager/src/idtable.h"
#include "manager/src/membership.h"
#include "manager/src/node.h"
#include "manager/src/record.h"
#include "manager/src/usage_figures.h"
#include "proto/cri.h"

struct err;

enum pod_phase {
	POD_CREATING, /* recorded, not yet all made */
	POD_READY,
	POD_STOPPED,
	POD_REMOVING,
	POD_PHASE_COUNT,
};

struct pod {
	char id[ID_TEXT_MAX]; /* first: struct idtable */
	unsigned refs;
	struct node *node;
	struct arena arena; /* of the record and the configuration */
	struct pod_record record;
	json_t *document; /* of record.config */
	const Cri__PodSandboxConfig *config;
	struct membership network; /* of record.network */
	enum owner owner;
	enum pod_phase phase;
	struct fiber_lock lock; /* held while it is made, stopped, removed, and while containers are made or started in it.
				   Taken before the lock of a container. */
	struct usage_rate cpu_rate;
	int net_dev_fd; /* usage_open_network(); -1 */
	uint64_t generation;	/* ... of its record, see pod_save() */
	struct process_watch *init; /* of its pid namespace; NULL: none (pod_init.h) */
	int init_pid;
	struct arena resources_arena; /* of its configuration's resources, once they were updated */
	bool limited;		      /* its group had limits of its own */
};

/* A pod of @owner by this configuration, not yet in the node's table nor recorded. Its only reference is the caller's.
 * Errors: -EINVAL, -ENOMEM. */
int pod_new(struct node *node, enum owner owner, const char *runtime_handler, const Cri__PodSandboxConfig *config,
	    struct pod **ret_pod, struct err *err);

/* A pod out of its record ("ID.json"). Blocks. */
int pod_load(struct node *node, const char *name, struct pod **ret_pod, struct err *err);

struct pod *pod_ref(struct pod *pod);
void pod_unref(struct pod *pod);
SCOPED_DEFINE(struct pod, pod_unref)

/* Moves to @phase and records it. Parks. */
int pod_save(struct pod *pod, enum pod_phase phase, struct err *err);

/* Finds a pod that @owner may see by id or a unique prefix. The caller gets a reference. Errors: -ENOENT, -EEXIST. */
int pod_find(const struct node *node, enum owner owner, const char *id, struct pod **ret_pod, struct err *err);

/* The pod with the same name, uid, namespace and attempt, or NULL (borrowed). */
struct pod *pod_find_by_metadata(const struct node *node, enum owner owner, const Cri__PodSandboxMetadata *metadata);

/* Removes it from the node's table, where it was in. */
void pod_forget(struct pod *pod);

const char *pod_phase_name(enum pod_phase phase);

/* Its namespaces as asked for; defaults are filled in. */
struct pod_namespaces {
	bool host_network;
	bool host_ipc;
	Cri__NamespaceMode pid;
};

struct pod_namespaces pod_namespaces(const Cri__PodSandboxConfig *config);

/* Directories of this pod; malloc()ed. NULL when out of memory. */
char *pod_pins_path(const struct pod *pod);
char *pod_files_path(const struct pod *pod);
