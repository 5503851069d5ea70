#include "manager/src/pod_resources.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/codec/proto_json.h"
#include "core/sys/cgroup.h"
#include "core/sys/fd.h"
#include "manager/src/pod.h"

#define PERIOD_US 100000
#define SHARES_MIN 2
#define SHARES_MAX 262144

/* What counts for the pod: the sum of both. 0: not set. */
struct limits {
	int64_t memory;
	int64_t quota; /* of PERIOD_US */
	int64_t shares;
	const char *cpus;
	const char *mems;
};

static int64_t per_period(const Cri__LinuxContainerResources *of)
{
	return of->cpu_quota > 0 ? of->cpu_quota * PERIOD_US / (of->cpu_period > 0 ? of->cpu_period : PERIOD_US) : 0;
}

static int add(const Cri__LinuxContainerResources *of, struct limits *limits, struct err *err)
{
	if (!of)
		return 0;
	if (of->memory_limit_in_bytes < 0 || of->cpu_period < 0 || of->cpu_shares < 0 || of->cpu_quota > INT64_MAX / PERIOD_US)
		return err_set(err, -EINVAL, "pod.resources", "resources of a pod: expected a memory limit, cpu period and "
							      "cpu shares of 0 or more");
	limits->memory += of->memory_limit_in_bytes;
	limits->quota += per_period(of);
	limits->shares += of->cpu_shares;
	if (!str_empty(of->cpuset_cpus))
		limits->cpus = of->cpuset_cpus;
	if (!str_empty(of->cpuset_mems))
		limits->mems = of->cpuset_mems;
	return 0;
}

/* What is limited in the containers alone is not limited by what the pod adds to it. */
static int sum_up(const Cri__LinuxPodSandboxConfig *config, struct limits *ret_limits, struct err *err)
{
	struct limits limits = {0};
	const Cri__LinuxContainerResources *own = config ? config->resources : NULL;
	int r = add(own, &limits, err);
	bool memory = limits.memory > 0;
	bool quota = limits.quota > 0;
	if (r == 0)
		r = add(config ? config->overhead : NULL, &limits, err);
	if (!memory)
		limits.memory = 0;
	if (!quota)
		limits.quota = 0;
	*ret_limits = limits;
	return r;
}

/* --- the group --- */

static int write_limit(const struct cgroup *group, const char *controller, const char *v1_file, const char *v2_file,
		       const char *value, struct err *err)
{
	bool v2 = false;
	int fd = cgroup_controller_fd(group, controller, &v2);
	const char *file = fd >= 0 && v2 ? v2_file : v1_file;
	if (fd < 0)
		return err_set(err, -ENOTSUP, "pod.resources", "limits of a pod: this machine has no cgroup controller %s",
			       controller);
	int r = v2 ? cgroup_enable(group, controller, err) : 0;
	return r < 0 ? r : file_write_kernel(fd, file, value, err);
}

/* 0 takes a limit away. */
static int write_number(const struct cgroup *group, const char *controller, const char *v1_file, const char *v2_file,
			int64_t value, struct err *err)
{
	bool v2 = false;
	char text[32];
	(void)cgroup_controller_fd(group, controller, &v2);
	(void)snprintf(text, sizeof text, "%lld", (long long)(value ? value : -1));
	return write_limit(group, controller, v1_file, v2_file, value || !v2 ? text : "max", err);
}

static int write_cpu(const struct cgroup *group, const struct limits *limits, struct err *err)
{
	bool v2 = false;
	char quota[48];
	char weight[32];
	(void)cgroup_controller_fd(group, "cpu", &v2);
	int64_t shares = limits->shares ? limits->shares : 1024;
	shares = shares < SHARES_MIN ? SHARES_MIN : shares > SHARES_MAX ? SHARES_MAX : shares;
	if (v2) { /* shares to weight as Kubernetes has it (KEP 2254) */
		(void)snprintf(weight, sizeof weight, "%lld", (long long)(1 + (shares - 2) * 9999 / 262142));
		if (limits->quota)
			(void)snprintf(quota, sizeof quota, "%lld %d", (long long)limits->quota, PERIOD_US);
		else
			(void)snprintf(quota, sizeof quota, "max %d", PERIOD_US);
	} else {
		(void)snprintf(weight, sizeof weight, "%lld", (long long)shares);
		(void)snprintf(quota, sizeof quota, "%lld", (long long)(limits->quota ? limits->quota : -1));
	}
	int r = write_limit(group, "cpu", "cpu.shares", "cpu.weight", weight, err);
	return r < 0 ? r : write_limit(group, "cpu", "cpu.cfs_quota_us", "cpu.max", quota, err);
}

static int write_all(const struct cgroup *group, const struct limits *limits, struct err *err)
{
	int r = write_number(group, "memory", "memory.limit_in_bytes", "memory.max", limits->memory, err);
	if (r == 0)
		r = write_cpu(group, limits, err);
	if (r == 0 && limits->cpus)
		r = write_limit(group, "cpuset", "cpuset.cpus", "cpuset.cpus", limits->cpus, err);
	if (r == 0 && limits->mems)
		r = write_limit(group, "cpuset", "cpuset.mems", "cpuset.mems", limits->mems, err);
	return r;
}

static bool has_any(const struct limits *limits)
{
	return limits->memory || limits->quota || limits->shares || limits->cpus || limits->mems;
}

int pod_resources_apply(struct pod *pod, struct err *err)
{
	struct limits limits = {0};
	int r = sum_up(pod->config->linux, &limits, err);
	if (r < 0 || !pod->record.cgroup_is_ours || (!pod->limited && !has_any(&limits)))
		return r;
	scoped_done(cgroup_done) struct cgroup group = {0};
	r = cgroup_make(&pod->node->cgroups, pod->record.cgroup, &group, err);
	if (r == 0)
		r = write_all(&group, &limits, err);
	if (r == 0)
		pod->limited = true;
	return r < 0 ? err_add(err, r, "pod %.12s", pod->id) : 0;
}

/* --- the configuration --- */

static int copy(const Cri__LinuxContainerResources *resources, struct arena *arena, Cri__LinuxContainerResources **ret_copy,
		struct err *err)
{
	ProtobufCMessage *message = NULL;
	if (!resources)
		return 0;
	json_t *document = proto_json_encode(&resources->base);
	int r = document ? proto_json_decode("resources", &cri__linux_container_resources__descriptor, document, arena,
					     &message, err)
			 : err_memory(err, "resources");
	json_decref(document);
	if (r == 0)
		*ret_copy = (Cri__LinuxContainerResources *)message;
	return r;
}

/* The pod's configuration with these, all of whose changing parts lie in @arena. */
static int make_linux(const struct pod *pod, const Cri__LinuxContainerResources *overhead,
		      const Cri__LinuxContainerResources *resources, struct arena *arena,
		      Cri__LinuxPodSandboxConfig **ret_linux, struct err *err)
{
	const Cri__LinuxPodSandboxConfig *old = pod->config->linux;
	Cri__LinuxPodSandboxConfig *made = arena_alloc(arena, sizeof *made);
	if (!made)
		return err_memory(err, "resources");
	if (old)
		*made = *old;
	else
		cri__linux_pod_sandbox_config__init(made);
	int r = copy(overhead ? overhead : made->overhead, arena, &made->overhead, err);
	if (r == 0)
		r = copy(resources ? resources : made->resources, arena, &made->resources, err);
	*ret_linux = made;
	return r;
}

static int save(struct pod *pod, struct err *err)
{
	json_t *old = pod->document;
	json_t *document = proto_json_encode(&pod->config->base);
	if (!document)
		return err_memory(err, "the record of a pod");
	pod->document = pod->record.config = document;
	int r = pod_save(pod, pod->phase, err);
	if (r < 0)
		pod->document = pod->record.config = old;
	json_decref(r < 0 ? document : old);
	return r;
}

static int update_locked(struct pod *pod, const Cri__LinuxContainerResources *overhead,
			 const Cri__LinuxContainerResources *resources, struct err *err)
{
	if (pod->phase != POD_READY)
		return err_set(err, -EBUSY, "pod.not-ready", "pod %s is %s: expected one that is ready", pod->id,
			       pod_phase_name(pod->phase));
	Cri__PodSandboxConfig *config = (Cri__PodSandboxConfig *)(uintptr_t)pod->config; /* ours: decode_config() made it */
	Cri__LinuxPodSandboxConfig *old = config->linux;
	scoped_done(arena_done) struct arena arena = {.max = 1 << 20};
	int r = make_linux(pod, overhead, resources, &arena, &config->linux, err);
	if (r == 0)
		r = pod_resources_apply(pod, err);
	if (r == 0)
		r = save(pod, err);
	if (r < 0) {
		config->linux = old;
		(void)pod_resources_apply(pod, NULL); /* as it was: the failure itself is what counts */
		return r;
	}
	struct arena former = pod->resources_arena; /* freed below, with what was replaced */
	pod->resources_arena = arena;
	arena = former;
	return 0;
}

int pod_resources_update(struct pod *pod, const Cri__LinuxContainerResources *overhead,
			 const Cri__LinuxContainerResources *resources, struct err *err)
{
	struct fibers *fibers = pod->node->fibers;
	int r = fiber_lock(fibers, &pod->lock);
	if (r < 0)
		return err_set(err, r, "pod.busy", "pod %s: another call is not done with it", pod->id);
	r = update_locked(pod, overhead, resources, err);
	fiber_unlock(fibers, &pod->lock);
	return r;
}
