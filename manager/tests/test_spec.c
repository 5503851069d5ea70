#include "manager/src/spec.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/base/test_main.h"
#include "manager/src/capability.h"
#include "manager/src/signals.h"

static const char *const NO_STRINGS[] = {NULL};
static const char *const IMAGE_ENV[] = {"PATH=/bin", "KEEP=1", NULL};
static const char *const ENTRYPOINT[] = {"/entry", NULL};
static const char *const CMD[] = {"default", NULL};

struct sample {
	struct arena arena;
	Cri__PodSandboxConfig pod;
	Cri__ContainerConfig container;
	Cri__LinuxContainerConfig linux_;
	Cri__LinuxContainerSecurityContext security;
	struct image_config image;
	struct spec_input input;
	struct oci_spec spec;
	struct spec_cuts cuts;
	struct err err;
};

static void init(struct sample *sample)
{
	*sample = (struct sample){.arena = {.max = 1 << 20}};
	cri__pod_sandbox_config__init(&sample->pod);
	cri__container_config__init(&sample->container);
	cri__linux_container_config__init(&sample->linux_);
	cri__linux_container_security_context__init(&sample->security);
	sample->linux_.security_context = &sample->security;
	sample->container.linux = &sample->linux_;
	sample->image = (struct image_config){
		.env = IMAGE_ENV, .entrypoint = ENTRYPOINT, .cmd = CMD, .working_dir = "/home", .user = "", .stop_signal = ""};
	sample->input = (struct spec_input){
		.pod = &sample->pod,
		.container = &sample->container,
		.image = &sample->image,
		.container_id = "c1",
		.pod_id = "p1",
		.rootfs = "/state/rootfs",
		.cgroup = "axle/pods/p1/c1",
		.pins = "/state/ns/p1",
		.files = "/state/pods/p1",
		.hostname = "host",
		.home = "/root",
		.capabilities = CAPABILITIES_ALL & ~(UINT64_C(1) << CAP_SYS_RESOURCE),
		.oom_score_floor = 100,
	};
}

static int build(struct sample *sample)
{
	return spec_build(&sample->input, &sample->arena, &sample->spec, &sample->cuts, &sample->err);
}

static const struct oci_mount *mount_at(const struct oci_spec *spec, const char *destination)
{
	for (size_t i = 0; i < spec->mounts_count; i++)
		if (str_equal(spec->mounts[i].destination, destination))
			return &spec->mounts[i];
	return NULL;
}

START_TEST(the_image_and_the_pod_give_what_the_container_does_not_say)
{
	struct sample sample;
	init(&sample);
	ck_assert_msg(build(&sample) == 0, "%s", sample.err.message);
	const struct oci_process *process = sample.spec.process;
	ck_assert_str_eq(process->args[0], "/entry");
	ck_assert_str_eq(process->args[1], "default");
	ck_assert_str_eq(process->cwd, "/home");
	ck_assert_str_eq(strv_env_get(process->env, "PATH"), "/bin");
	ck_assert_str_eq(strv_env_get(process->env, "HOSTNAME"), "host");
	ck_assert_str_eq(strv_env_get(process->env, "HOME"), "/root");
	ck_assert_str_eq(sample.spec.linux_->cgroups_path, "/axle/pods/p1/c1");
	ck_assert_str_eq(mount_at(&sample.spec, "/dev/shm")->source, "/state/pods/p1/shm");
	ck_assert_str_eq(mount_at(&sample.spec, "/etc/hosts")->source, "/state/pods/p1/hosts");
	ck_assert(strv_contains(sample.spec.linux_->masked_paths, "/proc/kcore"));
	ck_assert_int_eq(*process->oom_score_adj, 100);
	ck_assert_uint_eq(sample.cuts.count, 0);
	arena_done(&sample.arena);
}
END_TEST

static const struct {
	const char *command;
	const char *arg;
	const char *words[3];
} COMMANDS[] = {
	{NULL, NULL, {"/entry", "default", NULL}},
	{NULL, "a", {"/entry", "a", NULL}},
	{"c", NULL, {"c", NULL}},
	{"c", "a", {"c", "a", NULL}},
};

START_TEST(a_command_replaces_the_entry_point_and_its_arguments)
{
	struct sample sample;
	init(&sample);
	const char *command[] = {COMMANDS[_i].command};
	const char *args[] = {COMMANDS[_i].arg};
	sample.container.command = command;
	sample.container.n_command = COMMANDS[_i].command ? 1 : 0;
	sample.container.args = args;
	sample.container.n_args = COMMANDS[_i].arg ? 1 : 0;
	ck_assert_int_eq(build(&sample), 0);
	const char *const *words = sample.spec.process->args;
	for (size_t i = 0; i < 3; i++) {
		ck_assert_pstr_eq(words[i], COMMANDS[_i].words[i]);
		if (!words[i])
			break;
	}
	arena_done(&sample.arena);
}
END_TEST

START_TEST(nothing_to_run_is_an_error)
{
	struct sample sample;
	init(&sample);
	sample.image.entrypoint = NO_STRINGS;
	sample.image.cmd = NO_STRINGS;
	ck_assert_int_eq(build(&sample), -EINVAL);
	ck_assert_str_eq(sample.err.reason, "container.command");
	arena_done(&sample.arena);
}
END_TEST

START_TEST(what_axled_may_not_give_is_cut_and_told)
{
	struct sample sample;
	init(&sample);
	const char *add[] = {"sys_resource", "NET_ADMIN"};
	Cri__Capability change = CRI__CAPABILITY__INIT;
	Cri__LinuxContainerResources resources = CRI__LINUX_CONTAINER_RESOURCES__INIT;
	change.add_capabilities = add;
	change.n_add_capabilities = 2;
	resources.oom_score_adj = -500;
	sample.security.capabilities = &change;
	sample.linux_.resources = &resources;
	ck_assert_int_eq(build(&sample), 0);
	const struct oci_capabilities *capabilities = sample.spec.process->capabilities;
	ck_assert(strv_contains(capabilities->bounding, "CAP_NET_ADMIN"));
	ck_assert(!strv_contains(capabilities->bounding, "CAP_SYS_RESOURCE"));
	ck_assert_ptr_null(capabilities->ambient);
	ck_assert_uint_eq(sample.cuts.count, 2);
	ck_assert_ptr_nonnull(strstr(sample.cuts.lines[0], "CAP_SYS_RESOURCE"));
	ck_assert_int_eq(*sample.spec.process->oom_score_adj, 100);
	arena_done(&sample.arena);
}
END_TEST

START_TEST(a_privileged_container_has_nothing_masked)
{
	struct sample sample;
	init(&sample);
	sample.security.privileged = true;
	ck_assert_int_eq(build(&sample), 0);
	ck_assert_ptr_null(sample.spec.linux_->masked_paths);
	ck_assert_ptr_null(sample.spec.linux_->readonly_paths);
	ck_assert_ptr_null(sample.spec.linux_->seccomp);
	ck_assert(sample.spec.linux_->resources->devices[0].allow);
	ck_assert(strv_contains(mount_at(&sample.spec, "/sys")->options, "rw"));
	arena_done(&sample.arena);
}
END_TEST

START_TEST(parents_are_mounted_before_what_lies_below_them)
{
	struct sample sample;
	init(&sample);
	Cri__Mount deep = CRI__MOUNT__INIT;
	Cri__Mount shallow = CRI__MOUNT__INIT;
	Cri__Mount *mounts[] = {&deep, &shallow};
	deep.container_path = "/data/a/b";
	deep.host_path = "/tmp";
	deep.propagation = CRI__MOUNT_PROPAGATION__PROPAGATION_HOST_TO_CONTAINER;
	shallow.container_path = "/data";
	shallow.host_path = "/tmp";
	shallow.readonly = true;
	sample.container.mounts = mounts;
	sample.container.n_mounts = 2;
	ck_assert_int_eq(build(&sample), 0);
	ck_assert(mount_at(&sample.spec, "/data") < mount_at(&sample.spec, "/data/a/b"));
	ck_assert(strv_contains(mount_at(&sample.spec, "/data")->options, "ro"));
	ck_assert(strv_contains(mount_at(&sample.spec, "/data/a/b")->options, "rslave"));
	ck_assert_str_eq(sample.spec.linux_->rootfs_propagation, "rslave");
	arena_done(&sample.arena);
}
END_TEST

static const struct {
	const char *text;
	int number;
} SIGNALS[] = {
	{"SIGTERM", 15}, {"term", 15},	    {"9", 9},	       {"SIGRTMIN", 34}, {"SIGRTMIN+3", 37}, {"rtmax-1", 63},
	{"", 0},	 {"SIGNOTHING", 0}, {"0", 0},	       {"65", 0},	 {"SIGRTMIN+31", 0}, {"RTMIN3", 0},
};

START_TEST(signals_are_known_by_every_spelling)
{
	ck_assert_int_eq(signal_parse(SIGNALS[_i].text), SIGNALS[_i].number);
}
END_TEST

START_TEST(signals_of_cri_are_those_of_the_kernel)
{
	ck_assert_int_eq(signal_of_cri(CRI__SIGNAL__SIGNAL_SIGKILL), 9);
	ck_assert_int_eq(signal_of_cri(CRI__SIGNAL__SIGNAL_SIGRTMINPLUS3), 37);
	ck_assert_int_eq(signal_of_cri(CRI__SIGNAL__SIGNAL_SIGRTMAXMINUS1), 63);
	ck_assert_int_eq(signal_of_cri(CRI__SIGNAL__SIGNAL_RUNTIME_DEFAULT), 0);
	ck_assert_int_eq((int)signal_to_cri(10), (int)CRI__SIGNAL__SIGNAL_SIGUSR1);
	for (int i = 1; i <= CRI__SIGNAL__SIGNAL_SIGRTMAX; i++)
		ck_assert_int_ne(signal_of_cri((Cri__Signal)i), 0);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, the_image_and_the_pod_give_what_the_container_does_not_say);
	tcase_add_loop_test(cases, a_command_replaces_the_entry_point_and_its_arguments, 0, ARRAY_COUNT(COMMANDS));
	tcase_add_test(cases, nothing_to_run_is_an_error);
	tcase_add_test(cases, what_axled_may_not_give_is_cut_and_told);
	tcase_add_test(cases, a_privileged_container_has_nothing_masked);
	tcase_add_test(cases, parents_are_mounted_before_what_lies_below_them);
	tcase_add_loop_test(cases, signals_are_known_by_every_spelling, 0, ARRAY_COUNT(SIGNALS));
	tcase_add_test(cases, signals_of_cri_are_those_of_the_kernel);
}

TEST_MAIN("spec", add_tests)
