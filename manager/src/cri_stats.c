/* Statistics of containers and pods. A figure that this machine does not count is absent, never zero. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "manager/src/container.h"
#include "manager/src/cri_stats.h"
#include "manager/src/layer_usage.h"
#include "manager/src/usage.h"

#define DEFAULT_INTERFACE "eth0" /* CNI's name for a pod's first one (cni-spec, CNI_IFNAME; kubelets ask for it) */
#define LOOPBACK "lo"

/* --- surveys: objects, held while the call parks, and their samples --- */

struct survey {
	struct rpc *rpc;
	struct container **containers;
	size_t containers_count;
	struct pod **pods;
	size_t pods_count;
	struct usage_sample *samples; /* of the containers, then of the pods */
};

static int survey_begin(struct rpc *rpc, struct survey *survey)
{
	*survey = (struct survey){.rpc = rpc};
	survey->containers = rpc_array(rpc, rpc->node->containers.count + 1);
	survey->pods = rpc_array(rpc, rpc->node->pods.count + 1);
	return survey->containers && survey->pods ? 0 : -ENOMEM;
}

static void survey_done(struct survey *survey)
{
	for (size_t i = 0; survey->samples && i < survey->containers_count + survey->pods_count; i++) {
		if (survey->samples[i].net_dev_fd >= 0)
			(void)close(survey->samples[i].net_dev_fd);
		usage_sample_done(&survey->samples[i]);
	}
	for (size_t i = 0; i < survey->containers_count; i++)
		container_unref(survey->containers[i]);
	for (size_t i = 0; i < survey->pods_count; i++)
		pod_unref(survey->pods[i]);
}

static void survey_add(struct survey *survey, struct container *container)
{
	survey->containers[survey->containers_count++] = container_ref(container);
}

/* The pod and what runs in it. */
static void survey_add_pod(struct survey *survey, struct pod *pod)
{
	const struct idtable *all = &survey->rpc->node->containers;
	survey->pods[survey->pods_count++] = pod_ref(pod);
	for (size_t i = 0; i < all->count; i++) {
		struct container *container = all->objects[i];
		if (container->pod == pod && container->running)
			survey_add(survey, container);
	}
}

/* The sample gets a duplicate: the pod may be stopped, and close its own, while a worker reads. */
static void open_network(struct survey *survey, size_t index)
{
	struct usage_sample *sample = &survey->samples[survey->containers_count + index];
	struct err err = {0};
	int fd = -1;
	int r = usage_open_network(survey->pods[index], &fd, &err);
	if (r < 0) /* the rest of the figures is worth having */
		log_err(&survey->rpc->node->log, &err, r, "pod %.12s: its network's counters", survey->pods[index]->id);
	else if (fd >= 0)
		sample->net_dev_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

/* Takes all samples; parks. */
static int survey_run(struct survey *survey)
{
	struct node *node = survey->rpc->node;
	size_t count = survey->containers_count + survey->pods_count;
	survey->samples = arena_array(survey->rpc->arena, count + 1, sizeof *survey->samples);
	if (!survey->samples)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		survey->samples[i].net_dev_fd = -1;
	int r = layer_usage_refresh(node, survey->containers, survey->containers_count);
	for (size_t i = 0; r == 0 && i < survey->pods_count; i++)
		open_network(survey, i);
	for (size_t i = 0; r == 0 && i < count; i++) {
		struct container *container = i < survey->containers_count ? survey->containers[i] : NULL;
		survey->samples[i].cgroup = !container		 ? survey->pods[i - survey->containers_count]->record.cgroup
					    : container->running ? container->record.cgroup
								 : NULL;
	}
	return r < 0 ? r : usage_read(node, survey->samples, count);
}

/* --- figures --- */

static Cri__UInt64Value *make_value(struct rpc *rpc, uint64_t value)
{
	Cri__UInt64Value *message = rpc_new(rpc, &cri__uint64_value__descriptor);
	if (message)
		message->value = value;
	return message;
}

static Cri__PsiData *make_psi_line(struct rpc *rpc, const struct cgroup_psi_line *line)
{
	Cri__PsiData *data = rpc_new(rpc, &cri__psi_data__descriptor);
	if (!data)
		return NULL;
	data->total = line->total_ns;
	data->avg10 = line->avg10 / 100.0;
	data->avg60 = line->avg60 / 100.0;
	data->avg300 = line->avg300 / 100.0;
	return data;
}

/* NULL also where it is not counted. */
static Cri__PsiStats *make_psi(struct rpc *rpc, bool known, const struct cgroup_psi *psi)
{
	Cri__PsiStats *stats = known ? rpc_new(rpc, &cri__psi_stats__descriptor) : NULL;
	if (!stats)
		return NULL;
	stats->some = make_psi_line(rpc, &psi->some);
	stats->full = make_psi_line(rpc, &psi->full);
	return stats;
}

static Cri__CpuUsage *make_cpu(struct rpc *rpc, const struct usage_sample *sample, struct usage_rate *rate, int64_t since_ns)
{
	Cri__CpuUsage *cpu = sample->stats.known & CGROUP_CPU ? rpc_new(rpc, &cri__cpu_usage__descriptor) : NULL;
	if (!cpu)
		return NULL;
	cpu->timestamp = sample->at_ns;
	cpu->usage_core_nano_seconds = make_value(rpc, sample->stats.cpu_ns);
	cpu->usage_nano_cores = make_value(rpc, usage_rate_update(rate, sample, since_ns));
	cpu->psi = make_psi(rpc, sample->stats.known & CGROUP_CPU_PSI, &sample->stats.cpu_psi);
	return cpu;
}

static Cri__MemoryUsage *make_memory(struct rpc *rpc, const struct usage_sample *sample)
{
	const struct cgroup_stats *stats = &sample->stats;
	Cri__MemoryUsage *memory = stats->known & CGROUP_MEMORY ? rpc_new(rpc, &cri__memory_usage__descriptor) : NULL;
	if (!memory)
		return NULL;
	uint64_t working_set = cgroup_stats_working_set(stats);
	memory->timestamp = sample->at_ns;
	memory->usage_bytes = make_value(rpc, stats->memory_bytes);
	memory->working_set_bytes = make_value(rpc, working_set);
	if (stats->memory_limit_bytes != CGROUP_UNLIMITED)
		memory->available_bytes = make_value(
			rpc, stats->memory_limit_bytes > working_set ? stats->memory_limit_bytes - working_set : 0);
	if (stats->known & CGROUP_MEMORY_STAT)
		memory->rss_bytes = make_value(rpc, stats->rss_bytes);
	if (stats->known & CGROUP_FAULTS) {
		memory->page_faults = make_value(rpc, stats->page_faults);
		memory->major_page_faults = make_value(rpc, stats->major_page_faults);
	}
	memory->psi = make_psi(rpc, stats->known & CGROUP_MEMORY_PSI, &stats->memory_psi);
	return memory;
}

static Cri__SwapUsage *make_swap(struct rpc *rpc, const struct usage_sample *sample)
{
	const struct cgroup_stats *stats = &sample->stats;
	Cri__SwapUsage *swap = stats->known & CGROUP_SWAP ? rpc_new(rpc, &cri__swap_usage__descriptor) : NULL;
	if (!swap)
		return NULL;
	swap->timestamp = sample->at_ns;
	swap->swap_usage_bytes = make_value(rpc, stats->swap_bytes);
	if (stats->swap_limit_bytes != CGROUP_UNLIMITED)
		swap->swap_available_bytes = make_value(
			rpc, stats->swap_limit_bytes > stats->swap_bytes ? stats->swap_limit_bytes - stats->swap_bytes : 0);
	return swap;
}

static Cri__IoUsage *make_io(struct rpc *rpc, const struct usage_sample *sample)
{
	Cri__IoUsage *io = sample->stats.known & CGROUP_IO_PSI ? rpc_new(rpc, &cri__io_usage__descriptor) : NULL;
	if (!io)
		return NULL;
	io->timestamp = sample->at_ns;
	io->psi = make_psi(rpc, true, &sample->stats.io_psi);
	return io;
}

static Cri__ProcessUsage *make_processes(struct rpc *rpc, const struct usage_sample *sample)
{
	Cri__ProcessUsage *process = sample->stats.known & CGROUP_PIDS ? rpc_new(rpc, &cri__process_usage__descriptor) : NULL;
	if (!process)
		return NULL;
	process->timestamp = sample->at_ns;
	process->process_count = make_value(rpc, sample->stats.processes);
	return process;
}

static Cri__NetworkInterfaceUsage *make_interface(struct rpc *rpc, const struct net_dev *device)
{
	Cri__NetworkInterfaceUsage *usage = rpc_new(rpc, &cri__network_interface_usage__descriptor);
	if (!usage)
		return NULL;
	usage->name = arena_strdup(rpc->arena, device->name);
	usage->rx_bytes = make_value(rpc, device->rx_bytes);
	usage->rx_errors = make_value(rpc, device->rx_errors);
	usage->tx_bytes = make_value(rpc, device->tx_bytes);
	usage->tx_errors = make_value(rpc, device->tx_errors);
	return usage->name ? usage : NULL;
}

/* Loopback is left out, as kubelets leave it out where they count themselves. */
static Cri__NetworkUsage *make_network(struct rpc *rpc, const struct usage_sample *sample)
{
	Cri__NetworkUsage *network = sample->devices ? rpc_new(rpc, &cri__network_usage__descriptor) : NULL;
	if (!network)
		return NULL;
	network->timestamp = sample->at_ns;
	network->interfaces = rpc_array(rpc, sample->devices_count);
	for (size_t i = 0; network->interfaces && i < sample->devices_count; i++) {
		if (str_equal(sample->devices[i].name, LOOPBACK))
			continue;
		Cri__NetworkInterfaceUsage *usage = make_interface(rpc, &sample->devices[i]);
		if (usage && str_equal(usage->name, DEFAULT_INTERFACE))
			network->default_interface = usage;
		else if (usage)
			network->interfaces[network->n_interfaces++] = usage;
	}
	return network;
}

/* --- file systems --- */

Cri__FilesystemUsage *cri_make_filesystem_usage(struct rpc *rpc, const char *mountpoint, uint64_t bytes, uint64_t inodes,
						int64_t at_ns)
{
	Cri__FilesystemUsage *usage = rpc_new(rpc, &cri__filesystem_usage__descriptor);
	if (!usage)
		return NULL;
	usage->timestamp = at_ns;
	usage->fs_id = rpc_new(rpc, &cri__filesystem_identifier__descriptor);
	usage->used_bytes = make_value(rpc, bytes);
	usage->inodes_used = make_value(rpc, inodes);
	if (!usage->fs_id || !usage->used_bytes || !usage->inodes_used)
		return NULL;
	usage->fs_id->mountpoint = mountpoint;
	return usage;
}

int cri_find_filesystems(struct rpc *rpc, const char **ret_images, const char **ret_layers)
{
	const struct node_places *places = &rpc->node->places;
	struct stat images = {0};
	struct stat layers = {0};
	bool two = fstat(places->images_fd, &images) == 0 && stat(places->rootfs, &layers) == 0 &&
		   images.st_dev != layers.st_dev;
	*ret_images = two ? arena_printf(rpc->arena, "%s/images", places->root) : places->root;
	*ret_layers = two ? places->rootfs : places->root;
	return *ret_images ? 0 : -ENOMEM;
}

/* --- containers --- */

static Cri__ContainerAttributes *make_attributes(struct rpc *rpc, const struct container *container)
{
	Cri__ContainerAttributes *attributes = rpc_new(rpc, &cri__container_attributes__descriptor);
	if (!attributes)
		return NULL;
	attributes->id = container->id;
	attributes->metadata = container->config->metadata;
	attributes->n_labels = container->config->n_labels;
	attributes->labels = container->config->labels;
	attributes->n_annotations = container->config->n_annotations;
	attributes->annotations = container->config->annotations;
	return attributes;
}

static Cri__ContainerStats *make_container_stats(struct survey *survey, size_t index)
{
	struct rpc *rpc = survey->rpc;
	struct container *container = survey->containers[index];
	const struct usage_sample *sample = &survey->samples[index];
	Cri__ContainerStats *stats = rpc_new(rpc, &cri__container_stats__descriptor);
	const char *images = NULL;
	const char *layers = NULL;
	if (!stats || cri_find_filesystems(rpc, &images, &layers) < 0)
		return NULL;
	stats->attributes = make_attributes(rpc, container);
	stats->cpu = make_cpu(rpc, sample, &container->cpu_rate, container->record.started_ns);
	stats->memory = make_memory(rpc, sample);
	stats->swap = make_swap(rpc, sample);
	stats->io = make_io(rpc, sample);
	if (container->layer.counted_ns)
		stats->writable_layer = cri_make_filesystem_usage(rpc, layers, container->layer.bytes,
								  container->layer.inodes, container->layer.counted_ns);
	return stats->attributes ? stats : NULL;
}

int cri_container_stats(struct rpc *rpc, const void *request_, void *ret_reply, struct err *err)
{
	const Cri__ContainerStatsRequest *request = request_;
	Cri__ContainerStatsResponse *reply = ret_reply;
	scoped(container_unref) struct container *container = NULL;
	scoped_done(survey_done) struct survey survey = {0};
	int r = container_find(rpc->node, rpc->owner, request->container_id, &container, err);
	if (r == 0)
		r = survey_begin(rpc, &survey);
	if (r < 0)
		return r;
	survey_add(&survey, container);
	r = survey_run(&survey);
	if (r < 0)
		return r;
	if (container->gone)
		return err_set(err, -ENOENT, "container.not-found", "container %s was removed meanwhile", container->id);
	reply->stats = make_container_stats(&survey, 0);
	return reply->stats ? 0 : -ENOMEM;
}

static bool container_matches(const struct rpc *rpc, const struct container *container,
			      const Cri__ContainerStatsFilter *filter)
{
	if (container->owner != rpc->owner || !container->running)
		return false;
	return !filter || (cri_id_matches(container->id, filter->id) &&
			   cri_id_matches(container->pod->id, filter->pod_sandbox_id) &&
			   cri_labels_match(container->config->labels, container->config->n_labels,
					    filter->label_selector, filter->n_label_selector));
}

/* Those that run ("ListContainerStats returns stats of all running containers"). */
int cri_list_container_stats(struct rpc *rpc, const void *request_, void *ret_reply, struct err *err)
{
	(void)err;
	const Cri__ListContainerStatsRequest *request = request_;
	Cri__ListContainerStatsResponse *reply = ret_reply;
	const struct idtable *all = &rpc->node->containers;
	scoped_done(survey_done) struct survey survey = {0};
	int r = survey_begin(rpc, &survey);
	for (size_t i = 0; r == 0 && i < all->count; i++)
		if (container_matches(rpc, all->objects[i], request->filter))
			survey_add(&survey, all->objects[i]);
	if (r == 0)
		r = survey_run(&survey);
	reply->stats = r == 0 ? rpc_array(rpc, survey.containers_count) : NULL;
	if (!reply->stats)
		return r < 0 ? r : -ENOMEM;
	for (size_t i = 0; i < survey.containers_count; i++) {
		Cri__ContainerStats *stats = survey.containers[i]->gone ? NULL : make_container_stats(&survey, i);
		if (!stats && !survey.containers[i]->gone)
			return -ENOMEM;
		if (stats)
			reply->stats[reply->n_stats++] = stats;
	}
	return 0;
}

/* --- pods --- */

static Cri__PodSandboxAttributes *make_pod_attributes(struct rpc *rpc, const struct pod *pod)
{
	Cri__PodSandboxAttributes *attributes = rpc_new(rpc, &cri__pod_sandbox_attributes__descriptor);
	if (!attributes)
		return NULL;
	attributes->id = pod->id;
	attributes->metadata = pod->config->metadata;
	attributes->n_labels = pod->config->n_labels;
	attributes->labels = pod->config->labels;
	attributes->n_annotations = pod->config->n_annotations;
	attributes->annotations = pod->config->annotations;
	return attributes;
}

static int add_containers(struct survey *survey, const struct pod *pod, Cri__LinuxPodSandboxStats *stats)
{
	stats->containers = rpc_array(survey->rpc, survey->containers_count);
	if (!stats->containers)
		return -ENOMEM;
	for (size_t i = 0; i < survey->containers_count; i++) {
		if (survey->containers[i]->pod != pod || survey->containers[i]->gone)
			continue;
		Cri__ContainerStats *container = make_container_stats(survey, i);
		if (!container)
			return -ENOMEM;
		stats->containers[stats->n_containers++] = container;
	}
	return 0;
}

static Cri__PodSandboxStats *make_pod_stats(struct survey *survey, size_t index)
{
	struct rpc *rpc = survey->rpc;
	struct pod *pod = survey->pods[index];
	const struct usage_sample *sample = &survey->samples[survey->containers_count + index];
	Cri__PodSandboxStats *stats = rpc_new(rpc, &cri__pod_sandbox_stats__descriptor);
	Cri__LinuxPodSandboxStats *linux_stats = rpc_new(rpc, &cri__linux_pod_sandbox_stats__descriptor);
	if (!stats || !linux_stats)
		return NULL;
	stats->attributes = make_pod_attributes(rpc, pod);
	stats->linux = linux_stats;
	linux_stats->cpu = make_cpu(rpc, sample, &pod->cpu_rate, pod->record.created_ns);
	linux_stats->memory = make_memory(rpc, sample);
	linux_stats->network = make_network(rpc, sample);
	linux_stats->process = make_processes(rpc, sample);
	linux_stats->io = make_io(rpc, sample);
	return stats->attributes && add_containers(survey, pod, linux_stats) == 0 ? stats : NULL;
}

static bool is_gone(const struct rpc *rpc, const struct pod *pod)
{
	return idtable_get(&rpc->node->pods, pod->id) != pod;
}

int cri_pod_sandbox_stats(struct rpc *rpc, const void *request_, void *ret_reply, struct err *err)
{
	const Cri__PodSandboxStatsRequest *request = request_;
	Cri__PodSandboxStatsResponse *reply = ret_reply;
	scoped(pod_unref) struct pod *pod = NULL;
	scoped_done(survey_done) struct survey survey = {0};
	int r = pod_find(rpc->node, rpc->owner, request->pod_sandbox_id, &pod, err);
	if (r == 0)
		r = survey_begin(rpc, &survey);
	if (r < 0)
		return r;
	survey_add_pod(&survey, pod);
	r = survey_run(&survey);
	if (r < 0)
		return r;
	if (is_gone(rpc, pod))
		return err_set(err, -ENOENT, "pod.not-found", "pod %s was removed meanwhile", pod->id);
	reply->stats = make_pod_stats(&survey, 0);
	return reply->stats ? 0 : -ENOMEM;
}

static bool pod_matches(const struct rpc *rpc, const struct pod *pod, const Cri__PodSandboxStatsFilter *filter)
{
	if (pod->owner != rpc->owner || pod->phase != POD_READY)
		return false;
	return !filter || (cri_id_matches(pod->id, filter->id) &&
			   cri_labels_match(pod->config->labels, pod->config->n_labels, filter->label_selector,
					    filter->n_label_selector));
}

/* Those that are ready: a stopped one uses nothing. */
int cri_list_pod_sandbox_stats(struct rpc *rpc, const void *request_, void *ret_reply, struct err *err)
{
	(void)err;
	const Cri__ListPodSandboxStatsRequest *request = request_;
	Cri__ListPodSandboxStatsResponse *reply = ret_reply;
	const struct idtable *all = &rpc->node->pods;
	scoped_done(survey_done) struct survey survey = {0};
	int r = survey_begin(rpc, &survey);
	for (size_t i = 0; r == 0 && i < all->count; i++)
		if (pod_matches(rpc, all->objects[i], request->filter))
			survey_add_pod(&survey, all->objects[i]);
	if (r == 0)
		r = survey_run(&survey);
	reply->stats = r == 0 ? rpc_array(rpc, survey.pods_count) : NULL;
	if (!reply->stats)
		return r < 0 ? r : -ENOMEM;
	for (size_t i = 0; i < survey.pods_count; i++) {
		bool gone = is_gone(rpc, survey.pods[i]);
		Cri__PodSandboxStats *stats = gone ? NULL : make_pod_stats(&survey, i);
		if (!stats && !gone)
			return -ENOMEM;
		if (stats)
			reply->stats[reply->n_stats++] = stats;
	}
	return 0;
}
