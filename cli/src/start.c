#include "cli/src/start.h"

#include <errno.h>

#include "cli/src/pull.h"
#include "cli/src/run_config.h"
#include "core/base/err.h"
#include "core/base/str.h"

#define NAME_TRIES 10

static int run_pod(struct cli *cli, const struct run_options *options, struct run_config *config,
		   const char **ret_pod_id, struct err *err)
{
	Cri__RunPodSandboxRequest request = CRI__RUN_POD_SANDBOX_REQUEST__INIT;
	request.config = &config->pod;
	request.runtime_handler = options->runtime ? options->runtime : "";
	for (int tries = 0;; tries++) {
		const Cri__RunPodSandboxResponse *response =
			cli_call(cli, &cri__runtime_service__descriptor, "RunPodSandbox", &request.base, err);
		if (response) {
			*ret_pod_id = response->pod_sandbox_id;
			return 0;
		}
		bool taken = err->code == -EEXIST && config->name_by_chance && tries < NAME_TRIES;
		if (!taken || run_config_rename(config, &cli->arena, err) < 0)
			return err->code;
	}
}

static void remove_pod(struct cli *cli, const char *pod_id)
{
	struct err ignored = {0}; /* the failure that led here is what a person must hear of */
	Cri__StopPodSandboxRequest stop = CRI__STOP_POD_SANDBOX_REQUEST__INIT;
	Cri__RemovePodSandboxRequest request = CRI__REMOVE_POD_SANDBOX_REQUEST__INIT;
	stop.pod_sandbox_id = request.pod_sandbox_id = pod_id;
	(void)cli_do(cli, &cri__runtime_service__descriptor, "StopPodSandbox", &stop.base, &ignored);
	(void)cli_do(cli, &cri__runtime_service__descriptor, "RemovePodSandbox", &request.base, &ignored);
}

static int create(struct cli *cli, const struct run_config *config, const char *pod_id, const char **ret_id,
		  struct err *err)
{
	Cri__CreateContainerRequest request = CRI__CREATE_CONTAINER_REQUEST__INIT;
	Cri__ContainerConfig container = config->container;
	Cri__PodSandboxConfig pod = config->pod;
	request.pod_sandbox_id = pod_id;
	request.config = &container;
	request.sandbox_config = &pod;
	const Cri__CreateContainerResponse *response =
		cli_call(cli, &cri__runtime_service__descriptor, "CreateContainer", &request.base, err);
	if (!response)
		return err->code;
	*ret_id = response->container_id;
	return 0;
}

static int set_policy(struct cli *cli, const struct run_options *options, const char *id, struct err *err)
{
	Axle__Policy policy = AXLE__POLICY__INIT;
	Axle__SetPolicyRequest request = AXLE__SET_POLICY_REQUEST__INIT;
	if (!options->remove)
		return 0;
	policy.auto_remove = 1;
	request.container = id;
	request.policy = &policy;
	return cli_do(cli, &axle__containers__descriptor, "SetPolicy", &request.base, err);
}

int container_make(struct cli *cli, const struct run_options *options, const char *image, char **command,
		   struct container *ret_container, struct err *err)
{
	struct run_config config;
	int r = run_config_make(options, image, command, &cli->arena, &config, err);
	if (r < 0)
		return r;
	const struct pull_options pull = {
		.image = image, .platform = options->platform, .policy = config.pull, .quiet = options->quiet};
	r = pull_image(cli, &pull, &config.container.image->image, err);
	if (r == 0)
		r = run_pod(cli, options, &config, &ret_container->pod_id, err);
	if (r < 0)
		return r;
	r = create(cli, &config, ret_container->pod_id, &ret_container->id, err);
	if (r == 0)
		r = set_policy(cli, options, ret_container->id, err);
	if (r < 0)
		remove_pod(cli, ret_container->pod_id);
	return r;
}

int container_start(struct cli *cli, const char *id, struct err *err)
{
	Cri__StartContainerRequest request = CRI__START_CONTAINER_REQUEST__INIT;
	request.container_id = id;
	return cli_do(cli, &cri__runtime_service__descriptor, "StartContainer", &request.base, err);
}

static int count_in_pod(struct cli *cli, const char *pod_id, size_t *ret_count, struct err *err)
{
	const char *filter = arena_printf(&cli->arena, "pod=%s", pod_id);
	Axle__ListContainersRequest request = AXLE__LIST_CONTAINERS_REQUEST__INIT;
	if (!filter)
		return err_memory(err, "axle");
	request.all_owners = request.all_states = 1;
	request.filters = &filter;
	request.n_filters = 1;
	const Axle__ListContainersResponse *response =
		cli_call(cli, &axle__containers__descriptor, "List", &request.base, err);
	if (!response)
		return err->code;
	*ret_count = response->n_containers;
	return 0;
}

int container_remove(struct cli *cli, const char *id, const char *pod_id, struct err *err)
{
	Cri__RemoveContainerRequest request = CRI__REMOVE_CONTAINER_REQUEST__INIT;
	request.container_id = id;
	int r = cli_do(cli, &cri__runtime_service__descriptor, "RemoveContainer", &request.base, err);
	size_t others = 0;
	if (r == 0)
		r = count_in_pod(cli, pod_id, &others, err);
	if (r < 0 || others > 0)
		return r;
	Cri__StopPodSandboxRequest stop = CRI__STOP_POD_SANDBOX_REQUEST__INIT;
	Cri__RemovePodSandboxRequest remove = CRI__REMOVE_POD_SANDBOX_REQUEST__INIT;
	stop.pod_sandbox_id = remove.pod_sandbox_id = pod_id;
	r = cli_do(cli, &cri__runtime_service__descriptor, "StopPodSandbox", &stop.base, err);
	return r < 0 ? r : cli_do(cli, &cri__runtime_service__descriptor, "RemovePodSandbox", &remove.base, err);
}

int container_wait(struct cli *cli, const char *id, bool removed, int *ret_code, struct err *err)
{
	Axle__WaitRequest request = AXLE__WAIT_REQUEST__INIT;
	request.container = id;
	request.removed = removed;
	const Axle__WaitResponse *response = cli_call(cli, &axle__containers__descriptor, "Wait", &request.base, err);
	if (!response)
		return err->code == -ENOENT && removed ? 0 : err->code;
	if (ret_code)
		*ret_code = response->exit ? response->exit->code : 0;
	return 0;
}
