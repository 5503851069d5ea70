/* Other limits for a container: UpdateContainerResources, and what it means to a runtime. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/codec/proto_json.h"
#include "core/sys/fd.h"
#include "manager/src/container_bundle.h"
#include "manager/src/container_life.h"
#include "manager/src/runtimes.h"

#define RESOURCES_FILE "resources.json"
#define RESOURCES_MEMORY_MAX (1 << 20)
#define RESOURCES_BYTES_MAX (256 << 10)

/* --- merging: what a request does not name stays as it is (0, "" and empty lists name nothing) --- */

static int64_t newer(int64_t wanted, int64_t old)
{
	return wanted ? wanted : old;
}

static const char *newer_text(const char *wanted, const char *old)
{
	return str_empty(wanted) ? old : wanted;
}

/* Those of @wanted, and those of @old that @wanted does not name; @key_of names one. */
static int merge_list(struct arena *arena, void *const *old, size_t old_count, void *const *wanted, size_t wanted_count,
		      const char *(*key_of)(const void *item), void ***ret_list, size_t *ret_count)
{
	void **list = arena_array(arena, old_count + wanted_count + 1, sizeof *list);
	if (!list)
		return -ENOMEM;
	size_t count = 0;
	for (size_t i = 0; i < wanted_count; i++)
		list[count++] = wanted[i];
	for (size_t i = 0; i < old_count; i++) {
		bool named = false;
		for (size_t j = 0; j < wanted_count; j++)
			named = named || str_equal(key_of(old[i]), key_of(wanted[j]));
		if (!named)
			list[count++] = old[i];
	}
	*ret_list = list;
	*ret_count = count;
	return 0;
}

static const char *page_size_of(const void *item)
{
	return ((const Cri__HugepageLimit *)item)->page_size;
}

static const char *key_of(const void *item)
{
	return ((const Cri__MapEntry *)item)->key;
}

static int merge(const Cri__LinuxContainerResources *old, const Cri__LinuxContainerResources *wanted, struct arena *arena,
		 Cri__LinuxContainerResources *ret_merged)
{
	Cri__LinuxContainerResources merged = *old;
	merged.cpu_period = newer(wanted->cpu_period, old->cpu_period);
	merged.cpu_quota = newer(wanted->cpu_quota, old->cpu_quota);
	merged.cpu_shares = newer(wanted->cpu_shares, old->cpu_shares);
	merged.memory_limit_in_bytes = newer(wanted->memory_limit_in_bytes, old->memory_limit_in_bytes);
	merged.memory_swap_limit_in_bytes = newer(wanted->memory_swap_limit_in_bytes, old->memory_swap_limit_in_bytes);
	merged.cpuset_cpus = newer_text(wanted->cpuset_cpus, old->cpuset_cpus);
	merged.cpuset_mems = newer_text(wanted->cpuset_mems, old->cpuset_mems);
	int r = merge_list(arena, (void *const *)old->hugepage_limits, old->n_hugepage_limits,
			   (void *const *)wanted->hugepage_limits, wanted->n_hugepage_limits, page_size_of,
			   (void ***)&merged.hugepage_limits, &merged.n_hugepage_limits);
	if (r == 0)
		r = merge_list(arena, (void *const *)old->unified, old->n_unified, (void *const *)wanted->unified,
			       wanted->n_unified, key_of, (void ***)&merged.unified, &merged.n_unified);
	*ret_merged = merged;
	return r;
}

/* What the runtime is told: what was asked for, and with it what belongs together in one file of the kernel. */
static Cri__LinuxContainerResources with_partners(const Cri__LinuxContainerResources *wanted,
						  const Cri__LinuxContainerResources *merged)
{
	Cri__LinuxContainerResources told = *wanted;
	if (wanted->cpu_period || wanted->cpu_quota) {
		told.cpu_period = merged->cpu_period;
		told.cpu_quota = merged->cpu_quota;
	}
	if (wanted->memory_limit_in_bytes || wanted->memory_swap_limit_in_bytes) {
		told.memory_limit_in_bytes = merged->memory_limit_in_bytes;
		told.memory_swap_limit_in_bytes = merged->memory_swap_limit_in_bytes;
	}
	return told;
}

/* --- applying --- */

static int write_resources(const struct container *container, const struct oci_resources *resources, struct err *err)
{
	scoped_done(buf_done) struct buf text = {.max = RESOURCES_BYTES_MAX};
	scoped_free char *folder = container_state_path(container, NULL);
	int r = json_encode(&OCI_RESOURCES, resources, &text);
	if (r < 0 || !folder)
		return r < 0 ? r : -ENOMEM;
	scoped_fd int dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return err_sys(err, -errno, "container.bundle", "open %s", folder);
	return file_replace_at(dir_fd, RESOURCES_FILE, text.data, text.size, 0600, FILE_VOLATILE, err);
}

static int make_resources(const struct container *container, const Cri__LinuxContainerResources *wanted,
			  struct arena *arena, struct oci_resources *ret_resources, struct err *err)
{
	Cri__LinuxContainerConfig linux_config = CRI__LINUX_CONTAINER_CONFIG__INIT;
	Cri__ContainerConfig config = *container->config;
	linux_config.resources = (Cri__LinuxContainerResources *)wanted;
	linux_config.security_context = config.linux ? config.linux->security_context : NULL;
	config.linux = &linux_config;
	return container_make_resources(container, &config, arena, ret_resources, err);
}

static int apply(struct container *container, const Cri__LinuxContainerResources *wanted, struct err *err)
{
	scoped_done(arena_done) struct arena arena = {.max = RESOURCES_MEMORY_MAX};
	struct runtime runtime = {0};
	struct oci_resources resources = {0};
	int r = make_resources(container, wanted, &arena, &resources, err);
	if (r == 0)
		r = write_resources(container, &resources, err);
	if (r == 0)
		r = runtime_find(container->node, container->record.runtime_handler, &arena, &runtime, err);
	scoped_free char *path = container_state_path(container, RESOURCES_FILE);
	if (r < 0 || !path)
		return r < 0 ? r : -ENOMEM;
	const char *const args[] = {"update", "--resources", path, container->id, NULL};
	return runtime_run(container->node, &runtime, args, NULL, err);
}

/* --- recording --- */

/* Makes @resources what the container's configuration says; returns what it said before. Nobody keeps a pointer to it while
 * parked: readers go through the configuration. Its linux part exists (prepare()). */
static Cri__LinuxContainerResources *swap_resources(struct container *container, Cri__LinuxContainerResources *resources)
{
	Cri__LinuxContainerConfig *linux_config = container->config->linux;
	Cri__LinuxContainerResources *old = linux_config->resources;
	linux_config->resources = resources;
	return old;
}

/* A configuration without a linux part gets an empty one. */
static int prepare(struct container *container)
{
	if (container->config->linux)
		return 0;
	Cri__LinuxContainerConfig *linux_config = arena_alloc(&container->arena, sizeof *linux_config);
	if (!linux_config)
		return -ENOMEM;
	cri__linux_container_config__init(linux_config);
	((Cri__ContainerConfig *)container->config)->linux = linux_config; /* ours: decode_config() made it */
	return 0;
}

/* A copy of @resources that lies in @arena alone. */
static int copy_resources(const Cri__LinuxContainerResources *resources, struct arena *arena,
			  Cri__LinuxContainerResources **ret_copy, struct err *err)
{
	ProtobufCMessage *message = NULL;
	json_t *document = proto_json_encode(&resources->base);
	int r = document ? proto_json_decode("resources", &cri__linux_container_resources__descriptor, document, arena,
					     &message, err)
			 : -ENOMEM;
	json_decref(document);
	if (r == 0)
		*ret_copy = (Cri__LinuxContainerResources *)message;
	return r;
}

static int record(struct container *container, Cri__LinuxContainerResources *resources, struct err *err)
{
	Cri__LinuxContainerResources *old = swap_resources(container, resources);
	json_t *old_document = container->document;
	json_t *document = proto_json_encode(&container->config->base);
	int r = document ? 0 : -ENOMEM;
	if (r == 0) {
		container->document = container->record.config = document;
		r = container_save(container, container->phase, err);
	}
	if (r < 0) {
		(void)swap_resources(container, old);
		container->document = container->record.config = old_document;
		json_decref(document);
		return r;
	}
	json_decref(old_document);
	return 0;
}

/* --- all of it --- */

static int check(const struct container *container, struct err *err)
{
	if (container->gone)
		return err_set(err, -ENOENT, "container.not-found", "container %s was removed", container->id);
	if (container->phase == CONTAINER_CREATED || container->running)
		return 0;
	return err_set(err, -EBUSY, "container.state", "container %s is %s: expected one that is created or runs",
		       container->id, container_phase_name(container->phase));
}

/* The values are checked before anything is changed, also for a container that does not run yet. */
static int check_values(struct container *container, const Cri__LinuxContainerResources *told, struct err *err)
{
	scoped_done(arena_done) struct arena arena = {.max = RESOURCES_MEMORY_MAX};
	struct oci_resources resources = {0};
	return make_resources(container, told, &arena, &resources, err);
}

static int update_locked(struct container *container, const Cri__LinuxContainerResources *wanted, struct err *err)
{
	static const Cri__LinuxContainerResources NOTHING = CRI__LINUX_CONTAINER_RESOURCES__INIT;
	scoped_done(arena_done) struct arena arena = {.max = RESOURCES_MEMORY_MAX};
	Cri__LinuxContainerResources merged = CRI__LINUX_CONTAINER_RESOURCES__INIT;
	Cri__LinuxContainerResources *fresh = NULL;
	int r = check(container, err);
	if (r == 0)
		r = prepare(container);
	if (r < 0)
		return r;
	const Cri__LinuxContainerResources *old = container->config->linux->resources;
	old = old ? old : &NOTHING;
	r = merge(old, wanted, &arena, &merged);
	Cri__LinuxContainerResources told = with_partners(wanted, &merged);
	if (r == 0)
		r = copy_resources(&merged, &arena, &fresh, err);
	if (r == 0)
		r = check_values(container, &told, err);
	bool running = container->running;
	if (r == 0 && running)
		r = apply(container, &told, err);
	if (r < 0)
		return r;
	r = record(container, fresh, err);
	if (r < 0) {
		if (running) /* back to what is recorded; that the record cannot be written is what the caller is told */
			(void)apply(container, old, NULL);
		return r;
	}
	struct arena before = container->updated;
	container->updated = arena;
	arena = before;
	return 0;
}

int container_update(struct container *container, const Cri__LinuxContainerResources *wanted, struct err *err)
{
	struct fibers *fibers = container->node->fibers;
	int r = fiber_lock(fibers, &container->lock);
	if (r < 0)
		return err_set(err, r, "container.busy", "container %s: another call is not done with it", container->id);
	fiber_shield(fibers); /* cgroup and record change together */
	r = update_locked(container, wanted, err);
	fiber_unshield(fibers);
	fiber_unlock(fibers, &container->lock);
	if (r == 0)
		log_info(&container->node->log, "container.updated", "container %s has other limits", container->id);
	return r;
}
