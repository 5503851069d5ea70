/* The OCI runtime specification 1.2 (config.json, state) as C structs with their JSON tables, both directions.
 *
 * axrun reads what the image library and the manager write; this is where the three agree. Members are named as in the
 * specification (config.md, config-linux.md), in this project's spelling. Pointers are NULL and counts 0 where a member
 * is absent. What json_decode() makes lives in its arena; who fills a struct by hand for json_encode() owns what it
 * points to. Unknown members are ignored, as the specification asks (config.md, "Extensibility"). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/codec/json.h"

#define OCI_RUNTIME_VERSION "1.2.0"

struct oci_id_mapping {
	uint32_t container_id;
	uint32_t host_id;
	uint32_t size;
};

/* process */

struct oci_user {
	uint32_t uid;
	uint32_t gid;
	const uint32_t *umask;
	const uint32_t *additional_gids;
	size_t additional_gids_count;
	const char *username;
};

struct oci_console_size {
	uint32_t height;
	uint32_t width;
};

struct oci_capabilities {
	const char *const *bounding;
	const char *const *effective;
	const char *const *inheritable;
	const char *const *permitted;
	const char *const *ambient;
};

struct oci_rlimit {
	const char *type; /* "RLIMIT_NOFILE" */
	uint64_t hard;
	uint64_t soft;
};

struct oci_io_priority {
	const char *class; /* "IOPRIO_CLASS_BE" */
	int32_t priority;
};

struct oci_scheduler {
	const char *policy; /* "SCHED_FIFO" */
	int32_t nice;
	int32_t priority;
	const char *const *flags;
	uint64_t runtime;
	uint64_t deadline;
	uint64_t period;
};

struct oci_cpu_affinity {
	const char *initial;
	const char *final;
};

struct oci_process {
	bool terminal;
	const struct oci_console_size *console_size;
	struct oci_user user;
	const char *const *args;
	const char *const *env;
	const char *cwd;
	const struct oci_capabilities *capabilities;
	const struct oci_rlimit *rlimits;
	size_t rlimits_count;
	bool no_new_privileges;
	const char *apparmor_profile;
	const int32_t *oom_score_adj;
	const char *selinux_label;
	const struct oci_io_priority *io_priority;
	const struct oci_scheduler *scheduler;
	const struct oci_cpu_affinity *exec_cpu_affinity;
};

/* root, mounts, hooks */

struct oci_root {
	const char *path;
	bool readonly;
};

struct oci_mount {
	const char *destination;
	const char *type;
	const char *source;
	const char *const *options;
	const struct oci_id_mapping *uid_mappings;
	size_t uid_mappings_count;
	const struct oci_id_mapping *gid_mappings;
	size_t gid_mappings_count;
};

struct oci_hook {
	const char *path;
	const char *const *args;
	const char *const *env;
	const int32_t *timeout; /* seconds */
};

struct oci_hooks {
	const struct oci_hook *prestart;
	size_t prestart_count;
	const struct oci_hook *create_runtime;
	size_t create_runtime_count;
	const struct oci_hook *create_container;
	size_t create_container_count;
	const struct oci_hook *start_container;
	size_t start_container_count;
	const struct oci_hook *poststart;
	size_t poststart_count;
	const struct oci_hook *poststop;
	size_t poststop_count;
};

/* linux */

struct oci_namespace {
	const char *type; /* "pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time" */
	const char *path; /* NULL: a new one */
};

struct oci_device {
	const char *type; /* "c", "u", "b", "p" */
	const char *path;
	int64_t major;
	int64_t minor;
	const uint32_t *file_mode;
	const uint32_t *uid;
	const uint32_t *gid;
};

struct oci_time_offset {
	const char *clock; /* "monotonic", "boottime": the key in the map */
	int64_t secs;
	uint32_t nanosecs;
};

struct oci_device_rule {
	bool allow;
	const char *type;      /* "a", "c", "b"; NULL: all */
	const int64_t *major;  /* NULL or -1: all */
	const int64_t *minor;
	const char *access;    /* of "rwm"; NULL: all */
};

struct oci_memory {
	const int64_t *limit; /* bytes; -1: none */
	const int64_t *reservation;
	const int64_t *swap; /* memory and swap together */
	const int64_t *kernel;
	const int64_t *kernel_tcp;
	const uint64_t *swappiness;
	bool disable_oom_killer;
	bool use_hierarchy;
	bool check_before_update;
};

struct oci_cpu {
	const uint64_t *shares;
	const int64_t *quota; /* microseconds per period; -1: none */
	const uint64_t *burst;
	const uint64_t *period;
	const int64_t *realtime_runtime;
	const uint64_t *realtime_period;
	const char *cpus;
	const char *mems;
	const int64_t *idle;
};

struct oci_pids {
	int64_t limit; /* <= 0: none */
};

struct oci_weight_device {
	int64_t major;
	int64_t minor;
	const uint32_t *weight;
	const uint32_t *leaf_weight;
};

struct oci_throttle_device {
	int64_t major;
	int64_t minor;
	uint64_t rate;
};

struct oci_block_io {
	const uint32_t *weight;
	const uint32_t *leaf_weight;
	const struct oci_weight_device *weight_device;
	size_t weight_device_count;
	const struct oci_throttle_device *throttle_read_bps;
	size_t throttle_read_bps_count;
	const struct oci_throttle_device *throttle_write_bps;
	size_t throttle_write_bps_count;
	const struct oci_throttle_device *throttle_read_iops;
	size_t throttle_read_iops_count;
	const struct oci_throttle_device *throttle_write_iops;
	size_t throttle_write_iops_count;
};

struct oci_hugepage_limit {
	const char *page_size; /* "2MB" */
	uint64_t limit;
};

struct oci_network_priority {
	const char *name;
	uint32_t priority;
};

struct oci_network {
	const uint32_t *class_id;
	const struct oci_network_priority *priorities;
	size_t priorities_count;
};

struct oci_rdma {
	const char *device; /* the key in the map */
	const uint32_t *hca_handles;
	const uint32_t *hca_objects;
};

struct oci_resources {
	const struct oci_device_rule *devices;
	size_t devices_count;
	const struct oci_memory *memory;
	const struct oci_cpu *cpu;
	const struct oci_pids *pids;
	const struct oci_block_io *block_io;
	const struct oci_hugepage_limit *hugepage_limits;
	size_t hugepage_limits_count;
	const struct oci_network *network;
	const struct oci_rdma *rdma;
	size_t rdma_count;
	const struct json_pair *unified; /* cgroup v2 files */
	size_t unified_count;
};

struct oci_seccomp_arg {
	uint32_t index;
	uint64_t value;
	uint64_t value_two;
	const char *op; /* "SCMP_CMP_EQ" */
};

struct oci_seccomp_rule {
	const char *const *names;
	const char *action; /* "SCMP_ACT_ALLOW" */
	const uint32_t *errno_ret;
	const struct oci_seccomp_arg *args;
	size_t args_count;
};

struct oci_seccomp {
	const char *default_action;
	const uint32_t *default_errno_ret;
	const char *const *architectures;
	const char *const *flags;
	const char *listener_path;
	const char *listener_metadata;
	const struct oci_seccomp_rule *syscalls;
	size_t syscalls_count;
};

struct oci_intel_rdt {
	const char *clos_id;
	const char *l3_cache_schema;
	const char *mem_bw_schema;
	bool enable_cmt;
	bool enable_mbm;
};

struct oci_personality {
	const char *domain; /* "LINUX", "LINUX32" */
	const char *const *flags;
};

struct oci_linux {
	const struct oci_id_mapping *uid_mappings;
	size_t uid_mappings_count;
	const struct oci_id_mapping *gid_mappings;
	size_t gid_mappings_count;
	const struct json_pair *sysctl;
	size_t sysctl_count;
	const struct oci_resources *resources;
	const char *cgroups_path;
	const struct oci_namespace *namespaces;
	size_t namespaces_count;
	const struct oci_device *devices;
	size_t devices_count;
	const struct oci_seccomp *seccomp;
	const char *rootfs_propagation; /* "private", "slave", "shared", "unbindable" */
	const char *const *masked_paths;
	const char *const *readonly_paths;
	const char *mount_label;
	const struct oci_intel_rdt *intel_rdt;
	const struct oci_personality *personality;
	const struct oci_time_offset *time_offsets;
	size_t time_offsets_count;
};

struct oci_spec {
	const char *oci_version;
	const struct oci_process *process;
	const struct oci_root *root;
	const char *hostname;
	const char *domainname;
	const struct oci_mount *mounts;
	size_t mounts_count;
	const struct oci_hooks *hooks;
	const struct json_pair *annotations;
	size_t annotations_count;
	const struct oci_linux *linux_; /* "linux" (which is a macro in GNU C) */
};

/* What hooks get on stdin and `state` prints (runtime.md, "State"). */
struct oci_state {
	const char *oci_version;
	const char *id;
	const char *status; /* "creating", "created", "running", "stopped"; "paused" as runc and crun say */
	int64_t pid;	    /* 0: absent, once stopped */
	const char *bundle;
	const struct json_pair *annotations;
	size_t annotations_count;
};

extern const struct json_table OCI_SPEC;
extern const struct json_table OCI_PROCESS;
extern const struct json_table OCI_RESOURCES;
extern const struct json_table OCI_SECCOMP;
extern const struct json_table OCI_STATE;

/* The annotation's value, or NULL. */
const char *oci_annotation(const struct oci_spec *spec, const char *name);
