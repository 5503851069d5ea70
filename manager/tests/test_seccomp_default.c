#include "manager/src/seccomp_default.h"

#include <linux/capability.h>
#include <seccomp.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/str.h"
#include "core/base/test_main.h"
#include "core/codec/oci_runtime.h"

/* The rules about @name that a container with @capabilities gets. */
static size_t rules_about(uint64_t capabilities, const char *name, const struct oci_seccomp_rule **ret_last)
{
	static struct arena arena = {.max = 1 << 20};
	const struct oci_seccomp *seccomp = NULL;
	ck_assert_int_eq(seccomp_default_make(capabilities, &arena, &seccomp), 0);
	ck_assert_str_eq(seccomp->default_action, "SCMP_ACT_ERRNO");
	size_t count = 0;
	for (size_t i = 0; i < seccomp->syscalls_count; i++) {
		if (!strv_contains(seccomp->syscalls[i].names, name))
			continue;
		*ret_last = &seccomp->syscalls[i];
		count++;
	}
	return count;
}

START_TEST(ordinary_calls_are_allowed_and_dangerous_ones_are_not)
{
	static const char *const ALLOWED[] = {"read", "openat2", "execve", "futex", "socketpair", "clock_gettime"};
	static const char *const REFUSED[] = {"mount",	 "bpf",	   "keyctl",	 "add_key",	   "io_uring_setup",
					      "userfaultfd", "reboot", "kexec_load", "open_by_handle_at", "unshare"};
	const struct oci_seccomp_rule *rule = NULL;
	for (size_t i = 0; i < sizeof ALLOWED / sizeof *ALLOWED; i++) {
		ck_assert_msg(rules_about(0, ALLOWED[i], &rule) == 1, "%s", ALLOWED[i]);
		ck_assert_str_eq(rule->action, "SCMP_ACT_ALLOW");
	}
	for (size_t i = 0; i < sizeof REFUSED / sizeof *REFUSED; i++)
		ck_assert_msg(rules_about(0, REFUSED[i], &rule) == 0, "%s", REFUSED[i]);
}
END_TEST

START_TEST(a_capability_brings_the_calls_it_is_about)
{
	const struct oci_seccomp_rule *rule = NULL;
	ck_assert_uint_eq(rules_about(UINT64_C(1) << CAP_SYS_ADMIN, "mount", &rule), 1);
	ck_assert_uint_eq(rules_about(UINT64_C(1) << CAP_SYS_TIME, "clock_settime", &rule), 1);
	ck_assert_uint_eq(rules_about(UINT64_C(1) << CAP_BPF, "bpf", &rule), 1);
	ck_assert_uint_eq(rules_about(UINT64_C(1) << CAP_SYS_TIME, "mount", &rule), 0);
}
END_TEST

START_TEST(only_an_administrator_makes_namespaces)
{
	const struct oci_seccomp_rule *rule = NULL;
	ck_assert_uint_eq(rules_about(0, "clone", &rule), 1);
	ck_assert_uint_eq(rule->args_count, 1);
	ck_assert_uint_eq(rule->args[0].value, 0x7e020000);
	ck_assert_uint_eq(rules_about(0, "clone3", &rule), 1);
	ck_assert_str_eq(rule->action, "SCMP_ACT_ERRNO");

	ck_assert_uint_eq(rules_about(UINT64_C(1) << CAP_SYS_ADMIN, "clone", &rule), 1);
	ck_assert_uint_eq(rule->args_count, 0);
	ck_assert_uint_eq(rules_about(UINT64_C(1) << CAP_SYS_ADMIN, "clone3", &rule), 1);
	ck_assert_str_eq(rule->action, "SCMP_ACT_ALLOW");
}
END_TEST

/* Two names that no machine has would be typing mistakes: each name is one that libseccomp knows, but for those that are
 * younger than it. */
START_TEST(every_name_is_a_system_call)
{
	static const char *const YOUNGER[] = {
		"cachestat", "fchmodat2", "futex_requeue", "futex_wait", "futex_wake", "getxattrat", "listmount",
		"listxattrat", "lsm_get_self_attr", "lsm_list_modules", "lsm_set_self_attr", "map_shadow_stack", "mseal",
		"open_tree_attr", "quotactl_fd", "removexattrat", "riscv_hwprobe", "set_mempolicy_home_node", "setxattrat",
		"statmount", "uretprobe", "memfd_secret", "process_mrelease", "futex_waitv", "riscv_flush_icache", NULL};
	struct arena arena = {.max = 1 << 20};
	const struct oci_seccomp *seccomp = NULL;
	ck_assert_int_eq(seccomp_default_make(UINT64_MAX, &arena, &seccomp), 0);
	for (size_t i = 0; i < seccomp->syscalls_count; i++)
		for (const char *const *name = seccomp->syscalls[i].names; *name; name++)
			if (!strv_contains(YOUNGER, *name))
				ck_assert_msg(seccomp_syscall_resolve_name(*name) != __NR_SCMP_ERROR, "%s", *name);
	arena_done(&arena);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, ordinary_calls_are_allowed_and_dangerous_ones_are_not);
	tcase_add_test(cases, a_capability_brings_the_calls_it_is_about);
	tcase_add_test(cases, only_an_administrator_makes_namespaces);
	tcase_add_test(cases, every_name_is_a_system_call);
}

TEST_MAIN("seccomp-default", add_tests)
