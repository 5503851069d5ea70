/* The JSON documents of images as C structs: OCI image-spec 1.1 (manifest.md, image-index.md, config.md), Docker's image
 * manifest version 2 schema 2 and the manifest.json of `docker save`. Sans-I/O; memory belongs to the caller's arena. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/codec/digest.h"
#include "core/codec/json.h"

#define MANIFEST_SIZE_MAX ((size_t)4 * 1024 * 1024)
#define CONFIG_SIZE_MAX ((size_t)8 * 1024 * 1024)
#define INDEX_SIZE_MAX ((size_t)16 * 1024 * 1024) /* of the store's own index.json */
#define MODEL_MEMORY_MAX ((size_t)64 * 1024 * 1024)
#define LAYERS_MAX 127 /* as docker; overlayfs takes 500 */

#define MEDIA_OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define MEDIA_OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define MEDIA_DOCKER_LIST "application/vnd.docker.distribution.manifest.list.v2+json"
#define MEDIA_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"

#define ANNOTATION_REF_NAME "org.opencontainers.image.ref.name"
#define ANNOTATION_CONTAINERD_NAME "io.containerd.image.name"

struct model_platform {
	const char *architecture;
	const char *os;
	const char *variant;
};

struct model_descriptor {
	const char *media_type;
	const char *digest;
	uint64_t size;
	const char *const *urls;
	const struct model_platform *platform;
	const struct json_pair *annotations;
	size_t annotations_count;
};

struct model_manifest {
	int64_t schema_version;
	const char *media_type;
	const struct model_descriptor *config;
	const struct model_descriptor *layers;
	size_t layers_count;
};

struct model_index {
	int64_t schema_version;
	const char *media_type;
	const struct model_descriptor *manifests;
	size_t manifests_count;
};

/* A key of an object whose values are empty objects: ports, volumes. */
struct model_key {
	const char *key;
};

struct model_run {
	const char *user;
	const struct model_key *exposed_ports;
	size_t exposed_ports_count;
	const char *const *env;
	const char *const *entrypoint;
	const char *const *cmd;
	const struct model_key *volumes;
	size_t volumes_count;
	const char *working_dir;
	const struct json_pair *labels;
	size_t labels_count;
	const char *stop_signal;
};

struct model_rootfs {
	const char *type;
	const char *const *diff_ids;
};

struct model_config {
	const char *created;
	const char *author;
	const char *architecture;
	const char *os;
	const char *variant;
	struct model_run config;
	struct model_rootfs rootfs;
};

/* One element of a docker-archive's manifest.json. */
struct model_saved {
	const char *config;
	const char *const *repo_tags;
	const char *const *layers;
};

extern const struct json_table MODEL_DESCRIPTOR;
extern const struct json_table MODEL_INDEX;
extern const struct json_table MODEL_MANIFEST;
extern const struct json_table MODEL_CONFIG;
extern const struct json_table MODEL_SAVED;

enum model_kind {
	MODEL_KIND_INDEX,
	MODEL_KIND_MANIFEST,
};

/* Decides what a document is, by its mediaType, else by @content_type (may be NULL), else by its members.
 * Errors: -ENOTSUP (image.unsupported: schema 1 and others, named), -EBADMSG (image.malformed). */
int model_kind_of(const char *source, const char *text, size_t length, const char *content_type,
		  enum model_kind *ret_kind, struct err *err);

/* Decodes and checks: schema version 2, valid digests, sizes in range, at most LAYERS_MAX layers of media types that are
 * understood, none of them foreign. Errors: -EBADMSG, -ENOTSUP, -EFBIG, -ENOMEM. */
int model_read_manifest(const char *source, const char *text, size_t length, struct arena *arena,
			struct model_manifest *ret_manifest, struct err *err);
int model_read_index(const char *source, const char *text, size_t length, struct arena *arena,
		     struct model_index *ret_index, struct err *err);

/* Decodes and checks: rootfs of type layers with @layers_count valid diff ids. Errors: as above. */
int model_read_config(const char *source, const char *text, size_t length, size_t layers_count, struct arena *arena,
		      struct model_config *ret_config, struct err *err);

/* This machine's platform in the words of GOOS, GOARCH. */
struct model_platform model_platform_of_machine(void);

/* Chooses the manifest for @wanted: os and architecture must agree; the wanted variant is best, then none, then (arm) an
 * older one. Errors: -ENOEXEC (image.no-platform; lists what there is). */
int model_choose_platform(const struct model_index *index, const struct model_platform *wanted,
			  const struct model_descriptor **ret_descriptor, struct err *err);

/* Chain ids (config.md, "Layer ChainID") of the first @count diff ids, by appending @diff_id to @chain. */
int model_chain_append(struct digest *chain, bool first, const char *diff_id);

/* The value of an annotation, or NULL. */
const char *model_annotation(const struct model_descriptor *descriptor, const char *name);
