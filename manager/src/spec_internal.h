/* The pieces of spec.h, one for each section of config.json. */
#pragma once

#include "manager/src/spec.h"

struct stat;

struct spec_builder {
	const struct spec_input *input;
	struct arena *arena;
	struct spec_cuts *cuts; /* NULL: nobody asks */
	struct err *err;
};

/* A list of strings that grows in the arena; NULL-terminated at any time. */
struct spec_strings {
	const char **items;
	size_t count;
	size_t capacity;
};

/* Errors: -ENOMEM (also for a NULL text: a failed arena_printf()). */
int spec_strings_add(struct spec_builder *builder, struct spec_strings *strings, const char *text);

/* Notes something that is not given. */
void spec_cut(struct spec_builder *builder, const char *format, ...) __attribute__((format(printf, 2, 3)));

const Cri__LinuxContainerResources *spec_resources(const struct spec_input *input); /* NULL: none */

int spec_make_process(struct spec_builder *builder, struct oci_process *ret_process);
int spec_make_environment(struct spec_builder *builder, const char *const *more, bool tty, const char *const **ret_env);
int spec_make_capabilities(struct spec_builder *builder, const struct oci_capabilities **ret_capabilities);
int spec_make_mounts(struct spec_builder *builder, struct oci_spec *ret_spec, const char **ret_propagation);
/* What the configuration says of one mount, the @index-th. Errors: -EINVAL, of mkdir(2) and realpath(3). */
int spec_make_volume(struct spec_builder *builder, const Cri__Mount *mount, size_t index, struct oci_mount *ret_mount);

#define SPEC_DEVICES_MAX 4096
#define SPEC_ID_MAPPINGS_MAX 340

/* Device nodes, and the rules of the cgroup about them; both grow in the arena. */
struct spec_devices {
	struct oci_device *devices;
	size_t count;
	struct oci_device_rule *rules;
	size_t rules_count;
	size_t capacity;
};

/* Those of the configuration, and of the host for a privileged container. Errors: -EINVAL, -E2BIG, of stat(2). */
int spec_make_devices(struct spec_builder *builder, struct spec_devices *ret_devices);

/* One more, which replaces another at the same path. @access: "rwm"; NULL: no rule. */
int spec_add_device(struct spec_builder *builder, struct spec_devices *list, const struct oci_device *device,
		    const char *access);

/* The device at @path in the container that the host's node at @host_path (with @status) is. Errors: -EINVAL (no node). */
int spec_describe_device(struct spec_builder *builder, const char *host_path, const struct stat *status,
			 const char *path, struct oci_device *ret_device);

/* CDI: device nodes after all others; mounts, which replace others at the same place (@mounts has room for
 * spec_count_cdi_mounts() more; returns the new count); hooks and resource classes; groups. */
int spec_add_cdi_devices(struct spec_builder *builder, struct spec_devices *devices);
size_t spec_count_cdi_mounts(const struct spec_builder *builder);
size_t spec_add_cdi_mounts(struct spec_builder *builder, struct oci_mount *mounts, size_t count);
int spec_add_cdi_hooks(struct spec_builder *builder, struct oci_spec *spec, struct oci_linux *linux_);
int spec_add_cdi_groups(struct spec_builder *builder, struct oci_user *user);

bool spec_device_access_is_valid(const char *access);

int spec_make_resources(struct spec_builder *builder, struct oci_resources *resources);
int spec_make_namespaces(struct spec_builder *builder, struct oci_linux *linux_);
int spec_make_linux(struct spec_builder *builder, const struct oci_capabilities *capabilities,
		    struct oci_linux *ret_linux);
int spec_make_labels(struct spec_builder *builder, struct oci_process *process, struct oci_linux *linux_);
/* What the container asks of the signals, and the hook that gives it: after annotations and hooks of others. */
int spec_make_signals(struct spec_builder *builder, struct oci_spec *spec);
int spec_make_seccomp(struct spec_builder *builder, const struct oci_capabilities *capabilities,
		      const struct oci_seccomp **ret_seccomp);
