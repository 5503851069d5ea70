#include "runtime/src/axrun/state.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/codec/json.h"
#include "core/sys/cgroup.h"
#include "core/sys/fd.h"
#include "core/sys/path.h"
#include "core/sys/pidfd.h"

static const struct json_field STATE_FIELDS[] = {
	JSON_FIELD(struct state, version, "version", JSON_U64, JSON_REQUIRED | JSON_KEEP),
	JSON_FIELD(struct state, id, "id", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct state, bundle, "bundle", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct state, rootfs, "rootfs", JSON_STRING_T, 0),
	JSON_FIELD(struct state, created, "created", JSON_STRING_T, 0),
	JSON_FIELD(struct state, owner, "owner", JSON_U32, JSON_KEEP),
	JSON_FIELD(struct state, pid, "pid", JSON_I32, JSON_KEEP),
	JSON_FIELD(struct state, pid_start, "pidStart", JSON_U64, JSON_KEEP),
	JSON_FIELD(struct state, cgroup, "cgroup", JSON_STRING_T, 0),
	JSON_FIELD(struct state, namespaces, "namespaces", JSON_U64, JSON_KEEP),
	JSON_FIELD(struct state, pid_namespace_new, "pidNamespaceNew", JSON_BOOL_T, 0),
};
const struct json_table STATE = JSON_TABLE(struct state, STATE_FIELDS);

static const char *const STATUS_NAMES[] = {
	[CONTAINER_CREATING] = "creating", [CONTAINER_CREATED] = "created", [CONTAINER_RUNNING] = "running",
	[CONTAINER_PAUSED] = "paused",	   [CONTAINER_STOPPED] = "stopped",
};

const char *container_status_name(enum container_status status)
{
	return STATUS_NAMES[status];
}

bool container_id_is_valid(const char *id)
{
	size_t length = strlen(id);
	if (length == 0 || length > CONTAINER_ID_MAX || id[0] == '.') /* hidden names are ours: ".cache" */
		return false;
	for (const char *c = id; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("_+-.", *c))
			return false;
	return true;
}

static int new_container(const char *root, const char *id, struct container **ret_container, struct err *err)
{
	if (!container_id_is_valid(id))
		return err_set(err, -EINVAL, "container.id",
			       "container id \"%.100s\": expected letters, digits, \"_\", \"+\", \"-\" and \".\"", id);
	struct container *container = calloc(1, sizeof *container);
	if (!container)
		return err_sys(err, -ENOMEM, "container.open", "container %s", id);
	container->arena.max = STATE_BYTES_MAX;
	container->root_fd = container->dir_fd = container->lock_fd = -1;
	container->id = strdup(id);
	container->dir_path = str_printf("%s/%s", root, id);
	if (!container->id || !container->dir_path) {
		container_free(container);
		return err_sys(err, -ENOMEM, "container.open", "container %s", id);
	}
	*ret_container = container;
	return 0;
}

void container_free(struct container *container)
{
	if (!container)
		return;
	arena_done(&container->arena);
	int fds[] = {container->lock_fd, container->dir_fd, container->root_fd};
	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		if (fds[i] >= 0)
			(void)close(fds[i]); /* nothing was written through them */
	free(container->id);
	free(container->dir_path);
	free(container);
}

static int take_lock(struct container *container, struct err *err)
{
	container->lock_fd = openat(container->dir_fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (container->lock_fd < 0 || flock(container->lock_fd, LOCK_EX) < 0)
		return err_sys(err, -errno, "container.lock", "lock container %s", container->id);
	/* whoever held the lock may have removed the container meanwhile */
	struct stat held = {0}, named = {0};
	if (fstat(container->lock_fd, &held) < 0 || fstatat(container->dir_fd, "lock", &named, AT_SYMLINK_NOFOLLOW) < 0 ||
	    held.st_ino != named.st_ino)
		return err_set(err, -ENOENT, "container.not-found", "container %s does not exist", container->id);
	return 0;
}

int container_reserve(const char *root, const char *id, struct container **ret_container, struct err *err)
{
	scoped(container_free) struct container *container = NULL;
	int r = new_container(root, id, &container, err);
	if (r < 0)
		return r;
	container->root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (container->root_fd < 0 && errno == ENOENT) {
		r = path_make_directories(root, 0700, err);
		if (r < 0)
			return r;
		container->root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (container->root_fd < 0)
		return err_sys(err, -errno, "container.root", "open the state root %s", root);
	if (mkdirat(container->root_fd, id, 0700) < 0) {
		if (errno == EEXIST)
			return err_set(err, -EEXIST, "container.exists", "container %s: already exists in %s", id, root);
		return err_sys(err, -errno, "container.reserve", "make %s/%s", root, id);
	}
	container->dir_fd = openat(container->root_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (container->dir_fd < 0)
		return err_sys(err, -errno, "container.reserve", "open %s/%s", root, id);
	r = take_lock(container, err);
	if (r == 0)
		*ret_container = TAKE(container);
	return r;
}

int state_decode(const char *text, size_t length, struct arena *arena, struct state *ret_state, struct err *err)
{
	struct state state = {0};
	int r = json_decode("state.json", text, length, &STATE, arena, &state, err);
	if (r < 0)
		return err_add(err, -EUCLEAN, "container record");
	if (state.version != STATE_VERSION)
		return err_set(err, -EUCLEAN, "container.version",
			       "container record: version %" PRIu64 ", expected %d: written by another axrun", state.version,
			       STATE_VERSION);
	if (state.pid < 0)
		return err_set(err, -EUCLEAN, "container.record", "container record: pid %d", state.pid);
	*ret_state = state;
	return 0;
}

static int load_record(struct container *container, struct err *err)
{
	scoped_done(buf_done) struct buf text = {.max = STATE_BYTES_MAX};
	int r = file_read_at(container->dir_fd, "state.json", &text, err);
	if (r < 0)
		return err_add(err, -EUCLEAN, "container %s has no record", container->id);
	return state_decode(text.data ? text.data : "", text.size, &container->arena, &container->state, err);
}

int container_open(const char *root, const char *id, enum container_lock lock, bool damaged_too,
		   struct container **ret_container, struct err *err)
{
	scoped(container_free) struct container *container = NULL;
	int r = new_container(root, id, &container, err);
	if (r < 0)
		return r;
	container->root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (container->root_fd >= 0)
		container->dir_fd = openat(container->root_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (container->dir_fd < 0) {
		if (errno == ENOENT)
			return err_set(err, -ENOENT, "container.not-found", "container %s does not exist in %s", id, root);
		return err_sys(err, -errno, "container.open", "open %s/%s", root, id);
	}
	r = lock == LOCK_WAIT ? take_lock(container, err) : 0;
	if (r < 0)
		return r;
	r = load_record(container, err);
	if (r < 0 && !damaged_too)
		return r;
	*ret_container = TAKE(container);
	return 0;
}

int container_save(struct container *container, struct err *err)
{
	scoped_done(buf_done) struct buf text = {.max = STATE_BYTES_MAX};
	int r = json_encode(&STATE, &container->state, &text);
	if (r < 0)
		return err_sys(err, r, "container.save", "record of container %s", container->id);
	return file_replace_at(container->dir_fd, "state.json", text.data, text.size, 0600, FILE_VOLATILE, err);
}

int container_remove(struct container *container, struct err *err)
{
	static const char *const FILES[] = {START_SOCKET, "config.json", "state.json.new", "state.json", "lock"};
	for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++)
		(void)unlinkat(container->dir_fd, FILES[i], 0); /* what stays is seen by rmdir */
	if (unlinkat(container->root_fd, container->id, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	return path_remove_tree(container->root_fd, container->id, err);
}

/* Does the recorded pid still name the process that was recorded? */
static bool is_alive(const struct state *state)
{
	uint64_t start = 0;
	char letter = 0;
	if (state->pid <= 0 || process_start_time(state->pid, &start, &letter) < 0)
		return false;
	return start == state->pid_start && letter != 'Z' && letter != 'X';
}

static bool is_paused(const struct state *state)
{
	struct cgroup_layout layout = {0};
	struct cgroup group = {0};
	if (!state->cgroup || cgroup_layout_open(CGROUP_ROOT, &layout, NULL) < 0)
		return false;
	bool frozen = cgroup_open(&layout, state->cgroup, &group) == 0 && cgroup_is_frozen(&group);
	cgroup_done(&group);
	cgroup_layout_done(&layout);
	return frozen;
}

enum container_status container_status(const struct container *container)
{
	if (container->state.pid == 0)
		return CONTAINER_CREATING;
	if (!is_alive(&container->state))
		return CONTAINER_STOPPED;
	if (faccessat(container->dir_fd, START_SOCKET, F_OK, 0) == 0)
		return CONTAINER_CREATED;
	return is_paused(&container->state) ? CONTAINER_PAUSED : CONTAINER_RUNNING;
}

int container_open_process(const struct container *container, int *ret_pidfd)
{
	if (container->state.pid <= 0)
		return -ESRCH;
	scoped_fd int pidfd = -1;
	int r = pidfd_open_process(container->state.pid, &pidfd);
	if (r < 0)
		return r;
	if (!is_alive(&container->state)) /* asked after the opening: the descriptor can be no later process's */
		return -ESRCH;
	*ret_pidfd = TAKE_FD(pidfd);
	return 0;
}
