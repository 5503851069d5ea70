#include "cli/src/run_linux.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/parse.h"
#include "core/base/scoped.h"
#include "core/base/str.h"

#define CPU_PERIOD_US 100000
#define ID_MAX UINT32_MAX

/* A message of type @type_ in @arena, initialised; NULL when out of memory. */
#define MAKE(arena, Type, type)                                                                                        \
	({                                                                                                             \
		Type *made_ = arena_alloc(arena, sizeof *made_);                                                       \
		if (made_)                                                                                             \
			type##__init(made_);                                                                           \
		made_;                                                                                                 \
	})

int run_map(const char *option, char *const *texts, struct arena *arena, size_t *ret_count,
	    Cri__MapEntry ***ret_entries, struct err *err)
{
	size_t count = strv_count((const char *const *)texts);
	Cri__MapEntry **entries = arena_array(arena, count + 1, sizeof *entries);
	if (!entries)
		return err_memory(err, "axle");
	for (size_t i = 0; i < count; i++) {
		const char *equals = strchr(texts[i], '=');
		if (equals == texts[i])
			return err_set(err, -EINVAL, "cli.usage", "option --%s: \"%s\": expected KEY=VALUE", option, texts[i]);
		entries[i] = MAKE(arena, Cri__MapEntry, cri__map_entry);
		char *key = entries[i] ? arena_strdup(arena, texts[i]) : NULL;
		if (!key)
			return err_memory(err, "axle");
		key[strcspn(key, "=")] = '\0';
		entries[i]->key = key;
		entries[i]->value = equals ? key + (equals - texts[i]) + 1 : "";
	}
	*ret_count = count;
	*ret_entries = entries;
	return 0;
}

/* ---- Limits ---- */

static int set_cpus(const char *text, Cri__LinuxContainerResources *resources, struct err *err)
{
	uint64_t thousandths = 0;
	if (!text)
		return 0;
	if (parse_thousandths(text, &thousandths) < 0 || thousandths == 0 || thousandths > 1000000)
		return err_set(err, -EINVAL, "cli.usage", "option --cpus: \"%s\": expected a number such as 0.5 or 2", text);
	resources->cpu_period = CPU_PERIOD_US;
	resources->cpu_quota = (int64_t)(thousandths * CPU_PERIOD_US / 1000);
	return 0;
}

static int set_pids(int64_t limit, struct arena *arena, Cri__LinuxContainerResources *resources, struct err *err)
{
	if (limit <= 0) /* docker's and podman's 0 and -1: none */
		return 0;
	Cri__MapEntry **entries = arena_alloc(arena, sizeof *entries);
	Cri__MapEntry *entry = MAKE(arena, Cri__MapEntry, cri__map_entry);
	char *value = arena_printf(arena, "%lld", (long long)limit);
	if (!entries || !entry || !value)
		return err_memory(err, "axle");
	entry->key = "pids.max";
	entry->value = value;
	entries[0] = entry;
	resources->unified = entries;
	resources->n_unified = 1;
	return 0;
}

int run_linux_resources(const struct run_options *options, struct arena *arena, Cri__LinuxContainerResources **ret,
			struct err *err)
{
	Cri__LinuxContainerResources *resources =
		MAKE(arena, Cri__LinuxContainerResources, cri__linux_container_resources);
	if (!resources)
		return err_memory(err, "axle");
	if (options->memory > INT64_MAX || options->memory_swap > INT64_MAX)
		return err_set(err, -EINVAL, "cli.usage", "option --memory: expected less than 8 EiB");
	if (options->memory_swap && options->memory_swap < options->memory)
		return err_set(err, -EINVAL, "cli.usage", "option --memory-swap: expected at least what --memory says");
	resources->memory_limit_in_bytes = (int64_t)options->memory;
	resources->memory_swap_limit_in_bytes = (int64_t)options->memory_swap;
	resources->cpu_shares = options->cpu_shares;
	resources->oom_score_adj = options->oom_score_adj;
	resources->cpuset_cpus = options->cpuset_cpus ? options->cpuset_cpus : "";
	resources->cpuset_mems = options->cpuset_mems ? options->cpuset_mems : "";
	int r = set_cpus(options->cpus, resources, err);
	if (r == 0)
		r = set_pids(options->pids_limit, arena, resources, err);
	if (r == 0)
		*ret = resources;
	return r;
}

/* ---- Namespaces ---- */

static int parse_sharing(const char *option, const char *text, Cri__NamespaceMode private, Cri__NamespaceMode *ret_mode,
		      struct err *err)
{
	if (!text || str_equal(text, "private")) {
		*ret_mode = private;
		return 0;
	}
	*ret_mode = CRI__NAMESPACE_MODE__NODE;
	return str_equal(text, "host") ? 0 :
					 err_set(err, -EINVAL, "cli.usage",
						 "option --%s: \"%s\": expected host or private", option, text);
}

static int make_namespaces(const struct run_options *options, struct arena *arena, Cri__NamespaceOption **ret,
			   struct err *err)
{
	Cri__NamespaceOption *namespaces = MAKE(arena, Cri__NamespaceOption, cri__namespace_option);
	if (!namespaces)
		return err_memory(err, "axle");
	bool host = str_equal(options->network, "host");
	if (!host && !str_equal(options->network, "none") && !str_equal(options->network, "private"))
		return err_set(err, -EINVAL, "cli.usage", "option --network: \"%s\": expected host, none or private",
			       options->network);
	namespaces->network = host ? CRI__NAMESPACE_MODE__NODE : CRI__NAMESPACE_MODE__POD;
	int r = parse_sharing("pid", options->pid, CRI__NAMESPACE_MODE__CONTAINER, &namespaces->pid, err);
	if (r == 0)
		r = parse_sharing("ipc", options->ipc, CRI__NAMESPACE_MODE__POD, &namespaces->ipc, err);
	if (r == 0)
		*ret = namespaces;
	return r;
}

/* ---- User ---- */

static bool is_id(const char *text, int64_t *ret_id)
{
	return parse_i64(text, 0, ID_MAX, ret_id) == 0;
}

static Cri__Int64Value *make_id(struct arena *arena, int64_t id)
{
	Cri__Int64Value *value = MAKE(arena, Cri__Int64Value, cri__int64_value);
	if (value)
		value->value = id;
	return value;
}

/* USER[:GROUP]. What is a number goes as one; a group by name goes with the user's name, as an image's own user does. */
static int set_user(const char *text, struct arena *arena, Cri__LinuxContainerSecurityContext *security, struct err *err)
{
	if (str_empty(text))
		return 0;
	char *user = arena_strdup(arena, text);
	if (!user)
		return err_memory(err, "axle");
	char *colon = strchr(user, ':');
	const char *group = colon ? colon + 1 : NULL;
	if (colon)
		*colon = '\0';
	if (!*user || (group && !*group))
		return err_set(err, -EINVAL, "cli.usage", "option --user: \"%s\": expected USER or USER:GROUP", text);
	int64_t uid = 0, gid = 0;
	if (group && !is_id(group, &gid)) {
		security->run_as_username = text;
		return 0;
	}
	security->run_as_group = group ? make_id(arena, gid) : NULL;
	if (is_id(user, &uid))
		security->run_as_user = make_id(arena, uid);
	else
		security->run_as_username = user;
	bool whole = (!group || security->run_as_group) && (security->run_as_user || *security->run_as_username);
	return whole ? 0 : err_memory(err, "axle");
}

static int set_groups(char *const *groups, struct arena *arena, Cri__LinuxContainerSecurityContext *security,
		      struct err *err)
{
	size_t count = strv_count((const char *const *)groups);
	int64_t *ids = arena_array(arena, count + 1, sizeof *ids);
	if (!ids)
		return err_memory(err, "axle");
	for (size_t i = 0; i < count; i++)
		if (!is_id(groups[i], &ids[i]))
			return err_set(err, -EINVAL, "cli.usage", "option --group-add: \"%s\": expected a group's number",
				       groups[i]);
	security->supplemental_groups = ids;
	security->n_supplemental_groups = count;
	return 0;
}

/* ---- Security ---- */

static int make_seccomp(const char *profile, struct arena *arena, Cri__SecurityProfile **ret, struct err *err)
{
	Cri__SecurityProfile *seccomp = MAKE(arena, Cri__SecurityProfile, cri__security_profile);
	if (!seccomp)
		return err_memory(err, "axle");
	*ret = seccomp;
	if (!profile || str_equal(profile, "default")) {
		seccomp->profile_type = CRI__SECURITY_PROFILE__PROFILE_TYPE__RuntimeDefault;
		return 0;
	}
	if (str_equal(profile, "unconfined")) {
		seccomp->profile_type = CRI__SECURITY_PROFILE__PROFILE_TYPE__Unconfined;
		return 0;
	}
	scoped_free char *real = realpath(profile, NULL);
	if (!real)
		return err_sys(err, -errno, "cli.host-path", "option --security-opt: seccomp=%s", profile);
	seccomp->profile_type = CRI__SECURITY_PROFILE__PROFILE_TYPE__Localhost;
	seccomp->localhost_ref = arena_strdup(arena, real);
	return seccomp->localhost_ref ? 0 : err_memory(err, "axle");
}

static int set_security_options(char *const *texts, struct arena *arena, Cri__LinuxContainerSecurityContext *security,
				struct err *err)
{
	const char *seccomp = NULL;
	for (; texts && *texts; texts++) {
		const char *profile = str_after_prefix(*texts, "seccomp=");
		if (profile)
			seccomp = profile;
		else if (str_equal(*texts, "no-new-privileges") || str_equal(*texts, "no-new-privileges=true") ||
			 str_equal(*texts, "no-new-privileges:true"))
			security->no_new_privs = 1;
		else
			return err_set(err, -EINVAL, "cli.usage",
				       "option --security-opt: \"%s\": expected seccomp=unconfined, seccomp=FILE or "
				       "no-new-privileges",
				       *texts);
	}
	if (!seccomp && security->privileged)
		seccomp = "unconfined";
	return make_seccomp(seccomp, arena, &security->seccomp, err);
}

static const char *const HIDDEN[] = {
	"/proc/acpi",  "/proc/asound",	    "/proc/kcore",	   "/proc/keys",
	"/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
	"/proc/scsi",  "/sys/firmware",	    "/sys/devices/virtual/powercap",
};

static const char *const READ_ONLY[] = {
	"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

int run_linux_security(const struct run_options *options, struct arena *arena, Cri__LinuxContainerSecurityContext **ret,
		       struct err *err)
{
	Cri__LinuxContainerSecurityContext *security =
		MAKE(arena, Cri__LinuxContainerSecurityContext, cri__linux_container_security_context);
	Cri__Capability *capabilities = MAKE(arena, Cri__Capability, cri__capability);
	if (!security || !capabilities)
		return err_memory(err, "axle");
	capabilities->add_capabilities = (const char **)options->cap_add;
	capabilities->n_add_capabilities = strv_count((const char *const *)options->cap_add);
	capabilities->drop_capabilities = (const char **)options->cap_drop;
	capabilities->n_drop_capabilities = strv_count((const char *const *)options->cap_drop);
	security->capabilities = capabilities;
	security->privileged = options->privileged;
	security->readonly_rootfs = options->read_only;
	if (!options->privileged) {
		security->masked_paths = (const char **)(uintptr_t)HIDDEN;
		security->n_masked_paths = ARRAY_COUNT(HIDDEN);
		security->readonly_paths = (const char **)(uintptr_t)READ_ONLY;
		security->n_readonly_paths = ARRAY_COUNT(READ_ONLY);
	}
	int r = make_namespaces(options, arena, &security->namespace_options, err);
	if (r == 0)
		r = set_user(options->user, arena, security, err);
	if (r == 0)
		r = set_groups(options->groups, arena, security, err);
	if (r == 0)
		r = set_security_options(options->security, arena, security, err);
	if (r == 0)
		*ret = security;
	return r;
}

int run_linux_pod(const struct run_options *options, const Cri__LinuxContainerSecurityContext *container,
		  struct arena *arena, Cri__LinuxPodSandboxConfig **ret, struct err *err)
{
	Cri__LinuxPodSandboxConfig *pod = MAKE(arena, Cri__LinuxPodSandboxConfig, cri__linux_pod_sandbox_config);
	Cri__LinuxSandboxSecurityContext *security =
		MAKE(arena, Cri__LinuxSandboxSecurityContext, cri__linux_sandbox_security_context);
	if (!pod || !security)
		return err_memory(err, "axle");
	security->namespace_options = container->namespace_options;
	security->privileged = container->privileged;
	security->seccomp = container->seccomp;
	pod->security_context = security;
	int r = run_map("sysctl", options->sysctls, arena, &pod->n_sysctls, &pod->sysctls, err);
	if (r == 0)
		*ret = pod;
	return r;
}
