/* Statistics of containers and pods. A figure that this machine does not count is absent, never zero. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "manager/src/container.h"
#include "manager/src/cri_figures.h"
#include "manager/src/cri_stats.h"
#include "manager/src/layer_usage.h"
#include "manager/src/usage.h"

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

/* --- file systems --- */

Cri__FilesystemUsage *cri_make_filesystem_usage(struct rpc *rpc, const char *mountpoint, uint64_t bytes, uint64_t inodes,
						int64_t at_ns)
{
	Cri__FilesystemUsage *usage = rpc_new(rpc, &cri__filesystem_usage__descriptor);
	if (!usage)
		return NULL;
	usage->timestamp = at_ns;
	usage->fs_id = rpc_new(rpc, &cri__filesystem_identifier__descriptor);
	usage->used_bytes = cri_make_value(rpc, bytes);
	usage->inodes_used = cri_make_value(rpc, inodes);
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
	stats->cpu = cri_make_cpu(rpc, sample, &container->cpu_rate, container->record.started_ns);
	stats->memory = cri_make_memory(rpc, sample);
	stats->swap = cri_make_swap(rpc, sample);
	stats->io = cri_make_io(rpc, sample);
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
	linux_stats->cpu = cri_make_cpu(rpc, sample, &pod->cpu_rate, pod->record.created_ns);
	linux_stats->memory = cri_make_memory(rpc, sample);
	linux_stats->network = cri_make_network(rpc, sample);
	linux_stats->process = cri_make_processes(rpc, sample);
	linux_stats->io = cri_make_io(rpc, sample);
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
