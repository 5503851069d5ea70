/* The Linux part of what `run` asks for: limits, capabilities, user, namespaces. For run_config.c alone. */
#pragma once

#include "cli/src/run_options.h"
#include "proto/cri.h"

struct arena;
struct err;

/* Errors: -EINVAL, -ENOENT, -ENOMEM. */
int run_linux_resources(const struct run_options *options, struct arena *arena, Cri__LinuxContainerResources **ret,
			struct err *err);
int run_linux_security(const struct run_options *options, struct arena *arena, Cri__LinuxContainerSecurityContext **ret,
		       struct err *err);
int run_linux_pod(const struct run_options *options, const Cri__LinuxContainerSecurityContext *container,
		  struct arena *arena, Cri__LinuxPodSandboxConfig **ret, struct err *err);

/* "KEY=VALUE" texts as the entries of a map; *ret_entries lies in @arena. @option names them in messages. */
int run_map(const char *option, char *const *texts, struct arena *arena, size_t *ret_count,
	    Cri__MapEntry ***ret_entries, struct err *err);
