#include "runtime/src/monitor/process_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/parse.h"
#include "core/base/scoped.h"
#include "core/sys/fd.h"
#include "core/sys/pidfd.h"
#include "runtime/src/monitor/privileges.h"

#define ROUNDS_MAX 32
#define STAT_TEXT_MAX 4096

/* One process of the tree. The pidfd makes sure that the one that is killed is the one that was found. */
struct member {
	pid_t pid;
	int pidfd;
};

struct tree {
	struct member *members;
	size_t count;
	pid_t root;
};

static bool holds(const struct tree *tree, pid_t pid)
{
	for (size_t i = 0; i < tree->count; i++)
		if (tree->members[i].pid == pid)
			return true;
	return false;
}

/* Fields 4 and 6 of /proc/PID/stat (proc(5)). */
static bool read_parent(pid_t pid, pid_t *ret_parent, pid_t *ret_session)
{
	char name[32];
	(void)snprintf(name, sizeof name, "/proc/%d/stat", (int)pid);
	scoped_done(buf_done) struct buf text = {.max = STAT_TEXT_MAX};
	if (file_read_at(AT_FDCWD, name, &text, NULL) < 0 || !text.data)
		return false;
	const char *at = strrchr(text.data, ')');
	int parent = 0;
	int group = 0;
	int session = 0;
	if (!at || sscanf(at + 1, " %*c %d %d %d", &parent, &group, &session) != 3)
		return false;
	*ret_parent = parent;
	*ret_session = session;
	return true;
}

static void add_member(struct tree *tree, pid_t pid)
{
	int pidfd = -1;
	if (tree->count >= PROCESS_TREE_MAX || pidfd_open_process(pid, &pidfd) < 0)
		return;
	tree->members[tree->count++] = (struct member){.pid = pid, .pidfd = pidfd};
	(void)pidfd_signal(pidfd, SIGSTOP); /* so that it makes no more; gone is as good */
}

/* One pass over /proc: adds the children of members, and the root's session. Returns whether there was a new one. */
static bool find_more(struct tree *tree)
{
	size_t before = tree->count;
	DIR *dir = opendir("/proc");
	if (!dir)
		return false;
	for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
		int64_t pid = 0;
		pid_t parent = 0;
		pid_t session = 0;
		if (parse_i64(entry->d_name, 1, INT32_MAX, &pid) < 0 || holds(tree, (pid_t)pid))
			continue;
		if (read_parent((pid_t)pid, &parent, &session) && (holds(tree, parent) || session == tree->root))
			add_member(tree, (pid_t)pid);
	}
	(void)closedir(dir);
	return tree->count > before;
}

/* Each member costs a descriptor. The wider limit is taken back: programs that we start would inherit it. */
static struct rlimit widen_descriptors(void)
{
	struct rlimit before = {0};
	if (getrlimit(RLIMIT_NOFILE, &before) < 0)
		return before;
	rlim_t wanted = PROCESS_TREE_MAX + 256;
	struct rlimit wider = before;
	wider.rlim_cur = wanted < before.rlim_max ? wanted : before.rlim_max;
	if (wider.rlim_cur > before.rlim_cur)
		(void)setrlimit(RLIMIT_NOFILE, &wider); /* else fewer are reached at once */
	return before;
}

size_t process_tree_signal(pid_t root, int signal)
{
	struct tree tree = {.root = root};
	tree.members = calloc(PROCESS_TREE_MAX, sizeof *tree.members);
	if (!tree.members)
		return 0;
	struct rlimit before = widen_descriptors();
	privileges_raise(PRIVILEGE_SIGNAL);
	add_member(&tree, root);
	/* Twice in a row without a new one: what was being born while we looked has been seen too. */
	int quiet = 0;
	for (int round = 0; round < ROUNDS_MAX && quiet < 2; round++)
		quiet = find_more(&tree) ? 0 : quiet + 1;
	for (size_t i = 0; i < tree.count; i++) {
		(void)pidfd_signal(tree.members[i].pidfd, signal);
		if (signal != SIGKILL)
			(void)pidfd_signal(tree.members[i].pidfd, SIGCONT);
		(void)close(tree.members[i].pidfd);
	}
	privileges_lower();
	if (before.rlim_max > 0)
		(void)setrlimit(RLIMIT_NOFILE, &before); /* back to what it was */
	size_t count = tree.count;
	free(tree.members);
	return count;
}
