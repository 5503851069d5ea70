#include "signals/src/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/sys/fd.h"
#include "core/sys/pidfd.h"
#include "core/sys/usocket.h"
#include "signals/src/container_mount.h"

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

/* ---- the container ---- */

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

static int find_place(const struct oci_state *state, struct arena *arena, struct container_place *ret_place,
		      struct err *err)
{
	scoped_free char *rootfs = NULL;
	struct container_place place = {.pid = state->pid};
	int r = process_start_time((pid_t)state->pid, &place.started, NULL);
	if (r < 0)
		return err_sys(err, r, "hook.process", "process %lld", (long long)state->pid);
	r = read_rootfs(state, arena, &rootfs, err);
	if (r < 0)
		return r;
	place.root = arena_strdup(arena, rootfs);
	*ret_place = place;
	return place.root ? 0 : -ENOMEM;
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
	struct container_place place = {0};
	scoped_fd int fuse = -1;
	scoped_fd int socket = -1;
	scoped_fd int control = usocket_connect(options->control, SOCK_SEQPACKET, err);
	if (control < 0)
		return control;
	int r = find_place(state, arena, &place, err);
	if (r == 0)
		r = container_mount(&place, &fuse, &socket, err);
	if (r < 0)
		return r;
	request->container = &place;
	return ask_service(control, request, fuse, socket, arena, ret_granted, err);
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
