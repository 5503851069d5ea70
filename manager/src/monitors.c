#include "manager/src/monitors.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <uv.h>

#include "core/base/scoped.h"
#include "core/base/str.h"
#include "manager/src/node.h"
#include "runtime/include/axle/monitor.h"

struct monitors {
	uv_signal_t child_ended;
	pid_t *pids;
	size_t count;
	size_t capacity;
};

/* Only those of the list: helpers and workers are reaped by who waits for them. */
static void on_child_ended(uv_signal_t *handle, int signum)
{
	(void)signum;
	struct monitors *monitors = handle->data;
	for (size_t i = 0; i < monitors->count;) {
		if (waitpid(monitors->pids[i], NULL, WNOHANG) == 0)
			i++;
		else
			monitors->pids[i] = monitors->pids[--monitors->count];
	}
}

int monitors_new(struct node *node, struct monitors **ret_monitors)
{
	struct monitors *monitors = calloc(1, sizeof *monitors);
	if (!monitors)
		return -ENOMEM;
	int r = uv_signal_init(node->loop, &monitors->child_ended);
	if (r == 0) {
		monitors->child_ended.data = monitors;
		r = uv_signal_start(&monitors->child_ended, on_child_ended, SIGCHLD);
	}
	*ret_monitors = monitors;
	return r;
}

static void on_closed(uv_handle_t *handle)
{
	struct monitors *monitors = handle->data;
	free(monitors->pids);
	free(monitors);
}

void monitors_free(struct monitors *monitors)
{
	if (monitors)
		uv_close((uv_handle_t *)&monitors->child_ended, on_closed);
}

static int make_room(struct monitors *monitors)
{
	if (monitors->count < monitors->capacity)
		return 0;
	size_t capacity = monitors->capacity ? monitors->capacity * 2 : 16;
	pid_t *grown = reallocarray(monitors->pids, capacity, sizeof *grown);
	if (!grown)
		return -ENOMEM;
	monitors->pids = grown;
	monitors->capacity = capacity;
	return 0;
}

int monitors_spawn(struct node *node, struct monitor_client **ret_client, pid_t *ret_pid, struct err *err)
{
	scoped_free char *cgroup = str_printf("/%s/monitors", node->name);
	if (!cgroup || make_room(node->monitors) < 0)
		return -ENOMEM;
	const struct monitor_spawn options = {.cgroup = cgroup};
	int r = monitor_spawn(&options, ret_client, ret_pid, err);
	if (r == 0)
		node->monitors->pids[node->monitors->count++] = *ret_pid;
	return r;
}
