/* Samples of what is used, as CRI's messages. Each returns NULL where this machine does not count the figure, and where
 * memory is out: both are "not known" to who asks. */
#pragma once

#include "manager/src/rpc.h"
#include "manager/src/usage.h"
#include "proto/cri.h"

Cri__UInt64Value *cri_make_value(struct rpc *rpc, uint64_t value);

/* @since_ns: as usage_rate_update(). */
Cri__CpuUsage *cri_make_cpu(struct rpc *rpc, const struct usage_sample *sample, struct usage_rate *rate, int64_t since_ns);
Cri__MemoryUsage *cri_make_memory(struct rpc *rpc, const struct usage_sample *sample);
Cri__SwapUsage *cri_make_swap(struct rpc *rpc, const struct usage_sample *sample);
Cri__IoUsage *cri_make_io(struct rpc *rpc, const struct usage_sample *sample);
Cri__ProcessUsage *cri_make_processes(struct rpc *rpc, const struct usage_sample *sample);

/* "eth0", the name that CNI gives to a pod's first interface, is the default one. */
Cri__NetworkUsage *cri_make_network(struct rpc *rpc, const struct usage_sample *sample);
