/* Limits on a machine with cgroup v2 alone, of which a folder with the files of a group is enough. */
#include "runtime/src/axrun/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/test_main.h"
#include "core/codec/oci_runtime.h"
#include "core/sys/cgroup.h"
#include "core/sys/fd.h"
#include "core/sys/path.h"

static const char *const FILES[] = {"memory.max", "memory.swap.max", "memory.low", "cpu.weight", "cpu.max", "cpu.max.burst",
				    "cpu.idle",	  "cpuset.cpus",     "cpuset.mems", "pids.max",	 "io.weight", "memory.high",
				    "hugetlb.2MB.max"};

struct machine {
	char path[64];
	struct cgroup_layout layout;
	struct cgroup group;
};

static void init(struct machine *machine)
{
	*machine = (struct machine){0};
	(void)snprintf(machine->path, sizeof machine->path, "/tmp/limits-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(machine->path));
	int dir_fd = open(machine->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(dir_fd, 0);
	for (size_t i = 0; i < ARRAY_COUNT(FILES); i++)
		(void)close(openat(dir_fd, FILES[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	machine->layout.count = 1;
	machine->layout.pure_v2 = true;
	machine->layout.hierarchies[0].v2 = true;
	machine->layout.hierarchies[0].root_fd = dir_fd;
	machine->group.layout = &machine->layout;
	for (size_t i = 0; i < CGROUP_HIERARCHIES_MAX; i++)
		machine->group.dir_fds[i] = -1;
	machine->group.dir_fds[0] = dir_fd;
}

static void done(struct machine *machine)
{
	struct err err = {0};
	(void)close(machine->layout.hierarchies[0].root_fd);
	int tmp_fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(path_remove_tree(tmp_fd, machine->path + strlen("/tmp/"), &err), 0);
	(void)close(tmp_fd);
}

static int apply(struct machine *machine, const char *json, struct err *err)
{
	struct arena arena = {.max = 1 << 16};
	struct oci_resources resources = {0};
	ck_assert_int_eq(json_decode("r", json, strlen(json), &OCI_RESOURCES, &arena, &resources, err), 0);
	int r = limits_apply(&machine->group, &resources, true, err);
	arena_done(&arena);
	return r;
}

static const struct {
	const char *json;
	const char *file;
	const char *text;
} WRITTEN[] = {
	{"{\"memory\":{\"limit\":1048576}}", "memory.max", "1048576"},
	{"{\"memory\":{\"limit\":-1}}", "memory.max", "max"},
	{"{\"memory\":{\"limit\":1000,\"swap\":1500}}", "memory.swap.max", "500"},
	{"{\"memory\":{\"limit\":1000,\"swap\":1000}}", "memory.swap.max", "0"},
	{"{\"memory\":{\"reservation\":77}}", "memory.low", "77"},
	{"{\"cpu\":{\"shares\":1024}}", "cpu.weight", "39"},
	{"{\"cpu\":{\"quota\":50000,\"period\":200000}}", "cpu.max", "50000 200000"},
	{"{\"cpu\":{\"cpus\":\"0-1\"}}", "cpuset.cpus", "0-1"},
	{"{\"pids\":{\"limit\":33}}", "pids.max", "33"},
	{"{\"hugepageLimits\":[{\"pageSize\":\"2MB\",\"limit\":4194304}]}", "hugetlb.2MB.max", "4194304"},
	{"{\"unified\":{\"memory.high\":\"900\"}}", "memory.high", "900"},
	/* what v2 has anyway */
	{"{\"memory\":{\"useHierarchy\":true,\"kernelTCP\":-1,\"limit\":5},\"cpu\":{\"realtimeRuntime\":0}}", "memory.max", "5"},
};

START_TEST(v2_has_another_word_for_it)
{
	struct machine machine;
	struct err err = {0};
	struct buf text = {.max = 4096};
	init(&machine);
	int r = apply(&machine, WRITTEN[_i].json, &err);
	ck_assert_msg(r == 0, "%s: %s", WRITTEN[_i].json, err.message);
	ck_assert_int_eq(file_read_at(machine.group.dir_fds[0], WRITTEN[_i].file, &text, &err), 0);
	ck_assert_str_eq(text.data ? text.data : "", WRITTEN[_i].text);
	buf_done(&text);
	done(&machine);
}
END_TEST

static const struct {
	const char *json;
	const char *words;
} REFUSED[] = {
	{"{\"memory\":{\"swappiness\":10}}", "memory.swappiness"},
	{"{\"memory\":{\"swappiness\":0}}", "memory.swappiness"},
	{"{\"memory\":{\"kernelTCP\":4096}}", "memory.kmem.tcp.limit_in_bytes"},
	{"{\"memory\":{\"disableOOMKiller\":true}}", "memory.oom_control"},
	{"{\"cpu\":{\"realtimeRuntime\":1000}}", "cpu.rt_runtime_us"},
	{"{\"cpu\":{\"realtimePeriod\":1000}}", "cpu.rt_period_us"},
	{"{\"blockIO\":{\"leafWeight\":100}}", "blkio.leaf_weight"},
	{"{\"network\":{\"classID\":5}}", "net_cls"},
};

START_TEST(what_v2_cannot_do_is_no_silent_success)
{
	struct machine machine;
	struct err err = {0};
	init(&machine);
	ck_assert_msg(apply(&machine, REFUSED[_i].json, &err) == -EOPNOTSUPP, "%s: %s", REFUSED[_i].json, err.message);
	ck_assert_msg(strstr(err.message, REFUSED[_i].words), "%s: %s", REFUSED[_i].json, err.message);
	done(&machine);
}
END_TEST

/* A kernel without swap accounting has no file for it, and nothing to forbid. */
START_TEST(without_swap_accounting_no_swap_is_no_error)
{
	struct machine machine;
	struct err err = {0};
	init(&machine);
	ck_assert_int_eq(unlinkat(machine.group.dir_fds[0], "memory.swap.max", 0), 0);
	ck_assert_msg(apply(&machine, "{\"memory\":{\"limit\":1000,\"swap\":1000}}", &err) == 0, "%s", err.message);
	done(&machine);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_loop_test(cases, v2_has_another_word_for_it, 0, ARRAY_COUNT(WRITTEN));
	tcase_add_loop_test(cases, what_v2_cannot_do_is_no_silent_success, 0, ARRAY_COUNT(REFUSED));
	tcase_add_test(cases, without_swap_accounting_no_swap_is_no_error);
}
TEST_MAIN("axrun-limits", add_tests)
