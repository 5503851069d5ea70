#include "manager/src/cri_figures.h"

#include "core/base/arena.h"
#include "core/base/str.h"

#define DEFAULT_INTERFACE "eth0" /* CNI's name for a pod's first one (cni-spec, CNI_IFNAME; kubelets ask for it) */
#define LOOPBACK "lo"

Cri__UInt64Value *cri_make_value(struct rpc *rpc, uint64_t value)
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

Cri__CpuUsage *cri_make_cpu(struct rpc *rpc, const struct usage_sample *sample, struct usage_rate *rate,
			    int64_t since_ns)
{
	Cri__CpuUsage *cpu = sample->stats.known & CGROUP_CPU ? rpc_new(rpc, &cri__cpu_usage__descriptor) : NULL;
	if (!cpu)
		return NULL;
	cpu->timestamp = sample->at_ns;
	cpu->usage_core_nano_seconds = cri_make_value(rpc, sample->stats.cpu_ns);
	cpu->usage_nano_cores = cri_make_value(rpc, usage_rate_update(rate, sample, since_ns));
	cpu->psi = make_psi(rpc, sample->stats.known & CGROUP_CPU_PSI, &sample->stats.cpu_psi);
	return cpu;
}

Cri__MemoryUsage *cri_make_memory(struct rpc *rpc, const struct usage_sample *sample)
{
	const struct cgroup_stats *stats = &sample->stats;
	Cri__MemoryUsage *memory = stats->known & CGROUP_MEMORY ? rpc_new(rpc, &cri__memory_usage__descriptor) : NULL;
	if (!memory)
		return NULL;
	uint64_t working_set = cgroup_stats_working_set(stats);
	memory->timestamp = sample->at_ns;
	memory->usage_bytes = cri_make_value(rpc, stats->memory_bytes);
	memory->working_set_bytes = cri_make_value(rpc, working_set);
	if (stats->memory_limit_bytes != CGROUP_UNLIMITED)
		memory->available_bytes = cri_make_value(
			rpc, stats->memory_limit_bytes > working_set ? stats->memory_limit_bytes - working_set : 0);
	if (stats->known & CGROUP_MEMORY_STAT)
		memory->rss_bytes = cri_make_value(rpc, stats->rss_bytes);
	if (stats->known & CGROUP_FAULTS) {
		memory->page_faults = cri_make_value(rpc, stats->page_faults);
		memory->major_page_faults = cri_make_value(rpc, stats->major_page_faults);
	}
	memory->psi = make_psi(rpc, stats->known & CGROUP_MEMORY_PSI, &stats->memory_psi);
	return memory;
}

Cri__SwapUsage *cri_make_swap(struct rpc *rpc, const struct usage_sample *sample)
{
	const struct cgroup_stats *stats = &sample->stats;
	Cri__SwapUsage *swap = stats->known & CGROUP_SWAP ? rpc_new(rpc, &cri__swap_usage__descriptor) : NULL;
	if (!swap)
		return NULL;
	swap->timestamp = sample->at_ns;
	swap->swap_usage_bytes = cri_make_value(rpc, stats->swap_bytes);
	if (stats->swap_limit_bytes != CGROUP_UNLIMITED)
		swap->swap_available_bytes = cri_make_value(
			rpc, stats->swap_limit_bytes > stats->swap_bytes ? stats->swap_limit_bytes - stats->swap_bytes : 0);
	return swap;
}

Cri__IoUsage *cri_make_io(struct rpc *rpc, const struct usage_sample *sample)
{
	Cri__IoUsage *io = sample->stats.known & CGROUP_IO_PSI ? rpc_new(rpc, &cri__io_usage__descriptor) : NULL;
	if (!io)
		return NULL;
	io->timestamp = sample->at_ns;
	io->psi = make_psi(rpc, true, &sample->stats.io_psi);
	return io;
}

Cri__ProcessUsage *cri_make_processes(struct rpc *rpc, const struct usage_sample *sample)
{
	Cri__ProcessUsage *process = sample->stats.known & CGROUP_PIDS ? rpc_new(rpc, &cri__process_usage__descriptor) : NULL;
	if (!process)
		return NULL;
	process->timestamp = sample->at_ns;
	process->process_count = cri_make_value(rpc, sample->stats.processes);
	return process;
}

static Cri__NetworkInterfaceUsage *make_interface(struct rpc *rpc, const struct net_dev *device)
{
	Cri__NetworkInterfaceUsage *usage = rpc_new(rpc, &cri__network_interface_usage__descriptor);
	if (!usage)
		return NULL;
	usage->name = arena_strdup(rpc->arena, device->name);
	usage->rx_bytes = cri_make_value(rpc, device->rx_bytes);
	usage->rx_errors = cri_make_value(rpc, device->rx_errors);
	usage->tx_bytes = cri_make_value(rpc, device->tx_bytes);
	usage->tx_errors = cri_make_value(rpc, device->tx_errors);
	return usage->name ? usage : NULL;
}

/* Loopback is left out, as kubelets leave it out where they count themselves. */
Cri__NetworkUsage *cri_make_network(struct rpc *rpc, const struct usage_sample *sample)
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
