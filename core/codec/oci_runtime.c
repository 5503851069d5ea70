#include "core/codec/oci_runtime.h"

#include <string.h>

/* Each block is one struct: a table of its members in the order of the header. */

#define ID_FIELD(member, name) JSON_FIELD(struct oci_id_mapping, member, name, JSON_U32, JSON_REQUIRED | JSON_KEEP)
static const struct json_field ID_MAPPING_FIELDS[] = {
	ID_FIELD(container_id, "containerID"),
	ID_FIELD(host_id, "hostID"),
	ID_FIELD(size, "size"),
};
static const struct json_table ID_MAPPING = JSON_TABLE(struct oci_id_mapping, ID_MAPPING_FIELDS);

static const struct json_field USER_FIELDS[] = {
	JSON_FIELD(struct oci_user, uid, "uid", JSON_U32, JSON_KEEP),
	JSON_FIELD(struct oci_user, gid, "gid", JSON_U32, JSON_KEEP),
	JSON_FIELD(struct oci_user, umask, "umask", JSON_U32_OPT, 0),
	JSON_COUNTED(struct oci_user, additional_gids, "additionalGids", JSON_U32S, 0),
	JSON_FIELD(struct oci_user, username, "username", JSON_STRING_T, 0),
};
static const struct json_table USER = JSON_TABLE(struct oci_user, USER_FIELDS);

static const struct json_field CONSOLE_SIZE_FIELDS[] = {
	JSON_FIELD(struct oci_console_size, height, "height", JSON_U32, JSON_KEEP),
	JSON_FIELD(struct oci_console_size, width, "width", JSON_U32, JSON_KEEP),
};
static const struct json_table CONSOLE_SIZE = JSON_TABLE(struct oci_console_size, CONSOLE_SIZE_FIELDS);

static const struct json_field CAPABILITIES_FIELDS[] = {
	JSON_FIELD(struct oci_capabilities, bounding, "bounding", JSON_STRINGS, 0),
	JSON_FIELD(struct oci_capabilities, effective, "effective", JSON_STRINGS, 0),
	JSON_FIELD(struct oci_capabilities, inheritable, "inheritable", JSON_STRINGS, 0),
	JSON_FIELD(struct oci_capabilities, permitted, "permitted", JSON_STRINGS, 0),
	JSON_FIELD(struct oci_capabilities, ambient, "ambient", JSON_STRINGS, 0),
};
static const struct json_table CAPABILITIES = JSON_TABLE(struct oci_capabilities, CAPABILITIES_FIELDS);

static const struct json_field RLIMIT_FIELDS[] = {
	JSON_FIELD(struct oci_rlimit, type, "type", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct oci_rlimit, hard, "hard", JSON_U64, JSON_REQUIRED | JSON_KEEP),
	JSON_FIELD(struct oci_rlimit, soft, "soft", JSON_U64, JSON_REQUIRED | JSON_KEEP),
};
static const struct json_table RLIMIT = JSON_TABLE(struct oci_rlimit, RLIMIT_FIELDS);

static const struct json_field IO_PRIORITY_FIELDS[] = {
	JSON_FIELD(struct oci_io_priority, class, "class", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct oci_io_priority, priority, "priority", JSON_I32, JSON_KEEP),
};
static const struct json_table IO_PRIORITY = JSON_TABLE(struct oci_io_priority, IO_PRIORITY_FIELDS);

static const struct json_field SCHEDULER_FIELDS[] = {
	JSON_FIELD(struct oci_scheduler, policy, "policy", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct oci_scheduler, nice, "nice", JSON_I32, 0),
	JSON_FIELD(struct oci_scheduler, priority, "priority", JSON_I32, 0),
	JSON_FIELD(struct oci_scheduler, flags, "flags", JSON_STRINGS, 0),
	JSON_FIELD(struct oci_scheduler, runtime, "runtime", JSON_U64, 0),
	JSON_FIELD(struct oci_scheduler, deadline, "deadline", JSON_U64, 0),
	JSON_FIELD(struct oci_scheduler, period, "period", JSON_U64, 0),
};
static const struct json_table SCHEDULER = JSON_TABLE(struct oci_scheduler, SCHEDULER_FIELDS);

static const struct json_field CPU_AFFINITY_FIELDS[] = {
	JSON_FIELD(struct oci_cpu_affinity, initial, "initial", JSON_STRING_T, 0),
	JSON_FIELD(struct oci_cpu_affinity, final, "final", JSON_STRING_T, 0),
};
static const struct json_table CPU_AFFINITY = JSON_TABLE(struct oci_cpu_affinity, CPU_AFFINITY_FIELDS);

static const struct json_field PROCESS_FIELDS[] = {
	JSON_FIELD(struct oci_process, terminal, "terminal", JSON_BOOL_T, 0),
	JSON_NESTED(struct oci_process, console_size, "consoleSize", JSON_STRUCT_OPT, &CONSOLE_SIZE, 0),
	JSON_NESTED(struct oci_process, user, "user", JSON_STRUCT, &USER, JSON_KEEP),
	JSON_FIELD(struct oci_process, args, "args", JSON_STRINGS, 0),
	JSON_FIELD(struct oci_process, env, "env", JSON_STRINGS, 0),
	JSON_FIELD(struct oci_process, cwd, "cwd", JSON_STRING_T, JSON_REQUIRED),
	JSON_NESTED(struct oci_process, capabilities, "capabilities", JSON_STRUCT_OPT, &CAPABILITIES, 0),
	JSON_NESTED_COUNTED(struct oci_process, rlimits, "rlimits", JSON_STRUCTS, &RLIMIT, 0),
	JSON_FIELD(struct oci_process, no_new_privileges, "noNewPrivileges", JSON_BOOL_T, 0),
	JSON_FIELD(struct oci_process, apparmor_profile, "apparmorProfile", JSON_STRING_T, 0),
	JSON_FIELD(struct oci_process, oom_score_adj, "oomScoreAdj", JSON_I32_OPT, 0),
	JSON_FIELD(struct oci_process, selinux_label, "selinuxLabel", JSON_STRING_T, 0),
	JSON_NESTED(struct oci_process, io_priority, "ioPriority", JSON_STRUCT_OPT, &IO_PRIORITY, 0),
	JSON_NESTED(struct oci_process, scheduler, "scheduler", JSON_STRUCT_OPT, &SCHEDULER, 0),
	JSON_NESTED(struct oci_process, exec_cpu_affinity, "execCPUAffinity", JSON_STRUCT_OPT, &CPU_AFFINITY, 0),
};
const struct json_table OCI_PROCESS = JSON_TABLE(struct oci_process, PROCESS_FIELDS);

static const struct json_field ROOT_FIELDS[] = {
	JSON_FIELD(struct oci_root, path, "path", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct oci_root, readonly, "readonly", JSON_BOOL_T, 0),
};
static const struct json_table ROOT = JSON_TABLE(struct oci_root, ROOT_FIELDS);

static const struct json_field MOUNT_FIELDS[] = {
	JSON_FIELD(struct oci_mount, destination, "destination", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct oci_mount, type, "type", JSON_STRING_T, 0),
	JSON_FIELD(struct oci_mount, source, "source", JSON_STRING_T, 0),
	JSON_FIELD(struct oci_mount, options, "options", JSON_STRINGS, 0),
	JSON_NESTED_COUNTED(struct oci_mount, uid_mappings, "uidMappings", JSON_STRUCTS, &ID_MAPPING, 0),
	JSON_NESTED_COUNTED(struct oci_mount, gid_mappings, "gidMappings", JSON_STRUCTS, &ID_MAPPING, 0),
};
static const struct json_table MOUNT = JSON_TABLE(struct oci_mount, MOUNT_FIELDS);

static const struct json_field HOOK_FIELDS[] = {
	JSON_FIELD(struct oci_hook, path, "path", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct oci_hook, args, "args", JSON_STRINGS, 0),
	JSON_FIELD(struct oci_hook, env, "env", JSON_STRINGS, 0),
	JSON_FIELD(struct oci_hook, timeout, "timeout", JSON_I32_OPT, 0),
};
static const struct json_table HOOK = JSON_TABLE(struct oci_hook, HOOK_FIELDS);

#define HOOK_LIST(member, name) JSON_NESTED_COUNTED(struct oci_hooks, member, name, JSON_STRUCTS, &HOOK, 0)
static const struct json_field HOOKS_FIELDS[] = {
	HOOK_LIST(prestart, "prestart"),
	HOOK_LIST(create_runtime, "createRuntime"),
	HOOK_LIST(create_container, "createContainer"),
	HOOK_LIST(start_container, "startContainer"),
	HOOK_LIST(poststart, "poststart"),
	HOOK_LIST(poststop, "poststop"),
};
static const struct json_table HOOKS = JSON_TABLE(struct oci_hooks, HOOKS_FIELDS);

static const struct json_field NAMESPACE_FIELDS[] = {
	JSON_FIELD(struct oci_namespace, type, "type", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct oci_namespace, path, "path", JSON_STRING_T, 0),
};
static const struct json_table NAMESPACE = JSON_TABLE(struct oci_namespace, NAMESPACE_FIELDS);

static const struct json_field DEVICE_FIELDS[] = {
	JSON_FIELD(struct oci_device, type, "type", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct oci_device, path, "path", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct oci_device, major, "major", JSON_I64, JSON_KEEP),
	JSON_FIELD(struct oci_device, minor, "minor", JSON_I64, JSON_KEEP),
	JSON_FIELD(struct oci_device, file_mode, "fileMode", JSON_U32_OPT, 0),
	JSON_FIELD(struct oci_device, uid, "uid", JSON_U32_OPT, 0),
	JSON_FIELD(struct oci_device, gid, "gid", JSON_U32_OPT, 0),
};
static const struct json_table DEVICE = JSON_TABLE(struct oci_device, DEVICE_FIELDS);

static const struct json_field TIME_OFFSET_FIELDS[] = {
	JSON_FIELD(struct oci_time_offset, secs, "secs", JSON_I64, 0),
	JSON_FIELD(struct oci_time_offset, nanosecs, "nanosecs", JSON_U32, 0),
};
static const struct json_table TIME_OFFSET = JSON_TABLE(struct oci_time_offset, TIME_OFFSET_FIELDS);

/* linux.resources */

static const struct json_field DEVICE_RULE_FIELDS[] = {
	JSON_FIELD(struct oci_device_rule, allow, "allow", JSON_BOOL_T, JSON_KEEP),
	JSON_FIELD(struct oci_device_rule, type, "type", JSON_STRING_T, 0),
	JSON_FIELD(struct oci_device_rule, major, "major", JSON_I64_OPT, 0),
	JSON_FIELD(struct oci_device_rule, minor, "minor", JSON_I64_OPT, 0),
	JSON_FIELD(struct oci_device_rule, access, "access", JSON_STRING_T, 0),
};
static const struct json_table DEVICE_RULE = JSON_TABLE(struct oci_device_rule, DEVICE_RULE_FIELDS);

static const struct json_field MEMORY_FIELDS[] = {
	JSON_FIELD(struct oci_memory, limit, "limit", JSON_I64_OPT, 0),
	JSON_FIELD(struct oci_memory, reservation, "reservation", JSON_I64_OPT, 0),
	JSON_FIELD(struct oci_memory, swap, "swap", JSON_I64_OPT, 0),
	JSON_FIELD(struct oci_memory, kernel, "kernel", JSON_I64_OPT, 0),
	JSON_FIELD(struct oci_memory, kernel_tcp, "kernelTCP", JSON_I64_OPT, 0),
	JSON_FIELD(struct oci_memory, swappiness, "swappiness", JSON_U64_OPT, 0),
	JSON_FIELD(struct oci_memory, disable_oom_killer, "disableOOMKiller", JSON_BOOL_T, 0),
	JSON_FIELD(struct oci_memory, use_hierarchy, "useHierarchy", JSON_BOOL_T, 0),
	JSON_FIELD(struct oci_memory, check_before_update, "checkBeforeUpdate", JSON_BOOL_T, 0),
};
static const struct json_table MEMORY = JSON_TABLE(struct oci_memory, MEMORY_FIELDS);

static const struct json_field CPU_FIELDS[] = {
	JSON_FIELD(struct oci_cpu, shares, "shares", JSON_U64_OPT, 0),
	JSON_FIELD(struct oci_cpu, quota, "quota", JSON_I64_OPT, 0),
	JSON_FIELD(struct oci_cpu, burst, "burst", JSON_U64_OPT, 0),
	JSON_FIELD(struct oci_cpu, period, "period", JSON_U64_OPT, 0),
	JSON_FIELD(struct oci_cpu, realtime_runtime, "realtimeRuntime", JSON_I64_OPT, 0),
	JSON_FIELD(struct oci_cpu, realtime_period, "realtimePeriod", JSON_U64_OPT, 0),
	JSON_FIELD(struct oci_cpu, cpus, "cpus", JSON_STRING_T, 0),
	JSON_FIELD(struct oci_cpu, mems, "mems", JSON_STRING_T, 0),
	JSON_FIELD(struct oci_cpu, idle, "idle", JSON_I64_OPT, 0),
};
static const struct json_table CPU = JSON_TABLE(struct oci_cpu, CPU_FIELDS);

static const struct json_field PIDS_FIELDS[] = {
	JSON_FIELD(struct oci_pids, limit, "limit", JSON_I64, JSON_KEEP),
};
static const struct json_table PIDS = JSON_TABLE(struct oci_pids, PIDS_FIELDS);

static const struct json_field WEIGHT_DEVICE_FIELDS[] = {
	JSON_FIELD(struct oci_weight_device, major, "major", JSON_I64, JSON_REQUIRED | JSON_KEEP),
	JSON_FIELD(struct oci_weight_device, minor, "minor", JSON_I64, JSON_REQUIRED | JSON_KEEP),
	JSON_FIELD(struct oci_weight_device, weight, "weight", JSON_U32_OPT, 0),
	JSON_FIELD(struct oci_weight_device, leaf_weight, "leafWeight", JSON_U32_OPT, 0),
};
static const struct json_table WEIGHT_DEVICE = JSON_TABLE(struct oci_weight_device, WEIGHT_DEVICE_FIELDS);

static const struct json_field THROTTLE_DEVICE_FIELDS[] = {
	JSON_FIELD(struct oci_throttle_device, major, "major", JSON_I64, JSON_REQUIRED | JSON_KEEP),
	JSON_FIELD(struct oci_throttle_device, minor, "minor", JSON_I64, JSON_REQUIRED | JSON_KEEP),
	JSON_FIELD(struct oci_throttle_device, rate, "rate", JSON_U64, JSON_REQUIRED | JSON_KEEP),
};
static const struct json_table THROTTLE_DEVICE = JSON_TABLE(struct oci_throttle_device, THROTTLE_DEVICE_FIELDS);

#define THROTTLE(member, name)                                                                                         \
	JSON_NESTED_COUNTED(struct oci_block_io, member, name, JSON_STRUCTS, &THROTTLE_DEVICE, 0)
static const struct json_field BLOCK_IO_FIELDS[] = {
	JSON_FIELD(struct oci_block_io, weight, "weight", JSON_U32_OPT, 0),
	JSON_FIELD(struct oci_block_io, leaf_weight, "leafWeight", JSON_U32_OPT, 0),
	JSON_NESTED_COUNTED(struct oci_block_io, weight_device, "weightDevice", JSON_STRUCTS, &WEIGHT_DEVICE, 0),
	THROTTLE(throttle_read_bps, "throttleReadBpsDevice"),
	THROTTLE(throttle_write_bps, "throttleWriteBpsDevice"),
	THROTTLE(throttle_read_iops, "throttleReadIOPSDevice"),
	THROTTLE(throttle_write_iops, "throttleWriteIOPSDevice"),
};
static const struct json_table BLOCK_IO = JSON_TABLE(struct oci_block_io, BLOCK_IO_FIELDS);

static const struct json_field HUGEPAGE_LIMIT_FIELDS[] = {
	JSON_FIELD(struct oci_hugepage_limit, page_size, "pageSize", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct oci_hugepage_limit, limit, "limit", JSON_U64, JSON_REQUIRED | JSON_KEEP),
};
static const struct json_table HUGEPAGE_LIMIT = JSON_TABLE(struct oci_hugepage_limit, HUGEPAGE_LIMIT_FIELDS);

static const struct json_field NETWORK_PRIORITY_FIELDS[] = {
	JSON_FIELD(struct oci_network_priority, name, "name", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct oci_network_priority, priority, "priority", JSON_U32, JSON_REQUIRED | JSON_KEEP),
};
static const struct json_table NETWORK_PRIORITY = JSON_TABLE(struct oci_network_priority, NETWORK_PRIORITY_FIELDS);

static const struct json_field NETWORK_FIELDS[] = {
	JSON_FIELD(struct oci_network, class_id, "classID", JSON_U32_OPT, 0),
	JSON_NESTED_COUNTED(struct oci_network, priorities, "priorities", JSON_STRUCTS, &NETWORK_PRIORITY, 0),
};
static const struct json_table NETWORK = JSON_TABLE(struct oci_network, NETWORK_FIELDS);

static const struct json_field RDMA_FIELDS[] = {
	JSON_FIELD(struct oci_rdma, hca_handles, "hcaHandles", JSON_U32_OPT, 0),
	JSON_FIELD(struct oci_rdma, hca_objects, "hcaObjects", JSON_U32_OPT, 0),
};
static const struct json_table RDMA = JSON_TABLE(struct oci_rdma, RDMA_FIELDS);

static const struct json_field RESOURCES_FIELDS[] = {
	JSON_NESTED_COUNTED(struct oci_resources, devices, "devices", JSON_STRUCTS, &DEVICE_RULE, 0),
	JSON_NESTED(struct oci_resources, memory, "memory", JSON_STRUCT_OPT, &MEMORY, 0),
	JSON_NESTED(struct oci_resources, cpu, "cpu", JSON_STRUCT_OPT, &CPU, 0),
	JSON_NESTED(struct oci_resources, pids, "pids", JSON_STRUCT_OPT, &PIDS, 0),
	JSON_NESTED(struct oci_resources, block_io, "blockIO", JSON_STRUCT_OPT, &BLOCK_IO, 0),
	JSON_NESTED_COUNTED(struct oci_resources, hugepage_limits, "hugepageLimits", JSON_STRUCTS, &HUGEPAGE_LIMIT, 0),
	JSON_NESTED(struct oci_resources, network, "network", JSON_STRUCT_OPT, &NETWORK, 0),
	JSON_NESTED_COUNTED(struct oci_resources, rdma, "rdma", JSON_STRUCT_MAP, &RDMA, 0),
	JSON_COUNTED(struct oci_resources, unified, "unified", JSON_PAIRS, 0),
};
const struct json_table OCI_RESOURCES = JSON_TABLE(struct oci_resources, RESOURCES_FIELDS);

/* linux.seccomp */

static const struct json_field SECCOMP_ARG_FIELDS[] = {
	JSON_FIELD(struct oci_seccomp_arg, index, "index", JSON_U32, JSON_REQUIRED | JSON_KEEP),
	JSON_FIELD(struct oci_seccomp_arg, value, "value", JSON_U64, JSON_REQUIRED | JSON_KEEP),
	JSON_FIELD(struct oci_seccomp_arg, value_two, "valueTwo", JSON_U64, 0),
	JSON_FIELD(struct oci_seccomp_arg, op, "op", JSON_STRING_T, JSON_REQUIRED),
};
static const struct json_table SECCOMP_ARG = JSON_TABLE(struct oci_seccomp_arg, SECCOMP_ARG_FIELDS);

static const struct json_field SECCOMP_RULE_FIELDS[] = {
	JSON_FIELD(struct oci_seccomp_rule, names, "names", JSON_STRINGS, JSON_REQUIRED),
	JSON_FIELD(struct oci_seccomp_rule, action, "action", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct oci_seccomp_rule, errno_ret, "errnoRet", JSON_U32_OPT, 0),
	JSON_NESTED_COUNTED(struct oci_seccomp_rule, args, "args", JSON_STRUCTS, &SECCOMP_ARG, 0),
};
static const struct json_table SECCOMP_RULE = JSON_TABLE(struct oci_seccomp_rule, SECCOMP_RULE_FIELDS);

static const struct json_field SECCOMP_FIELDS[] = {
	JSON_FIELD(struct oci_seccomp, default_action, "defaultAction", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct oci_seccomp, default_errno_ret, "defaultErrnoRet", JSON_U32_OPT, 0),
	JSON_FIELD(struct oci_seccomp, architectures, "architectures", JSON_STRINGS, 0),
	JSON_FIELD(struct oci_seccomp, flags, "flags", JSON_STRINGS, 0),
	JSON_FIELD(struct oci_seccomp, listener_path, "listenerPath", JSON_STRING_T, 0),
	JSON_FIELD(struct oci_seccomp, listener_metadata, "listenerMetadata", JSON_STRING_T, 0),
	JSON_NESTED_COUNTED(struct oci_seccomp, syscalls, "syscalls", JSON_STRUCTS, &SECCOMP_RULE, 0),
};
const struct json_table OCI_SECCOMP = JSON_TABLE(struct oci_seccomp, SECCOMP_FIELDS);

/* linux */

static const struct json_field INTEL_RDT_FIELDS[] = {
	JSON_FIELD(struct oci_intel_rdt, clos_id, "closID", JSON_STRING_T, 0),
	JSON_FIELD(struct oci_intel_rdt, l3_cache_schema, "l3CacheSchema", JSON_STRING_T, 0),
	JSON_FIELD(struct oci_intel_rdt, mem_bw_schema, "memBwSchema", JSON_STRING_T, 0),
	JSON_FIELD(struct oci_intel_rdt, enable_cmt, "enableCMT", JSON_BOOL_T, 0),
	JSON_FIELD(struct oci_intel_rdt, enable_mbm, "enableMBM", JSON_BOOL_T, 0),
};
static const struct json_table INTEL_RDT = JSON_TABLE(struct oci_intel_rdt, INTEL_RDT_FIELDS);

static const struct json_field PERSONALITY_FIELDS[] = {
	JSON_FIELD(struct oci_personality, domain, "domain", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct oci_personality, flags, "flags", JSON_STRINGS, 0),
};
static const struct json_table PERSONALITY = JSON_TABLE(struct oci_personality, PERSONALITY_FIELDS);

static const struct json_field LINUX_FIELDS[] = {
	JSON_NESTED_COUNTED(struct oci_linux, uid_mappings, "uidMappings", JSON_STRUCTS, &ID_MAPPING, 0),
	JSON_NESTED_COUNTED(struct oci_linux, gid_mappings, "gidMappings", JSON_STRUCTS, &ID_MAPPING, 0),
	JSON_COUNTED(struct oci_linux, sysctl, "sysctl", JSON_PAIRS, 0),
	JSON_NESTED(struct oci_linux, resources, "resources", JSON_STRUCT_OPT, &OCI_RESOURCES, 0),
	JSON_FIELD(struct oci_linux, cgroups_path, "cgroupsPath", JSON_STRING_T, 0),
	JSON_NESTED_COUNTED(struct oci_linux, namespaces, "namespaces", JSON_STRUCTS, &NAMESPACE, 0),
	JSON_NESTED_COUNTED(struct oci_linux, devices, "devices", JSON_STRUCTS, &DEVICE, 0),
	JSON_NESTED(struct oci_linux, seccomp, "seccomp", JSON_STRUCT_OPT, &OCI_SECCOMP, 0),
	JSON_FIELD(struct oci_linux, rootfs_propagation, "rootfsPropagation", JSON_STRING_T, 0),
	JSON_FIELD(struct oci_linux, masked_paths, "maskedPaths", JSON_STRINGS, 0),
	JSON_FIELD(struct oci_linux, readonly_paths, "readonlyPaths", JSON_STRINGS, 0),
	JSON_FIELD(struct oci_linux, mount_label, "mountLabel", JSON_STRING_T, 0),
	JSON_NESTED(struct oci_linux, intel_rdt, "intelRdt", JSON_STRUCT_OPT, &INTEL_RDT, 0),
	JSON_NESTED(struct oci_linux, personality, "personality", JSON_STRUCT_OPT, &PERSONALITY, 0),
	JSON_NESTED_COUNTED(struct oci_linux, time_offsets, "timeOffsets", JSON_STRUCT_MAP, &TIME_OFFSET, 0),
};
static const struct json_table LINUX = JSON_TABLE(struct oci_linux, LINUX_FIELDS);

static const struct json_field SPEC_FIELDS[] = {
	JSON_FIELD(struct oci_spec, oci_version, "ociVersion", JSON_STRING_T, JSON_REQUIRED),
	JSON_NESTED(struct oci_spec, process, "process", JSON_STRUCT_OPT, &OCI_PROCESS, 0),
	JSON_NESTED(struct oci_spec, root, "root", JSON_STRUCT_OPT, &ROOT, 0),
	JSON_FIELD(struct oci_spec, hostname, "hostname", JSON_STRING_T, 0),
	JSON_FIELD(struct oci_spec, domainname, "domainname", JSON_STRING_T, 0),
	JSON_NESTED_COUNTED(struct oci_spec, mounts, "mounts", JSON_STRUCTS, &MOUNT, 0),
	JSON_NESTED(struct oci_spec, hooks, "hooks", JSON_STRUCT_OPT, &HOOKS, 0),
	JSON_COUNTED(struct oci_spec, annotations, "annotations", JSON_PAIRS, 0),
	JSON_NESTED(struct oci_spec, linux_, "linux", JSON_STRUCT_OPT, &LINUX, 0),
};
const struct json_table OCI_SPEC = JSON_TABLE(struct oci_spec, SPEC_FIELDS);

static const struct json_field STATE_FIELDS[] = {
	JSON_FIELD(struct oci_state, oci_version, "ociVersion", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct oci_state, id, "id", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct oci_state, status, "status", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct oci_state, pid, "pid", JSON_I64, 0),
	JSON_FIELD(struct oci_state, bundle, "bundle", JSON_STRING_T, JSON_REQUIRED),
	JSON_COUNTED(struct oci_state, annotations, "annotations", JSON_PAIRS, 0),
};
const struct json_table OCI_STATE = JSON_TABLE(struct oci_state, STATE_FIELDS);

const char *oci_annotation(const struct oci_spec *spec, const char *name)
{
	for (size_t i = 0; i < spec->annotations_count; i++)
		if (strcmp(spec->annotations[i].key, name) == 0)
			return spec->annotations[i].value;
	return NULL;
}
