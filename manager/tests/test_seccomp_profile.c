#include "manager/src/seccomp_profile.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/base/test_main.h"
#include "core/codec/oci_runtime.h"

#if defined(__x86_64__)
#define HERE "amd64"
#define ARCHITECTURE "SCMP_ARCH_X86_64"
#else
#define HERE "arm64"
#define ARCHITECTURE "SCMP_ARCH_AARCH64"
#endif

struct sample {
	struct arena arena;
	const struct oci_seccomp *seccomp;
	struct err err;
};

static int parse(struct sample *sample, const char *text, uint64_t capabilities)
{
	*sample = (struct sample){.arena = {.max = 1 << 20}};
	return seccomp_profile_parse("p", text, strlen(text), capabilities, "5.15.0-91-generic", &sample->arena,
				     &sample->seccomp, &sample->err);
}

START_TEST(the_plain_form_stays_as_it_is)
{
	struct sample sample;
	int r = parse(&sample,
		      "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"defaultErrnoRet\":38,\"architectures\":[\"SCMP_ARCH_X32\"],"
		      "\"flags\":[\"SECCOMP_FILTER_FLAG_LOG\"],\"syscalls\":[{\"names\":[\"a\",\"b\"],\"action\":\"SCMP_ACT_ERRNO\","
		      "\"errnoRet\":1,\"args\":[{\"index\":1,\"value\":2,\"valueTwo\":3,\"op\":\"SCMP_CMP_MASKED_EQ\"}]}]}",
		      0);
	ck_assert_msg(r == 0, "%s", sample.err.message);
	const struct oci_seccomp *seccomp = sample.seccomp;
	ck_assert_str_eq(seccomp->default_action, "SCMP_ACT_ALLOW");
	ck_assert_uint_eq(*seccomp->default_errno_ret, 38);
	ck_assert_str_eq(seccomp->architectures[0], "SCMP_ARCH_X32");
	ck_assert_str_eq(seccomp->flags[0], "SECCOMP_FILTER_FLAG_LOG");
	ck_assert_uint_eq(seccomp->syscalls_count, 1);
	ck_assert_str_eq(seccomp->syscalls[0].names[1], "b");
	ck_assert_uint_eq(*seccomp->syscalls[0].errno_ret, 1);
	ck_assert_uint_eq(seccomp->syscalls[0].args[0].value_two, 3);
	arena_done(&sample.arena);
}
END_TEST

START_TEST(dockers_form_is_made_plain)
{
	struct sample sample;
	int r = parse(&sample,
		      "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrno\":\"ENOSYS\",\"archMap\":["
		      "{\"architecture\":\"SCMP_ARCH_S390X\",\"subArchitectures\":[\"SCMP_ARCH_S390\"]},"
		      "{\"architecture\":\"" ARCHITECTURE "\",\"subArchitectures\":[\"SCMP_ARCH_X86\"]}],"
		      "\"syscalls\":[{\"name\":\"one\",\"action\":\"SCMP_ACT_ERRNO\",\"errno\":\"EPERM\"}]}",
		      0);
	ck_assert_msg(r == 0, "%s", sample.err.message);
	ck_assert_uint_eq(*sample.seccomp->default_errno_ret, ENOSYS);
	ck_assert_str_eq(sample.seccomp->architectures[0], ARCHITECTURE);
	ck_assert_str_eq(sample.seccomp->architectures[1], "SCMP_ARCH_X86");
	ck_assert_ptr_null(sample.seccomp->architectures[2]);
	ck_assert_str_eq(sample.seccomp->syscalls[0].names[0], "one");
	ck_assert_ptr_null(sample.seccomp->syscalls[0].names[1]);
	ck_assert_uint_eq(*sample.seccomp->syscalls[0].errno_ret, EPERM);
	arena_done(&sample.arena);
}
END_TEST

/* A rule with these conditions, for a container with CAP_SYS_ADMIN and CAP_KILL on kernel 5.15. */
static const struct {
	const char *conditions;
	bool holds;
} CONDITIONS[] = {
	{"\"includes\":{}", true},
	{"\"includes\":null,\"excludes\":null", true},
	{"\"includes\":{\"caps\":[\"CAP_SYS_ADMIN\"]}", true},
	{"\"includes\":{\"caps\":[\"CAP_SYS_ADMIN\",\"CAP_SYSLOG\"]}", false},
	{"\"excludes\":{\"caps\":[\"CAP_SYSLOG\"]}", true},
	{"\"excludes\":{\"caps\":[\"CAP_SYSLOG\",\"CAP_KILL\"]}", false},
	{"\"includes\":{\"arches\":[\"" HERE "\",\"s390x\"]}", true},
	{"\"includes\":{\"arches\":[\"s390x\"]}", false},
	{"\"excludes\":{\"arches\":[\"" HERE "\"]}", false},
	{"\"includes\":{\"minKernel\":\"4.8\"}", true},
	{"\"includes\":{\"minKernel\":\"5.15\"}", true},
	{"\"includes\":{\"minKernel\":\"5.16\"}", false},
	{"\"includes\":{\"minKernel\":\"6.1\"}", false},
	{"\"excludes\":{\"minKernel\":\"5.1\"}", false},
};

START_TEST(conditions_of_a_rule)
{
	struct sample sample;
	char text[512];
	(void)snprintf(text, sizeof text,
		       "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"names\":[\"x\"],\"action\":\"SCMP_ACT_ALLOW\",%s}]}",
		       CONDITIONS[_i].conditions);
	int r = parse(&sample, text, UINT64_C(1) << CAP_SYS_ADMIN | UINT64_C(1) << CAP_KILL);
	ck_assert_msg(r == 0, "%s: %s", text, sample.err.message);
	ck_assert_msg(sample.seccomp->syscalls_count == CONDITIONS[_i].holds, "%s", text);
	arena_done(&sample.arena);
}
END_TEST

static const struct {
	const char *text;
	const char *words;
} REFUSED[] = {
	{"{", "line 1"},
	{"{\"syscalls\":[]}", "defaultAction"},
	{"{\"defaultAction\":\"A\",\"defaultErrno\":\"EWHAT\"}", "EWHAT"},
	{"{\"defaultAction\":\"A\",\"architectures\":[\"SCMP_ARCH_X86\"],\"archMap\":[{\"architecture\":\"x\"}]}", "not both"},
	{"{\"defaultAction\":\"A\",\"syscalls\":[{\"action\":\"B\"}]}", "names"},
	{"{\"defaultAction\":\"A\",\"syscalls\":[{\"name\":\"x\",\"names\":[\"y\"],\"action\":\"B\"}]}", "either name or names"},
	{"{\"defaultAction\":\"A\",\"syscalls\":[{\"name\":\"x\",\"action\":\"B\",\"includes\":{\"caps\":[\"CAP_X\"]}}]}", "CAP_X"},
	{"{\"defaultAction\":\"A\",\"syscalls\":[{\"name\":\"x\",\"action\":\"B\",\"includes\":{\"minKernel\":\"new\"}}]}", "minKernel"},
};

START_TEST(what_is_wrong_is_named)
{
	struct sample sample;
	ck_assert_int_eq(parse(&sample, REFUSED[_i].text, 0), -EINVAL);
	ck_assert_msg(strstr(sample.err.message, REFUSED[_i].words), "%s: %s", REFUSED[_i].text, sample.err.message);
	arena_done(&sample.arena);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, the_plain_form_stays_as_it_is);
	tcase_add_test(cases, dockers_form_is_made_plain);
	tcase_add_loop_test(cases, conditions_of_a_rule, 0, ARRAY_COUNT(CONDITIONS));
	tcase_add_loop_test(cases, what_is_wrong_is_named, 0, ARRAY_COUNT(REFUSED));
}
TEST_MAIN("seccomp-profile", add_tests)
