#include "manager/src/cri.h"

#include "core/base/array.h"

/* A pull may take as long as it makes progress; the library ends it when it stalls. */
#define QUICK_MS 120000
#define SLOW_MS 240000

const struct rpc_method CRI_RUNTIME_METHODS[] = {
	{"Version", cri_version, QUICK_MS},
	{"Status", cri_status, QUICK_MS},
	{"RuntimeConfig", cri_runtime_config, QUICK_MS},
	{"UpdateRuntimeConfig", cri_update_runtime_config, QUICK_MS},
	{"UpdatePodSandboxResources", cri_update_pod_sandbox_resources, SLOW_MS},
	{"RunPodSandbox", cri_run_pod_sandbox, SLOW_MS},
	{"StopPodSandbox", cri_stop_pod_sandbox, SLOW_MS},
	{"RemovePodSandbox", cri_remove_pod_sandbox, SLOW_MS},
	{"PodSandboxStatus", cri_pod_sandbox_status, QUICK_MS},
	{"ListPodSandbox", cri_list_pod_sandbox, QUICK_MS},
	{"CreateContainer", cri_create_container, SLOW_MS},
	{"StartContainer", cri_start_container, SLOW_MS},
	{"StopContainer", cri_stop_container, 0},
	{"RemoveContainer", cri_remove_container, SLOW_MS},
	{"ListContainers", cri_list_containers, QUICK_MS},
	{"ContainerStatus", cri_container_status, QUICK_MS},
	{"UpdateContainerResources", cri_update_container_resources, SLOW_MS},
	{"ReopenContainerLog", cri_reopen_container_log, QUICK_MS},
	{"ExecSync", cri_exec_sync, 0},
	{"Exec", cri_exec, QUICK_MS},
	{"Attach", cri_attach, QUICK_MS},
	{"PortForward", cri_port_forward, QUICK_MS},
	{"ContainerStats", cri_container_stats, QUICK_MS},
	{"ListContainerStats", cri_list_container_stats, QUICK_MS},
	{"PodSandboxStats", cri_pod_sandbox_stats, QUICK_MS},
	{"ListPodSandboxStats", cri_list_pod_sandbox_stats, QUICK_MS},
	{"GetContainerEvents", .stream = cri_get_container_events, .shape = GRPC_SERVER_STREAM},
	{"StreamPodSandboxes", NULL, QUICK_MS, cri_stream_pod_sandboxes, GRPC_SERVER_STREAM},
	{"StreamContainers", NULL, QUICK_MS, cri_stream_containers, GRPC_SERVER_STREAM},
	{"StreamContainerStats", NULL, QUICK_MS, cri_stream_container_stats, GRPC_SERVER_STREAM},
	{"StreamPodSandboxStats", NULL, QUICK_MS, cri_stream_pod_sandbox_stats, GRPC_SERVER_STREAM},
};
const size_t CRI_RUNTIME_METHODS_COUNT = ARRAY_COUNT(CRI_RUNTIME_METHODS);

const struct rpc_method CRI_IMAGE_METHODS[] = {
	{"ListImages", cri_list_images, QUICK_MS},
	{"StreamImages", NULL, QUICK_MS, cri_stream_images, GRPC_SERVER_STREAM},
	{"ImageStatus", cri_image_status, QUICK_MS},
	{"PullImage", cri_pull_image, 0},
	{"RemoveImage", cri_remove_image, SLOW_MS},
	{"ImageFsInfo", cri_image_fs_info, QUICK_MS},
};
const size_t CRI_IMAGE_METHODS_COUNT = ARRAY_COUNT(CRI_IMAGE_METHODS);
