#include "manager/src/helper_protocol.h"

#include "core/base/array.h"

static const struct json_field PREPARE_FIELDS[] = {
	JSON_FIELD(struct helper_prepare, pins, "pins", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct helper_prepare, undo, "undo", JSON_BOOL_T, 0),
};
static const struct json_table PREPARE = JSON_TABLE(struct helper_prepare, PREPARE_FIELDS);

static const struct json_field USER_MAP_FIELDS[] = {
	JSON_FIELD(struct helper_user_map, host_uid, "host_uid", JSON_U32, JSON_REQUIRED | JSON_KEEP),
	JSON_FIELD(struct helper_user_map, uid_count, "uid_count", JSON_U32, JSON_REQUIRED | JSON_KEEP),
	JSON_FIELD(struct helper_user_map, host_gid, "host_gid", JSON_U32, JSON_REQUIRED | JSON_KEEP),
	JSON_FIELD(struct helper_user_map, gid_count, "gid_count", JSON_U32, JSON_REQUIRED | JSON_KEEP),
};
static const struct json_table USER_MAP = JSON_TABLE(struct helper_user_map, USER_MAP_FIELDS);

static const struct json_field POD_MAKE_FIELDS[] = {
	JSON_FIELD(struct helper_pod_make, pins, "pins", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct helper_pod_make, files, "files", JSON_STRING_T, JSON_REQUIRED),
	JSON_NESTED(struct helper_pod_make, user, "user", JSON_STRUCT_OPT, &USER_MAP, 0),
	JSON_FIELD(struct helper_pod_make, network, "network", JSON_BOOL_T, 0),
	JSON_FIELD(struct helper_pod_make, ipc, "ipc", JSON_BOOL_T, 0),
	JSON_FIELD(struct helper_pod_make, uts, "uts", JSON_BOOL_T, 0),
	JSON_FIELD(struct helper_pod_make, hostname, "hostname", JSON_STRING_T, 0),
	JSON_COUNTED(struct helper_pod_make, sysctls, "sysctls", JSON_PAIRS, 0),
	JSON_FIELD(struct helper_pod_make, shm_bytes, "shm_bytes", JSON_U64, 0),
	JSON_FIELD(struct helper_pod_make, hosts, "hosts", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct helper_pod_make, hostname_file, "hostname_file", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct helper_pod_make, resolv_conf, "resolv_conf", JSON_STRING_T, JSON_REQUIRED),
};
static const struct json_table POD_MAKE = JSON_TABLE(struct helper_pod_make, POD_MAKE_FIELDS);

static const struct json_field POD_REMOVE_FIELDS[] = {
	JSON_FIELD(struct helper_pod_remove, pins, "pins", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct helper_pod_remove, files, "files", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct helper_pod_remove, init_cgroup, "init_cgroup", JSON_STRING_T, 0),
	JSON_FIELD(struct helper_pod_remove, cgroup, "cgroup", JSON_STRING_T, 0),
};
static const struct json_table POD_REMOVE = JSON_TABLE(struct helper_pod_remove, POD_REMOVE_FIELDS);

static const struct json_field USER_PROBE_FIELDS[] = {
	JSON_FIELD(struct helper_user_probe, folder, "folder", JSON_STRING_T, JSON_REQUIRED),
};
static const struct json_table USER_PROBE = JSON_TABLE(struct helper_user_probe, USER_PROBE_FIELDS);

static const struct json_field POD_INIT_FIELDS[] = {
	JSON_FIELD(struct helper_pod_init, pins, "pins", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct helper_pod_init, files, "files", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct helper_pod_init, cgroup, "cgroup", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct helper_pod_init, program, "program", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct helper_pod_init, uid, "uid", JSON_U32, JSON_REQUIRED),
	JSON_FIELD(struct helper_pod_init, gid, "gid", JSON_U32, JSON_REQUIRED),
};
static const struct json_table POD_INIT = JSON_TABLE(struct helper_pod_init, POD_INIT_FIELDS);

static const struct json_field POD_INIT_FILE_FIELDS[] = {
	JSON_FIELD(struct pod_init_file, version, "version", JSON_U32, JSON_REQUIRED),
	JSON_FIELD(struct pod_init_file, pid, "pid", JSON_I32, JSON_REQUIRED),
};
const struct json_table POD_INIT_TABLE = JSON_TABLE(struct pod_init_file, POD_INIT_FILE_FIELDS);

static const struct json_field USER_FIELDS[] = {
	JSON_FIELD(struct helper_user, name, "name", JSON_STRING_T, 0),
	JSON_FIELD(struct helper_user, groups_of, "groups_of", JSON_STRING_T, 0),
	JSON_FIELD(struct helper_user, group_only_given, "group_only_given", JSON_BOOL_T, 0),
};
static const struct json_table USER = JSON_TABLE(struct helper_user, USER_FIELDS);

static const struct json_field ROOTFS_MOUNT_FIELDS[] = {
	JSON_FIELD(struct helper_rootfs_mount, layers, "layers", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct helper_rootfs_mount, lowers, "lowers", JSON_STRINGS, JSON_REQUIRED),
	JSON_FIELD(struct helper_rootfs_mount, data, "data", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct helper_rootfs_mount, target, "target", JSON_STRING_T, 0),
	JSON_FIELD(struct helper_rootfs_mount, context, "context", JSON_STRING_T, 0),
	JSON_FIELD(struct helper_rootfs_mount, user_namespace, "user_namespace", JSON_STRING_T, 0),
	JSON_FIELD(struct helper_rootfs_mount, owner_uid, "owner_uid", JSON_U32, 0),
	JSON_FIELD(struct helper_rootfs_mount, owner_gid, "owner_gid", JSON_U32, 0),
	JSON_NESTED(struct helper_rootfs_mount, user, "user", JSON_STRUCT_OPT, &USER, 0),
};
static const struct json_table ROOTFS_MOUNT = JSON_TABLE(struct helper_rootfs_mount, ROOTFS_MOUNT_FIELDS);

static const struct json_field USER_FIND_FIELDS[] = {
	JSON_FIELD(struct helper_user_find, root, "root", JSON_STRING_T, JSON_REQUIRED),
	JSON_NESTED(struct helper_user_find, user, "user", JSON_STRUCT_OPT, &USER, JSON_REQUIRED),
};
static const struct json_table USER_FIND = JSON_TABLE(struct helper_user_find, USER_FIND_FIELDS);

static const struct json_field VOLUME_MOUNT_FIELDS[] = {
	JSON_FIELD(struct helper_volume_mount, layers, "layers", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct helper_volume_mount, lowers, "lowers", JSON_STRINGS, JSON_REQUIRED),
	JSON_FIELD(struct helper_volume_mount, folder, "folder", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct helper_volume_mount, name, "name", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct helper_volume_mount, sub_path, "sub_path", JSON_STRING_T, 0),
	JSON_FIELD(struct helper_volume_mount, context, "context", JSON_STRING_T, 0),
	JSON_FIELD(struct helper_volume_mount, user_namespace, "user_namespace", JSON_STRING_T, 0),
};
static const struct json_table VOLUME_MOUNT = JSON_TABLE(struct helper_volume_mount, VOLUME_MOUNT_FIELDS);

static const struct json_field RELABEL_FIELDS[] = {
	JSON_FIELD(struct helper_relabel, path, "path", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct helper_relabel, label, "label", JSON_STRING_T, JSON_REQUIRED),
};
static const struct json_table RELABEL = JSON_TABLE(struct helper_relabel, RELABEL_FIELDS);

static const struct json_field CONTAINER_REMOVE_FIELDS[] = {
	JSON_FIELD(struct helper_container_remove, target, "target", JSON_STRING_T, 0),
	JSON_FIELD(struct helper_container_remove, volumes, "volumes", JSON_STRING_T, 0),
	JSON_FIELD(struct helper_container_remove, cgroup, "cgroup", JSON_STRING_T, 0),
	JSON_FIELD(struct helper_container_remove, trees, "trees", JSON_STRINGS, 0),
	JSON_FIELD(struct helper_container_remove, kill, "kill", JSON_BOOL_T, 0),
};
static const struct json_table CONTAINER_REMOVE = JSON_TABLE(struct helper_container_remove, CONTAINER_REMOVE_FIELDS);

static const struct json_field NET_OPEN_FIELDS[] = {
	JSON_FIELD(struct helper_net_open, pin, "pin", JSON_STRING_T, JSON_REQUIRED),
};
static const struct json_table NET_OPEN = JSON_TABLE(struct helper_net_open, NET_OPEN_FIELDS);

static const struct json_field DISK_USAGE_FIELDS[] = {
	JSON_FIELD(struct helper_disk_usage, trees, "trees", JSON_STRINGS, JSON_REQUIRED),
};
static const struct json_table DISK_USAGE = JSON_TABLE(struct helper_disk_usage, DISK_USAGE_FIELDS);

static const struct json_field CONNECT_FIELDS[] = {
	JSON_FIELD(struct helper_connect, network, "network", JSON_STRING_T, 0),
	JSON_FIELD(struct helper_connect, port, "port", JSON_U32, JSON_REQUIRED),
};
static const struct json_table CONNECT = JSON_TABLE(struct helper_connect, CONNECT_FIELDS);

static const struct json_field REQUEST_FIELDS[] = {
	JSON_NESTED(struct helper_request, prepare, "prepare", JSON_STRUCT_OPT, &PREPARE, 0),
	JSON_NESTED(struct helper_request, pod_make, "pod-make", JSON_STRUCT_OPT, &POD_MAKE, 0),
	JSON_NESTED(struct helper_request, pod_remove, "pod-remove", JSON_STRUCT_OPT, &POD_REMOVE, 0),
	JSON_NESTED(struct helper_request, pod_init, "pod-init", JSON_STRUCT_OPT, &POD_INIT, 0),
	JSON_NESTED(struct helper_request, user_probe, "user-probe", JSON_STRUCT_OPT, &USER_PROBE, 0),
	JSON_NESTED(struct helper_request, rootfs_mount, "rootfs-mount", JSON_STRUCT_OPT, &ROOTFS_MOUNT, 0),
	JSON_NESTED(struct helper_request, user_find, "user-find", JSON_STRUCT_OPT, &USER_FIND, 0),
	JSON_NESTED(struct helper_request, container_remove, "container-remove", JSON_STRUCT_OPT, &CONTAINER_REMOVE, 0),
	JSON_NESTED(struct helper_request, volume_mount, "volume-mount", JSON_STRUCT_OPT, &VOLUME_MOUNT, 0),
	JSON_NESTED(struct helper_request, relabel, "relabel", JSON_STRUCT_OPT, &RELABEL, 0),
	JSON_NESTED(struct helper_request, connect, "connect", JSON_STRUCT_OPT, &CONNECT, 0),
	JSON_NESTED(struct helper_request, net_open, "net-open", JSON_STRUCT_OPT, &NET_OPEN, 0),
	JSON_NESTED(struct helper_request, disk_usage, "disk-usage", JSON_STRUCT_OPT, &DISK_USAGE, 0),
};
const struct json_table HELPER_REQUEST = JSON_TABLE(struct helper_request, REQUEST_FIELDS);

static const struct json_field FAILURE_FIELDS[] = {
	JSON_FIELD(struct helper_failure, code, "code", JSON_I32, JSON_REQUIRED),
	JSON_FIELD(struct helper_failure, reason, "reason", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct helper_failure, message, "message", JSON_STRING_T, JSON_REQUIRED),
};
static const struct json_table FAILURE = JSON_TABLE(struct helper_failure, FAILURE_FIELDS);

static const struct json_field USER_FOUND_FIELDS[] = {
	JSON_FIELD(struct helper_user_found, uid, "uid", JSON_U32, JSON_KEEP),
	JSON_FIELD(struct helper_user_found, gid, "gid", JSON_U32, JSON_KEEP),
	JSON_COUNTED(struct helper_user_found, groups, "groups", JSON_U32S, 0),
	JSON_FIELD(struct helper_user_found, name, "name", JSON_STRING_T, 0),
	JSON_FIELD(struct helper_user_found, home, "home", JSON_STRING_T, 0),
};
static const struct json_table USER_FOUND = JSON_TABLE(struct helper_user_found, USER_FOUND_FIELDS);

static const struct json_field TREE_USAGE_FIELDS[] = {
	JSON_FIELD(struct helper_tree_usage, bytes, "bytes", JSON_U64, JSON_KEEP),
	JSON_FIELD(struct helper_tree_usage, inodes, "inodes", JSON_U64, JSON_KEEP),
};
static const struct json_table TREE_USAGE = JSON_TABLE(struct helper_tree_usage, TREE_USAGE_FIELDS);

static const struct json_field REPLY_FIELDS[] = {
	JSON_NESTED(struct helper_reply, failure, "failure", JSON_STRUCT_OPT, &FAILURE, 0),
	JSON_NESTED(struct helper_reply, user, "user", JSON_STRUCT_OPT, &USER_FOUND, 0),
	JSON_NESTED_COUNTED(struct helper_reply, trees, "trees", JSON_STRUCTS, &TREE_USAGE, 0),
	JSON_FIELD(struct helper_reply, pid, "pid", JSON_I32, 0),
};
const struct json_table HELPER_REPLY = JSON_TABLE(struct helper_reply, REPLY_FIELDS);

const char *helper_request_name(const struct helper_request *request)
{
	const char *name = NULL;
	for (size_t i = 0; i < ARRAY_COUNT(REQUEST_FIELDS); i++) {
		const void *member = *(const void *const *)((const char *)request + REQUEST_FIELDS[i].offset);
		if (member && name)
			return NULL;
		if (member)
			name = REQUEST_FIELDS[i].name;
	}
	return name;
}
