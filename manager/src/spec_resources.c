#include <errno.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/parse.h"
#include "core/base/str.h"
#include "manager/src/spec_internal.h"

static int set_i64(struct spec_builder *builder, int64_t value, const int64_t **slot)
{
	if (value == 0)
		return 0;
	int64_t *copy = arena_alloc(builder->arena, sizeof *copy);
	if (!copy)
		return -ENOMEM;
	*copy = value;
	*slot = copy;
	return 0;
}

static int set_u64(struct spec_builder *builder, const char *what, int64_t value, const uint64_t **slot)
{
	if (value < 0)
		return err_set(builder->err, -EINVAL, "container.resources", "%s %lld: expected 0 or more", what,
			       (long long)value);
	return set_i64(builder, value, (const int64_t **)slot);
}

static int make_cpu(struct spec_builder *builder, const Cri__LinuxContainerResources *wanted, const struct oci_cpu **ret_cpu)
{
	struct oci_cpu *cpu = arena_alloc(builder->arena, sizeof *cpu);
	if (!cpu)
		return -ENOMEM;
	int r = set_u64(builder, "cpu_shares", wanted->cpu_shares, &cpu->shares);
	if (r == 0)
		r = set_u64(builder, "cpu_period", wanted->cpu_period, &cpu->period);
	if (r == 0)
		r = set_i64(builder, wanted->cpu_quota, &cpu->quota);
	cpu->cpus = str_empty(wanted->cpuset_cpus) ? NULL : wanted->cpuset_cpus;
	cpu->mems = str_empty(wanted->cpuset_mems) ? NULL : wanted->cpuset_mems;
	*ret_cpu = cpu;
	return r;
}

/* Less than the first process takes before it is the container's own: such a container cannot start. */
#define MEMORY_LIMIT_MIN (256 << 10)

static int make_memory(struct spec_builder *builder, const Cri__LinuxContainerResources *wanted,
		       const struct oci_memory **ret_memory)
{
	struct oci_memory *memory = arena_alloc(builder->arena, sizeof *memory);
	if (!memory)
		return -ENOMEM;
	if (wanted->memory_limit_in_bytes > 0 && wanted->memory_limit_in_bytes < MEMORY_LIMIT_MIN)
		return err_set(builder->err, -EINVAL, "container.resources",
			       "memory limit of %lld bytes: expected %d (256 KiB) at least, which its start takes",
			       (long long)wanted->memory_limit_in_bytes, MEMORY_LIMIT_MIN);
	int r = set_i64(builder, wanted->memory_limit_in_bytes, &memory->limit);
	/* memory and swap together: without a word about it a limited container does not swap, as with containerd */
	int64_t swap = wanted->memory_swap_limit_in_bytes;
	if (swap == 0 && builder->input->counts_swap)
		swap = wanted->memory_limit_in_bytes;
	if (swap > 0 && swap < wanted->memory_limit_in_bytes)
		return err_set(builder->err, -EINVAL, "container.resources",
			       "memory_swap_limit_in_bytes %lld: expected at least the memory limit, %lld",
			       (long long)swap, (long long)wanted->memory_limit_in_bytes);
	if (r == 0)
		r = set_i64(builder, swap, &memory->swap);
	*ret_memory = memory;
	return r;
}

static int make_hugepages(struct spec_builder *builder, const Cri__LinuxContainerResources *wanted,
			  struct oci_resources *resources)
{
	struct oci_hugepage_limit *limits = arena_array(builder->arena, wanted->n_hugepage_limits + 1, sizeof *limits);
	if (!limits)
		return -ENOMEM;
	for (size_t i = 0; i < wanted->n_hugepage_limits; i++) /* the runtime knows which sizes there are */
		limits[i] = (struct oci_hugepage_limit){wanted->hugepage_limits[i]->page_size,
							wanted->hugepage_limits[i]->limit};
	resources->hugepage_limits = limits;
	resources->hugepage_limits_count = wanted->n_hugepage_limits;
	return 0;
}

static int make_pids(struct spec_builder *builder, const char *value, struct oci_resources *resources)
{
	struct oci_pids *pids = arena_alloc(builder->arena, sizeof *pids);
	if (!pids)
		return -ENOMEM;
	if (!str_equal(value, "max") && parse_i64(value, 1, INT64_MAX, &pids->limit) < 0)
		return err_set(builder->err, -EINVAL, "container.resources",
			       "unified pids.max \"%s\": expected a number or \"max\"", value);
	resources->pids = pids;
	return 0;
}

/* Does v2 have the controller of this file ("memory.high")? Files of the group itself ("cgroup.") are always there. */
static bool is_on_v2(const struct spec_input *input, const char *file)
{
	size_t length = strcspn(file, ".");
	const char *list = input->v2_controllers;
	if (!list)
		return false;
	if (strncmp(file, "cgroup.", strlen("cgroup.")) == 0)
		return true;
	for (; *list; list += strcspn(list, " \n"), list += strspn(list, " \n"))
		if (strcspn(list, " \n") == length && strncmp(list, file, length) == 0)
			return true;
	return false;
}

static int check_unified(struct spec_builder *builder, const char *file)
{
	if (!strchr(file, '.') || file[0] == '.' || strchr(file, '/'))
		return err_set(builder->err, -EINVAL, "container.resources",
			       "unified resource \"%s\": expected the name of a cgroup v2 file such as memory.high", file);
	if (!is_on_v2(builder->input, file))
		return err_set(builder->err, -EINVAL, "container.resources",
			       "unified resource %s: cgroup v2 does not have the %.*s controller on this machine", file,
			       (int)strcspn(file, "."), file);
	return 0;
}

/* cgroup v2's own files. pids.max has a place in the specification, and so works on v1 too. */
static int make_unified(struct spec_builder *builder, const Cri__LinuxContainerResources *wanted,
			struct oci_resources *resources)
{
	struct json_pair *pairs = arena_array(builder->arena, wanted->n_unified + 1, sizeof *pairs);
	if (!pairs)
		return -ENOMEM;
	size_t count = 0;
	for (size_t i = 0; i < wanted->n_unified; i++) {
		const Cri__MapEntry *entry = wanted->unified[i];
		bool pids = str_equal(entry->key, "pids.max");
		int r = pids ? make_pids(builder, entry->value, resources) : check_unified(builder, entry->key);
		if (r < 0)
			return r;
		if (!pids)
			pairs[count++] = (struct json_pair){entry->key, entry->value};
	}
	resources->unified = pairs;
	resources->unified_count = count;
	return 0;
}

int spec_make_resources(struct spec_builder *builder, struct oci_resources *resources)
{
	const Cri__LinuxContainerResources *wanted = spec_resources(builder->input);
	if (!wanted)
		return 0;
	int r = make_cpu(builder, wanted, &resources->cpu);
	if (r == 0)
		r = make_memory(builder, wanted, &resources->memory);
	if (r == 0)
		r = make_hugepages(builder, wanted, resources);
	return r < 0 ? r : make_unified(builder, wanted, resources);
}
