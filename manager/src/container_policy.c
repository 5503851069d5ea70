/* What happens by itself when a container has ended. */
#include "core/base/err.h"
#include "manager/src/container_life.h"
#include "manager/src/pod_life.h"

void container_finish_policy(struct container *container)
{
	if (!container->record.auto_remove || container->phase != CONTAINER_EXITED || container->gone)
		return;
	struct err err = {0};
	struct fibers *fibers = container->node->fibers;
	fiber_shield(fibers);
	int r = container->owner == OWNER_AXLE ? pod_remove(container->pod, &err) : container_remove(container, &err);
	fiber_unshield(fibers);
	if (r < 0)
		log_err(&container->node->log, &err, r, "remove container %s after its end", container->id);
}
