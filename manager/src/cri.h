/* The calls of CRI v1: one file for each group, one row for each call. A new call is a row here and a function there. */
#pragma once

#include "manager/src/rpc.h"
#include "proto/cri.h"

struct container;
struct image;
struct pod;

extern const struct rpc_method CRI_RUNTIME_METHODS[];
extern const size_t CRI_RUNTIME_METHODS_COUNT;
extern const struct rpc_method CRI_IMAGE_METHODS[];
extern const size_t CRI_IMAGE_METHODS_COUNT;

/* cri_runtime.c */
rpc_handler cri_version, cri_status;
/* cri_runtime_config.c */
rpc_handler cri_runtime_config, cri_update_runtime_config, cri_update_pod_sandbox_resources;
/* cri_pod.c */
rpc_handler cri_run_pod_sandbox, cri_stop_pod_sandbox, cri_remove_pod_sandbox, cri_pod_sandbox_status, cri_list_pod_sandbox;
/* cri_container.c */
rpc_handler cri_create_container, cri_start_container, cri_stop_container, cri_remove_container, cri_list_containers,
	cri_container_status, cri_reopen_container_log;
/* cri_update.c */
rpc_handler cri_update_container_resources;
/* cri_stats.c */
rpc_handler cri_container_stats, cri_list_container_stats, cri_pod_sandbox_stats, cri_list_pod_sandbox_stats;
/* cri_events.c */
grpc_handler cri_get_container_events;
/* cri_streams.c */
grpc_handler cri_stream_pod_sandboxes, cri_stream_containers, cri_stream_container_stats, cri_stream_pod_sandbox_stats,
	cri_stream_images;
/* cri_exec.c */
rpc_handler cri_exec_sync;
/* cri_streaming.c */
rpc_handler cri_exec, cri_attach, cri_port_forward;
/* cri_image.c */
rpc_handler cri_list_images, cri_image_status, cri_pull_image, cri_remove_image, cri_image_fs_info;

/* What several calls, and axle.v1, show of an object. NULL: out of memory. */
Cri__PodSandboxStatus *cri_make_pod_status(struct rpc *rpc, const struct pod *pod);
Cri__ContainerStatus *cri_make_container_status(struct rpc *rpc, const struct container *container);

/* cri_network.c: a pod's addresses; its network and what CHECK says of it now, as JSON (parks: first of all); NetworkReady (parks).
 * NULL: out of memory. */
Cri__PodSandboxNetworkStatus *cri_make_network_status(struct rpc *rpc, const struct pod *pod);
const char *cri_describe_network(struct rpc *rpc, struct pod *pod);
Cri__RuntimeCondition *cri_make_network_condition(struct rpc *rpc);

/* Its texts are not copied. NULL: out of memory. */
Cri__RuntimeCondition *cri_make_condition(struct rpc *rpc, const char *type, bool status, const char *reason,
					  const char *message);

/* The conditions RuntimeReady and NetworkReady. Parks. Errors: -ENOMEM. */
int cri_make_conditions(struct rpc *rpc, size_t *ret_count, Cri__RuntimeCondition ***ret_conditions);

/* What a kubelet gives to log in at the registry of @image; none where they name another server. Errors: -EINVAL. */
struct image_credentials;
int cri_take_credentials(struct rpc *rpc, const Cri__AuthConfig *auth, const char *image,
			 struct image_credentials *ret_credentials, struct err *err);

/* cri_filter.c: do the labels have all that the selector asks for? */
bool cri_labels_match(Cri__MapEntry *const *labels, size_t count, Cri__MapEntry *const *selector, size_t selector_count);
/* Is @prefix empty or does @id begin with it? */
bool cri_id_matches(const char *id, const char *prefix);
