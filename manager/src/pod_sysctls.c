#include "manager/src/pod_sysctls.h"

#include <errno.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "manager/src/config.h"
#include "manager/src/pod.h"

#define NAME_BYTES_MAX 200
#define VALUE_BYTES_MAX 4000

enum kind {
	KIND_NETWORK,
	KIND_IPC,
	KIND_UTS,
};

static const char *const KIND_NAMES[] = {[KIND_NETWORK] = "network", [KIND_IPC] = "ipc", [KIND_UTS] = "uts"};

/* The sysctls that belong to a namespace (sysctl(8), ipc_namespaces(7), uts_namespaces(7)); all others are the host's. */
static const struct {
	const char *name; /* a trailing '.' stands for all below it */
	enum kind kind;
} NAMESPACED[] = {
	{"net.", KIND_NETWORK},
	{"fs.mqueue.", KIND_IPC},
	{"kernel.msgmax", KIND_IPC},
	{"kernel.msgmnb", KIND_IPC},
	{"kernel.msgmni", KIND_IPC},
	{"kernel.msg_next_id", KIND_IPC},
	{"kernel.sem", KIND_IPC},
	{"kernel.sem_next_id", KIND_IPC},
	{"kernel.shmall", KIND_IPC},
	{"kernel.shmmax", KIND_IPC},
	{"kernel.shmmni", KIND_IPC},
	{"kernel.shm_next_id", KIND_IPC},
	{"kernel.shm_rmid_forced", KIND_IPC},
	{"kernel.domainname", KIND_UTS},
};

/* What Kubernetes calls safe: no pod can harm another one or the node by it. */
static const char *const SAFE[] = {
	"kernel.shm_rmid_forced",
	"net.ipv4.ip_local_port_range",
	"net.ipv4.ip_local_reserved_ports",
	"net.ipv4.ip_unprivileged_port_start",
	"net.ipv4.ping_group_range",
	"net.ipv4.tcp_fin_timeout",
	"net.ipv4.tcp_keepalive_intvl",
	"net.ipv4.tcp_keepalive_probes",
	"net.ipv4.tcp_keepalive_time",
	"net.ipv4.tcp_rmem",
	"net.ipv4.tcp_syncookies",
	"net.ipv4.tcp_wmem",
	NULL,
};

/* "net.ipv4.ip_forward" and "net/ipv4/ip_forward" are the same: the first separator decides (sysctl(8)). */
static void spell_with_dots(const char *name, char ret_name[NAME_BYTES_MAX + 1])
{
	size_t first = strcspn(name, "./");
	bool slashes = name[first] == '/';
	(void)strncpy(ret_name, name, NAME_BYTES_MAX);
	ret_name[NAME_BYTES_MAX] = '\0';
	for (char *p = ret_name; slashes && *p; p++)
		*p = *p == '/' ? '.' : *p == '.' ? '/' : *p;
}

static int find_kind(const char *name, enum kind *ret_kind)
{
	for (size_t i = 0; i < ARRAY_COUNT(NAMESPACED); i++) {
		bool all_below = str_ends_with(NAMESPACED[i].name, ".");
		if (all_below ? str_after_prefix(name, NAMESPACED[i].name) != NULL : str_equal(name, NAMESPACED[i].name)) {
			*ret_kind = NAMESPACED[i].kind;
			return 0;
		}
	}
	return -ENOENT;
}

static bool is_own(const Cri__PodSandboxConfig *config, enum kind kind)
{
	struct pod_namespaces namespaces = pod_namespaces(config);
	return kind == KIND_IPC ? !namespaces.host_ipc : !namespaces.host_network; /* uts goes with the network */
}

/* "net.core.*" in the configuration allows all that begins so, "*" everything. */
static bool is_allowed(const char *name, const char *const *patterns)
{
	for (size_t i = 0; patterns[i]; i++) {
		size_t length = strlen(patterns[i]);
		bool prefix = length > 0 && patterns[i][length - 1] == '*';
		if (prefix ? strncmp(name, patterns[i], length - 1) == 0 : str_equal(name, patterns[i]))
			return true;
	}
	return false;
}

static int check_one(const Cri__PodSandboxConfig *config, const char *given, const char *const *allowed, struct err *err)
{
	char name[NAME_BYTES_MAX + 1];
	enum kind kind = KIND_NETWORK;
	spell_with_dots(given, name);
	if (strlen(given) > NAME_BYTES_MAX || strstr(given, "..") || find_kind(name, &kind) < 0)
		return err_set(err, -EINVAL, "pod.sysctl",
			       "sysctl %.100s: expected one that belongs to a namespace (net.*, fs.mqueue.*, kernel.shm*, "
			       "kernel.msg*, kernel.sem, kernel.domainname)", given);
	if (!is_own(config, kind))
		return err_set(err, -EINVAL, "pod.sysctl",
			       "sysctl %s: the pod shares its %s namespace with the host, where it must not be changed", given,
			       KIND_NAMES[kind]);
	if (!allowed || strv_contains(SAFE, name) || is_allowed(name, allowed))
		return 0;
	return err_set(err, -EPERM, "pod.sysctl", "sysctl %s: it is not safe, and not among pods.unsafe-sysctls of axled.toml",
		       given);
}

int pod_sysctls_check(const Cri__PodSandboxConfig *config, const struct config_pods *allowed, struct err *err)
{
	const Cri__LinuxPodSandboxConfig *linux_ = config->linux;
	int r = 0;
	for (size_t i = 0; r == 0 && linux_ && i < linux_->n_sysctls; i++) {
		r = check_one(config, linux_->sysctls[i]->key, allowed->unsafe_sysctls, err);
		if (r == 0 && strlen(linux_->sysctls[i]->value) > VALUE_BYTES_MAX)
			r = err_set(err, -EINVAL, "pod.sysctl", "sysctl %s: expected a value of at most %d bytes",
				    linux_->sysctls[i]->key, VALUE_BYTES_MAX);
	}
	return r;
}
