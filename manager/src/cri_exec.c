/* Commands in containers. */
#include <errno.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "manager/src/container.h"
#include "manager/src/cri.h"
#include "manager/src/exec.h"

#define TIMEOUT_MAX_S (INT64_MAX / 1000)
#define REPLY_MAX ((16 << 20) - 4096) /* what a kubelet takes in one message, less what is around the output */

static int copy_bytes(struct rpc *rpc, const struct buf *from, ProtobufCBinaryData *ret_data)
{
	if (!from->size)
		return 0;
	ret_data->data = arena_alloc(rpc->arena, from->size);
	if (!ret_data->data)
		return -ENOMEM;
	memcpy(ret_data->data, from->data, from->size);
	ret_data->len = from->size;
	return 0;
}

/* Where both together are more than a client takes, each keeps its beginning, and at least half of the room. */
static void fit(struct buf *out, struct buf *errors)
{
	size_t half = REPLY_MAX / 2;
	size_t beside_out = out->size < half ? REPLY_MAX - out->size : half;
	if (errors->size > beside_out)
		errors->size = beside_out;
	if (out->size > REPLY_MAX - errors->size)
		out->size = REPLY_MAX - errors->size;
}

int cri_exec_sync(struct rpc *rpc, const void *request_, void *ret_reply, struct err *err)
{
	const Cri__ExecSyncRequest *request = request_;
	Cri__ExecSyncResponse *reply = ret_reply;
	scoped(container_unref) struct container *container = NULL;
	int r = container_find(rpc->node, rpc->owner, request->container_id, &container, err);
	if (r < 0)
		return r;
	if (request->timeout < 0 || request->timeout > TIMEOUT_MAX_S)
		return err_set(err, -EINVAL, "exec.timeout", "timeout %lld: expected 0 or more seconds",
			       (long long)request->timeout);
	const char **command = rpc_array(rpc, request->n_cmd + 1);
	if (!command)
		return -ENOMEM;
	for (size_t i = 0; i < request->n_cmd; i++)
		command[i] = request->cmd[i];
	scoped_done(buf_done) struct buf out = {.max = EXEC_OUTPUT_MAX};
	scoped_done(buf_done) struct buf errors = {.max = EXEC_OUTPUT_MAX};
	r = exec_sync(container, command, (uint64_t)request->timeout * 1000, &out, &errors, &reply->exit_code, err);
	if (r < 0)
		return r;
	fit(&out, &errors);
	r = copy_bytes(rpc, &out, &reply->stdout);
	return r < 0 ? r : copy_bytes(rpc, &errors, &reply->stderr);
}
