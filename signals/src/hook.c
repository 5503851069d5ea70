#include "signals/src/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/sys/fd.h"
#include "core/sys/mount.h"
#include "core/sys/path.h"
#include "core/sys/usocket.h"

#define DEVICE_FOLDER "dev"
#define MOUNT_NAME "signal"
#define SOCKET_NAME "signal.sock"
#define ANSWER_MS 10000
#define CONFIG_MAX (8U << 20)

struct oci_state {
	const char *id;
	const char *bundle;
	int64_t pid;
	const struct json_pair *annotations;
	size_t annotations_count;
};

static const struct json_field STATE_FIELDS[] = {
	JSON_FIELD(struct oci_state, id, "id", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct oci_state, bundle, "bundle", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct oci_state, pid, "pid", JSON_I64, JSON_REQUIRED),
	JSON_COUNTED(struct oci_state, annotations, "annotations", JSON_PAIRS, 0),
};
static const struct json_table STATE = JSON_TABLE(struct oci_state, STATE_FIELDS);

struct oci_root {
	const char *path;
};
struct oci_config {
	struct oci_root root;
};
static const struct json_field ROOT_FIELDS[] = {JSON_FIELD(struct oci_root, path, "path", JSON_STRING_T, 0)};
static const struct json_table ROOT = JSON_TABLE(struct oci_root, ROOT_FIELDS);
static const struct json_field CONFIG_FIELDS[] = {JSON_NESTED(struct oci_config, root, "root", JSON_STRUCT, &ROOT, 0)};
static const struct json_table CONFIG = JSON_TABLE(struct oci_config, CONFIG_FIELDS);

/* ---- what the container asks for ---- */

static const struct {
	const char *name;
	size_t offset;
} ANNOTATIONS[] = {
	{"axle.signals.read", offsetof(struct signal_lists, read)},
	{"axle.signals.actuate", offsetof(struct signal_lists, actuate)},
	{"axle.signals.publish", offsetof(struct signal_lists, publish)},
};

/* Patterns, separated by blanks or commas. */
static int split_patterns(const char *text, struct arena *arena, const char *const **ret_patterns)
{
	const char **patterns = arena_array(arena, GRANT_PATTERNS_MAX + 1, sizeof *patterns);
	size_t count = 0;
	while (patterns && *text) {
		size_t n = strcspn(text, " ,\t\n");
		if (n && count == GRANT_PATTERNS_MAX)
			return -E2BIG;
		if (n)
			patterns[count++] = arena_strndup(arena, text, n);
		text += n + (text[n] != '\0');
	}
	*ret_patterns = patterns;
	return patterns ? 0 : -ENOMEM;
}

/* 1: it asks for something. */
static int read_annotations(const struct oci_state *state, struct arena *arena, struct signal_lists *lists)
{
	int asks = 0;
	for (size_t i = 0; i < state->annotations_count; i++)
		for (size_t k = 0; k < ARRAY_COUNT(ANNOTATIONS); k++) {
			if (!str_equal(state->annotations[i].key, ANNOTATIONS[k].name))
				continue;
			const char *const **list = (const char *const **)((char *)lists + ANNOTATIONS[k].offset);
			int r = split_patterns(state->annotations[i].value, arena, list);
			if (r < 0)
				return r;
			asks = 1;
		}
	return asks;
}

/* ---- the container's file system ---- */

static int make_mount(int *ret_fuse, int *ret_tree, struct err *err)
{
	scoped_fd int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fuse < 0)
		return err_sys(err, -errno, "hook.mount", "/dev/fuse");
	char number[16];
	(void)snprintf(number, sizeof number, "%d", fuse);
	/* no default_permissions: in a view the grant decides, not the uid; the service checks each open */
	const struct mount_option options[] = {
		{"source", "axsignald"}, {"fd", number}, {"rootmode", "40000"}, {"user_id", "0"}, {"group_id", "0"},
		{"allow_other", NULL},
	};
	int r = mount_filesystem("fuse", options, ARRAY_COUNT(options),
				 MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, ret_tree, err);
	if (r == 0)
		*ret_fuse = TAKE_FD(fuse);
	return r;
}

/* Where the bundle says that the root file system lies. */
static int read_rootfs(const struct oci_state *state, struct arena *arena, char **ret_path, struct err *err)
{
	struct oci_config config = {0};
	scoped_done(buf_done) struct buf text = {.max = CONFIG_MAX};
	scoped_free char *file = str_printf("%s/config.json", state->bundle);
	int r = file ? file_read_at(AT_FDCWD, file, &text, err) : -ENOMEM;
	if (r == 0)
		r = json_decode(file, text.data ? text.data : "", text.size, &CONFIG, arena, &config, err);
	if (r < 0)
		return r;
	if (str_empty(config.root.path))
		*ret_path = strdup("/");
	else if (config.root.path[0] == '/')
		*ret_path = strdup(config.root.path);
	else
		*ret_path = str_printf("%s/%s", state->bundle, config.root.path);
	return *ret_path ? 0 : -ENOMEM;
}

static int enter_mounts(int64_t pid, struct err *err)
{
	char path[64];
	(void)snprintf(path, sizeof path, "/proc/%lld/ns/mnt", (long long)pid);
	scoped_fd int ns = open(path, O_RDONLY | O_CLOEXEC);
	if (ns < 0 || setns(ns, CLONE_NEWNS) < 0)
		return err_sys(err, -errno, "hook.namespace", "enter the mounts of process %lld", (long long)pid);
	return 0;
}

static bool is_mount_root(int fd)
{
	struct statx status;
	return statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &status) == 0 &&
	       status.stx_attributes & STATX_ATTR_MOUNT_ROOT;
}

/* The container's root: hooks run before the runtime changes into it, where it is a mount of its own at the bundle's
 * path; and where the runtime has changed into it already, it is the namespace's root. */
static int open_root(const char *rootfs, struct err *err)
{
	scoped_fd int fd = open(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && is_mount_root(fd))
		return TAKE_FD(fd);
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return root < 0 ? err_sys(err, -errno, "hook.root", "the container's root") : root;
}

/* In a user namespace the container's /dev knows only its own users: what is made there is made as its owner. */
static int become_owner(int device, struct err *err)
{
	struct stat status;
	if (fstat(device, &status) < 0)
		return err_sys(err, -errno, "hook.device", "/dev of the container");
	(void)setfsgid(status.st_gid);
	(void)setfsuid(status.st_uid);
	return 0;
}

static int attach(int root, int tree, int *ret_device, struct err *err)
{
	scoped_fd int device = path_open_in_root(root, DEVICE_FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (device < 0)
		return err_sys(err, device, "hook.device", "/dev of the container");
	int r = become_owner(device, err);
	if (r < 0)
		return r;
	if (mkdirat(device, MOUNT_NAME, 0755) < 0 && errno != EEXIST)
		return err_sys(err, -errno, "hook.device", "make /dev/signal in the container");
	scoped_fd int target = path_open_in_root(device, MOUNT_NAME, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
	if (target < 0)
		return err_sys(err, target, "hook.device", "/dev/signal of the container");
	r = mount_tree_attach(tree, target);
	if (r < 0)
		return err_sys(err, r, "hook.mount", "mount on /dev/signal of the container");
	*ret_device = TAKE_FD(device);
	return 0;
}

/* A socket of the line protocol beside the files. */
static int make_socket(int device, struct err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SOCKET_NAME};
	scoped_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || fchdir(device) < 0)
		return err_sys(err, -errno, "hook.socket", "a socket in the container");
	(void)unlinkat(device, SOCKET_NAME, 0);
	if (bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 || fchmodat(device, SOCKET_NAME, 0666, 0) < 0 ||
	    listen(fd, SOMAXCONN) < 0)
		return err_sys(err, -errno, "hook.socket", "/dev/signal.sock of the container");
	return TAKE_FD(fd);
}

/* ---- the service ---- */

struct answer {
	const char *error;
	uint64_t granted;
};
static const struct json_field ANSWER_FIELDS[] = {
	JSON_FIELD(struct answer, error, "error", JSON_STRING_T, 0),
	JSON_FIELD(struct answer, granted, "granted", JSON_U64, 0),
};
static const struct json_table ANSWER = JSON_TABLE(struct answer, ANSWER_FIELDS);

static int hear_answer(int control, struct arena *arena, size_t *ret_granted, struct err *err)
{
	char text[8192];
	struct answer answer = {0};
	struct pollfd polled = {.fd = control, .events = POLLIN};
	size_t count = 0;
	ssize_t n = poll(&polled, 1, ANSWER_MS) > 0 ? fd_receive_message(control, text, sizeof text, NULL, 0, &count)
						    : -ETIMEDOUT;
	if (n <= 0)
		return err_set(err, n < 0 ? (int)n : -ECONNRESET, "hook.service", "axsignald did not answer");
	int r = json_decode("axsignald", text, (size_t)n, &ANSWER, arena, &answer, err);
	if (r == 0 && answer.error)
		return err_set(err, -EPERM, "hook.refused", "axsignald: %s", answer.error);
	*ret_granted = (size_t)answer.granted;
	return r;
}

static int ask_service(int control, const struct view_request *request, int fuse, int socket, struct arena *arena,
		       size_t *ret_granted, struct err *err)
{
	scoped_done(buf_done) struct buf text = {.max = VIEW_TEXT_MAX};
	int fds[2] = {fuse, socket};
	int r = json_encode(&VIEW_REQUEST_TABLE, request, &text);
	if (r < 0)
		return err_set(err, r, "hook.request", "the annotations: expected at most %d bytes", VIEW_TEXT_MAX);
	r = fd_send_message(control, text.data, text.size, fds, 2);
	return r < 0 ? err_sys(err, r, "hook.service", "axsignald") : hear_answer(control, arena, ret_granted, err);
}

static int make_view(const struct hook_options *options, const struct oci_state *state, struct view_request *request,
		     struct arena *arena, size_t *ret_granted, struct err *err)
{
	scoped_free char *rootfs = NULL;
	scoped_fd int fuse = -1;
	scoped_fd int tree = -1;
	scoped_fd int device = -1;
	scoped_fd int control = usocket_connect(options->control, SOCK_SEQPACKET, err);
	if (control < 0)
		return control;
	int r = read_rootfs(state, arena, &rootfs, err);
	if (r == 0)
		r = make_mount(&fuse, &tree, err);
	if (r == 0)
		r = enter_mounts(state->pid, err);
	if (r < 0)
		return r;
	scoped_fd int root = open_root(rootfs, err);
	if (root < 0)
		return root;
	r = attach(root, tree, &device, err);
	if (r < 0)
		return r;
	scoped_fd int socket = make_socket(device, err);
	return socket < 0 ? socket : ask_service(control, request, fuse, socket, arena, ret_granted, err);
}

int hook_run(const struct hook_options *options, const char *text, size_t size, size_t *ret_granted, struct err *err)
{
	scoped_done(arena_done) struct arena arena = {.max = 8U << 20};
	struct oci_state state = {0};
	struct view_request request = {.identity = options->identity};
	*ret_granted = 0;
	int r = json_decode("state", text, size, &STATE, &arena, &state, err);
	if (r < 0)
		return r;
	r = read_annotations(&state, &arena, &request.lists);
	if (r == -E2BIG)
		return err_set(err, r, "hook.annotations", "expected at most %d patterns in an annotation", GRANT_PATTERNS_MAX);
	if (r <= 0)
		return r;
	request.id = state.id;
	return make_view(options, &state, &request, &arena, ret_granted, err);
}
