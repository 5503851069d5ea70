/* What a pod's configuration means to CNI plugins: CNI_ARGS, and the arguments of capabilities (containernetworking/cni,
 * CONVENTIONS.md), as kubelets' runtimes give them. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "proto/cri.h"

struct arena;
struct err;

/* Annotations of a pod: its own MAC address and addresses ("10.1.0.7/24,fd00::7/64"), for networks that grant such wishes. */
#define ANNOTATION_MAC "axle.network.mac"
#define ANNOTATION_IPS "axle.network.ips"

/* CNI_ARGS of pod @id, in @arena. Errors: -EINVAL (a name with ';' or '='). */
int pod_network_args(const char *id, const Cri__PodSandboxMetadata *metadata, struct arena *arena, const char **ret_args,
		     struct err *err);

/* One object with the arguments of all capabilities: portMappings, bandwidth, dns, mac, ips, ipRanges (of @pod_cidr, may be
 * NULL), cgroupPath, io.kubernetes.cri.pod-annotations; each where the configuration speaks of it. The caller owns it.
 * Errors: -EINVAL (@err names the annotation or port), -ENOMEM. */
int pod_network_capabilities(const Cri__PodSandboxConfig *config, const char *pod_cidr, json_t **ret_capabilities,
			     struct err *err);

/* Does it ask for ports of the host? */
bool pod_network_wants_ports(const Cri__PodSandboxConfig *config);
