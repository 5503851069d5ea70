/* Exec, Attach, PortForward: checked here, answered with an URL at which the client gets its streams. */
#include <errno.h>
#include <stdlib.h>

#include "core/base/err.h"
#include "core/base/str.h"
#include "manager/src/container.h"
#include "manager/src/cri.h"
#include "manager/src/pod.h"
#include "manager/src/streaming.h"
#include "manager/src/streaming_internal.h"

static int check_streams(const struct streaming_request *request, struct err *err)
{
	if (request->tty && request->with_stderr)
		return err_set(err, -EINVAL, "streaming.streams", "tty and stderr: expected one of them, a terminal has no stderr");
	if (!request->with_stdin && !request->with_stdout && !request->with_stderr)
		return err_set(err, -EINVAL, "streaming.streams", "expected one of stdin, stdout and stderr");
	return 0;
}

static int check_running(const struct container *container, struct err *err)
{
	if (container->running)
		return 0;
	return err_set(err, -EBUSY, "container.state", "container %s is %s: expected one that runs", container->id,
		       container_phase_name(container->phase));
}

/* Of Exec and Attach: what both need. The caller owns *ret_request. */
static int make_request(struct rpc *rpc, const char *container_id, const struct streaming_request *wish,
			struct streaming_request **ret_request, struct err *err)
{
	scoped(streaming_request_free) struct streaming_request *request = calloc(1, sizeof *request);
	if (!request)
		return err_memory(err, "streaming request");
	*request = *wish;
	int r = container_find(rpc->node, rpc->owner, container_id, &request->container, err);
	if (r == 0)
		r = check_streams(request, err);
	if (r == 0)
		r = check_running(request->container, err);
	if (r < 0)
		return r;
	*ret_request = TAKE(request);
	return 0;
}

static int copy_command(struct streaming_request *request, const Cri__ExecRequest *from, struct err *err)
{
	if (!from->n_cmd)
		return err_set(err, -EINVAL, "exec.command", "expected a command");
	for (size_t i = 0; i < from->n_cmd; i++)
		if (strv_add(&request->command, from->cmd[i]) < 0)
			return err_memory(err, "command");
	return 0;
}

int cri_exec(struct rpc *rpc, const void *request_, void *ret_reply, struct err *err)
{
	const Cri__ExecRequest *from = request_;
	Cri__ExecResponse *reply = ret_reply;
	const struct streaming_request wish = {
		.kind = STREAMING_EXEC,
		.tty = from->tty,
		.with_stdin = from->stdin,
		.with_stdout = from->stdout,
		.with_stderr = from->stderr,
	};
	scoped(streaming_request_free) struct streaming_request *request = NULL;
	int r = make_request(rpc, from->container_id, &wish, &request, err);
	if (r == 0)
		r = copy_command(request, from, err);
	return r < 0 ? r : streaming_url(rpc->node->streaming, TAKE(request), rpc->arena, &reply->url, err);
}

int cri_attach(struct rpc *rpc, const void *request_, void *ret_reply, struct err *err)
{
	const Cri__AttachRequest *from = request_;
	Cri__AttachResponse *reply = ret_reply;
	const struct streaming_request wish = {
		.kind = STREAMING_ATTACH,
		.tty = from->tty,
		.with_stdin = from->stdin,
		.with_stdout = from->stdout,
		.with_stderr = from->stderr,
	};
	scoped(streaming_request_free) struct streaming_request *request = NULL;
	int r = make_request(rpc, from->container_id, &wish, &request, err);
	return r < 0 ? r : streaming_url(rpc->node->streaming, TAKE(request), rpc->arena, &reply->url, err);
}

int cri_port_forward(struct rpc *rpc, const void *request_, void *ret_reply, struct err *err)
{
	const Cri__PortForwardRequest *from = request_;
	Cri__PortForwardResponse *reply = ret_reply;
	scoped(streaming_request_free) struct streaming_request *request = calloc(1, sizeof *request);
	if (!request)
		return err_memory(err, "streaming request");
	request->kind = STREAMING_PORT_FORWARD;
	int r = pod_find(rpc->node, rpc->owner, from->pod_sandbox_id, &request->pod, err);
	if (r < 0)
		return r;
	if (request->pod->phase != POD_READY)
		return err_set(err, -EBUSY, "pod.state", "pod sandbox %s is %s: expected a ready one", request->pod->id,
			       pod_phase_name(request->pod->phase));
	return streaming_url(rpc->node->streaming, TAKE(request), rpc->arena, &reply->url, err);
}
