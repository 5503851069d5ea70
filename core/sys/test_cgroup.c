#include "core/sys/cgroup.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/test_main.h"
#include "core/sys/pidfd.h"

static void group_path(char ret_path[static 64])
{
	(void)snprintf(ret_path, 64, "/axle-unit-%d/inner", getpid());
}

static bool may_use_cgroups(struct cgroup_layout *layout)
{
	return geteuid() == 0 && cgroup_layout_open(CGROUP_ROOT, layout, NULL) == 0 && layout->count > 0;
}

START_TEST(makes_enters_kills_and_removes_a_group)
{
	struct cgroup_layout layout = {0};
	if (!may_use_cgroups(&layout))
		return;
	char path[64];
	group_path(path);
	struct err err = {0};
	struct cgroup group = {0};
	ck_assert_msg(cgroup_make(&layout, path, &group, &err) == 0, "%s", err.message);

	int entries[CGROUP_HIERARCHIES_MAX];
	ck_assert_int_eq(cgroup_open_entries(&group, true, entries, &err), 0);
	pid_t child = fork();
	if (child == 0) {
		(void)cgroup_enter(entries, NULL);
		for (;;)
			(void)pause();
	}
	size_t count = 0;
	for (int i = 0; i < 1000 && count == 0; i++) {
		pid_t *pids = NULL;
		ck_assert_int_eq(cgroup_pids(&group, &pids, &count), 0);
		if (count > 0)
			ck_assert_int_eq(pids[0], child);
		free(pids);
		(void)usleep(1000);
	}
	ck_assert_uint_eq(count, 1);
	ck_assert_int_eq(cgroup_freeze(&group, true, &err), 0);
	ck_assert(cgroup_is_frozen(&group));
	ck_assert_int_eq(cgroup_freeze(&group, false, &err), 0);
	ck_assert_int_eq(cgroup_kill(&group), 0);
	int status = 0;
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	cgroup_done(&group);

	(void)snprintf(path, sizeof path, "/axle-unit-%d", getpid());
	ck_assert_msg(cgroup_remove(&layout, path, 2000, &err) == 0, "%s", err.message);
	ck_assert_int_eq(cgroup_open(&layout, path, &group), -ENOENT);
	cgroup_layout_done(&layout);
}
END_TEST

START_TEST(refuses_paths_that_leave_the_tree)
{
	struct cgroup_layout layout = {.v2_index = -1};
	struct cgroup group = {0};
	static const char *const BAD[] = {"", "/", "..", "/a/../b", "a/.", "//"};
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
		struct err err = {0};
		ck_assert_int_eq(cgroup_make(&layout, BAD[i], &group, &err), -EINVAL);
		ck_assert_int_eq(cgroup_remove(&layout, BAD[i], 0, &err), -EINVAL);
	}
}
END_TEST

START_TEST(knows_when_a_process_was_started_and_when_it_ended)
{
	int pidfd = -1;
	struct process_clone how = {.cgroup_fd = -1};
	pid_t child = process_clone(&how, &pidfd);
	if (child == 0)
		_exit(7);
	uint64_t ticks = 0;
	char state = 0;
	ck_assert_int_eq(pidfd_await_end(pidfd, 10000), 0);
	ck_assert_int_eq(process_start_time(child, &ticks, &state), 0);
	ck_assert(ticks > 0 && state == 'Z');
	int status = -1;
	ck_assert_int_eq(pidfd_wait(pidfd, &status), 0);
	ck_assert_int_eq(status, 7);
	ck_assert_int_eq(process_start_time(child, &ticks, &state), -ESRCH);
	(void)close(pidfd);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, makes_enters_kills_and_removes_a_group);
	tcase_add_test(cases, refuses_paths_that_leave_the_tree);
	tcase_add_test(cases, knows_when_a_process_was_started_and_when_it_ended);
}

TEST_MAIN("cgroup", add_tests)
