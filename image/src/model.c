#include "image/src/model.h"

#include <errno.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"

static const struct json_field PLATFORM_FIELDS[] = {
	JSON_FIELD(struct model_platform, architecture, "architecture", JSON_STRING_T, 0),
	JSON_FIELD(struct model_platform, os, "os", JSON_STRING_T, 0),
	JSON_FIELD(struct model_platform, variant, "variant", JSON_STRING_T, 0),
};
static const struct json_table PLATFORM = JSON_TABLE(struct model_platform, PLATFORM_FIELDS);

static const struct json_field DESCRIPTOR_FIELDS[] = {
	JSON_FIELD(struct model_descriptor, media_type, "mediaType", JSON_STRING_T, 0),
	JSON_FIELD(struct model_descriptor, digest, "digest", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct model_descriptor, size, "size", JSON_U64, JSON_REQUIRED | JSON_KEEP),
	JSON_FIELD(struct model_descriptor, urls, "urls", JSON_STRINGS, 0),
	JSON_COUNTED(struct model_descriptor, annotations, "annotations", JSON_PAIRS, 0),
	JSON_NESTED(struct model_descriptor, platform, "platform", JSON_STRUCT_OPT, &PLATFORM, 0),
};
const struct json_table MODEL_DESCRIPTOR = JSON_TABLE(struct model_descriptor, DESCRIPTOR_FIELDS);

static const struct json_field INDEX_FIELDS[] = {
	JSON_FIELD(struct model_index, schema_version, "schemaVersion", JSON_I64, 0),
	JSON_FIELD(struct model_index, media_type, "mediaType", JSON_STRING_T, 0),
	JSON_NESTED_COUNTED(struct model_index, manifests, "manifests", JSON_STRUCTS, &MODEL_DESCRIPTOR, JSON_KEEP),
};
const struct json_table MODEL_INDEX = JSON_TABLE(struct model_index, INDEX_FIELDS);

static const struct json_field MANIFEST_FIELDS[] = {
	JSON_FIELD(struct model_manifest, schema_version, "schemaVersion", JSON_I64, 0),
	JSON_FIELD(struct model_manifest, media_type, "mediaType", JSON_STRING_T, 0),
	JSON_NESTED(struct model_manifest, config, "config", JSON_STRUCT_OPT, &MODEL_DESCRIPTOR, JSON_REQUIRED),
	JSON_NESTED_COUNTED(struct model_manifest, layers, "layers", JSON_STRUCTS, &MODEL_DESCRIPTOR, JSON_KEEP),
};
const struct json_table MODEL_MANIFEST = JSON_TABLE(struct model_manifest, MANIFEST_FIELDS);

static const struct json_field KEY_FIELDS[] = {{0}};
static const struct json_table KEY = {.fields = KEY_FIELDS, .count = 0, .size = sizeof(struct model_key)};

static const struct json_field RUN_FIELDS[] = {
	JSON_FIELD(struct model_run, user, "User", JSON_STRING_T, 0),
	JSON_NESTED_COUNTED(struct model_run, exposed_ports, "ExposedPorts", JSON_STRUCT_MAP, &KEY, 0),
	JSON_FIELD(struct model_run, env, "Env", JSON_STRINGS, 0),
	JSON_FIELD(struct model_run, entrypoint, "Entrypoint", JSON_STRINGS, 0),
	JSON_FIELD(struct model_run, cmd, "Cmd", JSON_STRINGS, 0),
	JSON_NESTED_COUNTED(struct model_run, volumes, "Volumes", JSON_STRUCT_MAP, &KEY, 0),
	JSON_FIELD(struct model_run, working_dir, "WorkingDir", JSON_STRING_T, 0),
	JSON_COUNTED(struct model_run, labels, "Labels", JSON_PAIRS, 0),
	JSON_FIELD(struct model_run, stop_signal, "StopSignal", JSON_STRING_T, 0),
};
static const struct json_table RUN = JSON_TABLE(struct model_run, RUN_FIELDS);

static const struct json_field ROOTFS_FIELDS[] = {
	JSON_FIELD(struct model_rootfs, type, "type", JSON_STRING_T, 0),
	JSON_FIELD(struct model_rootfs, diff_ids, "diff_ids", JSON_STRINGS, 0),
};
static const struct json_table ROOTFS = JSON_TABLE(struct model_rootfs, ROOTFS_FIELDS);

static const struct json_field CONFIG_FIELDS[] = {
	JSON_FIELD(struct model_config, created, "created", JSON_STRING_T, 0),
	JSON_FIELD(struct model_config, author, "author", JSON_STRING_T, 0),
	JSON_FIELD(struct model_config, architecture, "architecture", JSON_STRING_T, 0),
	JSON_FIELD(struct model_config, os, "os", JSON_STRING_T, 0),
	JSON_FIELD(struct model_config, variant, "variant", JSON_STRING_T, 0),
	JSON_NESTED(struct model_config, config, "config", JSON_STRUCT, &RUN, 0),
	JSON_NESTED(struct model_config, rootfs, "rootfs", JSON_STRUCT, &ROOTFS, 0),
};
const struct json_table MODEL_CONFIG = JSON_TABLE(struct model_config, CONFIG_FIELDS);

static const struct json_field SAVED_FIELDS[] = {
	JSON_FIELD(struct model_saved, config, "Config", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct model_saved, repo_tags, "RepoTags", JSON_STRINGS, 0),
	JSON_FIELD(struct model_saved, layers, "Layers", JSON_STRINGS, 0),
};
const struct json_table MODEL_SAVED = JSON_TABLE(struct model_saved, SAVED_FIELDS);

/* A document of the registry that is no valid JSON, or not of its table, is a malformed image. */
static int as_image_error(int r, struct err *err)
{
	if (r != -EINVAL)
		return r;
	if (err) {
		err->code = -EBADMSG;
		err->reason = "image.malformed";
	}
	return -EBADMSG;
}

static int malformed(struct err *err, const char *source, const char *what)
{
	return err_set(err, -EBADMSG, "image.malformed", "%s: %s", source, what);
}

static const struct {
	const char *media_type;
	enum model_kind kind;
} KINDS[] = {
	{MEDIA_OCI_INDEX, MODEL_KIND_INDEX},
	{MEDIA_DOCKER_LIST, MODEL_KIND_INDEX},
	{MEDIA_OCI_MANIFEST, MODEL_KIND_MANIFEST},
	{MEDIA_DOCKER_MANIFEST, MODEL_KIND_MANIFEST},
};

/* "type/subtype" without parameters. */
static bool media_equal(const char *given, const char *name)
{
	size_t length = strcspn(given, "; ");
	return strlen(name) == length && strncmp(given, name, length) == 0;
}

static int kind_by_media(const char *media_type, enum model_kind *ret_kind)
{
	for (size_t i = 0; media_type && i < ARRAY_COUNT(KINDS); i++) {
		if (media_equal(media_type, KINDS[i].media_type)) {
			*ret_kind = KINDS[i].kind;
			return 0;
		}
	}
	return -ENOENT;
}

int model_kind_of(const char *source, const char *text, size_t length, const char *content_type,
		  enum model_kind *ret_kind, struct err *err)
{
	json_t *value = NULL;
	int r = json_parse(source, text, length, &value, err);
	if (r < 0)
		return as_image_error(r, err);
	const char *media = json_string_value(json_object_get(value, "mediaType"));
	json_int_t version = json_integer_value(json_object_get(value, "schemaVersion"));
	bool has_layers = json_is_array(json_object_get(value, "layers"));
	bool has_manifests = json_is_array(json_object_get(value, "manifests"));
	if (version == 1) {
		r = err_set(err, -ENOTSUP, "image.unsupported",
			    "%s: Docker image manifest schema 1 is not supported (expected schema 2 or OCI)", source);
	} else if (kind_by_media(media, ret_kind) == 0 || (!media && kind_by_media(content_type, ret_kind) == 0)) {
		r = 0;
	} else if (!media && has_layers != has_manifests) {
		*ret_kind = has_manifests ? MODEL_KIND_INDEX : MODEL_KIND_MANIFEST;
	} else {
		const char *named = media ? media : content_type ? content_type : "none";
		r = err_set(err, -ENOTSUP, "image.unsupported",
			    "%s: media type \"%.100s\" is no image manifest or index that is understood", source, named);
	}
	json_decref(value);
	return r;
}

static const char *const LAYER_TYPES[] = {
	"application/vnd.oci.image.layer.v1.tar",
	"application/vnd.oci.image.layer.v1.tar+gzip",
	"application/vnd.oci.image.layer.v1.tar+zstd",
	"application/vnd.docker.image.rootfs.diff.tar",
	"application/vnd.docker.image.rootfs.diff.tar.gzip",
	"application/vnd.docker.image.rootfs.diff.tar.zstd",
	NULL,
};

static bool is_foreign(const char *media_type)
{
	return strstr(media_type, "nondistributable") || strstr(media_type, "rootfs.foreign");
}

static int check_descriptor(const char *source, const char *what, const struct model_descriptor *descriptor,
			    struct err *err)
{
	struct digest digest;
	int r = digest_parse_text(descriptor->digest, &digest, err);
	if (r < 0)
		return err_add(err, as_image_error(r, err), "%s: %s", source, what);
	return descriptor->size <= INT64_MAX ? 0 : malformed(err, source, "a size is out of range");
}

static int check_layer(const char *source, const struct model_descriptor *layer, struct err *err)
{
	const char *media_type = layer->media_type ? layer->media_type : LAYER_TYPES[0];
	if (is_foreign(media_type))
		return err_set(err, -ENOTSUP, "image.unsupported",
			       "%s: layer %.80s is foreign (\"%.100s\"): its registry may not hold it, and other places "
			       "are not asked", source, layer->digest, media_type);
	if (!strv_contains(LAYER_TYPES, media_type))
		return err_set(err, -ENOTSUP, "image.unsupported", "%s: layer media type \"%.100s\" is not supported",
			       source, media_type);
	return check_descriptor(source, "layer", layer, err);
}

int model_read_manifest(const char *source, const char *text, size_t length, struct arena *arena,
			struct model_manifest *ret_manifest, struct err *err)
{
	struct model_manifest manifest = {0};
	int r = json_decode(source, text, length, &MODEL_MANIFEST, arena, &manifest, err);
	if (r < 0)
		return as_image_error(r, err);
	if (manifest.schema_version != 2)
		return malformed(err, source, "expected schemaVersion 2");
	if (manifest.layers_count > LAYERS_MAX)
		return err_set(err, -EFBIG, "image.too-large", "%s: %zu layers, at most %d are taken", source,
			       manifest.layers_count, LAYERS_MAX);
	r = check_descriptor(source, "config", manifest.config, err);
	if (r == 0 && manifest.config->size > CONFIG_SIZE_MAX)
		return err_set(err, -EFBIG, "image.too-large", "%s: configuration of %llu bytes, at most %zu are taken",
			       source, (unsigned long long)manifest.config->size, CONFIG_SIZE_MAX);
	for (size_t i = 0; r == 0 && i < manifest.layers_count; i++)
		r = check_layer(source, &manifest.layers[i], err);
	if (r == 0)
		*ret_manifest = manifest;
	return r;
}

int model_read_index(const char *source, const char *text, size_t length, struct arena *arena,
		     struct model_index *ret_index, struct err *err)
{
	struct model_index index = {0};
	int r = json_decode(source, text, length, &MODEL_INDEX, arena, &index, err);
	if (r < 0)
		return as_image_error(r, err);
	if (index.schema_version != 2)
		return malformed(err, source, "expected schemaVersion 2");
	for (size_t i = 0; r == 0 && i < index.manifests_count; i++)
		r = check_descriptor(source, "manifest", &index.manifests[i], err);
	if (r == 0)
		*ret_index = index;
	return r;
}

int model_read_config(const char *source, const char *text, size_t length, size_t layers_count, struct arena *arena,
		      struct model_config *ret_config, struct err *err)
{
	struct model_config config = {0};
	int r = json_decode(source, text, length, &MODEL_CONFIG, arena, &config, err);
	if (r < 0)
		return as_image_error(r, err);
	if (!str_equal(config.rootfs.type, "layers"))
		return malformed(err, source, "expected rootfs.type \"layers\"");
	size_t count = strv_count(config.rootfs.diff_ids);
	if (count != layers_count)
		return err_set(err, -EBADMSG, "image.malformed", "%s: %zu diff_ids for %zu layers", source, count,
			       layers_count);
	for (size_t i = 0; i < count; i++) {
		struct digest digest;
		r = digest_parse_text(config.rootfs.diff_ids[i], &digest, err);
		if (r < 0)
			return err_add(err, as_image_error(r, err), "%s: rootfs.diff_ids[%zu]", source, i);
	}
	*ret_config = config;
	return 0;
}

int model_chain_append(struct digest *chain, bool first, const char *diff_id)
{
	if (first)
		return digest_parse_text(diff_id, chain, NULL);
	char text[2 * DIGEST_TEXT_MAX];
	digest_format(chain, text);
	size_t length = strlen(text);
	size_t added = strlen(diff_id);
	if (added >= DIGEST_TEXT_MAX)
		return -EINVAL;
	text[length] = ' ';
	memcpy(text + length + 1, diff_id, added);
	return digest_of(DIGEST_SHA256, text, length + 1 + added, chain);
}

const char *model_annotation(const struct model_descriptor *descriptor, const char *name)
{
	for (size_t i = 0; i < descriptor->annotations_count; i++)
		if (str_equal(descriptor->annotations[i].key, name))
			return descriptor->annotations[i].value;
	return NULL;
}
