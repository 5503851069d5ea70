/* axled.toml (axled.toml(5)): strict, every table and key is known or refused. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/log.h"

struct arena;
struct err;

#define CONFIG_BYTES_MAX (1 << 20)
#define CONFIG_DEFAULT_RUNTIME "axrun"

struct config_log {
	const char *level;
	const char *format;
};

struct config_socket {
	const char *group; /* name or number; NULL: the daemon's own */
	const char *mode;  /* octal; NULL: 0660 with a group, else 0600 */
};

struct config_images {
	uint32_t worker_uid;
	uint32_t worker_gid;
	uint32_t connect_timeout_s;
	uint32_t stall_timeout_s;
	const char *hosts_dir;	   /* folder of HOST/hosts.toml */
	const char *const *pinned; /* references of images that collectors shall leave alone; NULL: none */
};

/* An OCI runtime that pods may ask for by name. */
struct config_runtime {
	const char *name;	 /* the handler */
	const char *path;	 /* absolute, or a program beside axled or in PATH; NULL: the handler's name */
	const char *root;	 /* its state; NULL: STATE/runtime/NAME */
	const char *const *args; /* more global options */
	const char *const *pod_annotations; /* patterns (fnmatch(3)) of annotations that it gets; NULL: none */
	const char *const *container_annotations;
	const char *cgroups;	 /* "v1": it is not shown the v2 tree, "all"; NULL: as the machine and the program need it */
};

/* What pods are given, and may ask for. */
struct config_pods {
	const char *const *unsafe_sysctls; /* patterns; NULL: every one that belongs to a namespace */
	const char *shm_size;		   /* of /dev/shm; NULL: 64m */
	uint64_t shm_bytes;		   /* the same, as a number */
};

struct config_ulimit {
	const char *name; /* "nofile" */
	uint64_t soft;
	uint64_t hard;
};

struct config_registry {
	const char *host;     /* "localhost:5000" */
	bool plain_http;      /* no TLS */
	bool skip_tls_verify; /* TLS, but anybody may be at the other end */
	const char *ca_file;
	const char *endpoint; /* asked instead of the host */
};

/* Pods' networks (manager/src/cni.h). */
struct config_cni {
	const char *conf_template; /* of a configuration, for UpdateRuntimeConfig; NULL: none */
	bool enabled;			/* false: private network namespaces have a loopback device and nothing else */
	const char *conf_dir;		/* absolute */
	const char *const *plugin_dirs; /* absolute, searched in this order */
	const char *network;		/* by its name; NULL: the first of the folder */
	uint32_t plugin_timeout_s;
};

struct config_cdi {
	const char *const *directories; /* a later one counts before an earlier one */
};

struct config_streaming {
	const char *address; /* of the loopback device */
	uint32_t port;	     /* 0: the kernel chooses one */
	uint32_t url_lifetime_s;
	uint32_t creation_timeout_s; /* for a client to open its streams */
	uint32_t idle_timeout_s;     /* 0: none */
};

struct config_logs {
	uint64_t max_bytes; /* of the logs that axled owns; 0: no limit */
	uint32_t files;
};

/* The vehicle's signals (axsignald). */
struct config_signals {
	const char *socket;	     /* its control socket; NULL: there is no such service */
	const char *service_account; /* the label or annotation of a pod that holds its service account; NULL: none */
};

struct config {
	struct config_log log;
	struct config_socket socket;
	struct config_images images;
	struct config_logs container_logs;
	struct config_streaming streaming;
	struct config_signals signals;
	struct config_cdi cdi;
	struct config_cni cni;
	struct config_pods pods;
	const char *default_runtime;
	struct config_runtime *runtimes; /* always holds axrun, crun and runc */
	size_t runtimes_count;
	const struct config_ulimit *ulimits;
	size_t ulimits_count;
	const struct config_registry *registries;
	size_t registries_count;
};

/* Reads the file at @path into @arena. Where it does not exist the defaults hold, unless @must_exist.
 * Errors: of open(2); -EINVAL (@err names the place in the file). */
int config_load(const char *path, bool must_exist, struct arena *arena, struct config *ret_config, struct err *err);

/* The same from text; @source names it. */
int config_parse(const char *source, const char *text, size_t length, struct arena *arena, struct config *ret_config,
		 struct err *err);

/* By handler's name; "" is the default one. NULL: unknown. */
const struct config_runtime *config_find_runtime(const struct config *config, const char *handler);

/* By the registry's host; NULL: nothing is said about it. */
const struct config_registry *config_find_registry(const struct config *config, const char *host);
