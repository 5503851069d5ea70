#include "manager/src/container_namespaces.h"

#include <errno.h>
#include <sched.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/sys/ns.h"
#include "core/sys/pidfd.h"
#include "manager/src/container.h"
#include "manager/src/pod_init.h"
#include "manager/src/pod_life.h"
#include "manager/src/spec.h"

int container_find_target(const struct container *container, const struct container **ret_target, struct err *err)
{
	const char *id = container->config->linux->security_context->namespace_options->target_id;
	const struct container *target = idtable_get(&container->node->containers, id);
	if (!target || target->pod != container->pod || !target->running || target->pidfd < 0)
		return err_set(err, -EINVAL, "container.target",
			       "target container \"%.64s\": expected a running container of the same pod", id);
	*ret_target = target;
	return 0;
}

/* The descriptor is its namespace for good once the process was seen alive after opening. */
static int open_target(struct container *container, struct err *err)
{
	const struct container *target = NULL;
	scoped_fd int fd = -1;
	int r = container_find_target(container, &target, err);
	if (r == 0)
		r = ns_open_of_process((int)target->pid, ns_kind_of_flag(CLONE_NEWPID), &fd, err);
	if (r == 0 && pidfd_await_end(target->pidfd, 0) == 0)
		r = err_set(err, -EINVAL, "container.target", "target container %s: it has just ended", target->id);
	if (r < 0)
		return r;
	container_close_namespaces(container);
	container->target_fd = TAKE_FD(fd);
	return 0;
}

int container_open_namespaces(struct container *container, struct err *err)
{
	switch (spec_pid_mode(container->pod->config, container->config)) {
	case CRI__NAMESPACE_MODE__POD:
		return pod_init_ensure(container->pod, pod_lose_init, err);
	case CRI__NAMESPACE_MODE__TARGET:
		return open_target(container, err);
	default:
		return 0;
	}
}

void container_close_namespaces(struct container *container)
{
	if (container->target_fd >= 0)
		(void)close(container->target_fd);
	container->target_fd = -1;
}
