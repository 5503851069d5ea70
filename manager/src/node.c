#include "manager/src/node.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/sys/fd.h"
#include "core/sys/path.h"

#define DEFAULT_ROOT "/var/lib/axle"
#define DEFAULT_STATE "/run/axle"
#define DEFAULT_CONFIG "/etc/axle/axled.toml"
#define NODE_ARENA_MAX (4 << 20)
#define HELPERS_END_MS 5000

static const char *const OWNER_NAMES[OWNER_COUNT] = {[OWNER_AXLE] = "axle", [OWNER_CRI] = "cri"};

const char *owner_name(enum owner owner)
{
	return OWNER_NAMES[owner];
}

int owner_parse(const char *text, enum owner *ret_owner)
{
	for (size_t i = 0; i < OWNER_COUNT; i++)
		if (str_equal(text, OWNER_NAMES[i])) {
			*ret_owner = (enum owner)i;
			return 0;
		}
	return -EINVAL;
}

int64_t node_now_ns(void)
{
	struct timespec now = {0};
	(void)clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* --- the name --- */

void node_name_of_root(const char *root, char ret_name[NODE_NAME_MAX])
{
	if (str_equal(root, DEFAULT_ROOT)) {
		(void)snprintf(ret_name, NODE_NAME_MAX, "axle");
		return;
	}
	uint64_t hash = 0xcbf29ce484222325; /* FNV-1a: short names that differ, no secret */
	for (const unsigned char *p = (const unsigned char *)root; *p; p++)
		hash = (hash ^ *p) * 0x100000001b3;
	(void)snprintf(ret_name, NODE_NAME_MAX, "axle-%08x", (unsigned)(hash ^ hash >> 32));
}

bool node_name_is_valid(const char *name)
{
	size_t length = strlen(name);
	if (length == 0 || length >= NODE_NAME_MAX)
		return false;
	for (size_t i = 0; i < length; i++) {
		bool alphanumeric = (name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9');
		if (!alphanumeric && (i == 0 || !strchr("-_.", name[i])))
			return false;
	}
	return true;
}

/* --- the places --- */

static int check_absolute(const char *what, const char *path, struct err *err)
{
	if (*path == '/')
		return 0;
	return err_set(err, -EINVAL, "node.path", "%s %s: expected an absolute path", what, path);
}

/* Makes the directory NAME below @base (or @base itself for NULL) and opens it. */
static int open_place(const char *base, const char *name, mode_t mode, int *ret_fd, struct err *err)
{
	scoped_free char *path = name ? str_printf("%s/%s", base, name) : strdup(base);
	if (!path)
		return -ENOMEM;
	int r = path_make_directories(path, mode, err);
	if (r < 0)
		return r;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, -errno, "node.open", "open %s", path);
	*ret_fd = fd;
	return 0;
}

/* The lock goes with its descriptor, also after kill -9. */
static int lock_place(int dir_fd, const char *path, int *ret_lock, struct err *err)
{
	scoped_fd int fd = openat(dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, -errno, "node.lock", "open %s/lock", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK
			       ? err_set(err, -EBUSY, "node.locked", "%s is in use by another axled", path)
			       : err_sys(err, -errno, "node.lock", "lock %s/lock", path);
	*ret_lock = TAKE_FD(fd);
	return 0;
}

static int name_places(struct node *node, const struct node_options *options)
{
	struct node_places *places = &node->places;
	struct arena *arena = &node->arena;
	places->root = arena_strdup(arena, options->root ? options->root : DEFAULT_ROOT);
	places->state = arena_strdup(arena, options->state ? options->state : DEFAULT_STATE);
	places->config = arena_strdup(arena, options->config ? options->config : DEFAULT_CONFIG);
	if (!places->root || !places->state || !places->config)
		return -ENOMEM;
	places->pins = arena_printf(arena, "%s/ns", places->state);
	places->pods = arena_printf(arena, "%s/pods", places->state);
	places->containers = arena_printf(arena, "%s/containers", places->state);
	places->rootfs = arena_printf(arena, "%s/rootfs", places->root);
	places->logs = arena_printf(arena, "%s/logs", places->root);
	return places->pins && places->pods && places->containers && places->rootfs && places->logs ? 0 : -ENOMEM;
}

static int open_places(struct node_places *places, struct err *err)
{
	const struct {
		const char *base;
		const char *name;
		mode_t mode;
		int *fd;
	} folders[] = {
		{places->root, "pods", 0700, &places->pod_records_fd},
		{places->root, "containers", 0700, &places->container_records_fd},
		{places->root, "images", 0711, &places->images_fd},
		{places->state, "containers", 0711, &places->containers_fd},
	};
	int r = open_place(places->root, NULL, 0711, &places->root_fd, err);
	if (r == 0)
		r = open_place(places->state, NULL, 0711, &places->state_fd, err);
	if (r == 0)
		r = lock_place(places->root_fd, places->root, &places->root_lock_fd, err);
	if (r == 0)
		r = lock_place(places->state_fd, places->state, &places->state_lock_fd, err);
	for (size_t i = 0; r == 0 && i < ARRAY_COUNT(folders); i++)
		r = open_place(folders[i].base, folders[i].name, folders[i].mode, folders[i].fd, err);
	return r;
}

static void close_places(struct node_places *places)
{
	const int fds[] = {places->root_fd,	   places->state_fd,  places->pod_records_fd, places->container_records_fd,
			   places->containers_fd, places->images_fd, places->root_lock_fd,   places->state_lock_fd};
	for (size_t i = 0; i < ARRAY_COUNT(fds); i++)
		if (fds[i] >= 0)
			(void)close(fds[i]);
}

/* --- the rest --- */

static int set_log(struct node *node, const char *level, struct err *err)
{
	if (node->config.log.level)
		(void)log_level_parse(node->config.log.level, &node->log.level); /* checked by config_parse() */
	if (str_equal(node->config.log.format, "json"))
		node->log.format = LOG_JSON;
	if (level && log_level_parse(level, &node->log.level) < 0)
		return err_set(err, -EINVAL, "node.log-level",
			       "--log-level %s: expected error, warning, info or debug", level);
	return 0;
}

static uint64_t read_bounding_capabilities(void)
{
	uint64_t set = 0;
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1)
			set |= UINT64_C(1) << cap;
	return set;
}

/* What a dead axled left running (a plugin's own children outlive it): ended, and the group is made anew, for in one that was
 * killed nobody can be born. */
static int end_helpers(struct node *node, const char *path, struct err *err)
{
	struct cgroup before;
	if (cgroup_open(&node->cgroups, path, &before) < 0)
		return 0;
	int r = cgroup_kill(&before);
	cgroup_done(&before);
	if (r < 0 && r != -EOPNOTSUPP)
		return err_sys(err, r, "node.helpers", "end what is left in the group %s", path);
	return cgroup_remove(&node->cgroups, path, HELPERS_END_MS, err);
}

static int open_cgroups(struct node *node, struct err *err)
{
	int r = cgroup_layout_open(CGROUP_ROOT, &node->cgroups, err);
	if (r < 0)
		return r;
	scoped_free char *path = str_printf("%s/helpers", node->name);
	if (!path)
		return -ENOMEM;
	r = end_helpers(node, path, err);
	return r < 0 ? r : cgroup_make(&node->cgroups, path, &node->helpers_group, err);
}

static int choose_name(struct node *node, const char *name, struct err *err)
{
	if (!name) {
		node_name_of_root(node->places.root, node->name);
		return 0;
	}
	if (!node_name_is_valid(name))
		return err_set(err, -EINVAL, "node.name",
			       "name \"%s\": expected 1 to 63 lower-case letters, digits, '-', '_', '.'", name);
	(void)snprintf(node->name, sizeof node->name, "%s", name);
	return 0;
}

int node_open(struct node *node, const struct node_options *options, struct err *err)
{
	*node = (struct node){.log = node->log, .loop = node->loop, .arena = {.max = NODE_ARENA_MAX}};
	node->places = (struct node_places){NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, -1, -1, -1, -1, -1, -1, -1, -1};
	node->started_ns = node_now_ns();
	node->bounding_capabilities = read_bounding_capabilities();
	int r = name_places(node, options);
	if (r == 0)
		r = check_absolute("root", node->places.root, err);
	if (r == 0)
		r = check_absolute("state", node->places.state, err);
	if (r == 0)
		r = choose_name(node, options->name, err);
	if (r == 0)
		r = config_load(node->places.config, options->config, &node->arena, &node->config, err);
	if (r == 0)
		r = set_log(node, options->log_level, err);
	if (r == 0)
		r = open_places(&node->places, err);
	if (r == 0)
		r = open_cgroups(node, err);
	if (r == 0)
		r = fibers_new(node->loop, &node->fibers);
	if (r == 0)
		r = events_new(node->fibers, &node->events);
	if (r < 0)
		return r;
	scoped_free char *program = path_of_sibling_program(HELPER_PROGRAM);
	node->helper = (struct helper_runner){
		.fibers = node->fibers,
		.program = program ? arena_strdup(&node->arena, program) : NULL,
		.cgroup_fd = cgroup_v2_fd(&node->helpers_group),
	};
	return node->helper.program ? 0 : -ENOMEM;
}

void node_close(struct node *node)
{
	events_free(node->events);
	fibers_free(node->fibers);
	idtable_done(&node->pods);
	idtable_done(&node->containers);
	cgroup_done(&node->helpers_group);
	cgroup_done(&node->plugins_group);
	cgroup_layout_done(&node->cgroups);
	close_places(&node->places);
	free((char *)(uintptr_t)node->pod_cidr); /* runtime_config.c made it */
	arena_done(&node->arena);
}
