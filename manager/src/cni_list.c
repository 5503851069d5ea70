#include "manager/src/cni_list.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/codec/json.h"
#include "core/sys/fd.h"

/* In their order. */
static const char *const VERSIONS[] = {"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"};

struct plugin_file {
	const char *type;
	json_t *capabilities;
};

static const struct json_field PLUGIN_FIELDS[] = {
	JSON_FIELD(struct plugin_file, type, "type", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct plugin_file, capabilities, "capabilities", JSON_RAW, 0),
};
static const struct json_table PLUGIN = JSON_TABLE(struct plugin_file, PLUGIN_FIELDS);

struct list_file {
	const char *name;
	const char *version;
	const char *const *versions;
	json_t *disable_check; /* a boolean, or its word as a string */
	json_t *disable_gc;
	const struct plugin_file *plugins;
	size_t plugins_count;
};

static const struct json_field LIST_FIELDS[] = {
	JSON_FIELD(struct list_file, name, "name", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct list_file, version, "cniVersion", JSON_STRING_T, 0),
	JSON_FIELD(struct list_file, versions, "cniVersions", JSON_STRINGS, 0),
	JSON_FIELD(struct list_file, disable_check, "disableCheck", JSON_RAW, 0),
	JSON_FIELD(struct list_file, disable_gc, "disableGC", JSON_RAW, 0),
	JSON_NESTED_COUNTED(struct list_file, plugins, "plugins", JSON_STRUCTS, &PLUGIN, JSON_REQUIRED),
};
static const struct json_table LIST = JSON_TABLE(struct list_file, LIST_FIELDS);

static int version_rank(const char *version)
{
	for (size_t i = 0; i < ARRAY_COUNT(VERSIONS); i++)
		if (str_equal(VERSIONS[i], version))
			return (int)i;
	return -1;
}

bool cni_list_speaks(const struct cni_list *list, const char *version)
{
	return version_rank(list->version) >= version_rank(version);
}

/* The highest of those that the file offers and we know. */
static const char *choose_version(const struct list_file *file)
{
	int best = version_rank(file->version);
	for (const char *const *offered = file->versions; offered && *offered; offered++)
		if (version_rank(*offered) > best)
			best = version_rank(*offered);
	return best < 0 ? NULL : VERSIONS[best];
}

/* Section 1: a letter or digit, then also '_', '.', '-'. */
static bool is_network_name(const char *name)
{
	if (!isalnum((unsigned char)*name))
		return false;
	for (const char *c = name; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("_.-", *c))
			return false;
	return true;
}

static bool is_true(const json_t *value)
{
	return json_is_true(value) || (json_is_string(value) && strcasecmp(json_string_value(value), "true") == 0);
}

static int check_list(const char *source, const struct list_file *file, struct err *err)
{
	if (!is_network_name(file->name))
		return err_set(err, -EINVAL, "cni.config",
			       "%s: name: \"%s\": expected letters, digits, '_', '.', '-', a letter or digit first", source,
			       file->name);
	if (!choose_version(file))
		return err_set(err, -EINVAL, "cni.config", "%s: cniVersion: expected %s to %s, found %s", source, VERSIONS[0],
			       VERSIONS[ARRAY_COUNT(VERSIONS) - 1], file->version ? file->version : "none");
	if (file->plugins_count < 1 || file->plugins_count > CNI_PLUGINS_MAX)
		return err_set(err, -EINVAL, "cni.config", "%s: plugins: expected 1 to %d, found %zu", source, CNI_PLUGINS_MAX,
			       file->plugins_count);
	for (size_t i = 0; i < file->plugins_count; i++) {
		const char *type = file->plugins[i].type;
		if (str_empty(type) || strchr(type, '/') || str_equal(type, ".") || str_equal(type, ".."))
			return err_set(err, -EINVAL, "cni.config", "%s: plugins[%zu].type: expected a program's name, found \"%s\"",
				       source, i, type);
	}
	return 0;
}

static int take_plugins(const struct list_file *file, struct arena *arena, struct cni_list *list)
{
	const json_t *configs = json_object_get(list->document, "plugins");
	list->plugins = arena_array(arena, file->plugins_count, sizeof *list->plugins);
	if (!list->plugins)
		return -ENOMEM;
	list->plugins_count = file->plugins_count;
	for (size_t i = 0; i < file->plugins_count; i++)
		list->plugins[i] = (struct cni_plugin){
			.type = file->plugins[i].type,
			.capabilities = file->plugins[i].capabilities,
			.config = json_array_get(configs, i),
		};
	return 0;
}

int cni_list_decode(const char *source, json_t *document, struct arena *arena, struct cni_list *ret_list, struct err *err)
{
	struct list_file file = {0};
	int r = json_decode_value(source, document, &LIST, arena, &file, err);
	if (r == 0)
		r = check_list(source, &file, err);
	if (r < 0)
		return r;
	struct cni_list list = {
		.name = file.name,
		.version = choose_version(&file),
		.may_check = !is_true(file.disable_check),
		.may_gc = !is_true(file.disable_gc),
		.document = document,
	};
	r = take_plugins(&file, arena, &list);
	if (r < 0)
		return r;
	(void)json_incref(document);
	*ret_list = list;
	return 0;
}

/* One plugin's configuration as a list of it. NULL when out of memory. */
static json_t *make_list(json_t *plugin)
{
	json_t *list = json_pack("{s:[O]}", "plugins", plugin);
	static const char *const SHARED[] = {"name", "cniVersion"};
	for (size_t i = 0; list && i < ARRAY_COUNT(SHARED); i++) {
		json_t *value = json_object_get(plugin, SHARED[i]);
		if (value && json_object_set(list, SHARED[i], value) < 0) {
			json_decref(list);
			list = NULL;
		}
	}
	return list;
}

int cni_list_parse(const char *source, const char *text, size_t length, struct arena *arena, struct cni_list *ret_list,
		   struct err *err)
{
	json_t *document = NULL;
	int r = json_parse(source, text, length, &document, err);
	if (r < 0)
		return r;
	if (json_is_object(document) && !json_object_get(document, "plugins")) {
		json_t *list = make_list(document);
		json_decref(document);
		document = list;
	}
	r = document ? cni_list_decode(source, document, arena, ret_list, err) : -ENOMEM;
	json_decref(document);
	return r;
}

void cni_list_done(struct cni_list *list)
{
	json_decref(list->document);
	*list = (struct cni_list){0};
}

/* --- the folder --- */

static int is_configuration(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && (str_ends_with(entry->d_name, ".conflist") ||
					   str_ends_with(entry->d_name, ".conf") || str_ends_with(entry->d_name, ".json"));
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void free_entries(struct dirent **entries, int count)
{
	for (int i = 0; i < count; i++)
		free(entries[i]);
	free(entries);
}

static int load_file(const char *path, struct arena *arena, struct cni_list *ret_list, struct err *err)
{
	struct stat status = {0};
	if (stat(path, &status) < 0)
		return err_sys(err, -errno, "cni.config", "read %s", path);
	if (!S_ISREG(status.st_mode)) /* a pipe would never be read to its end */
		return err_set(err, -EINVAL, "cni.config", "%s: expected a file", path);
	scoped_done(buf_done) struct buf text = {.max = CNI_LIST_BYTES_MAX};
	int r = file_read_at(AT_FDCWD, path, &text, err);
	return r < 0 ? r : cni_list_parse(path, text.data ? text.data : "", text.size, arena, ret_list, err);
}

/* The first that is wanted; where none is, the failure of the first that could not be read. */
static int load_wanted(const char *folder, struct dirent **entries, int count, const char *network, struct arena *arena,
		       struct cni_list *ret_list, const char **ret_file, struct err *err)
{
	struct err first = {0};
	for (int i = 0; i < count; i++) {
		struct err local = {0};
		struct cni_list list = {0};
		const char *path = arena_printf(arena, "%s/%s", folder, entries[i]->d_name);
		int r = path ? load_file(path, arena, &list, &local) : -ENOMEM;
		if (r == 0 && (!network || str_equal(list.name, network))) {
			*ret_list = list;
			*ret_file = path;
			return 0;
		}
		cni_list_done(&list);
		if (r < 0 && !first.code)
			first = local;
		if (r < 0 && !network)
			break;
	}
	if (first.code) {
		if (err)
			*err = first;
		return first.code;
	}
	return network ? err_set(err, -ENOENT, "cni.no-config", "no configuration of a network \"%s\" in %s", network, folder)
		       : err_set(err, -ENOENT, "cni.no-config",
				 "no network configuration in %s: expected a file NAME.conflist, NAME.conf or NAME.json", folder);
}

int cni_list_load(const char *folder, const char *network, struct arena *arena, struct cni_list *ret_list,
		  const char **ret_file, struct err *err)
{
	struct dirent **entries = NULL;
	int count = scandir(folder, &entries, is_configuration, by_name);
	if (count < 0 && errno != ENOENT)
		return err_sys(err, -errno, "cni.config", "list %s", folder);
	if (count > CNI_FILES_MAX) {
		free_entries(entries, count);
		return err_set(err, -EINVAL, "cni.config", "%s: expected at most %d files, found %d", folder, CNI_FILES_MAX,
			       count);
	}
	int r = load_wanted(folder, entries, count, network, arena, ret_list, ret_file, err);
	free_entries(entries, count);
	return r;
}
