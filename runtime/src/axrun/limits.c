#include "runtime/src/axrun/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/codec/oci_runtime.h"
#include "core/sys/cgroup.h"
#include "core/sys/fd.h"
#include "runtime/src/axrun/device_rules.h"
#include "runtime/src/axrun/limits_saved.h"

#define TEXT_MAX 512
#define NOT_SET 1

/* A formatter writes the file's text and returns 0, or NOT_SET where the configuration says nothing about it. */
typedef int formatter(const struct oci_resources *resources, char *text);

static int put_i64(char *text, const int64_t *value)
{
	if (!value)
		return NOT_SET;
	(void)snprintf(text, TEXT_MAX, "%" PRId64, *value);
	return 0;
}

static int put_u64(char *text, const uint64_t *value)
{
	if (!value || *value == 0) /* 0 means "not set" for those that use it: shares, period, burst */
		return NOT_SET;
	(void)snprintf(text, TEXT_MAX, "%" PRIu64, *value);
	return 0;
}

static int put_text(char *text, const char *value)
{
	if (!value || !*value)
		return NOT_SET;
	(void)snprintf(text, TEXT_MAX, "%s", value);
	return 0;
}

/* v2 spells "no limit" as "max" (cgroup-v2.rst). */
static int put_max(char *text, const int64_t *value)
{
	if (!value)
		return NOT_SET;
	if (*value >= 0)
		return put_i64(text, value);
	return put_text(text, "max");
}

#define MEMORY(name, put, member)                                                                                      \
	static int name(const struct oci_resources *resources, char *text)                                             \
	{                                                                                                              \
		return resources->memory ? put(text, resources->memory->member) : NOT_SET;                             \
	}
#define CPU(name, put, member)                                                                                         \
	static int name(const struct oci_resources *resources, char *text)                                             \
	{                                                                                                              \
		return resources->cpu ? put(text, resources->cpu->member) : NOT_SET;                                   \
	}

MEMORY(memory_limit, put_i64, limit)
MEMORY(memory_swap, put_i64, swap)
MEMORY(memory_reservation, put_i64, reservation)
MEMORY(memory_kernel_tcp, put_i64, kernel_tcp)
MEMORY(memory_limit_v2, put_max, limit)
MEMORY(memory_reservation_v2, put_max, reservation)
CPU(cpu_shares, put_u64, shares)
CPU(cpu_period, put_u64, period)
CPU(cpu_quota, put_i64, quota)
CPU(cpu_burst, put_u64, burst)
CPU(cpu_rt_period, put_u64, realtime_period)
CPU(cpu_rt_runtime, put_i64, realtime_runtime)
CPU(cpu_idle, put_i64, idle)
CPU(cpuset_cpus, put_text, cpus)
CPU(cpuset_mems, put_text, mems)

static int memory_swappiness(const struct oci_resources *resources, char *text)
{
	if (!resources->memory || !resources->memory->swappiness)
		return NOT_SET;
	(void)snprintf(text, TEXT_MAX, "%" PRIu64, *resources->memory->swappiness); /* 0 is a value here */
	return 0;
}

static int memory_oom_control(const struct oci_resources *resources, char *text)
{
	return resources->memory && resources->memory->disable_oom_killer ? put_text(text, "1") : NOT_SET;
}

static int memory_use_hierarchy(const struct oci_resources *resources, char *text)
{
	return resources->memory && resources->memory->use_hierarchy ? put_text(text, "1") : NOT_SET;
}

/* OCI's swap is memory and swap together, v2's is swap alone (config-linux.md, "Memory"). */
static int memory_swap_v2(const struct oci_resources *resources, char *text)
{
	const struct oci_memory *memory = resources->memory;
	if (!memory || !memory->swap)
		return NOT_SET;
	if (*memory->swap < 0)
		return put_text(text, "max");
	int64_t limit = memory->limit ? *memory->limit : 0;
	int64_t swap = limit > 0 && *memory->swap >= limit ? *memory->swap - limit : *memory->swap;
	return put_i64(text, &swap);
}

/* 2..262144 shares become 1..10000 of weight, as runc and crun convert (runtime-spec, cgroup-v2 conversion). */
static int cpu_weight_v2(const struct oci_resources *resources, char *text)
{
	if (!resources->cpu || !resources->cpu->shares || *resources->cpu->shares == 0)
		return NOT_SET;
	uint64_t shares = *resources->cpu->shares;
	shares = shares < 2 ? 2 : shares > 262144 ? 262144 : shares;
	uint64_t weight = 1 + (shares - 2) * 9999 / 262142;
	return put_u64(text, &weight);
}

static int cpu_max_v2(const struct oci_resources *resources, char *text)
{
	const struct oci_cpu *cpu = resources->cpu;
	if (!cpu || (!cpu->quota && !cpu->period))
		return NOT_SET;
	uint64_t period = cpu->period && *cpu->period ? *cpu->period : 100000;
	if (!cpu->quota || *cpu->quota <= 0)
		(void)snprintf(text, TEXT_MAX, "max %" PRIu64, period);
	else
		(void)snprintf(text, TEXT_MAX, "%" PRId64 " %" PRIu64, *cpu->quota, period);
	return 0;
}

static int pids_max(const struct oci_resources *resources, char *text)
{
	if (!resources->pids || resources->pids->limit == 0)
		return NOT_SET;
	int64_t limit = resources->pids->limit;
	return put_max(text, &limit);
}

static int net_class(const struct oci_resources *resources, char *text)
{
	if (!resources->network || !resources->network->class_id)
		return NOT_SET;
	(void)snprintf(text, TEXT_MAX, "%u", *resources->network->class_id);
	return 0;
}

static int blkio_weight(const struct oci_resources *resources, char *text)
{
	const struct oci_block_io *io = resources->block_io;
	if (!io || !io->weight || *io->weight == 0)
		return NOT_SET;
	(void)snprintf(text, TEXT_MAX, "%u", *io->weight);
	return 0;
}

static int blkio_leaf_weight(const struct oci_resources *resources, char *text)
{
	const struct oci_block_io *io = resources->block_io;
	if (!io || !io->leaf_weight || *io->leaf_weight == 0)
		return NOT_SET;
	(void)snprintf(text, TEXT_MAX, "%u", *io->leaf_weight);
	return 0;
}

/* 10..1000 of v1 become 1..10000 of v2's io.weight (runtime-spec, cgroup-v2 conversion). */
static int io_weight_v2(const struct oci_resources *resources, char *text)
{
	const struct oci_block_io *io = resources->block_io;
	if (!io || !io->weight || *io->weight < 10)
		return NOT_SET;
	uint64_t weight = 1 + ((uint64_t)*io->weight - 10) * 9999 / 990;
	return put_u64(text, &weight);
}

enum version {
	V1 = 1,
	V2 = 2,
};

/* Order matters where one value bounds another: period before quota, memory before memory and swap. @fallback is the
 * name of the same file with another I/O scheduler. @only_v1: v2 has nothing that does the same. */
static const struct limit_row {
	enum version version;
	const char *controller;
	const char *file;
	const char *fallback;
	formatter *format;
	bool only_v1;
} ROWS[] = {
	{V1, "memory", "memory.use_hierarchy", NULL, memory_use_hierarchy},
	{V1, "memory", "memory.limit_in_bytes", NULL, memory_limit},
	{V1, "memory", "memory.memsw.limit_in_bytes", NULL, memory_swap},
	{V1, "memory", "memory.soft_limit_in_bytes", NULL, memory_reservation},
	{V1, "memory", "memory.kmem.tcp.limit_in_bytes", NULL, memory_kernel_tcp, true},
	{V1, "memory", "memory.swappiness", NULL, memory_swappiness, true},
	{V1, "memory", "memory.oom_control", NULL, memory_oom_control, true},
	{V2, "memory", "memory.max", NULL, memory_limit_v2},
	{V2, "memory", "memory.swap.max", NULL, memory_swap_v2},
	{V2, "memory", "memory.low", NULL, memory_reservation_v2},
	{V1, "cpu", "cpu.shares", NULL, cpu_shares},
	{V1, "cpu", "cpu.cfs_period_us", NULL, cpu_period},
	{V1, "cpu", "cpu.cfs_quota_us", NULL, cpu_quota},
	{V1, "cpu", "cpu.cfs_burst_us", NULL, cpu_burst},
	{V1, "cpu", "cpu.rt_period_us", NULL, cpu_rt_period, true},
	{V1, "cpu", "cpu.rt_runtime_us", NULL, cpu_rt_runtime, true},
	{V1, "cpu", "cpu.idle", NULL, cpu_idle},
	{V2, "cpu", "cpu.weight", NULL, cpu_weight_v2},
	{V2, "cpu", "cpu.max", NULL, cpu_max_v2},
	{V2, "cpu", "cpu.max.burst", NULL, cpu_burst},
	{V2, "cpu", "cpu.idle", NULL, cpu_idle},
	{V1, "cpuset", "cpuset.cpus", NULL, cpuset_cpus},
	{V1, "cpuset", "cpuset.mems", NULL, cpuset_mems},
	{V2, "cpuset", "cpuset.cpus", NULL, cpuset_cpus},
	{V2, "cpuset", "cpuset.mems", NULL, cpuset_mems},
	{V1, "pids", "pids.max", NULL, pids_max},
	{V2, "pids", "pids.max", NULL, pids_max},
	{V1, "blkio", "blkio.weight", "blkio.bfq.weight", blkio_weight},
	{V1, "blkio", "blkio.leaf_weight", NULL, blkio_leaf_weight, true},
	{V2, "blkio", "io.weight", NULL, io_weight_v2},
	{V2, "blkio", "io.bfq.weight", NULL, blkio_weight},
	{V1, "net_cls", "net_cls.classid", NULL, net_class, true},
};

static int write_file(const struct cgroup *group, bool v2, const char *controller, int dir_fd, const char *file,
		      const char *text, struct err *err)
{
	int r = file_write_kernel(dir_fd, file, text, err);
	if (r == -ENOENT && v2) {
		/* tables and callers say "blkio", which v2 renamed */
		r = cgroup_enable(group, strcmp(controller, "blkio") == 0 ? "io" : controller, err);
		if (r == 0)
			r = file_write_kernel(dir_fd, file, text, err);
	}
	return r;
}

static int controller_missing(const char *controller, const char *file, struct err *err)
{
	return err_set(err, -EOPNOTSUPP, "cgroup.controller", "%s: the %s cgroup controller is not there on this machine",
		       file, controller);
}

/* A limit must not be lowered below what is used, and memory must stay below memory + swap: when the limit is raised the
 * second file has to go first (cgroup-v1/memory.rst, 5.5 "memsw"). */
static int write_memory_in_other_order(int dir_fd, const struct oci_resources *resources, struct err *err)
{
	char text[TEXT_MAX];
	int r = memory_swap(resources, text);
	if (r == 0)
		r = file_write_kernel(dir_fd, "memory.memsw.limit_in_bytes", text, err);
	if (r >= 0 && memory_limit(resources, text) == 0)
		r = file_write_kernel(dir_fd, "memory.limit_in_bytes", text, err);
	return r;
}

/* Is nothing lost without the row's file? So it is on v2 with the file of the BFQ scheduler, beside which io.weight stands;
 * and where the kernel lacks swap accounting, with a swap limit that is none, or the same as the memory limit. */
static bool may_do_without(const struct limit_row *row, const struct oci_resources *resources)
{
	if (row->version == V2 && row->format == blkio_weight)
		return true;
	return (row->format == memory_swap || row->format == memory_swap_v2) && resources->memory->swap &&
	       (*resources->memory->swap < 0 || !resources->memory->limit ||
		*resources->memory->swap >= *resources->memory->limit);
}

static bool has_v2_rows(const char *controller)
{
	for (size_t i = 0; i < ARRAY_COUNT(ROWS); i++)
		if (ROWS[i].version == V2 && strcmp(ROWS[i].controller, controller) == 0)
			return true;
	return false;
}

/* A limit that v2 does not know is asked for: none at all ("0", "-1") is what v2 has anyway, but for swappiness, where 0 is
 * a wish like any other. */
static int refuse_on_v2(const struct limit_row *row, const char *text, struct err *err)
{
	bool none = strcmp(text, "0") == 0 || strcmp(text, "-1") == 0;
	if (none && row->format != memory_swappiness)
		return 0;
	if (!has_v2_rows(row->controller))
		return controller_missing(row->controller, row->file, err);
	return err_set(err, -EOPNOTSUPP, "cgroup.v1-only",
		       "%s: the %s controller is on cgroup v2 on this machine, which has no such limit", row->file,
		       row->controller);
}

static int apply_row(const struct cgroup *group, const struct limit_row *row, const struct oci_resources *resources,
		     struct err *err)
{
	char text[TEXT_MAX];
	if (row->format(resources, text) == NOT_SET)
		return 0;
	bool v2 = false;
	int dir_fd = cgroup_controller_fd(group, row->controller, &v2);
	if (dir_fd >= 0 && v2 && row->only_v1)
		return refuse_on_v2(row, text, err);
	if (v2 != (row->version == V2) && (dir_fd >= 0 || !row->only_v1))
		return 0; /* its twin for the other version is in the table too */
	if (dir_fd < 0)
		return controller_missing(row->controller, row->file, err);
	int r = write_file(group, v2, row->controller, dir_fd, row->file, text, err);
	if (r == -ENOENT && row->fallback)
		r = file_write_kernel(dir_fd, row->fallback, text, err);
	if (r == -ENOENT && may_do_without(row, resources))
		return 0;
	if ((r == -EINVAL || r == -EBUSY) && row->format == memory_limit && resources->memory->swap)
		r = write_memory_in_other_order(dir_fd, resources, err);
	return r < 0 ? err_add(err, r, "cgroup limit %s", row->file) : 0;
}

/* One "MAJOR:MINOR RATE" line per device and kind of throttle. */
static int write_throttles(const struct cgroup *group, const struct oci_throttle_device *devices, size_t count,
			   const char *v1_file, const char *v2_key, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		bool v2 = false;
		int dir_fd = cgroup_controller_fd(group, "blkio", &v2);
		if (dir_fd < 0)
			return controller_missing("blkio", v1_file, err);
		char text[TEXT_MAX];
		(void)snprintf(text, sizeof text, "%" PRId64 ":%" PRId64 " %s%s%" PRIu64, devices[i].major, devices[i].minor,
			       v2 ? v2_key : "", v2 ? "=" : "", devices[i].rate);
		int r = write_file(group, v2, "blkio", dir_fd, v2 ? "io.max" : v1_file, text, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int write_weights(const struct cgroup *group, const struct oci_block_io *io, struct err *err)
{
	for (size_t i = 0; i < io->weight_device_count; i++) {
		const struct oci_weight_device *device = &io->weight_device[i];
		bool v2 = false;
		int dir_fd = cgroup_controller_fd(group, "blkio", &v2);
		if (dir_fd < 0)
			return controller_missing("blkio", "blkio.weight_device", err);
		if (!device->weight)
			continue;
		char text[TEXT_MAX];
		(void)snprintf(text, sizeof text, "%" PRId64 ":%" PRId64 " %u", device->major, device->minor, *device->weight);
		int r = write_file(group, v2, "blkio", dir_fd, v2 ? "io.bfq.weight" : "blkio.weight_device", text, err);
		if (r == -ENOENT && !v2)
			r = file_write_kernel(dir_fd, "blkio.bfq.weight_device", text, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int apply_block_io(const struct cgroup *group, const struct oci_block_io *io, struct err *err)
{
	int r = write_weights(group, io, err);
	if (r == 0)
		r = write_throttles(group, io->throttle_read_bps, io->throttle_read_bps_count,
				    "blkio.throttle.read_bps_device", "rbps", err);
	if (r == 0)
		r = write_throttles(group, io->throttle_write_bps, io->throttle_write_bps_count,
				    "blkio.throttle.write_bps_device", "wbps", err);
	if (r == 0)
		r = write_throttles(group, io->throttle_read_iops, io->throttle_read_iops_count,
				    "blkio.throttle.read_iops_device", "riops", err);
	if (r == 0)
		r = write_throttles(group, io->throttle_write_iops, io->throttle_write_iops_count,
				    "blkio.throttle.write_iops_device", "wiops", err);
	return r;
}

#define PAGE_SIZE_NAME_MAX 32

static int apply_hugepages(const struct cgroup *group, const struct oci_resources *resources, struct err *err)
{
	for (size_t i = 0; i < resources->hugepage_limits_count; i++) {
		const struct oci_hugepage_limit *limit = &resources->hugepage_limits[i];
		bool v2 = false;
		int dir_fd = cgroup_controller_fd(group, "hugetlb", &v2);
		char file[80], text[TEXT_MAX];
		(void)snprintf(file, sizeof file, "hugetlb.%.32s.%s", limit->page_size, v2 ? "max" : "limit_in_bytes");
		(void)snprintf(text, sizeof text, "%" PRIu64, limit->limit);
		if (dir_fd < 0)
			return controller_missing("hugetlb", file, err);
		if (strchr(limit->page_size, '/') || strlen(limit->page_size) > PAGE_SIZE_NAME_MAX)
			return err_set(err, -EINVAL, "cgroup.hugepages", "hugepage limit \"%.64s\": expected a size such as 2MB",
				       limit->page_size);
		int r = write_file(group, v2, "hugetlb", dir_fd, file, text, err);
		if (r < 0)
			return err_add(err, r, "hugepage limit %s", limit->page_size);
	}
	return 0;
}

static int apply_priorities(const struct cgroup *group, const struct oci_network *network, struct err *err)
{
	for (size_t i = 0; i < network->priorities_count; i++) {
		bool v2 = false;
		int dir_fd = cgroup_controller_fd(group, "net_prio", &v2);
		if (dir_fd < 0 || v2)
			return controller_missing("net_prio", "net_prio.ifpriomap", err);
		char text[TEXT_MAX];
		(void)snprintf(text, sizeof text, "%s %u", network->priorities[i].name, network->priorities[i].priority);
		int r = file_write_kernel(dir_fd, "net_prio.ifpriomap", text, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int apply_rdma(const struct cgroup *group, const struct oci_resources *resources, struct err *err)
{
	for (size_t i = 0; i < resources->rdma_count; i++) {
		const struct oci_rdma *rdma = &resources->rdma[i];
		bool v2 = false;
		int dir_fd = cgroup_controller_fd(group, "rdma", &v2);
		if (dir_fd < 0)
			return controller_missing("rdma", "rdma.max", err);
		char text[TEXT_MAX];
		int length = snprintf(text, sizeof text, "%.200s", rdma->device);
		if (rdma->hca_handles)
			length += snprintf(text + length, sizeof text - (size_t)length, " hca_handle=%u", *rdma->hca_handles);
		if (rdma->hca_objects)
			(void)snprintf(text + length, sizeof text - (size_t)length, " hca_object=%u", *rdma->hca_objects);
		int r = write_file(group, v2, "rdma", dir_fd, "rdma.max", text, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Files of the v2 group by name (config-linux.md, "Unified"): the controller is what stands before the first '.'. */
static int apply_unified(const struct cgroup *group, const struct oci_resources *resources, struct err *err)
{
	int dir_fd = cgroup_v2_fd(group);
	for (size_t i = 0; i < resources->unified_count; i++) {
		const struct json_pair *pair = &resources->unified[i];
		if (dir_fd < 0)
			return err_set(err, -EOPNOTSUPP, "cgroup.controller",
				       "linux.resources.unified: no cgroup v2 tree is mounted on this machine");
		if (strchr(pair->key, '/') || pair->key[0] == '.' || !strchr(pair->key, '.'))
			return err_set(err, -EINVAL, "config.invalid",
				       "linux.resources.unified: \"%s\": expected the name of a cgroup file", pair->key);
		char controller[64];
		(void)snprintf(controller, sizeof controller, "%.*s", (int)strcspn(pair->key, "."), pair->key);
		int r = write_file(group, true, controller, dir_fd, pair->key, pair->value, err);
		if (r < 0)
			return err_add(err, r, "linux.resources.unified");
	}
	return 0;
}

/* What the update is about to write. */
static void save(const struct cgroup *group, const struct oci_resources *resources, struct limits_saved *saved)
{
	char text[TEXT_MAX];
	bool v2 = false;
	for (size_t i = 0; i < ARRAY_COUNT(ROWS); i++) {
		int dir_fd = cgroup_controller_fd(group, ROWS[i].controller, &v2);
		if (ROWS[i].format(resources, text) != NOT_SET && v2 == (ROWS[i].version == V2))
			limits_saved_note(saved, dir_fd, ROWS[i].file);
	}
	for (size_t i = 0; i < resources->hugepage_limits_count; i++) {
		int dir_fd = cgroup_controller_fd(group, "hugetlb", &v2);
		(void)snprintf(text, sizeof text, "hugetlb.%.32s.%s", resources->hugepage_limits[i].page_size,
			       v2 ? "max" : "limit_in_bytes");
		if (!strchr(text, '/'))
			limits_saved_note(saved, dir_fd, text);
	}
	for (size_t i = 0; i < resources->unified_count; i++)
		if (!strchr(resources->unified[i].key, '/'))
			limits_saved_note(saved, cgroup_v2_fd(group), resources->unified[i].key);
}

static int apply(const struct cgroup *group, const struct oci_resources *resources, bool update, struct err *err)
{
	int r = update && resources->devices_count == 0 ? 0 : device_rules_apply(group, resources, err);
	for (size_t i = 0; i < ARRAY_COUNT(ROWS) && r == 0; i++)
		r = apply_row(group, &ROWS[i], resources, err);
	if (r == 0 && resources->block_io)
		r = apply_block_io(group, resources->block_io, err);
	if (r == 0)
		r = apply_hugepages(group, resources, err);
	if (r == 0 && resources->network)
		r = apply_priorities(group, resources->network, err);
	if (r == 0)
		r = apply_rdma(group, resources, err);
	if (r == 0)
		r = apply_unified(group, resources, err);
	return r;
}

int limits_apply(const struct cgroup *group, const struct oci_resources *resources, bool update, struct err *err)
{
	static const struct oci_resources NOTHING = {0};
	struct limits_saved saved = {.count = 0};
	if (!resources)
		resources = &NOTHING;
	if (update)
		save(group, resources, &saved);
	int r = apply(group, resources, update, err);
	if (r < 0)
		limits_saved_restore(&saved);
	return r;
}
