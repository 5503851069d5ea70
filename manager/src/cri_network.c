/* What CRI shows of networks. */
#include <errno.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/codec/json.h"
#include "manager/src/cni.h"
#include "manager/src/cri.h"
#include "manager/src/networks.h"
#include "manager/src/pod.h"
#include "manager/src/pod_network.h"

#define INFO_BYTES_MAX (1 << 20)

/* Every address: kubelets choose by family, the first is the pod's own. */
Cri__PodSandboxNetworkStatus *cri_make_network_status(struct rpc *rpc, const struct pod *pod)
{
	const struct membership *network = &pod->network;
	Cri__PodSandboxNetworkStatus *status = rpc_new(rpc, &cri__pod_sandbox_network_status__descriptor);
	if (!status || !network->addresses_count)
		return status;
	status->ip = network->addresses[0];
	status->additional_ips = rpc_array(rpc, network->addresses_count);
	if (!status->additional_ips)
		return NULL;
	for (size_t i = 1; i < network->addresses_count; i++) {
		Cri__PodIP *ip = rpc_new(rpc, &cri__pod_ip__descriptor);
		if (!ip)
			return NULL;
		ip->ip = network->addresses[i];
		status->additional_ips[status->n_additional_ips++] = ip;
	}
	return status;
}

struct network_info {
	const char *name;
	const char *interface;
	const char *netns;
	const char *check; /* "ok", "not checked", or what CHECK complains about */
	json_t *result;
};

static const struct json_field INFO_FIELDS[] = {
	JSON_FIELD(struct network_info, name, "name", JSON_STRING_T, 0),
	JSON_FIELD(struct network_info, interface, "interface", JSON_STRING_T, 0),
	JSON_FIELD(struct network_info, netns, "netns", JSON_STRING_T, 0),
	JSON_FIELD(struct network_info, check, "check", JSON_STRING_T, 0),
	JSON_FIELD(struct network_info, result, "result", JSON_RAW, 0),
};
static const struct json_table INFO = JSON_TABLE(struct network_info, INFO_FIELDS);

/* Nobody attaches or detaches it meanwhile. */
static const char *check(struct rpc *rpc, struct pod *pod)
{
	struct err err = {0};
	int r = fiber_lock(rpc->node->fibers, &pod->lock);
	if (r < 0)
		return "not checked";
	r = pod_network_check(pod, &err);
	fiber_unlock(rpc->node->fibers, &pod->lock);
	if (r == CNI_UNCHECKED)
		return "not checked";
	return r == 0 ? "ok" : arena_strdup(rpc->arena, err_text(&err, r));
}

const char *cri_describe_network(struct rpc *rpc, struct pod *pod)
{
	if (!pod->record.network)
		return "{}";
	struct network_info info = {.check = check(rpc, pod)};
	const struct network_record *record = pod->record.network;
	if (!record) /* it was stopped meanwhile */
		return "{}";
	info.name = record->name;
	info.interface = record->interface;
	info.netns = arena_printf(rpc->arena, "%s/%s/net", rpc->node->places.pins, pod->id);
	info.result = record->result;
	scoped_done(buf_done) struct buf text = {.max = INFO_BYTES_MAX};
	return json_encode(&INFO, &info, &text) == 0 ? arena_strdup(rpc->arena, text.data) : NULL;
}

/* What a kubelet waits for before it starts pods: that one could be given a network. The reasons are those of dockershim and
 * containerd, which dashboards look for. */
Cri__RuntimeCondition *cri_make_network_condition(struct rpc *rpc)
{
	struct err err = {0};
	int r = networks_ready(rpc->node, &err);
	if (r == NETWORKS_CNI)
		return cri_make_condition(rpc, "NetworkReady", true, "", "");
	const char *why = arena_strdup(rpc->arena, err_text(&err, r));
	if (!why)
		return NULL;
	return r == NETWORKS_LOOPBACK_ONLY ? cri_make_condition(rpc, "NetworkReady", true, "LoopbackOnly", why)
					   : cri_make_condition(rpc, "NetworkReady", false, "NetworkPluginNotReady", why);
}
