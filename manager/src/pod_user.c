#include "manager/src/pod_user.h"

#include <errno.h>
#include <string.h>

#include "core/base/err.h"

#define INIT_ID 65535U /* 16 bits' "no id": given to no user of any system */

static int parse_range(const char *what, Cri__IDMapping *const *ranges, size_t count, uint32_t *ret_host,
		       uint32_t *ret_count, struct err *err)
{
	if (count != 1)
		return err_set(err, -EINVAL, "pod.user-namespace",
			       "user namespace: %zu ranges of %s: expected exactly one", count, what);
	const Cri__IDMapping *range = ranges[0];
	if (range->container_id != 0)
		return err_set(err, -EINVAL, "pod.user-namespace",
			       "user namespace: %s begin at %u in the container: expected 0", what, range->container_id);
	if (range->length == 0 || (uint64_t)range->host_id + range->length > UINT32_MAX)
		return err_set(err, -EINVAL, "pod.user-namespace",
			       "user namespace: %u %s from %u: expected at least one, and ids below 4294967295",
			       range->length, what, range->host_id);
	*ret_host = range->host_id;
	*ret_count = range->length;
	return 0;
}

int pod_user_parse(const Cri__NamespaceOption *options, struct pod_user *ret_user, struct err *err)
{
	const Cri__UserNamespace *wanted = options ? options->userns_options : NULL;
	struct pod_user user = {0};
	*ret_user = user;
	if (!wanted)
		return 0;
	if (wanted->mode == CRI__NAMESPACE_MODE__NODE) {
		if (wanted->n_uids + wanted->n_gids)
			return err_set(err, -EINVAL, "pod.user-namespace",
				       "user namespace: mode NODE with ranges of ids: expected none");
		return 0;
	}
	if (wanted->mode != CRI__NAMESPACE_MODE__POD)
		return err_set(err, -EINVAL, "pod.user-namespace", "user namespace: mode %d: expected POD or NODE",
			       (int)wanted->mode);
	user.own = true;
	int r = parse_range("uids", wanted->uids, wanted->n_uids, &user.host_uid, &user.uid_count, err);
	if (r == 0)
		r = parse_range("gids", wanted->gids, wanted->n_gids, &user.host_gid, &user.gid_count, err);
	if (r == 0)
		*ret_user = user;
	return r;
}

static const Cri__NamespaceOption *options_of_pod(const Cri__PodSandboxConfig *config)
{
	return config->linux && config->linux->security_context ? config->linux->security_context->namespace_options : NULL;
}

struct pod_user pod_user_of(const Cri__PodSandboxConfig *config)
{
	struct pod_user user = {0};
	(void)pod_user_parse(options_of_pod(config), &user, NULL); /* checked when the pod was made */
	return user;
}

int pod_user_check_container(const Cri__PodSandboxConfig *pod, const Cri__ContainerConfig *container, struct err *err)
{
	const Cri__NamespaceOption *options = container->linux && container->linux->security_context
						      ? container->linux->security_context->namespace_options
						      : NULL;
	struct pod_user its = {0};
	struct pod_user of_pod = pod_user_of(pod);
	if (!options || !options->userns_options)
		return 0;
	int r = pod_user_parse(options, &its, err);
	if (r == 0 && memcmp(&its, &of_pod, sizeof its) != 0)
		r = err_set(err, -EINVAL, "pod.user-namespace",
			    "user namespace: the container asks for another one than its pod has");
	return r;
}

uint32_t pod_user_init_uid(const struct pod_user *user)
{
	return user->own ? user->uid_count - 1 : INIT_ID;
}

uint32_t pod_user_init_gid(const struct pod_user *user)
{
	return user->own ? user->gid_count - 1 : INIT_ID;
}
