/* What a pod may ask for, without a node. */
#include <errno.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/test_main.h"
#include "manager/src/config.h"
#include "manager/src/pod_security.h"
#include "manager/src/pod_sysctls.h"
#include "manager/src/pod_user.h"

/* A pod's configuration with every part that the tests change. */
struct request {
	Cri__PodSandboxConfig pod;
	Cri__LinuxPodSandboxConfig linux_;
	Cri__LinuxSandboxSecurityContext security;
	Cri__NamespaceOption namespaces;
	Cri__UserNamespace user;
	Cri__IDMapping range;
	Cri__IDMapping *ranges[2];
	Cri__MapEntry sysctl;
	Cri__MapEntry *sysctls[1];
};

static void request_init(struct request *request)
{
	cri__pod_sandbox_config__init(&request->pod);
	cri__linux_pod_sandbox_config__init(&request->linux_);
	cri__linux_sandbox_security_context__init(&request->security);
	cri__namespace_option__init(&request->namespaces);
	cri__user_namespace__init(&request->user);
	cri__idmapping__init(&request->range);
	cri__map_entry__init(&request->sysctl);
	request->pod.linux = &request->linux_;
	request->linux_.security_context = &request->security;
	request->security.namespace_options = &request->namespaces;
	request->range.host_id = 100000;
	request->range.length = 65536;
	request->ranges[0] = request->ranges[1] = &request->range;
	request->sysctls[0] = &request->sysctl;
	request->sysctl.value = "1";
}

static void ask_for_user(struct request *request, size_t uids, size_t gids)
{
	request->namespaces.userns_options = &request->user;
	request->user.uids = request->ranges;
	request->user.n_uids = uids;
	request->user.gids = request->ranges;
	request->user.n_gids = gids;
}

static int check_sysctl(struct request *request, const char *name, const char *const *allowed)
{
	const struct config_pods pods = {.unsafe_sysctls = allowed};
	request->linux_.sysctls = request->sysctls;
	request->linux_.n_sysctls = 1;
	request->sysctl.key = name;
	return pod_sysctls_check(&request->pod, &pods, NULL);
}

START_TEST(one_range_from_zero_is_a_user_namespace)
{
	struct request request;
	struct pod_user user = {0};
	request_init(&request);
	ck_assert_int_eq(pod_user_parse(NULL, &user, NULL), 0);
	ck_assert(!user.own);
	ask_for_user(&request, 1, 1);
	ck_assert_int_eq(pod_user_parse(&request.namespaces, &user, NULL), 0);
	ck_assert(user.own);
	ck_assert_uint_eq(user.host_uid, 100000);
	ck_assert_uint_eq(user.gid_count, 65536);
	ck_assert_uint_eq(pod_user_init_uid(&user), 65535);
	request.user.mode = CRI__NAMESPACE_MODE__NODE;
	ck_assert_int_eq(pod_user_parse(&request.namespaces, &user, NULL), -EINVAL);
	ask_for_user(&request, 0, 0);
	ck_assert_int_eq(pod_user_parse(&request.namespaces, &user, NULL), 0);
	ck_assert(!user.own);
}
END_TEST

START_TEST(other_ranges_are_refused)
{
	static const size_t COUNTS[][2] = {{0, 0}, {1, 0}, {0, 1}, {2, 1}, {1, 2}};
	static const Cri__IDMapping RANGES[] = {
		{.container_id = 1, .host_id = 100000, .length = 1},
		{.container_id = 0, .host_id = 100000, .length = 0},
		{.container_id = 0, .host_id = UINT32_MAX, .length = 1},
		{.container_id = 0, .host_id = 1, .length = UINT32_MAX},
	};
	struct request request;
	struct pod_user user = {0};
	for (size_t i = 0; i < ARRAY_COUNT(COUNTS); i++) {
		request_init(&request);
		ask_for_user(&request, COUNTS[i][0], COUNTS[i][1]);
		ck_assert_int_eq(pod_user_parse(&request.namespaces, &user, NULL), -EINVAL);
	}
	for (size_t i = 0; i < ARRAY_COUNT(RANGES); i++) {
		request_init(&request);
		ask_for_user(&request, 1, 1);
		request.range.container_id = RANGES[i].container_id;
		request.range.host_id = RANGES[i].host_id;
		request.range.length = RANGES[i].length;
		ck_assert_int_eq(pod_user_parse(&request.namespaces, &user, NULL), -EINVAL);
	}
}
END_TEST

START_TEST(sysctls_of_own_namespaces_are_allowed)
{
	static const char *const NAMES[] = {"net.ipv4.ip_forward",     "net/ipv4/ip_forward", "net.ipv4.conf.eth0/1.forwarding",
					    "kernel.shm_rmid_forced", "kernel.msgmax",	     "kernel.sem",
					    "fs.mqueue.msg_max",      "kernel.domainname"};
	struct request request;
	request_init(&request);
	for (size_t i = 0; i < ARRAY_COUNT(NAMES); i++)
		ck_assert_msg(check_sysctl(&request, NAMES[i], NULL) == 0, "%s", NAMES[i]);
}
END_TEST

START_TEST(sysctls_of_the_host_are_refused)
{
	static const char *const NAMES[] = {"kernel.panic", "vm.swappiness", "kernel.hostname", "net", "", ".", "kernel.semx",
					    "net..ipv4", "../kernel/panic", "net/../kernel/panic", "kernel.shmmaxx"};
	struct request request;
	request_init(&request);
	for (size_t i = 0; i < ARRAY_COUNT(NAMES); i++)
		ck_assert_msg(check_sysctl(&request, NAMES[i], NULL) == -EINVAL, "%s", NAMES[i]);
	request.namespaces.network = CRI__NAMESPACE_MODE__NODE;
	ck_assert_int_eq(check_sysctl(&request, "net.ipv4.ip_forward", NULL), -EINVAL);
	ck_assert_int_eq(check_sysctl(&request, "kernel.domainname", NULL), -EINVAL);
	ck_assert_int_eq(check_sysctl(&request, "kernel.sem", NULL), 0);
	request.namespaces.ipc = CRI__NAMESPACE_MODE__NODE;
	ck_assert_int_eq(check_sysctl(&request, "kernel.sem", NULL), -EINVAL);
}
END_TEST

START_TEST(unsafe_sysctls_need_the_configuration)
{
	static const char *const NONE[] = {NULL};
	static const char *const SOME[] = {"net.core.*", "kernel.sem", NULL};
	struct request request;
	request_init(&request);
	ck_assert_int_eq(check_sysctl(&request, "kernel.shm_rmid_forced", NONE), 0); /* safe */
	ck_assert_int_eq(check_sysctl(&request, "net/ipv4/tcp_syncookies", NONE), 0);
	ck_assert_int_eq(check_sysctl(&request, "kernel.sem", NONE), -EPERM);
	ck_assert_int_eq(check_sysctl(&request, "kernel.sem", SOME), 0);
	ck_assert_int_eq(check_sysctl(&request, "net.core.somaxconn", SOME), 0);
	ck_assert_int_eq(check_sysctl(&request, "net.core", SOME), -EPERM);
	ck_assert_int_eq(check_sysctl(&request, "net.ipv4.ip_forward", SOME), -EPERM);
}
END_TEST

START_TEST(cgroup_parents_are_paths)
{
	static const struct {
		const char *parent;
		int result;
	} CASES[] = {
		{"", 0},	     {"/kubepods/pod1", 0},		{"kubepods", 0},
		{"/a.slice/b.slice", 0}, {"kubepods-pod1.slice", -EINVAL}, {"/a/../b", -EINVAL},
		{"..", -EINVAL},     {"/a/./b", -EINVAL},
	};
	struct request request;
	request_init(&request);
	for (size_t i = 0; i < ARRAY_COUNT(CASES); i++) {
		request.linux_.cgroup_parent = CASES[i].parent;
		ck_assert_msg(pod_check_security(&request.pod, NULL) == CASES[i].result, "%s", CASES[i].parent);
	}
}
END_TEST

START_TEST(a_user_namespace_wants_pid_and_ipc_of_its_own)
{
	struct request request;
	request_init(&request);
	ask_for_user(&request, 1, 1);
	ck_assert_int_eq(pod_check_security(&request.pod, NULL), 0);
	request.namespaces.network = CRI__NAMESPACE_MODE__NODE;
	ck_assert_int_eq(pod_check_security(&request.pod, NULL), 0);
	request.namespaces.pid = CRI__NAMESPACE_MODE__NODE;
	ck_assert_int_eq(pod_check_security(&request.pod, NULL), -EINVAL);
	request.namespaces.pid = CRI__NAMESPACE_MODE__TARGET;
	ck_assert_int_eq(pod_check_security(&request.pod, NULL), -EINVAL);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, one_range_from_zero_is_a_user_namespace);
	tcase_add_test(cases, other_ranges_are_refused);
	tcase_add_test(cases, sysctls_of_own_namespaces_are_allowed);
	tcase_add_test(cases, sysctls_of_the_host_are_refused);
	tcase_add_test(cases, unsafe_sysctls_need_the_configuration);
	tcase_add_test(cases, cgroup_parents_are_paths);
	tcase_add_test(cases, a_user_namespace_wants_pid_and_ipc_of_its_own);
}

TEST_MAIN("pod-checks", add_tests)
