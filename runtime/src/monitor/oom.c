#include "runtime/src/monitor/oom.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/parse.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/sys/cgroup.h"
#include "core/sys/fd.h"

#define PROC_TEXT_MAX 65536

/* Is @controller one of the comma-separated @list? */
static bool lists(const char *list, size_t length, const char *controller)
{
	size_t wanted = strlen(controller);
	for (size_t at = 0; at < length;) {
		const char *comma = memchr(list + at, ',', length - at);
		size_t end = comma ? (size_t)(comma - list) : length;
		if (end - at == wanted && memcmp(list + at, controller, wanted) == 0)
			return true;
		at = end + 1;
	}
	return false;
}

/* A line is ID:CONTROLLERS:PATH; v2's has no controllers (cgroups(7)). */
int oom_find_group(const char *text, const char *controller, char *ret_path, size_t size)
{
	const char *found = NULL;
	size_t found_length = 0;
	for (const char *line = text; *line;) {
		size_t length = strcspn(line, "\n");
		const char *first = memchr(line, ':', length);
		const char *second = first ? memchr(first + 1, ':', length - (size_t)(first + 1 - line)) : NULL;
		if (second) {
			size_t names = (size_t)(second - first) - 1;
			bool exact = lists(first + 1, names, controller);
			if (exact || (names == 0 && !found)) {
				found = second + 1;
				found_length = length - (size_t)(found - line);
			}
			if (exact)
				break;
		}
		line += length + (line[length] == '\n');
	}
	if (found && *found == '/') {
		found++;
		found_length--;
	}
	if (!found || found_length >= size)
		return -ENOENT;
	memcpy(ret_path, found, found_length);
	ret_path[found_length] = '\0';
	return (int)found_length;
}

uint64_t oom_parse_kills(const char *text)
{
	for (const char *line = text; *line;) {
		size_t length = strcspn(line, "\n");
		const char *number = str_after_prefix(line, "oom_kill ");
		char digits[24] = "";
		uint64_t kills = 0;
		if (number && length - (size_t)(number - line) < sizeof digits) {
			memcpy(digits, number, length - (size_t)(number - line));
			return parse_u64(digits, 0, UINT64_MAX, &kills) == 0 ? kills : 0;
		}
		line += length + (line[length] == '\n');
	}
	return 0;
}

uint64_t oom_kills(struct oom *oom)
{
	char text[1024];
	ssize_t count = oom->file_fd < 0 ? -1 : pread(oom->file_fd, text, sizeof text - 1, 0);
	if (count <= 0)
		return oom->kills; /* the group is gone: what was counted before stands */
	text[count] = '\0';
	oom->kills = oom_parse_kills(text);
	return oom->kills;
}

static void stop_watching(struct oom *oom)
{
	loop_unwatch(oom->loop, &oom->watch);
	if (oom->event_fd >= 0)
		(void)close(TAKE_FD(oom->event_fd));
}

static void on_event(struct watch *watch, uint32_t events)
{
	struct oom *oom = watch->owner;
	uint64_t count = 0;
	if (oom->event_fd >= 0)
		(void)!read(oom->event_fd, &count, sizeof count); /* v1's also fires when the group is removed */
	char byte;
	bool gone = pread(oom->file_fd, &byte, 1, 0) < 0;
	(void)oom_kills(oom);
	if (gone || (events & EPOLLHUP))
		stop_watching(oom);
}

/* cgroup v1, memory.txt, section 10: an eventfd registered by "EVENT_FD CONTROL_FD". */
static int watch_v1(struct oom *oom, int dir_fd)
{
	oom->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (oom->event_fd < 0)
		return -errno;
	char line[32];
	(void)snprintf(line, sizeof line, "%d %d", oom->event_fd, oom->file_fd);
	int r = file_write_kernel(dir_fd, "cgroup.event_control", line, NULL);
	return r < 0 ? r : loop_watch(oom->loop, &oom->watch, oom->event_fd, EPOLLIN);
}

static int watch_group(struct oom *oom, const struct cgroup *group)
{
	bool v2 = false;
	int dir_fd = cgroup_controller_fd(group, "memory", &v2);
	if (dir_fd < 0)
		return -ENOENT;
	oom->file_fd = openat(dir_fd, v2 ? "memory.events" : "memory.oom_control", O_RDONLY | O_CLOEXEC);
	if (oom->file_fd < 0)
		return -errno;
	(void)oom_kills(oom);
	int r = v2 ? loop_watch(oom->loop, &oom->watch, oom->file_fd, EPOLLPRI) : watch_v1(oom, dir_fd);
	if (r < 0)
		stop_watching(oom); /* the count at the end still stands */
	return 0;
}

int oom_watch(struct oom *oom, pid_t pid)
{
	char name[32];
	char path[512];
	(void)snprintf(name, sizeof name, "/proc/%d/cgroup", (int)pid);
	scoped_done(buf_done) struct buf text = {.max = PROC_TEXT_MAX};
	int r = file_read_at(AT_FDCWD, name, &text, NULL);
	if (r < 0)
		return r;
	r = oom_find_group(text.data ? text.data : "", "memory", path, sizeof path);
	if (r < 0)
		return r;
	struct cgroup_layout layout;
	r = cgroup_layout_open(CGROUP_ROOT, &layout, NULL);
	if (r < 0)
		return r;
	struct cgroup group;
	r = cgroup_open(&layout, path, &group);
	if (r == 0) {
		r = watch_group(oom, &group);
		cgroup_done(&group);
	}
	cgroup_layout_done(&layout);
	return r;
}

void oom_init(struct oom *oom, struct loop *loop)
{
	*oom = (struct oom){.loop = loop, .file_fd = -1, .event_fd = -1};
	oom->watch = (struct watch){.fd = -1, .ready = on_event, .owner = oom};
}

void oom_done(struct oom *oom)
{
	if (!oom->loop)
		return;
	stop_watching(oom);
	if (oom->file_fd >= 0)
		(void)close(TAKE_FD(oom->file_fd));
}
