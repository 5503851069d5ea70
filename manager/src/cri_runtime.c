/* Version, Status. */
#include <errno.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "manager/src/capability.h"
#include "manager/src/cri.h"
#include "manager/src/runtimes.h"

int cri_version(struct rpc *rpc, const void *request, void *ret_reply, struct err *err)
{
	(void)rpc;
	(void)request;
	(void)err;
	Cri__VersionResponse *reply = ret_reply;
	reply->version = "0.1.0"; /* of the kubelet's runtime API, which never changed */
	reply->runtime_name = "axle";
	reply->runtime_version = AXLE_VERSION;
	reply->runtime_api_version = "v1";
	return 0;
}

Cri__RuntimeCondition *cri_make_condition(struct rpc *rpc, const char *type, bool status, const char *reason,
					  const char *message)
{
	Cri__RuntimeCondition *condition = rpc_new(rpc, &cri__runtime_condition__descriptor);
	if (!condition)
		return NULL;
	condition->type = type;
	condition->status = status;
	condition->reason = reason;
	condition->message = message;
	return condition;
}

/* Pods without a handler get the default one: without it nothing can run. */
static Cri__RuntimeCondition *make_runtime_condition(struct rpc *rpc)
{
	struct err err = {0};
	struct runtime runtime = {0};
	if (runtime_find(rpc->node, "", rpc->arena, &runtime, &err) == 0)
		return cri_make_condition(rpc, "RuntimeReady", true, "", "");
	const char *message = arena_strdup(rpc->arena, err.message);
	return message ? cri_make_condition(rpc, "RuntimeReady", false, "RuntimeMissing", message) : NULL;
}

int cri_make_conditions(struct rpc *rpc, size_t *ret_count, Cri__RuntimeCondition ***ret_conditions)
{
	Cri__RuntimeCondition **conditions = rpc_array(rpc, 2);
	if (!conditions)
		return -ENOMEM;
	conditions[0] = make_runtime_condition(rpc);
	conditions[1] = cri_make_network_condition(rpc);
	*ret_conditions = conditions;
	*ret_count = 2;
	return conditions[0] && conditions[1] ? 0 : -ENOMEM;
}

static Cri__RuntimeHandler *make_handler(struct rpc *rpc, const char *name, const struct runtime_features *can)
{
	Cri__RuntimeHandler *handler = rpc_new(rpc, &cri__runtime_handler__descriptor);
	Cri__RuntimeHandlerFeatures *features = rpc_new(rpc, &cri__runtime_handler_features__descriptor);
	if (!handler || !features)
		return NULL;
	handler->name = name;
	handler->features = features;
	features->recursive_read_only_mounts = can->recursive_read_only;
	features->user_namespaces = can->user_namespaces;
	return handler;
}

/* Each handler whose program is there by its name, and the default one also by none. */
static int make_handlers(struct rpc *rpc, const struct runtime_features *by_default, Cri__StatusResponse *reply)
{
	const struct config *config = &rpc->node->config;
	reply->runtime_handlers = rpc_array(rpc, config->runtimes_count + 1);
	if (!reply->runtime_handlers)
		return -ENOMEM;
	for (size_t i = 0; i <= config->runtimes_count; i++) {
		const char *name = i == 0 ? "" : config->runtimes[i - 1].name;
		const struct runtime_features can = i == 0 ? *by_default : runtime_features(rpc->node, name);
		if (!can.present)
			continue;
		Cri__RuntimeHandler *handler = make_handler(rpc, name, &can);
		if (!handler)
			return -ENOMEM;
		reply->runtime_handlers[reply->n_runtime_handlers++] = handler;
	}
	return 0;
}

/* What axled may not give to anybody: containers that ask for it get less. */
static const char *missing_capabilities(struct rpc *rpc)
{
	const char *names = "";
	for (int cap = 0; names && capability_name(cap); cap++)
		if (!(rpc->node->bounding_capabilities & UINT64_C(1) << cap))
			names = arena_printf(rpc->arena, "%s%s\"%s\"", names, *names ? "," : "", capability_name(cap));
	return names;
}

static int make_info(struct rpc *rpc, Cri__StatusResponse *reply)
{
	const struct node *node = rpc->node;
	const char *missing = missing_capabilities(rpc);
	const char *text = missing ? arena_printf(rpc->arena,
						  "{\"node\":\"%s\",\"owner\":\"%s\",\"root\":\"%s\",\"state\":\"%s\","
						  "\"cgroupV2\":%s,\"capabilitiesNotGiven\":[%s]}",
						  node->name, owner_name(rpc->owner), node->places.root,
						  node->places.state, node->cgroups.pure_v2 ? "true" : "false", missing)
				   : NULL;
	return rpc_add_entry(rpc, &reply->info, &reply->n_info, "config", text);
}

int cri_status(struct rpc *rpc, const void *request_, void *ret_reply, struct err *err)
{
	(void)err;
	const Cri__StatusRequest *request = request_;
	Cri__StatusResponse *reply = ret_reply;
	reply->status = rpc_new(rpc, &cri__runtime_status__descriptor);
	reply->features = rpc_new(rpc, &cri__runtime_features__descriptor);
	if (!reply->status || !reply->features)
		return -ENOMEM;
	const struct runtime_features can = runtime_features(rpc->node, "");
	reply->features->supplemental_groups_policy = true;
	reply->features->user_namespaces_host_network = can.user_namespaces;
	reply->features->mount_options = true;
	int r = cri_make_conditions(rpc, &reply->status->n_conditions, &reply->status->conditions);
	if (r == 0)
		r = make_handlers(rpc, &can, reply);
	return r == 0 && request->verbose ? make_info(rpc, reply) : r;
}
