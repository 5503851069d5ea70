/* What a kubelet tells the node by UpdateRuntimeConfig: the pod CIDR, kept in ROOT/runtime-config.json. */
#pragma once

struct err;
struct node;

/* Reads what was kept, into node->pod_cidr. Blocks: for the start. A damaged file is logged and counts as none.
 * Errors: -ENOTSUP (record.version: a newer Axle wrote it). */
int runtime_config_load(struct node *node, struct err *err);

/* Keeps @pod_cidr ("10.1.0.0/24" or several with commas; "" changes nothing), and makes a network configuration of
 * cni.conf-template, where there is one and no other configuration. Parks.
 * Errors: -EINVAL (runtime-config.pod-cidr, runtime-config.template), of writing. */
int runtime_config_update(struct node *node, const char *pod_cidr, struct err *err);
