/* RuntimeConfig, UpdateRuntimeConfig, UpdatePodSandboxResources: what a kubelet and the node agree on. */
#include <errno.h>

#include "core/base/str.h"
#include "manager/src/cri.h"
#include "manager/src/pod.h"
#include "manager/src/pod_resources.h"
#include "manager/src/runtime_config.h"

/* Groups are paths here; no runtime of ours asks systemd for a slice. */
int cri_runtime_config(struct rpc *rpc, const void *request, void *ret_reply, struct err *err)
{
	(void)request;
	(void)err;
	Cri__RuntimeConfigResponse *reply = ret_reply;
	reply->linux = rpc_new(rpc, &cri__linux_runtime_configuration__descriptor);
	if (!reply->linux)
		return -ENOMEM;
	reply->linux->cgroup_driver = CRI__CGROUP_DRIVER__CGROUPFS;
	return 0;
}

int cri_update_runtime_config(struct rpc *rpc, const void *request_, void *ret_reply, struct err *err)
{
	(void)ret_reply;
	const Cri__UpdateRuntimeConfigRequest *request = request_;
	const Cri__RuntimeConfig *config = request->runtime_config;
	return runtime_config_update(rpc->node, config && config->network_config ? config->network_config->pod_cidr : "", err);
}

int cri_update_pod_sandbox_resources(struct rpc *rpc, const void *request_, void *ret_reply, struct err *err)
{
	(void)ret_reply;
	const Cri__UpdatePodSandboxResourcesRequest *request = request_;
	scoped(pod_unref) struct pod *pod = NULL;
	int r = pod_find(rpc->node, rpc->owner, request->pod_sandbox_id, &pod, err);
	return r < 0 ? r : pod_resources_update(pod, request->overhead, request->resources, err);
}
