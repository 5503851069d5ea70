/* A pod in a network: planned before it is made, attached when its namespace is there, detached before that goes.
 *
 * The plan goes into the pod's record before the first plugin runs, so that whoever finds the record can run DEL with the
 * configuration that ADD was run with. All that parks is called with the pod's lock held. */
#pragma once

struct err;
struct node;
struct pod;

/* Decides what network a new pod gets and notes it in its record (not yet written): none with the host's, where axled.toml
 * wants no CNI, or, for pods of the command line, where there is no configuration.
 * Errors: -ENETUNREACH (network.not-ready), -EINVAL (annotations, ports), -ENOMEM. */
int pod_network_plan(struct pod *pod, struct err *err);

/* Runs ADD, takes the addresses, and writes them into the pod's hosts file (and the network's name servers into resolv.conf,
 * where the pod has none of its own). The record is not written. A pod without a plan is success. Parks. */
int pod_network_attach(struct pod *pod, struct err *err);

/* Runs DEL and forgets the network in the record (not yet written). May be repeated. Parks. */
int pod_network_detach(struct pod *pod, struct err *err);

/* Runs CHECK. Returns as cni_check(); a pod without a network is CNI_UNCHECKED. Parks. */
int pod_network_check(struct pod *pod, struct err *err);

/* For the start: a fiber runs CHECK for all pods, one after the other, and logs what is not as it was (it may have changed while
 * nobody watched). Errors: -ENOMEM, -EAGAIN. */
int pod_network_check_all(struct node *node);
