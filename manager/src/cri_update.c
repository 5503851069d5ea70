/* UpdateContainerResources. */
#include <errno.h>

#include "core/base/err.h"
#include "manager/src/container_life.h"
#include "manager/src/cri.h"

int cri_update_container_resources(struct rpc *rpc, const void *request_, void *ret_reply, struct err *err)
{
	(void)ret_reply;
	const Cri__UpdateContainerResourcesRequest *request = request_;
	scoped(container_unref) struct container *container = NULL;
	int r = container_find(rpc->node, rpc->owner, request->container_id, &container, err);
	if (r < 0 || !request->linux)
		return r; /* limits of other systems change nothing here */
	return container_update(container, request->linux, err);
}
