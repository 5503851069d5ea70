#include "manager/src/cdi.h"

#include <errno.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/codec/yaml.h"

/* --- the form of a file --- */

static const struct json_field NODE_FIELDS[] = {
	JSON_FIELD(struct cdi_device_node, path, "path", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct cdi_device_node, host_path, "hostPath", JSON_STRING_T, 0),
	JSON_FIELD(struct cdi_device_node, type, "type", JSON_STRING_T, 0),
	JSON_FIELD(struct cdi_device_node, major, "major", JSON_I64_OPT, 0),
	JSON_FIELD(struct cdi_device_node, minor, "minor", JSON_I64_OPT, 0),
	JSON_FIELD(struct cdi_device_node, file_mode, "fileMode", JSON_U32_OPT, 0),
	JSON_FIELD(struct cdi_device_node, permissions, "permissions", JSON_STRING_T, 0),
	JSON_FIELD(struct cdi_device_node, uid, "uid", JSON_U32_OPT, 0),
	JSON_FIELD(struct cdi_device_node, gid, "gid", JSON_U32_OPT, 0),
};
static const struct json_table NODE = JSON_TABLE_STRICT(struct cdi_device_node, NODE_FIELDS);

static const struct json_field MOUNT_FIELDS[] = {
	JSON_FIELD(struct cdi_mount, host_path, "hostPath", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct cdi_mount, container_path, "containerPath", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct cdi_mount, options, "options", JSON_STRINGS, 0),
	JSON_FIELD(struct cdi_mount, type, "type", JSON_STRING_T, 0),
};
static const struct json_table MOUNT = JSON_TABLE_STRICT(struct cdi_mount, MOUNT_FIELDS);

static const struct json_field HOOK_FIELDS[] = {
	JSON_FIELD(struct cdi_hook, name, "hookName", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct cdi_hook, path, "path", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct cdi_hook, args, "args", JSON_STRINGS, 0),
	JSON_FIELD(struct cdi_hook, env, "env", JSON_STRINGS, 0),
	JSON_FIELD(struct cdi_hook, timeout, "timeout", JSON_I32_OPT, 0),
};
static const struct json_table HOOK = JSON_TABLE_STRICT(struct cdi_hook, HOOK_FIELDS);

static const struct json_field RDT_FIELDS[] = {
	JSON_FIELD(struct oci_intel_rdt, clos_id, "closID", JSON_STRING_T, 0),
	JSON_FIELD(struct oci_intel_rdt, l3_cache_schema, "l3CacheSchema", JSON_STRING_T, 0),
	JSON_FIELD(struct oci_intel_rdt, mem_bw_schema, "memBwSchema", JSON_STRING_T, 0),
	JSON_FIELD(struct oci_intel_rdt, enable_cmt, "enableCMT", JSON_BOOL_T, 0),
	JSON_FIELD(struct oci_intel_rdt, enable_mbm, "enableMBM", JSON_BOOL_T, 0),
};
static const struct json_table RDT = JSON_TABLE_STRICT(struct oci_intel_rdt, RDT_FIELDS);

static const struct json_field EDITS_FIELDS[] = {
	JSON_FIELD(struct cdi_edits, env, "env", JSON_STRINGS, 0),
	JSON_NESTED_COUNTED(struct cdi_edits, device_nodes, "deviceNodes", JSON_STRUCTS, &NODE, 0),
	JSON_NESTED_COUNTED(struct cdi_edits, mounts, "mounts", JSON_STRUCTS, &MOUNT, 0),
	JSON_NESTED_COUNTED(struct cdi_edits, hooks, "hooks", JSON_STRUCTS, &HOOK, 0),
	JSON_COUNTED(struct cdi_edits, additional_gids, "additionalGids", JSON_U32S, 0),
	JSON_NESTED(struct cdi_edits, intel_rdt, "intelRdt", JSON_STRUCT_OPT, &RDT, 0),
};
const struct json_table CDI_EDITS = JSON_TABLE_STRICT(struct cdi_edits, EDITS_FIELDS);

static const struct json_field DEVICE_FIELDS[] = {
	JSON_FIELD(struct cdi_device, name, "name", JSON_STRING_T, JSON_REQUIRED),
	JSON_COUNTED(struct cdi_device, annotations, "annotations", JSON_PAIRS, 0),
	JSON_NESTED(struct cdi_device, edits, "containerEdits", JSON_STRUCT, &CDI_EDITS, JSON_REQUIRED),
};
static const struct json_table DEVICE = JSON_TABLE_STRICT(struct cdi_device, DEVICE_FIELDS);

static const struct json_field SPEC_FIELDS[] = {
	JSON_FIELD(struct cdi_spec, version, "cdiVersion", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct cdi_spec, kind, "kind", JSON_STRING_T, JSON_REQUIRED),
	JSON_COUNTED(struct cdi_spec, annotations, "annotations", JSON_PAIRS, 0),
	JSON_NESTED_COUNTED(struct cdi_spec, devices, "devices", JSON_STRUCTS, &DEVICE, JSON_REQUIRED),
	JSON_NESTED(struct cdi_spec, edits, "containerEdits", JSON_STRUCT, &CDI_EDITS, 0),
};
static const struct json_table SPEC = JSON_TABLE_STRICT(struct cdi_spec, SPEC_FIELDS);

/* --- names --- */

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_word(char c)
{
	return is_letter(c) || char_is_digit(c);
}

/* Letters and digits at both ends (the first one a letter with @letter_first), those and @between in the middle. */
static bool is_name(const char *text, size_t length, bool letter_first, const char *between)
{
	if (!length || !(letter_first ? is_letter(text[0]) : is_word(text[0])) || !is_word(text[length - 1]))
		return false;
	for (size_t i = 0; i < length; i++)
		if (!is_word(text[i]) && !strchr(between, text[i]))
			return false;
	return true;
}

static bool is_kind(const char *kind, size_t length)
{
	const char *slash = memchr(kind, '/', length);
	if (!slash)
		return false;
	size_t vendor = (size_t)(slash - kind);
	return is_name(kind, vendor, true, "_-.") && is_name(slash + 1, length - vendor - 1, true, "_-.");
}

static bool is_device(const char *name)
{
	return is_name(name, strlen(name), false, "_-.:");
}

bool cdi_name_is_valid(const char *name)
{
	const char *equals = strchr(name, '=');
	return equals && strlen(name) <= CDI_NAME_MAX && is_kind(name, (size_t)(equals - name)) && is_device(equals + 1);
}

/* --- versions --- */

enum version {
	V_0_3,
	V_0_4,
	V_0_5,
	V_0_6,
	V_0_7,
	V_0_8,
	V_1_0,
};

static const char *const VERSIONS[] = {"0.3.0", "0.4.0", "0.5.0", "0.6.0", "0.7.0", "0.8.0", "1.0.0"};

struct need {
	enum version version;
	const char *what;
};

static void raise(struct need *need, bool used, enum version version, const char *what)
{
	if (used && version > need->version)
		*need = (struct need){version, what};
}

static void raise_for_edits(struct need *need, const struct cdi_edits *edits)
{
	for (size_t i = 0; i < edits->device_nodes_count; i++)
		raise(need, edits->device_nodes[i].host_path != NULL, V_0_5, "deviceNodes.hostPath");
	for (size_t i = 0; i < edits->mounts_count; i++)
		raise(need, edits->mounts[i].type != NULL, V_0_4, "mounts.type");
	raise(need, edits->intel_rdt != NULL, V_0_7, "intelRdt");
	raise(need, edits->additional_gids_count > 0, V_0_7, "additionalGids");
}

/* A file says the version whose features it uses (SPEC.md, "Version"): one that says less would be read as less elsewhere. */
static struct need version_needed(const struct cdi_spec *spec)
{
	struct need need = {V_0_3, NULL};
	raise(&need, spec->annotations_count > 0, V_0_6, "annotations");
	raise(&need, strchr(strchr(spec->kind, '/'), '.') != NULL, V_0_6, "a class with a dot");
	raise_for_edits(&need, &spec->edits);
	for (size_t i = 0; i < spec->devices_count; i++) {
		raise(&need, spec->devices[i].annotations_count > 0, V_0_6, "annotations");
		raise(&need, !is_letter(spec->devices[i].name[0]), V_0_5, "a device whose name begins with a digit");
		raise_for_edits(&need, &spec->devices[i].edits);
	}
	return need;
}

/* --- checks --- */

static int invalid(struct err *err, const char *source, const char *member, const char *expected, const char *found)
{
	return err_set(err, -EINVAL, "cdi.invalid", "%s: %s: expected %s, found \"%s\"", source, member, expected, found);
}

static int check_version(const char *source, const struct cdi_spec *spec, struct err *err)
{
	const char *version = *spec->version == 'v' ? spec->version + 1 : spec->version;
	for (size_t i = 0; i < ARRAY_COUNT(VERSIONS); i++) {
		if (!str_equal(version, VERSIONS[i]))
			continue;
		struct need need = version_needed(spec);
		if (need.version <= i)
			return 0;
		return err_set(err, -EINVAL, "cdi.invalid", "%s: cdiVersion %s: %s needs %s", source, version, need.what,
			       VERSIONS[need.version]);
	}
	return invalid(err, source, "cdiVersion", "0.3.0 to 0.8.0 or 1.0.0", spec->version);
}

static int check_node(const char *source, const struct cdi_device_node *node, struct err *err)
{
	static const char *const TYPES[] = {"b", "c", "u", "p", NULL};
	if (node->path[0] != '/' || (node->host_path && node->host_path[0] != '/'))
		return invalid(err, source, "deviceNodes", "absolute paths", node->path);
	if (!str_empty(node->type) && !strv_contains(TYPES, node->type))
		return invalid(err, source, "deviceNodes.type", "b, c, u or p", node->type);
	if (node->permissions &&
	    (strlen(node->permissions) > 3 || strspn(node->permissions, "rwm") != strlen(node->permissions)))
		return invalid(err, source, "deviceNodes.permissions", "some of r, w and m", node->permissions);
	return 0;
}

static int check_hook(const char *source, const struct cdi_hook *hook, struct err *err)
{
	static const char *const NAMES[] = {"prestart",	      "createRuntime", "createContainer",
					    "startContainer", "poststart",     "poststop", NULL};
	if (!strv_contains(NAMES, hook->name))
		return invalid(err, source, "hooks.hookName", "one of the OCI runtime specification's", hook->name);
	return hook->path[0] == '/' ? 0 : invalid(err, source, "hooks.path", "an absolute path", hook->path);
}

static int check_env(const char *source, const char *const *env, struct err *err)
{
	for (size_t i = 0; env && env[i]; i++)
		if (!strchr(env[i], '=') || env[i][0] == '=')
			return invalid(err, source, "env", "NAME=VALUE", env[i]);
	return 0;
}

static int check_edits(const char *source, const struct cdi_edits *edits, struct err *err)
{
	int r = check_env(source, edits->env, err);
	for (size_t i = 0; r == 0 && i < edits->device_nodes_count; i++)
		r = check_node(source, &edits->device_nodes[i], err);
	for (size_t i = 0; r == 0 && i < edits->mounts_count; i++)
		if (edits->mounts[i].container_path[0] != '/' || str_empty(edits->mounts[i].host_path))
			r = invalid(err, source, "mounts.containerPath", "an absolute path",
				    edits->mounts[i].container_path);
	for (size_t i = 0; r == 0 && i < edits->hooks_count; i++)
		r = check_hook(source, &edits->hooks[i], err);
	for (size_t i = 0; r == 0 && edits->hooks_count && i < edits->hooks_count; i++)
		r = check_env(source, edits->hooks[i].env, err);
	const struct oci_intel_rdt *rdt = edits->intel_rdt;
	if (r == 0 && rdt && rdt->clos_id && (strchr(rdt->clos_id, '/') || str_equal(rdt->clos_id, "..")))
		r = invalid(err, source, "intelRdt.closID", "a name", rdt->clos_id);
	return r;
}

static bool edits_nothing(const struct cdi_edits *edits)
{
	return !(edits->env && edits->env[0]) && !edits->device_nodes_count && !edits->mounts_count &&
	       !edits->hooks_count && !edits->additional_gids_count && !edits->intel_rdt;
}

static int check_device(const char *source, const struct cdi_spec *spec, size_t index, struct err *err)
{
	const struct cdi_device *device = &spec->devices[index];
	if (!is_device(device->name))
		return invalid(err, source, "devices.name", "letters, digits and _-.:", device->name);
	for (size_t i = 0; i < index; i++)
		if (str_equal(spec->devices[i].name, device->name))
			return invalid(err, source, "devices.name", "each name once", device->name);
	if (edits_nothing(&device->edits))
		return invalid(err, source, "containerEdits", "an edit at least", device->name);
	return check_edits(source, &device->edits, err);
}

static int check(const char *source, const struct cdi_spec *spec, struct err *err)
{
	if (!is_kind(spec->kind, strlen(spec->kind)))
		return invalid(err, source, "kind", "VENDOR/CLASS", spec->kind);
	if (!spec->devices_count)
		return invalid(err, source, "devices", "a device at least", "");
	int r = check_edits(source, &spec->edits, err);
	for (size_t i = 0; r == 0 && i < spec->devices_count; i++)
		r = check_device(source, spec, i, err);
	return r < 0 ? r : check_version(source, spec, err);
}

int cdi_spec_parse(const char *source, const char *text, size_t length, bool yaml, struct arena *arena,
		   struct cdi_spec *ret_spec, struct err *err)
{
	json_t *value = NULL;
	struct cdi_spec spec = {0};
	int r = yaml ? yaml_parse(source, text, length, &value, err) : json_parse(source, text, length, &value, err);
	if (r < 0)
		return r;
	r = json_decode_value(source, value, &SPEC, arena, &spec, err);
	json_decref(value);
	if (r == 0)
		r = check(source, &spec, err);
	if (r == 0)
		*ret_spec = spec;
	return r;
}
