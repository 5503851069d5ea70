/* state, list, ps. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/opt.h"
#include "core/base/str.h"
#include "core/codec/oci_runtime.h"
#include "core/sys/cgroup.h"
#include "runtime/src/axrun/arguments.h"
#include "runtime/src/axrun/commands.h"
#include "runtime/src/axrun/config.h"
#include "runtime/src/axrun/print.h"
#include "runtime/src/axrun/state.h"

/* The specification's state with what runc and crun add to it. */
struct shown {
	const char *oci_version;
	const char *id;
	int64_t pid;
	const char *status;
	const char *bundle;
	const char *rootfs;
	const char *created;
	const char *owner;
	const struct json_pair *annotations;
	size_t annotations_count;
};

static const struct json_field SHOWN_FIELDS[] = {
	JSON_FIELD(struct shown, oci_version, "ociVersion", JSON_STRING_T, 0),
	JSON_FIELD(struct shown, id, "id", JSON_STRING_T, 0),
	JSON_FIELD(struct shown, pid, "pid", JSON_I64, JSON_KEEP),
	JSON_FIELD(struct shown, status, "status", JSON_STRING_T, 0),
	JSON_FIELD(struct shown, bundle, "bundle", JSON_STRING_T, 0),
	JSON_FIELD(struct shown, rootfs, "rootfs", JSON_STRING_T, 0),
	JSON_FIELD(struct shown, created, "created", JSON_STRING_T, 0),
	JSON_FIELD(struct shown, owner, "owner", JSON_STRING_T, 0),
	JSON_COUNTED(struct shown, annotations, "annotations", JSON_PAIRS, 0),
};
static const struct json_table SHOWN = JSON_TABLE(struct shown, SHOWN_FIELDS);

/* @spec gives the annotations; it must outlive the result. */
static struct shown show(const struct container *container, const struct oci_spec *spec)
{
	enum container_status status = container_status(container);
	return (struct shown){
		.oci_version = OCI_RUNTIME_VERSION,
		.id = container->id,
		.pid = status == CONTAINER_STOPPED ? 0 : container->state.pid,
		.status = container_status_name(status),
		.bundle = container->state.bundle,
		.rootfs = container->state.rootfs,
		.created = container->state.created,
		.owner = container->state.owner == 0 ? "root" : "",
		.annotations = spec->annotations,
		.annotations_count = spec->annotations_count,
	};
}

int command_state(const struct globals *globals, char **argv, int *ret_status, struct err *err)
{
	(void)ret_status; /* 0 */
	static const struct opt OPTIONS[] = {{0}};
	const char *id = NULL;
	int r = arguments_parse(OPTIONS, "ID", argv, NULL, &id, 1, NULL, err);
	if (r != 0)
		return r;
	scoped(container_free) struct container *container = NULL;
	r = container_open(globals->root, id, LOCK_NONE, false, &container, err);
	if (r < 0)
		return r;
	scoped_done(arena_done) struct arena arena = {.max = CONFIG_ARENA_MAX};
	struct oci_spec spec = {0};
	(void)config_load(container->dir_fd, "config.json", &arena, &spec, NULL, NULL); /* half-made: no annotations */
	struct shown shown = show(container, &spec);
	return print_json(&SHOWN, &shown, err);
}

struct list_options {
	bool quiet;
	const char *format;
};

static const struct opt LIST_OPTIONS[] = {
	{'f', "format", "FORMAT", OPT_STRING, offsetof(struct list_options, format), "table (default) or json"},
	{'q', "quiet", NULL, OPT_FLAG, offsetof(struct list_options, quiet), "ids only"},
	{0},
};

static int list_one(const struct globals *globals, const char *id, const struct list_options *options, json_t *list)
{
	if (options->quiet) {
		(void)printf("%s\n", id);
		return 0;
	}
	scoped(container_free) struct container *container = NULL;
	if (container_open(globals->root, id, LOCK_NONE, true, &container, NULL) < 0)
		return 0; /* removed meanwhile */
	struct oci_spec none = {0};
	struct shown shown = show(container, &none);
	if (list)
		return json_array_append_new(list, json_encode_value(&SHOWN, &shown)) < 0 ? -ENOMEM : 0;
	(void)printf("%-40s %-8lld %-10s %-40s %-32s %s\n", shown.id, (long long)shown.pid, shown.status,
		     shown.bundle ? shown.bundle : "-", shown.created ? shown.created : "-", shown.owner);
	return 0;
}

static int list_all(const struct globals *globals, DIR *dir, const struct list_options *options, struct err *err)
{
	json_t *list = str_equal(options->format, "json") ? json_array() : NULL;
	if (!list && !options->quiet)
		(void)printf("%-40s %-8s %-10s %-40s %-32s %s\n", "ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER");
	int r = 0;
	for (struct dirent *entry = readdir(dir); entry && r == 0; entry = readdir(dir)) {
		struct stat st = {0};
		if (!container_id_is_valid(entry->d_name) ||
		    fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
			continue;
		r = list_one(globals, entry->d_name, options, list);
	}
	if (r == 0 && list)
		r = print_json_value(list, err);
	json_decref(list);
	return r;
}

int command_list(const struct globals *globals, char **argv, int *ret_status, struct err *err)
{
	(void)ret_status; /* 0 */
	struct list_options options = {.format = "table"};
	int r = arguments_parse(LIST_OPTIONS, "", argv, &options, NULL, 0, NULL, err);
	if (r != 0)
		return r;
	if (!str_equal(options.format, "table") && !str_equal(options.format, "json"))
		return err_set(err, -EINVAL, "option.value", "option --format: \"%s\": expected table or json", options.format);
	DIR *dir = opendir(globals->root);
	if (!dir && errno != ENOENT)
		return err_sys(err, -errno, "container.root", "open the state root %s", globals->root);
	if (!dir && str_equal(options.format, "json"))
		(void)printf("[]\n");
	if (!dir)
		return 0;
	r = list_all(globals, dir, &options, err);
	(void)closedir(dir);
	return r;
}

struct ps_options {
	const char *format;
};

static const struct opt PS_OPTIONS[] = {
	{'f', "format", "FORMAT", OPT_STRING, offsetof(struct ps_options, format), "table (default) or json"},
	{0},
};

static int pids_of(const struct container *container, pid_t **ret_pids, size_t *ret_count)
{
	struct cgroup_layout layout = {0};
	struct cgroup group = {0};
	int r = cgroup_layout_open(CGROUP_ROOT, &layout, NULL);
	if (r == 0)
		r = container->state.cgroup ? cgroup_open(&layout, container->state.cgroup, &group) : -ENOENT;
	if (r == 0)
		r = cgroup_pids(&group, ret_pids, ret_count);
	cgroup_done(&group);
	cgroup_layout_done(&layout);
	return r;
}

/* The table is ps(1)'s own. */
static int print_table(const pid_t *pids, size_t count, struct err *err)
{
	scoped_done(buf_done) struct buf list = {.max = 1 << 20};
	for (size_t i = 0; i < count; i++)
		if (buf_printf(&list, "%s%d", i ? "," : "", pids[i]) < 0)
			return err_sys(err, -ENOMEM, "container.ps", "list of processes");
	if (count == 0)
		return 0;
	(void)fflush(stdout);
	(void)execlp("ps", "ps", "-f", "-p", list.data, (char *)NULL);
	return err_sys(err, -errno, "container.ps", "ps(1), which prints the table (see --format json)");
}

int command_ps(const struct globals *globals, char **argv, int *ret_status, struct err *err)
{
	(void)ret_status; /* 0 */
	struct ps_options options = {.format = "table"};
	const char *id = NULL;
	int r = arguments_parse(PS_OPTIONS, "ID", argv, &options, &id, 1, NULL, err);
	if (r != 0)
		return r;
	scoped(container_free) struct container *container = NULL;
	r = container_open(globals->root, id, LOCK_NONE, false, &container, err);
	if (r < 0)
		return r;
	scoped_free pid_t *pids = NULL;
	size_t count = 0;
	r = pids_of(container, &pids, &count);
	if (r < 0)
		return err_sys(err, r, "container.ps", "processes of container %s", id);
	if (!str_equal(options.format, "json"))
		return print_table(pids, count, err);
	(void)printf("[");
	for (size_t i = 0; i < count; i++)
		(void)printf("%s%d", i ? "," : "", pids[i]);
	(void)printf("]\n");
	return 0;
}
