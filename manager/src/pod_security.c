#include "manager/src/pod_security.h"

#include <errno.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "manager/src/pod_user.h"
#include "manager/src/spec.h"

#define CGROUP_PARENT_MAX 400
#define ID_MAX 4294967294LL
#define SELINUX_TEXT_MAX 255

static int refuse(struct err *err, const char *reason, const char *message)
{
	return err_set(err, -EINVAL, reason, "%s", message);
}

static int check_namespaces(const Cri__NamespaceOption *options, struct err *err)
{
	const Cri__NamespaceMode pod = CRI__NAMESPACE_MODE__POD;
	const Cri__NamespaceMode node = CRI__NAMESPACE_MODE__NODE;
	struct pod_user user = {0};
	int r = pod_user_parse(options, &user, err);
	if (r < 0 || !options)
		return r;
	if (options->network != pod && options->network != node)
		return refuse(err, "pod.network-namespace", "network namespace of a pod: expected POD or NODE");
	if (options->ipc != pod && options->ipc != node)
		return refuse(err, "pod.ipc-namespace", "ipc namespace of a pod: expected POD or NODE");
	if (options->pid != pod && options->pid != node && options->pid != CRI__NAMESPACE_MODE__CONTAINER)
		return refuse(err, "pod.pid-namespace", "pid namespace of a pod: expected POD, CONTAINER or NODE");
	if (user.own && (options->pid == node || options->ipc == node)) /* neither would belong to it */
		return refuse(err, "pod.user-namespace",
			      "a pod with a user namespace of its own: expected pid and ipc namespaces of its own too");
	return 0;
}

static int check_id(const char *what, int64_t id, struct err *err)
{
	return id >= 0 && id <= ID_MAX ? 0
				       : err_set(err, -EINVAL, "pod.user", "%s %lld: expected 0 to %lld", what,
						 (long long)id, ID_MAX);
}

static int check_ids(const Cri__LinuxSandboxSecurityContext *security, struct err *err)
{
	if (security->run_as_group && !security->run_as_user)
		return refuse(err, "pod.user", "run_as_group of a pod: expected a run_as_user beside it");
	int r = security->run_as_user ? check_id("run_as_user", security->run_as_user->value, err) : 0;
	if (r == 0 && security->run_as_group)
		r = check_id("run_as_group", security->run_as_group->value, err);
	for (size_t i = 0; r == 0 && i < security->n_supplemental_groups; i++)
		r = check_id("supplemental group", security->supplemental_groups[i], err);
	return r;
}

/* "user:role:type:level": only the level, which comes last, may hold a ':'. */
static int check_selinux(const Cri__SELinuxOption *options, struct err *err)
{
	if (!options)
		return 0;
	const struct {
		const char *name;
		const char *text;
		const char *forbidden;
	} fields[] = {
		{"user", options->user, ": \t\n"},
		{"role", options->role, ": \t\n"},
		{"type", options->type, ": \t\n"},
		{"level", options->level, " \t\n"},
	};
	for (size_t i = 0; i < ARRAY_COUNT(fields); i++)
		if (strlen(fields[i].text) > SELINUX_TEXT_MAX || strpbrk(fields[i].text, fields[i].forbidden))
			return err_set(err, -EINVAL, "pod.selinux", "SELinux %s \"%.100s\": expected one word of at most %d bytes",
				       fields[i].name, fields[i].text, SELINUX_TEXT_MAX);
	return 0;
}

static int check_profile(const char *what, const Cri__SecurityProfile *profile, struct err *err)
{
	if (profile && profile->profile_type == CRI__SECURITY_PROFILE__PROFILE_TYPE__Localhost &&
	    str_empty(profile->localhost_ref))
		return err_set(err, -EINVAL, "pod.profile", "%s profile Localhost: expected a localhost_ref", what);
	return 0;
}

static bool has_dots(const char *path)
{
	scoped(strv_free) char **names = str_split(path, '/');
	for (size_t i = 0; names && names[i]; i++)
		if (str_equal(names[i], "..") || str_equal(names[i], "."))
			return true;
	return !names;
}

/* RuntimeConfig says cgroupfs: a kubelet that was set to the systemd driver all the same sends the bare name of a slice. */
static int check_cgroup_parent(const char *parent, struct err *err)
{
	if (str_empty(parent))
		return 0;
	if (!strchr(parent, '/') && str_ends_with(parent, ".slice"))
		return err_set(err, -EINVAL, "pod.cgroup-parent",
			       "cgroup_parent \"%.200s\" is a systemd slice: the cgroup driver here is cgroupfs, expected a path "
			       "such as /kubepods/pod1", parent);
	if (strlen(parent) > CGROUP_PARENT_MAX || has_dots(parent))
		return err_set(err, -EINVAL, "pod.cgroup-parent",
			       "cgroup_parent \"%.200s\": expected a path of at most %d bytes without \".\" and \"..\"", parent,
			       CGROUP_PARENT_MAX);
	return 0;
}

int pod_check_security(const Cri__PodSandboxConfig *config, struct err *err)
{
	if (!config->linux)
		return 0;
	const Cri__LinuxSandboxSecurityContext *security = config->linux->security_context;
	int r = check_cgroup_parent(config->linux->cgroup_parent, err);
	if (r < 0 || !security)
		return r;
	r = check_namespaces(security->namespace_options, err);
	if (r == 0)
		r = check_ids(security, err);
	if (r == 0)
		r = check_selinux(security->selinux_options, err);
	if (r == 0)
		r = check_profile("seccomp", security->seccomp, err);
	return r < 0 ? r : check_profile("AppArmor", security->apparmor, err);
}

int pod_check_privileged(const Cri__PodSandboxConfig *pod, const Cri__ContainerConfig *container, struct err *err)
{
	bool announced = pod->linux && pod->linux->security_context && pod->linux->security_context->privileged;
	if (!spec_is_privileged(container) || announced)
		return 0;
	return err_set(err, -EINVAL, "container.privileged",
		       "a privileged container in a pod that is not: expected privileged in the pod's security context too");
}
