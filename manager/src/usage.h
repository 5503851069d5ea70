/* What containers and pods use of the machine: samples of their cgroups and of a pod's network, read by a worker thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/sys/cgroup_stats.h"
#include "core/sys/net_dev.h"
#include "manager/src/usage_figures.h"

struct container;
struct err;
struct node;
struct pod;

#define USAGE_RATE_MIN_MS 1000 /* the shortest time that a rate is taken over */

struct usage_sample {
	const char *cgroup; /* NULL: none is read */
	int net_dev_fd;	    /* /proc/net/dev of the pod's namespace; -1: none is read */
	int64_t at_ns;	    /* since the epoch */
	struct cgroup_stats stats;
	struct net_dev *devices; /* malloc()ed; NULL: none known */
	size_t devices_count;
};

void usage_sample_done(struct usage_sample *sample);

/* Reads all samples. Parks. Errors: -ENOMEM. */
int usage_read(struct node *node, struct usage_sample *samples, size_t count);

/* Takes the sample into account; @since_ns: when the group was made, since the epoch. Returns core-nanoseconds a second. */
uint64_t usage_rate_update(struct usage_rate *rate, const struct usage_sample *sample, int64_t since_ns);

/* A descriptor of the pod's /proc/net/dev, opened by a helper and kept in the pod until it is stopped; -1 where the pod has
 * the host's network or is not ready. Parks the first time. Errors: of the helper. */
int usage_open_network(struct pod *pod, int *ret_fd, struct err *err);

/* Closes it: it would keep the namespace alive. */
void usage_close_network(struct pod *pod);
