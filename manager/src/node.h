/* The one context of axled: what it was started with, what it knows, what it runs. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "core/base/arena.h"
#include "core/base/log.h"
#include "core/sys/cgroup.h"
#include "manager/src/config.h"
#include "manager/src/events.h"
#include "manager/src/fiber.h"
#include "manager/src/helper.h"
#include "manager/src/idtable.h"

struct err;
struct image_store;
struct cri_listeners;
struct layer_walker;
struct monitors;
struct networks;
struct pull_table;
struct runtime_knowledge;

#define NODE_NAME_MAX 64

/* Whose socket a request came through: what it may see and touch. */
enum owner {
	OWNER_AXLE, /* the command line */
	OWNER_CRI,  /* a kubelet */
	OWNER_COUNT,
};

const char *owner_name(enum owner owner);

/* Errors: -EINVAL. */
int owner_parse(const char *text, enum owner *ret_owner);

struct node_options {
	const char *root;	/* absolute; NULL: /var/lib/axle */
	const char *state;	/* absolute; NULL: /run/axle */
	const char *config;	/* NULL: /etc/axle/axled.toml, which may be missing */
	const char *name;	/* NULL: made of the root */
	const char *log_level;	/* NULL: the configuration's */
};

/* Directories that stay open, and their paths. */
struct node_places {
	const char *root;
	const char *state;
	const char *config;
	const char *pins;	/* STATE/ns */
	const char *pods;	/* STATE/pods: files of pods */
	const char *containers; /* STATE/containers: bundles and records of monitors */
	const char *rootfs;	/* ROOT/rootfs: writable layers */
	const char *logs;	/* ROOT/logs: of containers without a log of their own */
	int root_fd;
	int state_fd;
	int pod_records_fd;	  /* ROOT/pods */
	int container_records_fd; /* ROOT/containers */
	int containers_fd;	  /* STATE/containers */
	int images_fd;		  /* ROOT/images */
	int root_lock_fd;
	int state_lock_fd;
};

struct node {
	uv_loop_t *loop;
	struct log log;
	struct arena arena; /* what lives as long as the node */
	char name[NODE_NAME_MAX];
	struct config config;
	struct node_places places;
	struct fibers *fibers;
	struct helper_runner helper;
	struct cgroup_layout cgroups;
	struct cgroup helpers_group;
	struct cgroup plugins_group; /* of CNI; once cni_plugins_settle() was called */
	struct idtable pods;	   /* struct pod */
	struct idtable containers; /* struct container */
	struct image_store *images;
	struct pull_table *pulls;
	struct fiber_lock removals; /* of images */
	struct events *events;
	struct cri_listeners *cri_listeners;
	struct layer_walker *layers;
	struct monitors *monitors;
	struct runtime_knowledge *runtimes; /* what they can do, once asked (runtimes.h) */
	struct networks *networks;
	struct streaming *streaming;
	uint64_t cni_runs; /* of plugins so far: names of their groups */
	const char *pod_cidr; /* of UpdateRuntimeConfig: "10.0.0.0/24,fd00::/64"; NULL: none (for the capability ipRanges) */
	int64_t started_ns;
	uint64_t bounding_capabilities; /* what axled may give at most */
	bool rebooted;			/* this start is the first after a boot */
	bool stopping;
};

/* Makes and locks the places, reads the configuration. Errors: -EINVAL, -EBUSY (another axled has the root or the state),
 * -ENOTSUP (the root is of a newer Axle). */
int node_open(struct node *node, const struct node_options *options, struct err *err);
void node_close(struct node *node);

/* "axle" for the default root, else "axle-" and a hash of it. */
void node_name_of_root(const char *root, char ret_name[NODE_NAME_MAX]);

/* Lower-case letters, digits, '-', '_' and '.', at most 63, beginning with a letter or digit. */
bool node_name_is_valid(const char *name);

/* Nanoseconds since the epoch. */
int64_t node_now_ns(void);
