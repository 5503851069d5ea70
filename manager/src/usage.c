#include "manager/src/usage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/sys/cgroup.h"
#include "manager/src/pod.h"

#define NET_DEV_BYTES_MAX (64 << 10)
#define NET_DEV_STEP 4096
#define NS_PER_S UINT64_C(1000000000)

/* --- reading, in the thread pool --- */

struct reading {
	const struct cgroup_layout *layout;
	struct usage_sample *samples;
	size_t count;
};

/* From its beginning, up to the maximum: what is more is left out, lines stay whole (net_dev_parse()). */
static int read_from_start(int fd, struct buf *ret_text)
{
	for (;;) {
		char *tail = NULL;
		int r = buf_reserve(ret_text, NET_DEV_STEP, &tail);
		if (r < 0)
			return r == -EMSGSIZE ? 0 : r;
		ssize_t n = pread(fd, tail, NET_DEV_STEP, (off_t)ret_text->size);
		if (n <= 0)
			return n < 0 ? -errno : 0;
		buf_claim(ret_text, (size_t)n);
	}
}

static void read_network(struct usage_sample *sample)
{
	scoped_done(buf_done) struct buf text = {.max = NET_DEV_BYTES_MAX};
	if (read_from_start(sample->net_dev_fd, &text) < 0 || !text.data)
		return;
	sample->devices = calloc(NET_DEV_MAX, sizeof *sample->devices);
	if (sample->devices)
		sample->devices_count = net_dev_parse(text.data, sample->devices);
}

static void read_all(void *data)
{
	const struct reading *reading = data;
	for (size_t i = 0; i < reading->count; i++) {
		struct usage_sample *sample = &reading->samples[i];
		scoped_done(cgroup_done) struct cgroup group = {0};
		if (sample->cgroup && cgroup_open(reading->layout, sample->cgroup, &group) == 0)
			cgroup_stats_read(&group, &sample->stats);
		sample->at_ns = node_now_ns();
		if (sample->net_dev_fd >= 0)
			read_network(sample);
	}
}

void usage_sample_done(struct usage_sample *sample)
{
	free(sample->devices);
	sample->devices = NULL;
}

int usage_read(struct node *node, struct usage_sample *samples, size_t count)
{
	struct reading reading = {&node->cgroups, samples, count};
	return fiber_work(node->fibers, read_all, &reading);
}

/* --- rates --- */

static uint64_t divide(uint64_t cpu_ns, uint64_t elapsed_ns)
{
	return elapsed_ns ? (uint64_t)((unsigned __int128)cpu_ns * NS_PER_S / elapsed_ns) : 0;
}

uint64_t usage_rate_update(struct usage_rate *rate, const struct usage_sample *sample, int64_t since_ns)
{
	uint64_t now = uv_hrtime();
	uint64_t cpu_ns = sample->stats.cpu_ns;
	if (rate->at_ns && now - rate->at_ns < USAGE_RATE_MIN_MS * UINT64_C(1000000))
		return rate->nano_cores;
	if (rate->at_ns)
		rate->nano_cores = cpu_ns > rate->cpu_ns ? divide(cpu_ns - rate->cpu_ns, now - rate->at_ns) : 0;
	else
		rate->nano_cores = sample->at_ns > since_ns ? divide(cpu_ns, (uint64_t)(sample->at_ns - since_ns)) : 0;
	rate->at_ns = now;
	rate->cpu_ns = cpu_ns;
	return rate->nano_cores;
}

/* --- the network --- */

int usage_open_network(struct pod *pod, int *ret_fd, struct err *err)
{
	*ret_fd = pod->net_dev_fd;
	if (pod->net_dev_fd >= 0 || pod->phase != POD_READY || pod_namespaces(pod->config).host_network)
		return 0;
	scoped_done(arena_done) struct arena arena = {.max = 64 << 10};
	const struct helper_net_open open = {
		.pin = arena_printf(&arena, "%s/%s/net", pod->node->places.pins, pod->id),
	};
	const struct helper_request request = {.net_open = &open};
	struct helper_reply reply = {0};
	int fd = -1;
	int r = open.pin ? helper_run(&pod->node->helper, &request, &arena, &reply, &fd, err) : -ENOMEM;
	if (r < 0)
		return r;
	if (pod->phase != POD_READY || pod->net_dev_fd >= 0) { /* meanwhile it was stopped, or somebody else was first */
		if (fd >= 0)
			(void)close(fd);
		*ret_fd = pod->phase == POD_READY ? pod->net_dev_fd : -1;
		return 0;
	}
	pod->net_dev_fd = *ret_fd = fd;
	return 0;
}

void usage_close_network(struct pod *pod)
{
	if (pod->net_dev_fd >= 0)
		(void)close(pod->net_dev_fd);
	pod->net_dev_fd = -1;
}
