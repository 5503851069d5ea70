/* update: other limits for a container. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/opt.h"
#include "core/base/str.h"
#include "core/codec/oci_runtime.h"
#include "core/sys/cgroup.h"
#include "core/sys/fd.h"
#include "runtime/src/axrun/arguments.h"
#include "runtime/src/axrun/commands.h"
#include "runtime/src/axrun/limits.h"
#include "runtime/src/axrun/state.h"

/* INT64_MIN and UINT64_MAX stand for "not given". */
struct update_options {
	const char *resources;
	const char *cpus;
	const char *mems;
	uint64_t cpu_shares;
	uint64_t cpu_period;
	int64_t cpu_quota;
	uint64_t cpu_burst;
	uint64_t cpu_rt_period;
	int64_t cpu_rt_runtime;
	uint64_t blkio_weight;
	int64_t memory;
	int64_t memory_reservation;
	int64_t memory_swap;
	int64_t pids_limit;
};

#define AT(member) offsetof(struct update_options, member)
static const struct opt OPTIONS[] = {
	{'r', "resources", "FILE", OPT_STRING, AT(resources), "linux.resources as JSON (-: standard input)"},
	{0, "blkio-weight", "N", OPT_U64, AT(blkio_weight), "block I/O weight, 10 to 1000"},
	{0, "cpu-burst", "US", OPT_U64, AT(cpu_burst), "CPU burst"},
	{0, "cpu-period", "US", OPT_U64, AT(cpu_period), "CPU period"},
	{0, "cpu-quota", "US", OPT_I64, AT(cpu_quota), "CPU time per period; -1: no limit"},
	{0, "cpu-rt-period", "US", OPT_U64, AT(cpu_rt_period), "real-time period"},
	{0, "cpu-rt-runtime", "US", OPT_I64, AT(cpu_rt_runtime), "real-time run time per period"},
	{0, "cpu-share", "N", OPT_U64, AT(cpu_shares), "CPU shares"},
	{0, "cpu-shares", "N", OPT_U64, AT(cpu_shares), NULL},
	{0, "cpuset-cpus", "LIST", OPT_STRING, AT(cpus), "CPUs"},
	{0, "cpuset-mems", "LIST", OPT_STRING, AT(mems), "memory nodes"},
	{0, "memory", "BYTES", OPT_I64, AT(memory), "memory limit; -1: none"},
	{0, "memory-reservation", "BYTES", OPT_I64, AT(memory_reservation), "soft memory limit"},
	{0, "memory-swap", "BYTES", OPT_I64, AT(memory_swap), "limit of memory and swap together; -1: none"},
	{0, "pids-limit", "N", OPT_I64, AT(pids_limit), "processes; -1: no limit"},
	{0},
};

static const int64_t *given_i64(const int64_t *value)
{
	return *value == INT64_MIN ? NULL : value;
}

static const uint64_t *given_u64(const uint64_t *value)
{
	return *value == UINT64_MAX ? NULL : value;
}

static int load_resources(const char *name, struct arena *arena, struct oci_resources *ret_resources, struct err *err)
{
	scoped_done(buf_done) struct buf text = {.max = CONFIG_BYTES_MAX};
	bool from_stdin = str_equal(name, "-");
	int r = from_stdin ? fd_read_all(STDIN_FILENO, &text) : file_read_at(AT_FDCWD, name, &text, err);
	if (r < 0)
		return from_stdin ? err_sys(err, r, "file.read", "read standard input") : r;
	return json_decode(from_stdin ? "standard input" : name, text.data ? text.data : "", text.size, &OCI_RESOURCES, arena,
			   ret_resources, err);
}

static int apply(const struct container *container, const struct oci_resources *resources, struct err *err)
{
	struct cgroup_layout layout = {0};
	struct cgroup group = {0};
	int r = cgroup_layout_open(CGROUP_ROOT, &layout, err);
	if (r == 0 && (!container->state.cgroup || cgroup_open(&layout, container->state.cgroup, &group) < 0))
		r = err_set(err, -ENOENT, "container.cgroup", "container %s has no cgroup", container->id);
	if (r == 0)
		r = limits_apply(&group, resources, true, err);
	cgroup_done(&group);
	cgroup_layout_done(&layout);
	return r;
}

static int update(const struct container *container, const struct update_options *options, struct err *err)
{
	scoped_done(arena_done) struct arena arena = {.max = 1 << 20};
	struct oci_resources resources = {0};
	if (options->resources) {
		int r = load_resources(options->resources, &arena, &resources, err);
		return r < 0 ? r : apply(container, &resources, err);
	}
	struct oci_memory memory = {.limit = given_i64(&options->memory),
				    .reservation = given_i64(&options->memory_reservation),
				    .swap = given_i64(&options->memory_swap)};
	struct oci_cpu cpu = {.shares = given_u64(&options->cpu_shares),
			      .quota = given_i64(&options->cpu_quota),
			      .burst = given_u64(&options->cpu_burst),
			      .period = given_u64(&options->cpu_period),
			      .realtime_period = given_u64(&options->cpu_rt_period),
			      .realtime_runtime = given_i64(&options->cpu_rt_runtime),
			      .cpus = options->cpus,
			      .mems = options->mems};
	struct oci_pids pids = {.limit = options->pids_limit};
	uint32_t weight = (uint32_t)options->blkio_weight;
	struct oci_block_io io = {.weight = given_u64(&options->blkio_weight) ? &weight : NULL};
	resources.memory = &memory;
	resources.cpu = &cpu;
	resources.pids = given_i64(&options->pids_limit) ? &pids : NULL;
	resources.block_io = &io;
	return apply(container, &resources, err);
}

int command_update(const struct globals *globals, char **argv, int *ret_status, struct err *err)
{
	(void)ret_status; /* 0 */
	struct update_options options = {
		.cpu_shares = UINT64_MAX, .cpu_period = UINT64_MAX, .cpu_quota = INT64_MIN, .cpu_burst = UINT64_MAX,
		.cpu_rt_period = UINT64_MAX, .cpu_rt_runtime = INT64_MIN, .blkio_weight = UINT64_MAX, .memory = INT64_MIN,
		.memory_reservation = INT64_MIN, .memory_swap = INT64_MIN, .pids_limit = INT64_MIN,
	};
	const char *id = NULL;
	int r = arguments_parse(OPTIONS, "ID", argv, &options, &id, 1, NULL, err);
	if (r != 0)
		return r;
	scoped(container_free) struct container *container = NULL;
	r = container_open(globals->root, id, LOCK_WAIT, false, &container, err);
	return r < 0 ? r : update(container, &options, err);
}
