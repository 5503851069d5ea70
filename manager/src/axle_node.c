/* axle.v1 Node: Info. */
#include <errno.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/str.h"
#include "image/include/axle/image.h"
#include "manager/src/axle.h"
#include "manager/src/container.h"
#include "manager/src/cri.h"

static const char *cgroup_layout(const struct node *node)
{
	if (node->cgroups.pure_v2)
		return "v2";
	return node->cgroups.v2_index >= 0 ? "mixed" : "v1";
}

static int add_handlers(struct rpc *rpc, Axle__InfoResponse *reply)
{
	const struct config *config = &rpc->node->config;
	reply->handlers = rpc_array(rpc, config->runtimes_count);
	if (!reply->handlers)
		return -ENOMEM;
	for (size_t i = 0; i < config->runtimes_count; i++) {
		Axle__RuntimeHandlerInfo *handler = rpc_new(rpc, &axle__runtime_handler_info__descriptor);
		if (!handler)
			return -ENOMEM;
		handler->name = config->runtimes[i].name;
		handler->path = config->runtimes[i].path ? config->runtimes[i].path : config->runtimes[i].name;
		handler->is_default = str_equal(config->runtimes[i].name, config->default_runtime);
		reply->handlers[reply->n_handlers++] = handler;
	}
	return 0;
}

int axle_info(struct rpc *rpc, const void *request, void *ret_reply, struct err *err)
{
	(void)request;
	(void)err;
	const struct node *node = rpc->node;
	Axle__InfoResponse *reply = ret_reply;
	struct utsname system = {0};
	(void)uname(&system);
	reply->version = AXLE_VERSION;
	reply->node = node->name;
	reply->owner = owner_name(rpc->owner);
	reply->root = node->places.root;
	reply->state = node->places.state;
	reply->config = access(node->places.config, R_OK) == 0 ? node->places.config : "";
	reply->pid = (uint32_t)getpid();
	reply->started_at = node->started_ns;
	reply->kernel = arena_strdup(rpc->arena, system.release);
	reply->architecture = arena_strdup(rpc->arena, system.machine);
	reply->cgroup_layout = cgroup_layout(node);
	reply->containers = (uint32_t)node->containers.count;
	reply->pods = (uint32_t)node->pods.count;
	reply->images = (uint32_t)image_store_count(node->images);
	for (size_t i = 0; i < node->containers.count; i++)
		reply->containers_running += ((const struct container *)node->containers.objects[i])->running;
	if (!reply->kernel || !reply->architecture)
		return -ENOMEM;
	int r = cri_make_conditions(rpc, &reply->n_conditions, &reply->conditions);
	return r < 0 ? r : add_handlers(rpc, reply);
}
