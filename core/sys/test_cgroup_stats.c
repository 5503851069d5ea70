#include "core/sys/cgroup_stats.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/array.h"
#include "core/base/test_main.h"
#include "core/sys/cgroup.h"
#include "core/sys/path.h"

/* Files as kernels wrote them (v1: 6.18; v2: 6.1), shortened. */
static const struct {
	const char *name;
	const char *text;
} V1[] = {
	{"cpuacct.usage", "5077421\n"},
	{"memory.usage_in_bytes", "1599221760\n"},
	{"memory.limit_in_bytes", "2147483648\n"},
	{"memory.memsw.limit_in_bytes", "3221225472\n"},
	{"memory.stat", "cache 0\nrss 1\ninactive_file 3\npgfault 7\ntotal_cache 900\ntotal_rss 700000\ntotal_swap 4096\n"
			"total_pgfault 73\ntotal_pgmajfault 2\ntotal_inactive_file 99221760\n"},
	{"pids.current", "17\n"},
}, V2[] = {
	{"cpu.stat", "usage_usec 5207\nuser_usec 5000\nsystem_usec 207\nnr_periods 0\n"},
	{"memory.current", "8192000\n"},
	{"memory.max", "max\n"},
	{"memory.swap.current", "12288\n"},
	{"memory.swap.max", "65536\n"},
	{"memory.stat", "anon 4096000\nfile 1000\ninactive_file 9000000\npgfault 12\npgmajfault 1\n"},
	{"pids.current", "3\n"},
	{"cpu.pressure", "some avg10=1.50 avg60=0.07 avg300=100.00 total=4243\n"},
	{"memory.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=9\n"},
	{"io.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=1\nfull avg10=2.00 avg60=0.00 avg300=0.00 total=0\n"},
};

static char folder[64];
static struct cgroup_layout layout;
static struct cgroup group;

static void set_up(void)
{
	(void)snprintf(folder, sizeof folder, "/tmp/axle-cgroup-stats-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	layout = (struct cgroup_layout){.v2_index = -1};
	group = (struct cgroup){.layout = &layout};
	for (size_t i = 0; i < CGROUP_HIERARCHIES_MAX; i++)
		group.dir_fds[i] = -1;
}

static void tear_down(void)
{
	cgroup_done(&group);
	ck_assert_int_eq(path_remove_tree(AT_FDCWD, folder, NULL), 0);
}

/* Adds a hierarchy whose directory of the group is a folder of recorded files. */
static int add_hierarchy(const char *controllers, bool v2)
{
	size_t index = layout.count++;
	char path[128];
	(void)snprintf(path, sizeof path, "%s/%zu", folder, index);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	(void)snprintf(layout.hierarchies[index].controllers, sizeof layout.hierarchies[index].controllers, "%s", controllers);
	layout.hierarchies[index].v2 = v2;
	if (v2)
		layout.v2_index = (int)index;
	group.dir_fds[index] = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(group.dir_fds[index], 0);
	return group.dir_fds[index];
}

static void put(int dir_fd, const char *name, const char *text)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	(void)close(fd);
}

static void record_v1(int cpu, int memory, int pids)
{
	for (size_t i = 0; i < ARRAY_COUNT(V1); i++)
		put(strncmp(V1[i].name, "cpu", 3) == 0 ? cpu : strncmp(V1[i].name, "pids", 4) == 0 ? pids : memory,
		    V1[i].name, V1[i].text);
}

static void check_v1_figures(const struct cgroup_stats *stats)
{
	ck_assert_uint_eq(stats->cpu_ns, 5077421);
	ck_assert_uint_eq(stats->memory_bytes, 1599221760);
	ck_assert_uint_eq(stats->memory_limit_bytes, 2147483648);
	ck_assert_uint_eq(stats->inactive_file_bytes, 99221760);
	ck_assert_uint_eq(cgroup_stats_working_set(stats), 1500000000);
	ck_assert_uint_eq(stats->rss_bytes, 700000);
	ck_assert_uint_eq(stats->page_faults, 73);
	ck_assert_uint_eq(stats->major_page_faults, 2);
	ck_assert_uint_eq(stats->swap_bytes, 4096);
	ck_assert_uint_eq(stats->swap_limit_bytes, 1073741824);
	ck_assert_uint_eq(stats->processes, 17);
}

START_TEST(v1_alone_has_no_pressure)
{
	record_v1(add_hierarchy("cpu,cpuacct", false), add_hierarchy("memory", false), add_hierarchy("pids", false));
	struct cgroup_stats stats = {0};
	cgroup_stats_read(&group, &stats);
	check_v1_figures(&stats);
	ck_assert_uint_eq(stats.known, CGROUP_CPU | CGROUP_MEMORY | CGROUP_MEMORY_STAT | CGROUP_FAULTS | CGROUP_SWAP | CGROUP_PIDS);
}
END_TEST

START_TEST(v2_alone)
{
	int fd = add_hierarchy("", true);
	for (size_t i = 0; i < ARRAY_COUNT(V2); i++)
		put(fd, V2[i].name, V2[i].text);
	struct cgroup_stats stats = {0};
	cgroup_stats_read(&group, &stats);
	ck_assert_uint_eq(stats.known, 0x1ff);
	ck_assert_uint_eq(stats.cpu_ns, 5207000);
	ck_assert_uint_eq(stats.memory_limit_bytes, CGROUP_UNLIMITED);
	ck_assert_uint_eq(cgroup_stats_working_set(&stats), 0); /* more can be dropped than is counted as used */
	ck_assert_uint_eq(stats.rss_bytes, 4096000);
	ck_assert_uint_eq(stats.swap_bytes, 12288);
	ck_assert_uint_eq(stats.swap_limit_bytes, 65536);
	ck_assert_uint_eq(stats.processes, 3);
	ck_assert_uint_eq(stats.cpu_psi.some.avg10, 150);
	ck_assert_uint_eq(stats.cpu_psi.some.avg60, 7);
	ck_assert_uint_eq(stats.cpu_psi.some.avg300, 10000);
	ck_assert_uint_eq(stats.cpu_psi.some.total_ns, 4243000);
	ck_assert_uint_eq(stats.cpu_psi.full.total_ns, 0);
	ck_assert_uint_eq(stats.memory_psi.full.total_ns, 9000);
	ck_assert_uint_eq(stats.io_psi.full.avg10, 200);
}
END_TEST

START_TEST(the_mix_takes_figures_of_v1_and_pressure_of_v2)
{
	record_v1(add_hierarchy("cpuacct", false), add_hierarchy("memory", false), add_hierarchy("pids", false));
	int v2 = add_hierarchy("", true);
	put(v2, "cpu.stat", "usage_usec 1\n"); /* there, but v1 has the controllers */
	put(v2, "memory.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=1\n");
	struct cgroup_stats stats = {0};
	cgroup_stats_read(&group, &stats);
	check_v1_figures(&stats);
	ck_assert_uint_eq(stats.known, CGROUP_CPU | CGROUP_MEMORY | CGROUP_MEMORY_STAT | CGROUP_FAULTS | CGROUP_SWAP |
					       CGROUP_PIDS | CGROUP_MEMORY_PSI);
}
END_TEST

START_TEST(v1_without_limits_and_swap_accounting)
{
	int fd = add_hierarchy("memory", false);
	put(fd, "memory.usage_in_bytes", "4096\n");
	put(fd, "memory.limit_in_bytes", "9223372036854771712\n");
	put(fd, "memory.stat", "total_rss 1\ntotal_inactive_file 2\ntotal_swap 0\n");
	struct cgroup_stats stats = {0};
	cgroup_stats_read(&group, &stats);
	ck_assert_uint_eq(stats.known, CGROUP_MEMORY | CGROUP_MEMORY_STAT);
	ck_assert_uint_eq(stats.memory_limit_bytes, CGROUP_UNLIMITED);
	put(fd, "memory.memsw.limit_in_bytes", "9223372036854771712\n");
	cgroup_stats_read(&group, &stats);
	ck_assert_uint_ne(stats.known & CGROUP_SWAP, 0);
	ck_assert_uint_eq(stats.swap_limit_bytes, CGROUP_UNLIMITED);
}
END_TEST

START_TEST(a_group_that_is_gone_knows_nothing)
{
	(void)add_hierarchy("memory", false);
	struct cgroup_stats stats = {.known = 7};
	cgroup_stats_read(&group, &stats);
	ck_assert_uint_eq(stats.known, 0);
	const struct cgroup none = {0};
	cgroup_stats_read(&none, &stats);
	ck_assert_uint_eq(stats.known, 0);
}
END_TEST

START_TEST(nonsense_is_no_figure)
{
	uint64_t value = 42;
	struct cgroup_psi psi = {0};
	static const char *const NUMBERS[] = {"", "\n", "-1\n", "1 2\n", "0x10\n", "18446744073709551616\n", "1\n2\n", "maxx\n"};
	for (size_t i = 0; i < ARRAY_COUNT(NUMBERS); i++)
		ck_assert_msg(!cgroup_stats_parse_number(NUMBERS[i], &value), "%s", NUMBERS[i]);
	static const char *const KEYS[] = {"", "anon", "anon\n", "anonymous 5\n", "anon x\n", "xanon 5\n", "anon 5 6\n"};
	for (size_t i = 0; i < ARRAY_COUNT(KEYS); i++)
		ck_assert_msg(!cgroup_stats_parse_key(KEYS[i], "anon", &value), "%s", KEYS[i]);
	static const char *const PRESSURES[] = {
		"", "some\n", "some avg10=0.00\n", "some avg10=0.0 avg60=0.00 avg300=0.00 total=1\n",
		"some avg10=0.00 avg60=0.00 avg300=0.00 total=-1\n", "full avg10=0.00 avg60=0.00 avg300=0.00 total=1\n",
		"some avg10=0.00 avg60=0.00 avg300=0.00 total=18446744073709551615\n",
		"some avg10=1001.00 avg60=0.00 avg300=0.00 total=1\n",
	};
	for (size_t i = 0; i < ARRAY_COUNT(PRESSURES); i++)
		ck_assert_msg(!cgroup_stats_parse_psi(PRESSURES[i], &psi), "%s", PRESSURES[i]);
	ck_assert_uint_eq(value, 42);
}
END_TEST

START_TEST(words_that_a_later_kernel_adds_are_skipped)
{
	struct cgroup_psi psi = {0};
	ck_assert(cgroup_stats_parse_psi("irq x=1\nsome avg10=0.01 avg60=0.00 avg300=0.00 avg900=0.00 total=1\n", &psi));
	ck_assert_uint_eq(psi.some.avg10, 1);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_checked_fixture(cases, set_up, tear_down);
	tcase_add_test(cases, v1_alone_has_no_pressure);
	tcase_add_test(cases, v2_alone);
	tcase_add_test(cases, the_mix_takes_figures_of_v1_and_pressure_of_v2);
	tcase_add_test(cases, v1_without_limits_and_swap_accounting);
	tcase_add_test(cases, a_group_that_is_gone_knows_nothing);
	tcase_add_test(cases, nonsense_is_no_figure);
	tcase_add_test(cases, words_that_a_later_kernel_adds_are_skipped);
}

TEST_MAIN("cgroup_stats", add_tests)
