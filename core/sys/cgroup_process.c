/* The processes of a group: entering, listing, freezing, killing. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/parse.h"
#include "core/base/scoped.h"
#include "core/sys/cgroup.h"
#include "core/sys/fd.h"

#define FREEZE_STEP_NS 1000000
#define FREEZE_STEPS 2000
#define KILL_ROUNDS 100
#define PIDS_TEXT_MAX (1 << 20)
#define DEPTH_MAX 64

int cgroup_open_entries(const struct cgroup *group, bool with_v2, int ret_fds[CGROUP_HIERARCHIES_MAX], struct err *err)
{
	for (size_t i = 0; i < CGROUP_HIERARCHIES_MAX; i++)
		ret_fds[i] = -1;
	for (size_t i = 0; group->layout && i < group->layout->count; i++) {
		const struct cgroup_hierarchy *hierarchy = &group->layout->hierarchies[i];
		if (group->dir_fds[i] < 0 || (hierarchy->v2 && !with_v2))
			continue;
		ret_fds[i] = openat(group->dir_fds[i], hierarchy->v2 ? "cgroup.procs" : "tasks", O_WRONLY | O_CLOEXEC);
		if (ret_fds[i] < 0)
			return err_sys(err, -errno, "cgroup.enter", "open cgroup %s/%s", hierarchy->directory, group->path);
	}
	return 0;
}

int cgroup_enter(int fds[CGROUP_HIERARCHIES_MAX], struct err *err)
{
	for (size_t i = 0; i < CGROUP_HIERARCHIES_MAX; i++) {
		if (fds[i] < 0)
			continue;
		if (write(fds[i], "0", 1) < 0)
			return err_sys(err, -errno, "cgroup.enter", "enter the cgroup");
		(void)close(fds[i]); /* a kernel file, written */
		fds[i] = -1;
	}
	return 0;
}

/* The v1 hierarchy through which processes are found where there is no v2: the freezer's, else the first. */
static int tracking_fd(const struct cgroup *group)
{
	int fd = cgroup_v2_fd(group);
	for (size_t i = 0; fd < 0 && group->layout && i < group->layout->count; i++)
		if (strstr(group->layout->hierarchies[i].controllers, "freezer"))
			fd = group->dir_fds[i];
	for (size_t i = 0; fd < 0 && group->layout && i < group->layout->count; i++)
		fd = group->dir_fds[i];
	return fd;
}

struct pid_list {
	pid_t *pids;
	size_t count;
};

static int add_pids(struct pid_list *list, char *text)
{
	char *rest = NULL;
	for (char *word = strtok_r(text, "\n", &rest); word; word = strtok_r(NULL, "\n", &rest)) {
		int64_t pid = 0;
		if (parse_i64(word, 1, INT32_MAX, &pid) < 0)
			continue; /* 0: a process of another pid namespace */
		pid_t *grown = reallocarray(list->pids, list->count + 1, sizeof *grown);
		if (!grown)
			return -ENOMEM;
		list->pids = grown;
		list->pids[list->count++] = (pid_t)pid;
	}
	return 0;
}

static int collect_pids(int parent_fd, const char *name, int depth, struct pid_list *list)
{
	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	DIR *dir = fdopendir(fd);
	if (!dir) {
		(void)close(fd);
		return -ENOMEM;
	}
	scoped_done(buf_done) struct buf text = {.max = PIDS_TEXT_MAX};
	int r = file_read_at(fd, "cgroup.procs", &text, NULL);
	if (r == 0 && text.size > 0)
		r = add_pids(list, text.data);
	for (struct dirent *entry = readdir(dir); entry && r == 0 && depth < DEPTH_MAX; entry = readdir(dir))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			r = collect_pids(fd, entry->d_name, depth + 1, list);
	(void)closedir(dir);
	return r;
}

int cgroup_pids(const struct cgroup *group, pid_t **ret_pids, size_t *ret_count)
{
	struct pid_list list = {0};
	int fd = tracking_fd(group);
	int r = fd < 0 ? -ENOENT : collect_pids(fd, ".", 0, &list);
	if (r < 0) {
		free(list.pids);
		return r;
	}
	*ret_pids = list.pids;
	*ret_count = list.count;
	return 0;
}

int cgroup_signal(const struct cgroup *group, int signal)
{
	scoped_free pid_t *pids = NULL;
	size_t count = 0;
	int r = cgroup_pids(group, &pids, &count);
	for (size_t i = 0; r == 0 && i < count; i++)
		if (kill(pids[i], signal) < 0 && errno != ESRCH)
			r = -errno;
	return r;
}

/* Without cgroup.kill: rounds of SIGKILL until nobody is left; each round catches what was forked during the last. */
static int kill_by_rounds(const struct cgroup *group)
{
	for (int round = 0; round < KILL_ROUNDS; round++) {
		scoped_free pid_t *pids = NULL;
		size_t count = 0;
		int r = cgroup_pids(group, &pids, &count);
		if (r < 0 || count == 0)
			return r;
		for (size_t i = 0; i < count; i++)
			(void)kill(pids[i], SIGKILL); /* already gone is what is wanted */
		(void)nanosleep(&(struct timespec){.tv_nsec = FREEZE_STEP_NS}, NULL);
	}
	return -EBUSY;
}

static int freezer_v1_fd(const struct cgroup *group)
{
	bool v2 = false;
	int fd = cgroup_controller_fd(group, "freezer", &v2);
	return v2 ? -1 : fd;
}

int cgroup_kill(const struct cgroup *group)
{
	int v1 = freezer_v1_fd(group);
	if (v1 >= 0)
		(void)file_write_kernel(v1, "freezer.state", "THAWED", NULL); /* a frozen one would never die */
	int v2 = cgroup_v2_fd(group);
	if (v2 >= 0 && file_write_kernel(v2, "cgroup.kill", "1", NULL) == 0)
		return 0;
	return tracking_fd(group) < 0 ? -EOPNOTSUPP : kill_by_rounds(group);
}

static bool file_holds(int dir_fd, const char *name, const char *line)
{
	scoped_done(buf_done) struct buf text = {.max = 4096};
	if (file_read_at(dir_fd, name, &text, NULL) < 0 || !text.data)
		return false;
	return strstr(text.data, line) != NULL;
}

bool cgroup_is_frozen(const struct cgroup *group)
{
	int v2 = cgroup_v2_fd(group);
	if (v2 >= 0 && file_holds(v2, "cgroup.freeze", "1"))
		return true;
	int v1 = freezer_v1_fd(group);
	return v1 >= 0 && (file_holds(v1, "freezer.state", "FROZEN") || file_holds(v1, "freezer.state", "FREEZING"));
}

static int await_line(int dir_fd, const char *name, const char *line)
{
	for (int step = 0; step < FREEZE_STEPS; step++) {
		if (file_holds(dir_fd, name, line))
			return 0;
		(void)nanosleep(&(struct timespec){.tv_nsec = FREEZE_STEP_NS}, NULL);
	}
	return -ETIMEDOUT;
}

int cgroup_freeze(const struct cgroup *group, bool frozen, struct err *err)
{
	int r = -EOPNOTSUPP;
	int v2 = cgroup_v2_fd(group);
	int v1 = freezer_v1_fd(group);
	if (v2 >= 0) {
		r = file_write_kernel(v2, "cgroup.freeze", frozen ? "1" : "0", err);
		if (r == 0)
			r = await_line(v2, "cgroup.events", frozen ? "frozen 1" : "frozen 0");
	} else if (v1 >= 0) {
		r = file_write_kernel(v1, "freezer.state", frozen ? "FROZEN" : "THAWED", err);
		if (r == 0)
			r = await_line(v1, "freezer.state", frozen ? "FROZEN" : "THAWED");
	}
	if (r < 0)
		return err_sys(err, r, "cgroup.freeze", "%s cgroup %s", frozen ? "freeze" : "thaw", group->path);
	return 0;
}
