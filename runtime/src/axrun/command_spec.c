/* spec and features: what a configuration looks like, and what may be in it. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/opt.h"
#include "core/base/scoped.h"
#include "core/codec/oci_runtime.h"
#include "core/sys/fd.h"
#include "core/sys/ns.h"
#include "runtime/src/axrun/arguments.h"
#include "runtime/src/axrun/capability.h"
#include "runtime/src/axrun/commands.h"
#include "runtime/src/axrun/mount_options.h"
#include "runtime/src/axrun/print.h"
#include "runtime/src/axrun/seccomp.h"

static const char *const ARGS[] = {"sh", NULL};
static const char *const ENV[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm", NULL};
static const char *const CAPS[] = {"CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE", NULL};
static const struct oci_capabilities CAPABILITIES = {.bounding = CAPS, .effective = CAPS, .permitted = CAPS};
static const struct oci_rlimit RLIMITS[] = {{"RLIMIT_NOFILE", 1024, 1024}};
static const struct oci_process PROCESS = {
	.terminal = true,
	.args = ARGS,
	.env = ENV,
	.cwd = "/",
	.capabilities = &CAPABILITIES,
	.rlimits = RLIMITS,
	.rlimits_count = ARRAY_COUNT(RLIMITS),
	.no_new_privileges = true,
};
static const struct oci_root ROOT = {.path = "rootfs", .readonly = true};

#define OPTIONS_OF(...) (const char *const[]){__VA_ARGS__, NULL}
static const struct oci_mount MOUNTS[] = {
	{.destination = "/proc", .type = "proc", .source = "proc"},
	{.destination = "/dev", .type = "tmpfs", .source = "tmpfs",
	 .options = OPTIONS_OF("nosuid", "strictatime", "mode=755", "size=65536k")},
	{.destination = "/dev/pts", .type = "devpts", .source = "devpts",
	 .options = OPTIONS_OF("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")},
	{.destination = "/dev/shm", .type = "tmpfs", .source = "shm",
	 .options = OPTIONS_OF("nosuid", "noexec", "nodev", "mode=1777", "size=65536k")},
	{.destination = "/dev/mqueue", .type = "mqueue", .source = "mqueue", .options = OPTIONS_OF("nosuid", "noexec", "nodev")},
	{.destination = "/sys", .type = "sysfs", .source = "sysfs", .options = OPTIONS_OF("nosuid", "noexec", "nodev", "ro")},
	{.destination = "/sys/fs/cgroup", .type = "cgroup", .source = "cgroup",
	 .options = OPTIONS_OF("nosuid", "noexec", "nodev", "relatime", "ro")},
};
static const struct oci_namespace NAMESPACES[] = {
	{.type = "pid"}, {.type = "network"}, {.type = "ipc"}, {.type = "uts"}, {.type = "cgroup"}, {.type = "mount"},
};
static const struct oci_device_rule DEVICES[] = {{.allow = false, .access = "rwm"}};
static const struct oci_resources RESOURCES = {.devices = DEVICES, .devices_count = ARRAY_COUNT(DEVICES)};
static const struct oci_linux LINUX = {
	.resources = &RESOURCES,
	.namespaces = NAMESPACES,
	.namespaces_count = ARRAY_COUNT(NAMESPACES),
	.masked_paths = OPTIONS_OF("/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
				   "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi"),
	.readonly_paths = OPTIONS_OF("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"),
};
static const struct oci_spec SPEC = {
	.oci_version = OCI_RUNTIME_VERSION,
	.process = &PROCESS,
	.root = &ROOT,
	.hostname = "axrun",
	.mounts = MOUNTS,
	.mounts_count = ARRAY_COUNT(MOUNTS),
	.linux_ = &LINUX,
};

struct spec_options {
	const char *bundle;
};

static const struct opt SPEC_OPTIONS[] = {
	{'b', "bundle", "DIR", OPT_STRING, offsetof(struct spec_options, bundle), "where to put config.json (default: .)"},
	{0},
};

static int write_spec(int dir_fd, const char *dir, struct err *err)
{
	json_t *value = json_encode_value(&OCI_SPEC, &SPEC);
	scoped_free char *text = value ? json_dumps(value, JSON_INDENT(2)) : NULL;
	json_decref(value);
	if (!text)
		return err_sys(err, -ENOMEM, "spec.write", "config.json");
	scoped_fd int fd = openat(dir_fd, "config.json", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_sys(err, -errno, "spec.write", "make %s/config.json", dir);
	int r = fd_write_all(fd, text, strlen(text));
	if (r == 0)
		r = fd_write_all(fd, "\n", 1);
	return r < 0 ? err_sys(err, r, "spec.write", "write %s/config.json", dir) : 0;
}

int command_spec(const struct globals *globals, char **argv, int *ret_status, struct err *err)
{
	(void)globals;	  /* has no say in it */
	(void)ret_status; /* 0 */
	struct spec_options options = {.bundle = "."};
	int r = arguments_parse(SPEC_OPTIONS, "", argv, &options, NULL, 0, NULL, err);
	if (r != 0)
		return r;
	scoped_fd int dir_fd = open(options.bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return err_sys(err, -errno, "spec.write", "directory %s", options.bundle);
	return write_spec(dir_fd, options.bundle, err);
}

/* features (features.md, features-linux.md) */

struct enabled {
	bool enabled;
};
static const struct json_field ENABLED_FIELDS[] = {
	JSON_FIELD(struct enabled, enabled, "enabled", JSON_BOOL_T, JSON_KEEP),
};
static const struct json_table ENABLED = JSON_TABLE(struct enabled, ENABLED_FIELDS);

struct cgroup_features {
	bool v1, v2, systemd, systemd_user, rdma;
};
#define FLAG(type, member, name) JSON_FIELD(type, member, name, JSON_BOOL_T, JSON_KEEP)
static const struct json_field CGROUP_FIELDS[] = {
	FLAG(struct cgroup_features, v1, "v1"),
	FLAG(struct cgroup_features, v2, "v2"),
	FLAG(struct cgroup_features, systemd, "systemd"),
	FLAG(struct cgroup_features, systemd_user, "systemdUser"),
	FLAG(struct cgroup_features, rdma, "rdma"),
};
static const struct json_table CGROUP = JSON_TABLE(struct cgroup_features, CGROUP_FIELDS);

struct seccomp_features {
	bool enabled;
	const char *const *actions;
	const char *const *operators;
	const char *const *archs;
	const char *const *known_flags;
	const char *const *supported_flags;
};
static const struct json_field SECCOMP_FIELDS[] = {
	FLAG(struct seccomp_features, enabled, "enabled"),
	JSON_FIELD(struct seccomp_features, actions, "actions", JSON_STRINGS, 0),
	JSON_FIELD(struct seccomp_features, operators, "operators", JSON_STRINGS, 0),
	JSON_FIELD(struct seccomp_features, archs, "archs", JSON_STRINGS, 0),
	JSON_FIELD(struct seccomp_features, known_flags, "knownFlags", JSON_STRINGS, 0),
	JSON_FIELD(struct seccomp_features, supported_flags, "supportedFlags", JSON_STRINGS, 0),
};
static const struct json_table SECCOMP = JSON_TABLE(struct seccomp_features, SECCOMP_FIELDS);

struct mount_extensions {
	struct enabled idmap;
};
static const struct json_field EXTENSION_FIELDS[] = {
	JSON_NESTED(struct mount_extensions, idmap, "idmap", JSON_STRUCT, &ENABLED, JSON_KEEP),
};
static const struct json_table EXTENSIONS = JSON_TABLE(struct mount_extensions, EXTENSION_FIELDS);

struct linux_features {
	const char *const *namespaces;
	const char *const *capabilities;
	struct cgroup_features cgroup;
	struct seccomp_features seccomp;
	struct enabled apparmor;
	struct enabled selinux;
	struct enabled intel_rdt;
	struct mount_extensions mount_extensions;
};
#define PART(member, name, table) JSON_NESTED(struct linux_features, member, name, JSON_STRUCT, &table, JSON_KEEP)
static const struct json_field LINUX_FIELDS[] = {
	JSON_FIELD(struct linux_features, namespaces, "namespaces", JSON_STRINGS, 0),
	JSON_FIELD(struct linux_features, capabilities, "capabilities", JSON_STRINGS, 0),
	PART(cgroup, "cgroup", CGROUP),
	PART(seccomp, "seccomp", SECCOMP),
	PART(apparmor, "apparmor", ENABLED),
	PART(selinux, "selinux", ENABLED),
	PART(intel_rdt, "intelRdt", ENABLED),
	PART(mount_extensions, "mountExtensions", EXTENSIONS),
};
static const struct json_table LINUX_TABLE = JSON_TABLE(struct linux_features, LINUX_FIELDS);

struct features {
	const char *version_min;
	const char *version_max;
	const char *const *hooks;
	const char *const *mount_options;
	struct linux_features linux_;
	const struct json_pair *annotations;
	size_t annotations_count;
};
static const struct json_field FEATURES_FIELDS[] = {
	JSON_FIELD(struct features, version_min, "ociVersionMin", JSON_STRING_T, 0),
	JSON_FIELD(struct features, version_max, "ociVersionMax", JSON_STRING_T, 0),
	JSON_FIELD(struct features, hooks, "hooks", JSON_STRINGS, 0),
	JSON_FIELD(struct features, mount_options, "mountOptions", JSON_STRINGS, 0),
	JSON_NESTED(struct features, linux_, "linux", JSON_STRUCT, &LINUX_TABLE, JSON_KEEP),
	JSON_COUNTED(struct features, annotations, "annotations", JSON_PAIRS, 0),
};
static const struct json_table FEATURES = JSON_TABLE(struct features, FEATURES_FIELDS);

#define LIST_MAX 80

struct list {
	const char *names[LIST_MAX + 1];
};

static const char *const *list_of(struct list *list, const char *(*name_at)(size_t))
{
	size_t count = 0;
	for (const char *name = name_at(0); name && count < LIST_MAX; name = name_at(count))
		list->names[count++] = name;
	return list->names;
}

static const char *namespace_at(size_t index)
{
	return index < NS_KINDS ? NS_KIND[index].name : NULL;
}

static const char *capability_at(size_t index)
{
	return capability_name((unsigned)index);
}

int command_features(const struct globals *globals, char **argv, int *ret_status, struct err *err)
{
	(void)globals;	  /* has no say in it */
	(void)ret_status; /* 0 */
	static const struct opt OPTIONS[] = {{0}};
	int r = arguments_parse(OPTIONS, "", argv, NULL, NULL, 0, NULL, err);
	if (r != 0)
		return r;
	struct list mounts = {0}, namespaces = {0}, capabilities = {0}, actions = {0}, operators = {0}, archs = {0}, flags = {0};
	static const struct json_pair ANNOTATIONS[] = {{"io.axle.axrun.version", AXLE_VERSION}};
	struct features features = {
		.version_min = "1.0.0",
		.version_max = OCI_RUNTIME_VERSION,
		.hooks = OPTIONS_OF("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"),
		.mount_options = list_of(&mounts, mount_option_name),
		.annotations = ANNOTATIONS,
		.annotations_count = ARRAY_COUNT(ANNOTATIONS),
		.linux_ = {.namespaces = list_of(&namespaces, namespace_at),
			   .capabilities = list_of(&capabilities, capability_at),
			   .cgroup = {.v1 = true, .v2 = true, .rdma = true},
			   .seccomp = {.enabled = true,
				       .actions = list_of(&actions, seccomp_action_name),
				       .operators = list_of(&operators, seccomp_operator_name),
				       .archs = list_of(&archs, seccomp_architecture_name),
				       .known_flags = list_of(&flags, seccomp_flag_name),
				       .supported_flags = flags.names},
			   .apparmor = {true},
			   .selinux = {true},
			   .mount_extensions = {.idmap = {true}}},
	};
	return print_json(&FEATURES, &features, err);
}
