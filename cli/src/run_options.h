/* What `run` and `create` take: the options, as they were typed. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/opt.h"

struct run_options {
	bool detach, interactive, tty, remove, quiet;
	bool read_only, privileged, publish_all;
	bool sig_proxy;
	const char *name, *entrypoint, *workdir, *user, *hostname, *pull, *platform, *runtime, *stop_signal;
	const char *network, *pid, *ipc, *cpus, *cpuset_cpus, *cpuset_mems, *detach_keys, *restart;
	uint64_t memory, memory_swap;
	int64_t cpu_shares, pids_limit, oom_score_adj;
	char **env, **env_files, **volumes, **labels, **annotations, **cap_add, **cap_drop, **publish, **devices,
		**groups, **security, **sysctls, **dns, **dns_search;
};

extern const struct run_options RUN_DEFAULTS;

/* The rows of `run`; `create` has all but the first RUN_ONLY. */
extern const struct opt RUN_OPTIONS[];
#define RUN_ONLY 3
