/* Options of `run`, through the parser, to what goes to the daemon. */
#include "cli/src/run_config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/src/names.h"
#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/base/test_main.h"

static struct arena arena = {.max = 1 << 20};
static struct run_options options;
static struct run_config config;

/* A command line lives as long as its program: each stays reachable, which is what the leak checker asks. */
static struct {
	char **words;
	struct run_options options;
} lines[64];
static size_t lines_count;

/* @line: words between blanks, as behind `axle`. */
static int make(const char *line, struct err *err)
{
	ck_assert_uint_lt(lines_count, ARRAY_COUNT(lines));
	char **words = str_split(line, ' ');
	int first = 0;
	options = RUN_DEFAULTS;
	int r = opt_parse(RUN_OPTIONS, words, false, &options, &first, err);
	lines[lines_count].words = words;
	lines[lines_count++].options = options;
	ck_assert_msg(r == 0, "%s: %s", line, err ? err->message : "");
	return run_config_make(&options, words[first], words + first + 1, &arena, &config, err);
}

static void make_well(const char *line)
{
	struct err err = {0};
	ck_assert_msg(make(line, &err) == 0, "%s: %s", line, err.message);
}

START_TEST(a_plain_run_is_private_and_confined)
{
	make_well("run img sh -c ls");
	ck_assert_str_eq(config.container.image->image, "img");
	ck_assert_uint_eq(config.container.n_command, 0);
	ck_assert_uint_eq(config.container.n_args, 3);
	ck_assert_str_eq(config.container.args[1], "-c");
	ck_assert_int_eq(config.pull, AXLE__PULL_POLICY__PULL_MISSING);
	ck_assert_str_eq(config.pod.metadata->name, config.container.metadata->name);
	ck_assert_str_eq(config.pod.metadata->namespace_, "axle");
	ck_assert(config.name_by_chance);
	const Cri__LinuxContainerSecurityContext *security = config.container.linux->security_context;
	ck_assert_int_eq(security->namespace_options->network, CRI__NAMESPACE_MODE__POD);
	ck_assert_int_eq(security->namespace_options->pid, CRI__NAMESPACE_MODE__CONTAINER);
	ck_assert_int_eq(security->seccomp->profile_type, CRI__SECURITY_PROFILE__PROFILE_TYPE__RuntimeDefault);
	ck_assert_uint_gt(security->n_masked_paths, 5);
	ck_assert_uint_gt(security->n_readonly_paths, 2);
	ck_assert(!config.container.stdin);
}
END_TEST

START_TEST(privileged_is_neither)
{
	make_well("run --privileged --network host --pid=host img");
	const Cri__LinuxContainerSecurityContext *security = config.container.linux->security_context;
	ck_assert(security->privileged);
	ck_assert(config.pod.linux->security_context->privileged);
	ck_assert_int_eq(security->namespace_options->network, CRI__NAMESPACE_MODE__NODE);
	ck_assert_int_eq(security->namespace_options->pid, CRI__NAMESPACE_MODE__NODE);
	ck_assert_int_eq(security->seccomp->profile_type, CRI__SECURITY_PROFILE__PROFILE_TYPE__Unconfined);
	ck_assert_uint_eq(security->n_masked_paths, 0);
}
END_TEST

START_TEST(limits_arrive_in_the_kernels_units)
{
	make_well("run -m 64m --memory-swap 128m --cpus 1.5 --pids-limit 20 -c 512 --cpuset-cpus 0-1 img");
	const Cri__LinuxContainerResources *resources = config.container.linux->resources;
	ck_assert_int_eq(resources->memory_limit_in_bytes, 64 << 20);
	ck_assert_int_eq(resources->memory_swap_limit_in_bytes, 128 << 20);
	ck_assert_int_eq(resources->cpu_period, 100000);
	ck_assert_int_eq(resources->cpu_quota, 150000);
	ck_assert_int_eq(resources->cpu_shares, 512);
	ck_assert_str_eq(resources->cpuset_cpus, "0-1");
	ck_assert_uint_eq(resources->n_unified, 1);
	ck_assert_str_eq(resources->unified[0]->key, "pids.max");
	ck_assert_str_eq(resources->unified[0]->value, "20");
}
END_TEST

START_TEST(users_go_by_number_or_by_name)
{
	make_well("run -u 1000:100 img");
	const Cri__LinuxContainerSecurityContext *security = config.container.linux->security_context;
	ck_assert_int_eq(security->run_as_user->value, 1000);
	ck_assert_int_eq(security->run_as_group->value, 100);
	make_well("run -u www img");
	security = config.container.linux->security_context;
	ck_assert_str_eq(security->run_as_username, "www");
	ck_assert_ptr_null(security->run_as_group);
	make_well("run -u www:staff img");
	ck_assert_str_eq(config.container.linux->security_context->run_as_username, "www:staff");
}
END_TEST

START_TEST(an_entry_point_replaces_the_images)
{
	make_well("run --entrypoint /bin/ls img -l /");
	ck_assert_uint_eq(config.container.n_command, 1);
	ck_assert_str_eq(config.container.command[0], "/bin/ls");
	ck_assert_uint_eq(config.container.n_args, 2);
	make_well("run --entrypoint= img echo hi");
	ck_assert_str_eq(config.container.command[0], "echo");
	ck_assert_uint_eq(config.container.n_args, 1);
	ck_assert_str_eq(config.container.args[0], "hi");
}
END_TEST

static const char *variable(const char *name)
{
	for (size_t i = 0; i < config.container.n_envs; i++)
		if (strcmp(config.container.envs[i]->key, name) == 0)
			return (const char *)config.container.envs[i]->value.data;
	return NULL;
}

START_TEST(variables_come_from_options_files_and_here)
{
	char path[] = "/tmp/axle-env-XXXXXX";
	int fd = mkstemp(path);
	static const char TEXT[] = "# a comment\n\nFROM_FILE=f=1\r\nBOTH=file\nTAKEN_OVER\n";
	ck_assert_int_eq(write(fd, TEXT, sizeof TEXT - 1), sizeof TEXT - 1);
	(void)close(fd);
	(void)setenv("TAKEN_OVER", "here", 1);
	(void)unsetenv("NOT_HERE");
	char line[256];
	(void)snprintf(line, sizeof line, "run --env-file %s -e BOTH=option -e EMPTY= -e NOT_HERE -t img", path);
	make_well(line);
	(void)unlink(path);
	ck_assert_str_eq(variable("FROM_FILE"), "f=1");
	ck_assert_str_eq(variable("BOTH"), "option");
	ck_assert_str_eq(variable("EMPTY"), "");
	ck_assert_str_eq(variable("TAKEN_OVER"), "here");
	ck_assert_ptr_null(variable("NOT_HERE"));
	ck_assert_ptr_nonnull(variable("TERM"));
}
END_TEST

START_TEST(volumes_name_the_host_and_the_place)
{
	make_well("run -v /tmp:/data:ro,rslave,noexec -v .:/here img");
	ck_assert_uint_eq(config.container.n_mounts, 2);
	const Cri__Mount *mount = config.container.mounts[0];
	ck_assert_str_eq(mount->container_path, "/data");
	ck_assert(mount->readonly);
	ck_assert_int_eq(mount->propagation, CRI__MOUNT_PROPAGATION__PROPAGATION_HOST_TO_CONTAINER);
	ck_assert_uint_eq(mount->n_mount_options, 1);
	char here[4096];
	ck_assert_str_eq(config.container.mounts[1]->host_path, getcwd(here, sizeof here));
	make_well("run --device /dev/null:/dev/nothing:r --device /dev/zero:rw img");
	ck_assert_str_eq(config.container.devices[0]->container_path, "/dev/nothing");
	ck_assert_str_eq(config.container.devices[0]->permissions, "r");
	ck_assert_str_eq(config.container.devices[1]->container_path, "/dev/zero");
	ck_assert_str_eq(config.container.devices[1]->permissions, "rw");
}
END_TEST

START_TEST(labels_and_signals)
{
	make_well("run -l a=b=c --label only --stop-signal usr1 --read-only --name my-web.1 -i img");
	ck_assert_str_eq(config.container.labels[0]->key, "a");
	ck_assert_str_eq(config.container.labels[0]->value, "b=c");
	ck_assert_str_eq(config.container.labels[1]->value, "");
	ck_assert_int_eq(config.container.stop_signal, CRI__SIGNAL__SIGNAL_SIGUSR1);
	ck_assert(config.container.linux->security_context->readonly_rootfs);
	ck_assert_str_eq(config.container.metadata->name, "my-web.1");
	ck_assert(!config.name_by_chance);
	ck_assert(config.container.stdin && config.container.stdin_once);
}
END_TEST

START_TEST(what_is_wrong_is_named_with_what_was_expected)
{
	static const char *const CASES[][3] = {
		{"run --network bridge img", "\"bridge\"", "host, none or private"},
		{"run --pid container:x img", "container:x", "host or private"},
		{"run --pull often img", "\"often\"", "missing, always or never"},
		{"run -p 80:80 --network host img", "--publish", "--network host"},
		{"run -P img", "--publish-all", "HOST:CONTAINER"},
		{"run --cpus 0 img", "\"0\"", "0.5"},
		{"run --cpus x img", "--cpus", "0.5"},
		{"run -v data:/x img", "volumes by name", "path of the host"},
		{"run -v /tmp:x img", "/tmp:x", "absolute PATH"},
		{"run -v /tmp:/x:shiny img", "\"shiny\"", "expected ro"},
		{"run -v /no/such/place:/x img", "/no/such/place", "No such file"},
		{"run -u :1 img", "\":1\"", "USER:GROUP"},
		{"run --name -x img", "\"-x\"", "letters"},
		{"run --name a/b img", "\"a/b\"", "letters"},
		{"run --stop-signal SIGFOO img", "SIGFOO", "SIGTERM"},
		{"run --security-opt apparmor=x img", "apparmor=x", "seccomp"},
		{"run --restart always img", "\"always\"", "expected no"},
		{"run -e =x img", "\"=x\"", "NAME=VALUE"},
		{"run --entrypoint= img", "--entrypoint", "a command"},
		{"run --group-add staff img", "\"staff\"", "number"},
		{"run -l =x img", "--label", "KEY=VALUE"},
		{"run -m 128m --memory-swap 64m img", "--memory-swap", "at least"},
		{"run --device tty img", "\"tty\"", "absolute"},
		{"run --env-file /no/such/file img", "/no/such/file", "No such file"},
	};
	for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
		struct err err = {0};
		ck_assert_msg(make(CASES[i][0], &err) < 0, "%s", CASES[i][0]);
		ck_assert_msg(strstr(err.message, CASES[i][1]) && strstr(err.message, CASES[i][2]), "%s: %s", CASES[i][0],
			      err.message);
	}
}
END_TEST

START_TEST(names_by_chance_are_valid_and_differ)
{
	char a[64], b[64];
	name_make(a);
	ck_assert(name_is_valid(a));
	int same = 0;
	for (int i = 0; i < 20; i++) {
		name_make(b);
		same += strcmp(a, b) == 0;
	}
	ck_assert_int_lt(same, 3);
}
END_TEST

START_TEST(ports_are_published)
{
	make_well("run -p 8080:80 -p 127.0.0.1:53:5353/udp -p [::1]:9000-9001:90-91/sctp --network private img");
	static const struct {
		const char *address;
		int host, container;
		Cri__Protocol protocol;
	} EXPECTED[] = {
		{"", 8080, 80, CRI__PROTOCOL__TCP},
		{"127.0.0.1", 53, 5353, CRI__PROTOCOL__UDP},
		{"::1", 9000, 90, CRI__PROTOCOL__SCTP},
		{"::1", 9001, 91, CRI__PROTOCOL__SCTP},
	};
	ck_assert_uint_eq(config.pod.n_port_mappings, ARRAY_COUNT(EXPECTED));
	for (size_t i = 0; i < ARRAY_COUNT(EXPECTED); i++) {
		const Cri__PortMapping *port = config.pod.port_mappings[i];
		ck_assert_str_eq(port->host_ip, EXPECTED[i].address);
		ck_assert_int_eq(port->host_port, EXPECTED[i].host);
		ck_assert_int_eq(port->container_port, EXPECTED[i].container);
		ck_assert_int_eq(port->protocol, EXPECTED[i].protocol);
	}
	ck_assert_uint_eq(config.pod.n_annotations, 0);
}
END_TEST

static const char *const NO_PORTS[] = {"80", ":80", "80:", "0:80", "80:65536", "80-81:80", "81-80:81-80", "80:80/xdp",
				       "80:80/", "a:80", "1:2:3:4-5"};

START_TEST(what_is_no_port_is_named)
{
	struct err err = {0};
	scoped_free char *line = str_printf("run -p %s img", NO_PORTS[_i]);
	ck_assert_int_eq(make(line, &err), -EINVAL);
	ck_assert_msg(strstr(err.message, NO_PORTS[_i]) && strstr(err.message, "HOST:CONTAINER"), "%s", err.message);
}
END_TEST

START_TEST(a_network_of_none_is_said_to_the_daemon)
{
	make_well("run --network none img");
	ck_assert_uint_eq(config.pod.n_annotations, 1);
	ck_assert_str_eq(config.pod.annotations[0]->key, "axle.network.mode");
	ck_assert_str_eq(config.pod.annotations[0]->value, "none");
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, ports_are_published);
	tcase_add_loop_test(cases, what_is_no_port_is_named, 0, ARRAY_COUNT(NO_PORTS));
	tcase_add_test(cases, a_network_of_none_is_said_to_the_daemon);
	tcase_add_test(cases, a_plain_run_is_private_and_confined);
	tcase_add_test(cases, privileged_is_neither);
	tcase_add_test(cases, limits_arrive_in_the_kernels_units);
	tcase_add_test(cases, users_go_by_number_or_by_name);
	tcase_add_test(cases, an_entry_point_replaces_the_images);
	tcase_add_test(cases, variables_come_from_options_files_and_here);
	tcase_add_test(cases, volumes_name_the_host_and_the_place);
	tcase_add_test(cases, labels_and_signals);
	tcase_add_test(cases, what_is_wrong_is_named_with_what_was_expected);
	tcase_add_test(cases, names_by_chance_are_valid_and_differ);
}

TEST_MAIN("cli-run-config", add_tests)
