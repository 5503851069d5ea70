#include "manager/src/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/log.h"
#include "core/base/parse.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/codec/json.h"
#include "core/codec/toml.h"
#include "core/sys/fd.h"
#include "image/include/axle/image.h"

static const struct json_field LOG_FIELDS[] = {
	JSON_FIELD(struct config_log, level, "level", JSON_STRING_T, 0),
	JSON_FIELD(struct config_log, format, "format", JSON_STRING_T, 0),
};
static const struct json_table LOG = JSON_TABLE_STRICT(struct config_log, LOG_FIELDS);

static const struct json_field SOCKET_FIELDS[] = {
	JSON_FIELD(struct config_socket, group, "group", JSON_STRING_T, 0),
	JSON_FIELD(struct config_socket, mode, "mode", JSON_STRING_T, 0),
};
static const struct json_table SOCKET = JSON_TABLE_STRICT(struct config_socket, SOCKET_FIELDS);

static const struct json_field IMAGES_FIELDS[] = {
	JSON_FIELD(struct config_images, worker_uid, "worker-uid", JSON_U32, 0),
	JSON_FIELD(struct config_images, worker_gid, "worker-gid", JSON_U32, 0),
	JSON_FIELD(struct config_images, connect_timeout_s, "connect-timeout-s", JSON_U32, 0),
	JSON_FIELD(struct config_images, stall_timeout_s, "stall-timeout-s", JSON_U32, 0),
	JSON_FIELD(struct config_images, hosts_dir, "hosts-dir", JSON_STRING_T, 0),
	JSON_FIELD(struct config_images, pinned, "pinned", JSON_STRINGS, 0),
};
static const struct json_table IMAGES = JSON_TABLE_STRICT(struct config_images, IMAGES_FIELDS);

static const struct json_field LOGS_FIELDS[] = {
	JSON_FIELD(struct config_logs, max_bytes, "max-bytes", JSON_U64, 0),
	JSON_FIELD(struct config_logs, files, "files", JSON_U32, 0),
};
static const struct json_table LOGS = JSON_TABLE_STRICT(struct config_logs, LOGS_FIELDS);

static const struct json_field CNI_FIELDS[] = {
	JSON_FIELD(struct config_cni, enabled, "enabled", JSON_BOOL_T, 0),
	JSON_FIELD(struct config_cni, conf_dir, "conf-dir", JSON_STRING_T, 0),
	JSON_FIELD(struct config_cni, conf_template, "conf-template", JSON_STRING_T, 0),
	JSON_FIELD(struct config_cni, plugin_dirs, "plugin-dirs", JSON_STRINGS, 0),
	JSON_FIELD(struct config_cni, network, "network", JSON_STRING_T, 0),
	JSON_FIELD(struct config_cni, plugin_timeout_s, "plugin-timeout-s", JSON_U32, 0),
};
static const struct json_table CNI = JSON_TABLE_STRICT(struct config_cni, CNI_FIELDS);

static const struct json_field SIGNALS_FIELDS[] = {
	JSON_FIELD(struct config_signals, socket, "socket", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct config_signals, service_account, "service-account", JSON_STRING_T, 0),
};
static const struct json_table SIGNALS = JSON_TABLE_STRICT(struct config_signals, SIGNALS_FIELDS);

static const struct json_field CDI_FIELDS[] = {
	JSON_FIELD(struct config_cdi, directories, "directories", JSON_STRINGS, 0),
};
static const struct json_table CDI = JSON_TABLE_STRICT(struct config_cdi, CDI_FIELDS);

static const struct json_field STREAMING_FIELDS[] = {
	JSON_FIELD(struct config_streaming, address, "address", JSON_STRING_T, 0),
	JSON_FIELD(struct config_streaming, port, "port", JSON_U32, 0),
	JSON_FIELD(struct config_streaming, url_lifetime_s, "url-lifetime-s", JSON_U32, 0),
	JSON_FIELD(struct config_streaming, creation_timeout_s, "creation-timeout-s", JSON_U32, 0),
	JSON_FIELD(struct config_streaming, idle_timeout_s, "idle-timeout-s", JSON_U32, 0),
};
static const struct json_table STREAMING = JSON_TABLE_STRICT(struct config_streaming, STREAMING_FIELDS);

static const struct json_field RUNTIME_FIELDS[] = {
	JSON_FIELD(struct config_runtime, path, "path", JSON_STRING_T, 0),
	JSON_FIELD(struct config_runtime, root, "root", JSON_STRING_T, 0),
	JSON_FIELD(struct config_runtime, args, "args", JSON_STRINGS, 0),
	JSON_FIELD(struct config_runtime, pod_annotations, "pod-annotations", JSON_STRINGS, 0),
	JSON_FIELD(struct config_runtime, container_annotations, "container-annotations", JSON_STRINGS, 0),
	JSON_FIELD(struct config_runtime, cgroups, "cgroups", JSON_STRING_T, 0),
};
static const struct json_table RUNTIME = JSON_TABLE_STRICT(struct config_runtime, RUNTIME_FIELDS);

static const struct json_field PODS_FIELDS[] = {
	JSON_FIELD(struct config_pods, unsafe_sysctls, "unsafe-sysctls", JSON_STRINGS, 0),
	JSON_FIELD(struct config_pods, shm_size, "shm-size", JSON_STRING_T, 0),
};
static const struct json_table PODS = JSON_TABLE_STRICT(struct config_pods, PODS_FIELDS);

static const struct json_field ULIMIT_FIELDS[] = {
	JSON_FIELD(struct config_ulimit, name, "name", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct config_ulimit, soft, "soft", JSON_U64, JSON_REQUIRED),
	JSON_FIELD(struct config_ulimit, hard, "hard", JSON_U64, JSON_REQUIRED),
};
static const struct json_table ULIMIT = JSON_TABLE_STRICT(struct config_ulimit, ULIMIT_FIELDS);

static const struct json_field REGISTRY_FIELDS[] = {
	JSON_FIELD(struct config_registry, host, "host", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct config_registry, plain_http, "plain-http", JSON_BOOL_T, 0),
	JSON_FIELD(struct config_registry, skip_tls_verify, "skip-tls-verify", JSON_BOOL_T, 0),
	JSON_FIELD(struct config_registry, ca_file, "ca-file", JSON_STRING_T, 0),
	JSON_FIELD(struct config_registry, endpoint, "endpoint", JSON_STRING_T, 0),
};
static const struct json_table REGISTRY = JSON_TABLE_STRICT(struct config_registry, REGISTRY_FIELDS);

static const struct json_field CONFIG_FIELDS[] = {
	JSON_NESTED(struct config, log, "log", JSON_STRUCT, &LOG, 0),
	JSON_NESTED(struct config, socket, "socket", JSON_STRUCT, &SOCKET, 0),
	JSON_NESTED(struct config, images, "images", JSON_STRUCT, &IMAGES, 0),
	JSON_NESTED(struct config, streaming, "streaming", JSON_STRUCT, &STREAMING, 0),
	JSON_NESTED(struct config, container_logs, "container-logs", JSON_STRUCT, &LOGS, 0),
	JSON_NESTED(struct config, cni, "cni", JSON_STRUCT, &CNI, 0),
	JSON_NESTED(struct config, signals, "signals", JSON_STRUCT, &SIGNALS, 0),
	JSON_NESTED(struct config, cdi, "cdi", JSON_STRUCT, &CDI, 0),
	JSON_NESTED(struct config, pods, "pods", JSON_STRUCT, &PODS, 0),
	JSON_FIELD(struct config, default_runtime, "default-runtime", JSON_STRING_T, 0),
	JSON_NESTED_COUNTED(struct config, runtimes, "runtimes", JSON_STRUCT_MAP, &RUNTIME, 0),
	JSON_NESTED_COUNTED(struct config, ulimits, "ulimits", JSON_STRUCTS, &ULIMIT, 0),
	JSON_NESTED_COUNTED(struct config, registries, "registries", JSON_STRUCTS, &REGISTRY, 0),
};
static const struct json_table CONFIG = JSON_TABLE_STRICT(struct config, CONFIG_FIELDS);

/* Where Debian and where everybody else puts plugins. */
static const char *const CNI_PLUGIN_DIRS[] = {"/opt/cni/bin", "/usr/lib/cni", NULL};
#define CNI_CONF_DIR "/etc/cni/net.d"
#define CNI_PLUGIN_TIMEOUT_S 60
#define CNI_PLUGIN_TIMEOUT_MAX_S 3600

static const char *const BUILT_IN_RUNTIMES[] = {CONFIG_DEFAULT_RUNTIME, "crun", "runc"};

static const char *const CDI_DIRECTORIES[] = {"/etc/cdi", "/var/run/cdi", NULL};

static const char *const ULIMIT_NAMES[] = {"as",      "core",	  "cpu",   "data",	 "fsize",  "locks",  "memlock", "msgqueue",
					   "nice",    "nofile",	  "nproc", "rss",	 "rtprio", "rttime", "sigpending",
					   "stack"};

static int add_built_in_runtimes(struct config *config, struct arena *arena)
{
	size_t room = config->runtimes_count + ARRAY_COUNT(BUILT_IN_RUNTIMES);
	struct config_runtime *all = arena_array(arena, room, sizeof *all);
	if (!all)
		return -ENOMEM;
	size_t count = config->runtimes_count;
	if (count)
		memcpy(all, config->runtimes, count * sizeof *all);
	for (size_t i = 0; i < ARRAY_COUNT(BUILT_IN_RUNTIMES); i++)
		if (!config_find_runtime(config, BUILT_IN_RUNTIMES[i]))
			all[count++] = (struct config_runtime){.name = BUILT_IN_RUNTIMES[i]};
	config->runtimes = all;
	config->runtimes_count = count;
	return 0;
}

static bool is_ulimit(const char *name)
{
	for (size_t i = 0; i < ARRAY_COUNT(ULIMIT_NAMES); i++)
		if (str_equal(name, ULIMIT_NAMES[i]))
			return true;
	return false;
}

static int check_cni(const char *source, const struct config_cni *cni, struct err *err)
{
	bool absolute = *cni->conf_dir == '/' && (!cni->conf_template || *cni->conf_template == '/');
	for (const char *const *dir = cni->plugin_dirs; *dir; dir++)
		absolute = absolute && **dir == '/';
	if (!absolute)
		return err_set(err, -EINVAL, "config.invalid", "%s: cni: expected absolute paths", source);
	if (cni->plugin_timeout_s < 1 || cni->plugin_timeout_s > CNI_PLUGIN_TIMEOUT_MAX_S)
		return err_set(err, -EINVAL, "config.invalid", "%s: cni.plugin-timeout-s: expected 1 to %d, found %u",
			       source, CNI_PLUGIN_TIMEOUT_MAX_S, cni->plugin_timeout_s);
	return 0;
}

static int read_sizes(const char *source, struct config *config, struct err *err)
{
	const char *text = config->pods.shm_size;
	if (text && (parse_bytes(text, &config->pods.shm_bytes) < 0 || config->pods.shm_bytes < 4096))
		return err_set(err, -EINVAL, "config.invalid",
			       "%s: pods.shm-size: expected a size such as \"64m\", of at least 4k, found \"%s\"", source, text);
	return 0;
}

/* What is sent there is not encrypted, and the URL is the only proof of a right to it. */
static bool is_loopback(const char *address)
{
	struct in_addr v4 = {0};
	struct in6_addr v6 = {0};
	if (inet_pton(AF_INET, address, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET;
	return inet_pton(AF_INET6, address, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static int check_streaming(const char *source, const struct config_streaming *streaming, struct err *err)
{
	if (!is_loopback(streaming->address))
		return err_set(err, -EINVAL, "config.invalid",
			       "%s: streaming.address: expected one of the loopback device, found \"%s\"", source,
			       streaming->address);
	if (streaming->port > UINT16_MAX)
		return err_set(err, -EINVAL, "config.invalid", "%s: streaming.port: expected at most 65535, found %u",
			       source, streaming->port);
	if (!streaming->url_lifetime_s || !streaming->creation_timeout_s)
		return err_set(err, -EINVAL, "config.invalid",
			       "%s: streaming: expected url-lifetime-s and creation-timeout-s above 0", source);
	return 0;
}

static int check(const char *source, const struct config *config, struct err *err)
{
	enum log_level level = LOG_INFO;
	uint32_t mode = 0;
	if (config->log.level && log_level_parse(config->log.level, &level) < 0)
		return err_set(err, -EINVAL, "config.invalid",
			       "%s: log.level: expected error, warning, info or debug, found \"%s\"", source,
			       config->log.level);
	if (config->log.format && !str_equal(config->log.format, "text") && !str_equal(config->log.format, "json"))
		return err_set(err, -EINVAL, "config.invalid", "%s: log.format: expected text or json, found \"%s\"",
			       source, config->log.format);
	if (config->socket.mode && (parse_mode(config->socket.mode, &mode) < 0 || mode > 0777))
		return err_set(err, -EINVAL, "config.invalid",
			       "%s: socket.mode: expected an octal mode such as \"0660\", found \"%s\"", source,
			       config->socket.mode);
	if (config->signals.socket && *config->signals.socket != '/')
		return err_set(err, -EINVAL, "config.invalid", "%s: signals.socket: expected an absolute path, found \"%.100s\"",
			       source, config->signals.socket);
	if (!config_find_runtime(config, ""))
		return err_set(err, -EINVAL, "config.invalid", "%s: default-runtime: \"%s\" is in no [runtimes] table",
			       source, config->default_runtime);
	for (size_t i = 0; config->cdi.directories[i]; i++)
		if (config->cdi.directories[i][0] != '/')
			return err_set(err, -EINVAL, "config.invalid",
				       "%s: cdi.directories: expected absolute paths, found \"%s\"", source,
				       config->cdi.directories[i]);
	for (size_t i = 0; i < config->runtimes_count; i++) {
		const char *cgroups = config->runtimes[i].cgroups;
		if (cgroups && !str_equal(cgroups, "v1") && !str_equal(cgroups, "all"))
			return err_set(err, -EINVAL, "config.invalid", "%s: runtimes.%s.cgroups: expected v1 or all, found \"%s\"",
				       source, config->runtimes[i].name, cgroups);
	}
	for (size_t i = 0; i < config->ulimits_count; i++)
		if (!is_ulimit(config->ulimits[i].name) || config->ulimits[i].soft > config->ulimits[i].hard)
			return err_set(err, -EINVAL, "config.invalid",
				       "%s: ulimits[%zu]: expected the name of a limit (such as \"nofile\") and soft <= hard",
				       source, i);
	for (const char *const *text = config->images.pinned; text && *text; text++) {
		struct image_reference reference;
		if (image_reference_parse(*text, &reference, err) < 0)
			return err_add(err, -EINVAL, "%s: images.pinned", source);
	}
	if (!str_empty(config->images.hosts_dir) && *config->images.hosts_dir != '/')
		return err_set(err, -EINVAL, "config.invalid", "%s: images.hosts-dir: expected an absolute path, found \"%.100s\"",
			       source, config->images.hosts_dir);
	return check_cni(source, &config->cni, err);
}

int config_parse(const char *source, const char *text, size_t length, struct arena *arena, struct config *ret_config,
		 struct err *err)
{
	struct config config = {
		.images = {.worker_uid = 65534, .worker_gid = 65534, .hosts_dir = "/etc/axle/certs.d"},
		.container_logs = {.max_bytes = 10 << 20, .files = 3},
		.cni = {.enabled = true,
			.conf_dir = CNI_CONF_DIR,
			.plugin_dirs = CNI_PLUGIN_DIRS,
			.plugin_timeout_s = CNI_PLUGIN_TIMEOUT_S},
		.cdi = {.directories = CDI_DIRECTORIES},
		.pods = {.shm_bytes = 64 << 20},
		.default_runtime = CONFIG_DEFAULT_RUNTIME,
		.streaming = {.address = "127.0.0.1",
			      .url_lifetime_s = 60,
			      .creation_timeout_s = 30,
			      .idle_timeout_s = 4 * 60 * 60},
	};
	json_t *value = NULL;
	int r = toml_parse(source, text, length, &value, err);
	if (r < 0)
		return r;
	r = json_decode_value(source, value, &CONFIG, arena, &config, err);
	json_decref(value);
	if (r == 0)
		r = add_built_in_runtimes(&config, arena);
	if (r == 0)
		r = read_sizes(source, &config, err);
	if (r == 0)
		r = check(source, &config, err);
	if (r == 0)
		r = check_streaming(source, &config.streaming, err);
	if (r == 0)
		*ret_config = config;
	return r;
}

int config_load(const char *path, bool must_exist, struct arena *arena, struct config *ret_config, struct err *err)
{
	scoped_done(buf_done) struct buf text = {.max = CONFIG_BYTES_MAX};
	int r = file_read_at(AT_FDCWD, path, &text, err);
	if (r < 0 && (r != -ENOENT || must_exist))
		return r;
	return config_parse(path, text.data ? text.data : "", text.size, arena, ret_config, err);
}

const struct config_runtime *config_find_runtime(const struct config *config, const char *handler)
{
	const char *name = str_empty(handler) ? config->default_runtime : handler;
	for (size_t i = 0; i < config->runtimes_count; i++)
		if (str_equal(config->runtimes[i].name, name))
			return &config->runtimes[i];
	return NULL;
}

const struct config_registry *config_find_registry(const struct config *config, const char *host)
{
	for (size_t i = 0; i < config->registries_count; i++)
		if (str_equal(config->registries[i].host, host))
			return &config->registries[i];
	return NULL;
}
