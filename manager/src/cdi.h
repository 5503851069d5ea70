/* CDI: devices of a vendor's by name ("vendor.com/class=device"), described in files of the host.
 *
 * A file says for each of its devices, and for all of them together, how a container's configuration is to be edited: device
 * nodes, mounts, environment, hooks, groups (Container Device Interface 0.3 to 1.0: SPEC.md of cncf-tags/container-device-
 * interface). Files end in .json or .yaml and are read anew for each container that asks for a device; strict, as the
 * specification's own library reads them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/codec/json.h"
#include "core/codec/oci_runtime.h"

struct arena;
struct err;

#define CDI_FILE_BYTES_MAX (1 << 20)
#define CDI_FILES_MAX 512    /* in all directories */
#define CDI_DEVICES_MAX 256  /* of one container */
#define CDI_NAME_MAX 255     /* bytes of a qualified name */

struct cdi_device_node {
	const char *path;	/* in the container */
	const char *host_path;	/* NULL: the same */
	const char *type;	/* "c", "b", "u", "p"; NULL: as the host's node is */
	const int64_t *major;	/* NULL: likewise */
	const int64_t *minor;
	const uint32_t *file_mode;
	const char *permissions; /* of "rwm"; NULL: all */
	const uint32_t *uid;
	const uint32_t *gid;
};

struct cdi_mount {
	const char *host_path;
	const char *container_path;
	const char *const *options;
	const char *type;
};

struct cdi_hook {
	const char *name; /* "createContainer" ... */
	const char *path;
	const char *const *args;
	const char *const *env;
	const int32_t *timeout;
};

/* How a configuration is edited ("containerEdits"). */
struct cdi_edits {
	const char *const *env; /* "NAME=VALUE"; NULL: none */
	const struct cdi_device_node *device_nodes;
	size_t device_nodes_count;
	const struct cdi_mount *mounts;
	size_t mounts_count;
	const struct cdi_hook *hooks;
	size_t hooks_count;
	const uint32_t *additional_gids;
	size_t additional_gids_count;
	const struct oci_intel_rdt *intel_rdt;
};

extern const struct json_table CDI_EDITS;

struct cdi_device {
	const char *name;
	const struct json_pair *annotations;
	size_t annotations_count;
	struct cdi_edits edits;
};

struct cdi_spec {
	const char *version;
	const char *kind; /* "vendor.com/class" */
	const struct json_pair *annotations;
	size_t annotations_count;
	const struct cdi_device *devices;
	size_t devices_count;
	struct cdi_edits edits; /* for whoever gets any of its devices */
};

/* Reads one file's text into @arena and checks all of it. Errors: -EINVAL (json.*, yaml.*, cdi.invalid), -EMSGSIZE, -ENOMEM. */
int cdi_spec_parse(const char *source, const char *text, size_t length, bool yaml, struct arena *arena,
		   struct cdi_spec *ret_spec, struct err *err);

/* Is this "vendor/class=device"? */
bool cdi_name_is_valid(const char *name);

/* What getting the devices @names means, in their order, out of the files in @directories (NULL-terminated; a later one
 * counts before an earlier one). All of it lies in @arena. A file that cannot be read is as good as missing, and named where
 * a device is not found.
 * Errors: -ENOENT (cdi.not-found), -EEXIST (cdi.conflict: two files of one directory have it), -E2BIG, -ENOMEM. */
int cdi_find(const char *const *directories, const char *const *names, size_t count, struct arena *arena,
	     struct cdi_edits *ret_edits, struct err *err);
