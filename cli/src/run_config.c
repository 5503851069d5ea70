#include "cli/src/run_config.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>

#include "cli/src/environment.h"
#include "cli/src/names.h"
#include "cli/src/run_linux.h"
#include "cli/src/run_ports.h"
#include "cli/src/volume.h"
#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"

/* The namespace that our pods are in, beside those of a kubelet. */
#define POD_NAMESPACE "axle"

/* ---- Names ---- */

static int set_name(struct run_config *config, const char *name, struct arena *arena, struct err *err)
{
	uint64_t chance[2] = {0};
	chance_fill(chance, sizeof chance);
	Cri__PodSandboxMetadata *pod = arena_alloc(arena, sizeof *pod);
	Cri__ContainerMetadata *container = arena_alloc(arena, sizeof *container);
	char *copy = arena_strdup(arena, name);
	char *uid = arena_printf(arena, "%016llx%016llx", (unsigned long long)chance[0], (unsigned long long)chance[1]);
	if (!pod || !container || !copy || !uid)
		return err_memory(err, "axle");
	cri__pod_sandbox_metadata__init(pod);
	cri__container_metadata__init(container);
	pod->name = container->name = copy;
	pod->namespace_ = POD_NAMESPACE;
	pod->uid = uid;
	config->pod.metadata = pod;
	config->container.metadata = container;
	return 0;
}

int run_config_rename(struct run_config *config, struct arena *arena, struct err *err)
{
	char name[64];
	name_make(name);
	return set_name(config, name, arena, err);
}

static int choose_name(const struct run_options *options, struct arena *arena, struct run_config *config,
		       struct err *err)
{
	config->name_by_chance = !options->name;
	if (!options->name)
		return run_config_rename(config, arena, err);
	if (!name_is_valid(options->name))
		return err_set(err, -EINVAL, "cli.usage",
			       "option --name: \"%s\": expected letters, digits, '_', '.' and '-', a letter or digit first",
			       options->name);
	return set_name(config, options->name, arena, err);
}

/* ---- Image and command ---- */

static int set_image(const struct run_options *options, const char *image, struct arena *arena,
		     struct run_config *config, struct err *err)
{
	static const struct {
		const char *name;
		Axle__PullPolicy policy;
	} POLICIES[] = {
		{"missing", AXLE__PULL_POLICY__PULL_MISSING},
		{"always", AXLE__PULL_POLICY__PULL_ALWAYS},
		{"never", AXLE__PULL_POLICY__PULL_NEVER},
	};
	Cri__ImageSpec *spec = arena_alloc(arena, sizeof *spec);
	if (!spec)
		return err_memory(err, "axle");
	cri__image_spec__init(spec);
	spec->image = spec->user_specified_image = image;
	config->container.image = spec;
	for (size_t i = 0; i < ARRAY_COUNT(POLICIES); i++)
		if (str_equal(POLICIES[i].name, options->pull)) {
			config->pull = POLICIES[i].policy;
			return 0;
		}
	return err_set(err, -EINVAL, "cli.usage", "option --pull: \"%s\": expected missing, always or never",
		       options->pull);
}

/* An entry point of "" means: none, and the command is all. */
static int set_command(const struct run_options *options, char **command, struct arena *arena,
		       Cri__ContainerConfig *container, struct err *err)
{
	size_t count = strv_count((const char *const *)command);
	container->args = (const char **)command;
	container->n_args = count;
	if (!options->entrypoint)
		return 0;
	const char **entry = arena_alloc(arena, sizeof *entry);
	if (!entry)
		return err_memory(err, "axle");
	if (!*options->entrypoint && count == 0)
		return err_set(err, -EINVAL, "cli.usage", "option --entrypoint: \"\": expected a command behind the image");
	entry[0] = *options->entrypoint ? options->entrypoint : command[0];
	container->command = entry;
	container->n_command = 1;
	if (!*options->entrypoint) {
		container->args++;
		container->n_args--;
	}
	return 0;
}

/* ---- Environment ---- */

static int gather_environment(const struct run_options *options, char ***environment, struct err *err)
{
	int r = 0;
	if (options->tty) {
		const char *term = getenv("TERM");
		r = strv_env_set(environment, "TERM", str_empty(term) ? "xterm" : term);
	}
	for (char **file = options->env_files; r == 0 && file && *file; file++)
		r = environment_add_file(environment, *file, err);
	for (char **text = options->env; r == 0 && text && *text; text++)
		r = environment_add(environment, *text, err);
	return r;
}

static int set_environment(const struct run_options *options, struct arena *arena, Cri__ContainerConfig *container,
			   struct err *err)
{
	scoped(strv_free) char **environment = NULL;
	int r = gather_environment(options, &environment, err);
	if (r < 0)
		return r;
	size_t count = strv_count((const char *const *)environment);
	container->envs = arena_array(arena, count + 1, sizeof *container->envs);
	for (size_t i = 0; container->envs && i < count; i++) {
		Cri__KeyValue *variable = arena_alloc(arena, sizeof *variable);
		char *key = arena_strdup(arena, environment[i]);
		if (!variable || !key)
			return err_memory(err, "axle");
		cri__key_value__init(variable);
		char *equals = strchr(key, '=');
		*equals = '\0';
		variable->key = key;
		variable->value = (ProtobufCBinaryData){strlen(equals + 1), (uint8_t *)equals + 1};
		container->envs[i] = variable;
	}
	container->n_envs = count;
	return container->envs ? 0 : err_memory(err, "axle");
}

/* ---- Mounts and devices ---- */

static int set_mounts(const struct run_options *options, struct arena *arena, Cri__ContainerConfig *container,
		      struct err *err)
{
	size_t count = strv_count((const char *const *)options->volumes);
	container->mounts = arena_array(arena, count + 1, sizeof *container->mounts);
	Cri__Mount *mounts = arena_array(arena, count + 1, sizeof *mounts);
	if (!container->mounts || !mounts)
		return err_memory(err, "axle");
	for (size_t i = 0; i < count; i++) {
		int r = volume_parse(options->volumes[i], arena, &mounts[i], err);
		if (r < 0)
			return r;
		container->mounts[i] = &mounts[i];
	}
	container->n_mounts = count;
	return 0;
}

static int set_devices(const struct run_options *options, struct arena *arena, Cri__ContainerConfig *container,
		       struct err *err)
{
	size_t count = strv_count((const char *const *)options->devices);
	container->devices = arena_array(arena, count + 1, sizeof *container->devices);
	Cri__Device *devices = arena_array(arena, count + 1, sizeof *devices);
	if (!container->devices || !devices)
		return err_memory(err, "axle");
	for (size_t i = 0; i < count; i++) {
		int r = device_parse(options->devices[i], arena, &devices[i], err);
		if (r < 0)
			return r;
		container->devices[i] = &devices[i];
	}
	container->n_devices = count;
	return 0;
}

/* ---- The rest ---- */

static int set_stop_signal(const char *text, Cri__ContainerConfig *container, struct err *err)
{
	if (!text)
		return 0;
	char name[32];
	const char *bare = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text;
	(void)snprintf(name, sizeof name, "SIGNAL_SIG%s", bare);
	for (char *c = name; *c; c++)
		*c = (char)toupper((unsigned char)*c);
	const ProtobufCEnumValue *value =
		protobuf_c_enum_descriptor_get_value_by_name(&cri__signal__descriptor, name);
	if (!value)
		return err_set(err, -EINVAL, "cli.usage", "option --stop-signal: \"%s\": expected a name such as SIGTERM",
			       text);
	container->stop_signal = (Cri__Signal)value->value;
	return 0;
}

static int refuse_what_is_not_there(const struct run_options *options, struct err *err)
{
	if (options->publish_all)
		return err_set(err, -EINVAL, "cli.unavailable",
			       "option --publish-all: expected each port by itself: --publish HOST:CONTAINER");
	if (options->restart && !str_equal(options->restart, "no"))
		return err_set(err, -EINVAL, "cli.unavailable", "option --restart: \"%s\": expected no", options->restart);
	return 0;
}

static int set_dns(const struct run_options *options, struct arena *arena, Cri__PodSandboxConfig *pod, struct err *err)
{
	if (!options->dns && !options->dns_search)
		return 0;
	Cri__DNSConfig *dns = arena_alloc(arena, sizeof *dns);
	if (!dns)
		return err_memory(err, "axle");
	cri__dnsconfig__init(dns);
	dns->servers = (const char **)options->dns;
	dns->n_servers = strv_count((const char *const *)options->dns);
	dns->searches = (const char **)options->dns_search;
	dns->n_searches = strv_count((const char *const *)options->dns_search);
	pod->dns_config = dns;
	return 0;
}

/* How axled knows that a private network shall stay empty (axled(8), NETWORKS). */
static int set_network(const struct run_options *options, struct arena *arena, Cri__PodSandboxConfig *pod, struct err *err)
{
	char *const none[] = {arena_strdup(arena, "axle.network.mode=none"), NULL};
	if (options->publish && !str_equal(options->network, "private"))
		return err_set(err, -EINVAL, "cli.usage", "option --publish: expected a private network, found --network %s",
			       options->network);
	if (!none[0])
		return err_memory(err, "axle");
	int r = run_ports(options->publish, arena, &pod->n_port_mappings, &pod->port_mappings, err);
	if (r < 0 || !str_equal(options->network, "none"))
		return r;
	return run_map("network", none, arena, &pod->n_annotations, &pod->annotations, err);
}

static int set_linux(const struct run_options *options, struct arena *arena, struct run_config *config, struct err *err)
{
	Cri__LinuxContainerConfig *linux_config = arena_alloc(arena, sizeof *linux_config);
	if (!linux_config)
		return err_memory(err, "axle");
	cri__linux_container_config__init(linux_config);
	config->container.linux = linux_config;
	int r = run_linux_resources(options, arena, &linux_config->resources, err);
	if (r == 0)
		r = run_linux_security(options, arena, &linux_config->security_context, err);
	if (r == 0)
		r = run_linux_pod(options, linux_config->security_context, arena, &config->pod.linux, err);
	return r;
}

static int set_plain(const struct run_options *options, struct run_config *config)
{
	Cri__ContainerConfig *container = &config->container;
	config->pod.hostname = options->hostname ? options->hostname : "";
	container->working_dir = options->workdir ? options->workdir : "";
	container->stdin = options->interactive;
	container->stdin_once = options->interactive && !options->detach;
	container->tty = options->tty;
	return 0;
}

static int set_maps(const struct run_options *options, struct arena *arena, struct run_config *config, struct err *err)
{
	Cri__ContainerConfig *container = &config->container;
	int r = run_map("label", options->labels, arena, &container->n_labels, &container->labels, err);
	if (r == 0)
		r = run_map("annotation", options->annotations, arena, &container->n_annotations,
			    &container->annotations, err);
	return r;
}

int run_config_make(const struct run_options *options, const char *image, char **command, struct arena *arena,
		    struct run_config *ret_config, struct err *err)
{
	*ret_config = (struct run_config){.pod = CRI__POD_SANDBOX_CONFIG__INIT, .container = CRI__CONTAINER_CONFIG__INIT};
	Cri__ContainerConfig *container = &ret_config->container;
	int r = refuse_what_is_not_there(options, err);
	if (r == 0)
		r = set_plain(options, ret_config);
	if (r == 0)
		r = choose_name(options, arena, ret_config, err);
	if (r == 0)
		r = set_image(options, image, arena, ret_config, err);
	if (r == 0)
		r = set_command(options, command, arena, container, err);
	if (r == 0)
		r = set_environment(options, arena, container, err);
	if (r == 0)
		r = set_mounts(options, arena, container, err);
	if (r == 0)
		r = set_devices(options, arena, container, err);
	if (r == 0)
		r = set_maps(options, arena, ret_config, err);
	if (r == 0)
		r = set_stop_signal(options->stop_signal, container, err);
	if (r == 0)
		r = set_dns(options, arena, &ret_config->pod, err);
	if (r == 0)
		r = set_network(options, arena, &ret_config->pod, err);
	if (r == 0)
		r = set_linux(options, arena, ret_config, err);
	return r;
}
