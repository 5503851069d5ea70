#include "bench/cri_peer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "core/base/err.h"
#include "core/sys/usocket.h"

#define ARENA_BYTES_MAX (64UL << 20)
#define CALL_NS (120ULL * 1000000000)

int cri_peer_connect(struct cri_peer *peer, struct err *err)
{
	peer->arena.max = ARENA_BYTES_MAX;
	int r = uv_loop_init(&peer->loop);
	if (r < 0)
		return err_sys(err, r, "bench.loop", "%s", peer->label);
	int fd = usocket_connect(peer->socket, SOCK_STREAM, err);
	if (fd < 0)
		return err_add(err, fd, "%s", peer->label);
	return grpc_client_new(&peer->loop, fd, NULL, &peer->client, err);
}

void cri_peer_done(struct cri_peer *peer)
{
	if (!peer->client)
		return;
	grpc_client_close(peer->client);
	(void)uv_run(&peer->loop, UV_RUN_DEFAULT);
	(void)uv_loop_close(&peer->loop);
	arena_done(&peer->arena);
}

void cri_peer_forget(struct cri_peer *peer)
{
	arena_done(&peer->arena);
	peer->arena = (struct arena){.max = ARENA_BYTES_MAX};
}

const void *cri_peer_call(struct cri_peer *peer, const char *method, const ProtobufCMessage *request, struct err *err)
{
	const struct grpc_request call = {
		.service = &cri__runtime_service__descriptor, .method = method, .message = request, .timeout_ns = CALL_NS};
	const ProtobufCMessage *reply = NULL;
	int r = grpc_client_unary(peer->client, &call, &peer->arena, &reply, err);
	if (r < 0)
		(void)err_add(err, r, "%s: %s", peer->label, method);
	return r < 0 ? NULL : reply;
}

/* --- the requests --- */

/* What RunPodSandbox and CreateContainer are asked for: the parts point at each other, so the whole stays where it is. */
struct pod_request {
	Cri__NamespaceOption namespaces;
	Cri__LinuxSandboxSecurityContext security;
	Cri__LinuxPodSandboxConfig linux_config;
	Cri__PodSandboxMetadata metadata;
	Cri__PodSandboxConfig config;
	Cri__RunPodSandboxRequest run;
	Cri__ContainerMetadata container_metadata;
	Cri__ImageSpec image;
	Cri__NamespaceOption container_namespaces;
	Cri__LinuxContainerSecurityContext container_security;
	Cri__LinuxContainerConfig container_linux;
	Cri__ContainerConfig container;
	Cri__CreateContainerRequest create;
	const char *command[4];
};

static void pod_request_init(struct pod_request *request, const struct cri_peer *peer, const struct cri_pod *pod)
{
	*request = (struct pod_request){
		.namespaces = CRI__NAMESPACE_OPTION__INIT,
		.security = CRI__LINUX_SANDBOX_SECURITY_CONTEXT__INIT,
		.linux_config = CRI__LINUX_POD_SANDBOX_CONFIG__INIT,
		.metadata = CRI__POD_SANDBOX_METADATA__INIT,
		.config = CRI__POD_SANDBOX_CONFIG__INIT,
		.run = CRI__RUN_POD_SANDBOX_REQUEST__INIT,
		.container_metadata = CRI__CONTAINER_METADATA__INIT,
		.image = CRI__IMAGE_SPEC__INIT,
		.container_namespaces = CRI__NAMESPACE_OPTION__INIT,
		.container_security = CRI__LINUX_CONTAINER_SECURITY_CONTEXT__INIT,
		.container_linux = CRI__LINUX_CONTAINER_CONFIG__INIT,
		.container = CRI__CONTAINER_CONFIG__INIT,
		.create = CRI__CREATE_CONTAINER_REQUEST__INIT,
		.command = {"sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1000 & wait; done"},
	};
	request->namespaces.network = peer->host_network ? CRI__NAMESPACE_MODE__NODE : CRI__NAMESPACE_MODE__POD;
	request->namespaces.pid = CRI__NAMESPACE_MODE__CONTAINER;
	request->container_namespaces = request->namespaces;
	request->security.namespace_options = &request->namespaces;
	request->linux_config.security_context = &request->security;
	request->metadata.name = pod->name;
	request->metadata.uid = pod->name;
	request->metadata.namespace_ = "bench";
	request->config.metadata = &request->metadata;
	request->config.linux = &request->linux_config;
	request->run.config = &request->config;
	request->run.runtime_handler = peer->handler;
	request->container_metadata.name = "main";
	request->image.image = peer->image;
	request->container_security.namespace_options = &request->container_namespaces;
	request->container_linux.security_context = &request->container_security;
	request->container.metadata = &request->container_metadata;
	request->container.image = &request->image;
	request->container.linux = &request->container_linux;
	request->container.command = request->command;
	request->container.n_command = 3;
	request->create.pod_sandbox_id = pod->pod;
	request->create.config = &request->container;
	request->create.sandbox_config = &request->config;
}

static void keep_id(char *id, size_t size, const char *text)
{
	(void)snprintf(id, size, "%s", text);
}

static int run_pod(struct cri_peer *peer, struct cri_pod *pod, struct err *err)
{
	struct pod_request request;
	pod_request_init(&request, peer, pod);
	const Cri__RunPodSandboxResponse *reply = cri_peer_call(peer, "RunPodSandbox", &request.run.base, err);
	if (reply)
		keep_id(pod->pod, sizeof pod->pod, reply->pod_sandbox_id);
	return reply ? 0 : err->code;
}

static int create(struct cri_peer *peer, struct cri_pod *pod, struct err *err)
{
	struct pod_request request;
	pod_request_init(&request, peer, pod);
	const Cri__CreateContainerResponse *reply = cri_peer_call(peer, "CreateContainer", &request.create.base, err);
	if (reply)
		keep_id(pod->container, sizeof pod->container, reply->container_id);
	return reply ? 0 : err->code;
}

static int start(struct cri_peer *peer, struct cri_pod *pod, struct err *err)
{
	Cri__StartContainerRequest request = CRI__START_CONTAINER_REQUEST__INIT;
	request.container_id = pod->container;
	return cri_peer_call(peer, "StartContainer", &request.base, err) ? 0 : err->code;
}

static int stop(struct cri_peer *peer, struct cri_pod *pod, struct err *err)
{
	Cri__StopContainerRequest request = CRI__STOP_CONTAINER_REQUEST__INIT;
	request.container_id = pod->container;
	request.timeout = 30;
	return cri_peer_call(peer, "StopContainer", &request.base, err) ? 0 : err->code;
}

static int remove_container(struct cri_peer *peer, struct cri_pod *pod, struct err *err)
{
	Cri__RemoveContainerRequest request = CRI__REMOVE_CONTAINER_REQUEST__INIT;
	request.container_id = pod->container;
	return cri_peer_call(peer, "RemoveContainer", &request.base, err) ? 0 : err->code;
}

static int stop_pod(struct cri_peer *peer, struct cri_pod *pod, struct err *err)
{
	Cri__StopPodSandboxRequest request = CRI__STOP_POD_SANDBOX_REQUEST__INIT;
	request.pod_sandbox_id = pod->pod;
	return cri_peer_call(peer, "StopPodSandbox", &request.base, err) ? 0 : err->code;
}

static int remove_pod(struct cri_peer *peer, struct cri_pod *pod, struct err *err)
{
	Cri__RemovePodSandboxRequest request = CRI__REMOVE_POD_SANDBOX_REQUEST__INIT;
	request.pod_sandbox_id = pod->pod;
	return cri_peer_call(peer, "RemovePodSandbox", &request.base, err) ? 0 : err->code;
}

static int (*const STEPS[CRI_STEPS])(struct cri_peer *, struct cri_pod *, struct err *) = {
	[CRI_RUN_POD] = run_pod,	   [CRI_CREATE] = create,     [CRI_START] = start,
	[CRI_STOP] = stop,		   [CRI_REMOVE] = remove_container, [CRI_STOP_POD] = stop_pod,
	[CRI_REMOVE_POD] = remove_pod,
};

int cri_peer_step(struct cri_peer *peer, enum cri_step step, struct cri_pod *pod, struct err *err)
{
	return STEPS[step](peer, pod, err);
}

/* --- many at once --- */

struct burst;

/* One pod on its way; @request lives until its call is done. */
struct burst_pod {
	struct burst *burst;
	struct cri_pod *pod;
	enum cri_step step;
	struct pod_request request;
	Cri__StartContainerRequest start;
};

struct burst {
	struct cri_peer *peer;
	size_t left;
	int r;
	struct err *err;
};

static void burst_next(struct burst_pod *one);

static void on_message(struct grpc_call *call, const ProtobufCMessage *message, void *data)
{
	(void)call;
	struct burst_pod *one = data;
	if (one->step == CRI_RUN_POD)
		keep_id(one->pod->pod, sizeof one->pod->pod, ((const Cri__RunPodSandboxResponse *)message)->pod_sandbox_id);
	else if (one->step == CRI_CREATE)
		keep_id(one->pod->container, sizeof one->pod->container,
			((const Cri__CreateContainerResponse *)message)->container_id);
}

static void on_done(struct grpc_call *call, enum grpc_status status, const struct err *err, void *data)
{
	(void)call;
	struct burst_pod *one = data;
	if (status != GRPC_OK) {
		*one->burst->err = *err;
		one->burst->r = err->code;
		one->burst->left--;
		return;
	}
	one->step++;
	burst_next(one);
}

static const struct grpc_events EVENTS = {.on_message = on_message, .on_done = on_done};

static void burst_next(struct burst_pod *one)
{
	struct burst *burst = one->burst;
	static const char *const METHODS[] = {"RunPodSandbox", "CreateContainer", "StartContainer"};
	if (one->step > CRI_START) {
		burst->left--;
		return;
	}
	pod_request_init(&one->request, burst->peer, one->pod);
	one->start = (Cri__StartContainerRequest)CRI__START_CONTAINER_REQUEST__INIT;
	one->start.container_id = one->pod->container;
	const ProtobufCMessage *messages[] = {&one->request.run.base, &one->request.create.base, &one->start.base};
	const struct grpc_request call = {.service = &cri__runtime_service__descriptor,
					  .method = METHODS[one->step],
					  .message = messages[one->step],
					  .timeout_ns = CALL_NS};
	struct grpc_call *made = NULL;
	int r = grpc_client_call(burst->peer->client, &call, &EVENTS, one, &made, burst->err);
	if (r < 0) {
		burst->r = r;
		burst->left--;
	}
}

int cri_peer_start_all(struct cri_peer *peer, struct cri_pod *pods, size_t count, struct err *err)
{
	scoped_free struct burst_pod *all = calloc(count, sizeof *all);
	if (!all)
		return err_memory(err, "burst");
	struct burst burst = {.peer = peer, .left = count, .err = err};
	for (size_t i = 0; i < count; i++) {
		all[i].burst = &burst;
		all[i].pod = &pods[i];
		burst_next(&all[i]);
	}
	while (burst.left > 0)
		(void)uv_run(&peer->loop, UV_RUN_ONCE);
	return burst.r;
}
