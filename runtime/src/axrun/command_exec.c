/* exec: a further process in a running container. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/opt.h"
#include "core/base/parse.h"
#include "core/base/str.h"
#include "core/codec/oci_runtime.h"
#include "core/sys/cgroup.h"
#include "core/sys/fd.h"
#include "core/sys/pidfd.h"
#include "runtime/src/axrun/commands.h"
#include "runtime/src/axrun/config.h"
#include "runtime/src/axrun/foreground.h"
#include "runtime/src/axrun/launch.h"
#include "runtime/src/axrun/launcher.h"
#include "runtime/src/axrun/state.h"

struct exec_options {
	const char *process;
	const char *pid_file;
	const char *console_socket;
	const char *user;
	const char *cwd;
	const char *cgroup;
	const char *apparmor;
	const char *label;
	char **env;
	char **caps;
	char **groups;
	uint64_t preserve_fds;
	bool tty;
	bool detach;
	bool no_new_privileges;
	bool ignore_paused;
	bool no_subreaper;
};

#define AT(member) offsetof(struct exec_options, member)
static const struct opt OPTIONS[] = {
	{'c', "cap", "CAP", OPT_STRINGS, AT(caps), "add a capability"},
	{'d', "detach", NULL, OPT_FLAG, AT(detach), "do not wait for the process"},
	{'e', "env", "NAME=VALUE", OPT_STRINGS, AT(env), "set an environment variable"},
	{'g', "additional-gids", "GID", OPT_STRINGS, AT(groups), "add a group"},
	{'p', "process", "FILE", OPT_STRING, AT(process), "take the process from this process.json"},
	{'t', "tty", NULL, OPT_FLAG, AT(tty), "give it a terminal"},
	{'u', "user", "UID[:GID]", OPT_STRING, AT(user), "run as this user"},
	{0, "apparmor", "PROFILE", OPT_STRING, AT(apparmor), "AppArmor profile"},
	{0, "cgroup", "PATH", OPT_STRING, AT(cgroup), "enter this group below the container's"},
	{0, "console-socket", "PATH", OPT_STRING, AT(console_socket), "send the terminal's master to this socket"},
	{0, "cwd", "DIR", OPT_STRING, AT(cwd), "working directory"},
	{0, "ignore-paused", NULL, OPT_FLAG, AT(ignore_paused), "also in a paused container (waits until it is resumed)"},
	{0, "no-new-privs", NULL, OPT_FLAG, AT(no_new_privileges), "set no_new_privs"},
	{0, "no-subreaper", NULL, OPT_FLAG, AT(no_subreaper), NULL},
	{0, "pid-file", "PATH", OPT_STRING, AT(pid_file), "write the process's pid here"},
	{0, "preserve-fds", "N", OPT_U64, AT(preserve_fds), "leave descriptors 3 to 2+N open in the process"},
	{0, "process-label", "LABEL", OPT_STRING, AT(label), "SELinux label"},
	{0},
};

static void options_done(struct exec_options *options)
{
	strv_free(options->env);
	strv_free(options->caps);
	strv_free(options->groups);
}

/* "1000" or "1000:100": ids, as runc takes them; names belong to the image, which callers look into. */
static int parse_user(const char *text, struct oci_user *user, struct err *err)
{
	scoped(strv_free) char **parts = str_split(text, ':');
	uint64_t uid = 0, gid = user->gid;
	size_t count = strv_count((const char *const *)parts);
	if (count < 1 || count > 2 || parse_u64(parts[0], 0, UINT32_MAX - 1, &uid) < 0 ||
	    (count == 2 && parse_u64(parts[1], 0, UINT32_MAX - 1, &gid) < 0))
		return err_set(err, -EINVAL, "option.value", "option --user: \"%s\": expected UID or UID:GID in numbers", text);
	user->uid = (uint32_t)uid;
	user->gid = (uint32_t)gid;
	return 0;
}

static int add_groups(char **texts, struct arena *arena, struct oci_user *user, struct err *err)
{
	size_t count = strv_count((const char *const *)texts);
	if (count == 0)
		return 0;
	size_t before = user->additional_gids_count;
	uint32_t *groups = arena_array(arena, before + count, sizeof *groups);
	if (!groups)
		return err_sys(err, -ENOMEM, "exec.process", "groups");
	if (before > 0)
		memcpy(groups, user->additional_gids, before * sizeof *groups);
	for (size_t i = 0; i < count; i++) {
		uint64_t gid = 0;
		if (parse_u64(texts[i], 0, UINT32_MAX - 1, &gid) < 0)
			return err_set(err, -EINVAL, "option.value", "option --additional-gids: \"%s\": expected a number",
				       texts[i]);
		groups[before + i] = (uint32_t)gid;
	}
	user->additional_gids = groups;
	user->additional_gids_count = before + count;
	return 0;
}

/* Two vectors as one, in the arena. */
static const char *const *join(struct arena *arena, const char *const *first, char **second)
{
	size_t count = strv_count(first), more = strv_count((const char *const *)second);
	const char **joined = arena_array(arena, count + more + 1, sizeof *joined);
	for (size_t i = 0; joined && i < count; i++)
		joined[i] = first[i];
	for (size_t i = 0; joined && i < more; i++)
		joined[count + i] = second[i];
	return joined;
}

/* The container's environment, in which the command line's assignments take the place of those to the same name. */
static const char *const *merge_env(struct arena *arena, const char *const *env, char **changes)
{
	size_t count = strv_count(env), at = 0;
	const char **kept = arena_array(arena, count + 1, sizeof *kept);
	for (size_t i = 0; kept && i < count; i++) {
		char *name = arena_strndup(arena, env[i], strcspn(env[i], "="));
		if (!name)
			return NULL;
		if (!strv_env_get((const char *const *)changes, name))
			kept[at++] = env[i];
	}
	return kept ? join(arena, kept, changes) : NULL;
}

/* Each of the sets that make a capability effective for the program gets the additional ones. */
static int add_caps(char **caps, struct arena *arena, struct oci_process *process, struct err *err)
{
	if (!caps)
		return 0;
	for (size_t i = 0; caps[i]; i++)
		if (capability_parse(caps[i]) < 0)
			return err_set(err, -EINVAL, "option.value", "option --cap: unknown capability \"%s\"", caps[i]);
	struct oci_capabilities *sets = arena_alloc(arena, sizeof *sets);
	if (!sets)
		return err_sys(err, -ENOMEM, "exec.process", "capabilities");
	if (process->capabilities)
		*sets = *process->capabilities;
	sets->bounding = join(arena, sets->bounding, caps);
	sets->effective = join(arena, sets->effective, caps);
	sets->permitted = join(arena, sets->permitted, caps);
	if (process->user.uid != 0) { /* only ambient ones survive execve(2) of such a user */
		sets->inheritable = join(arena, sets->inheritable, caps);
		sets->ambient = join(arena, sets->ambient, caps);
	}
	process->capabilities = sets;
	return 0;
}

/* The process by the container's own, changed by the command line. */
static int build_process(const struct exec_options *options, char **args, struct arena *arena,
			 struct oci_process *process, struct err *err)
{
	process->args = (const char *const *)args;
	process->terminal = options->tty;
	if (options->user) {
		int r = parse_user(options->user, &process->user, err);
		if (r < 0)
			return r;
	}
	process->no_new_privileges |= options->no_new_privileges;
	if (options->cwd)
		process->cwd = options->cwd;
	if (options->apparmor)
		process->apparmor_profile = options->apparmor;
	if (options->label)
		process->selinux_label = options->label;
	process->env = merge_env(arena, process->env, options->env);
	if (!process->env)
		return err_sys(err, -ENOMEM, "exec.process", "environment");
	int r = add_groups(options->groups, arena, &process->user, err);
	if (r == 0)
		r = add_caps(options->caps, arena, process, err);
	return r < 0 ? r : config_check_process("exec", process, err);
}

static int load_process(const struct exec_options *options, char **args, struct arena *arena,
			const struct oci_spec *spec, struct oci_process *ret_process, struct err *err)
{
	if (options->process) {
		if (*args)
			return err_set(err, -EINVAL, "option.arguments", "exec: expected either --process or a command");
		int r = config_load_process(options->process, arena, ret_process, err);
		ret_process->terminal |= options->tty;
		return r;
	}
	if (!*args)
		return err_set(err, -EINVAL, "option.arguments", "exec: expected ID COMMAND [ARGUMENT]...");
	if (spec->process)
		*ret_process = *spec->process;
	return build_process(options, args, arena, ret_process, err);
}

struct joining {
	struct cgroup_layout layout;
	struct cgroup group;
	struct launch launch;
	struct launch_options launch_options;
	int container_pidfd;
};

static int open_cgroup(struct joining *joining, const struct container *container, const char *below, struct err *err)
{
	if (!container->state.cgroup)
		return 0;
	int r = cgroup_layout_open(CGROUP_ROOT, &joining->layout, err);
	if (r < 0 || joining->layout.count == 0)
		return r;
	char path[512];
	if (below && (size_t)snprintf(path, sizeof path, "%s/%s", container->state.cgroup, below) >= sizeof path)
		return err_set(err, -EINVAL, "option.value", "option --cgroup: path too long");
	r = cgroup_open(&joining->layout, below ? path : container->state.cgroup, &joining->group);
	return r < 0 ? err_sys(err, r, "exec.cgroup", "cgroup of container %s", container->id) : 0;
}

static int prepare(struct joining *joining, const struct container *container, const struct oci_spec *spec,
		   const struct oci_process *process, struct err *err)
{
	struct launch *launch = &joining->launch;
	launch->options = &joining->launch_options;
	launch->id = container->id;
	launch->bundle = container->state.bundle;
	launch->spec = spec;
	launch->process = process;
	launch->new_namespaces = container->state.namespaces;
	launch->any_user = launch->new_namespaces & CLONE_NEWUSER;
	launch->group = &joining->group;
	launch->proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	uint64_t available = launch->any_user ? ~(uint64_t)0 : capability_bounding_set();
	capability_sets_from_oci(process->capabilities, available, &launch->capabilities);
	int r = launcher_prepare_seccomp(launch, container->root_fd, err);
	if (r == 0 && joining->group.layout)
		r = cgroup_open_entries(&joining->group, false, launch->entries, err);
	return r;
}

static int await_ready_and_go(struct joining *joining, struct launched *launched, struct err *err)
{
	int r = launcher_await_ready(&joining->launch, launched, err);
	if (r < 0)
		return r;
	if (joining->launch_options.pid_file) {
		char text[16];
		int length = snprintf(text, sizeof text, "%d", launched->pid);
		r = file_replace_at(AT_FDCWD, joining->launch_options.pid_file, text, (size_t)length, 0644, FILE_VOLATILE, err);
	}
	if (r == 0)
		r = launcher_go(launched, err);
	if (r < 0)
		launched_kill(launched);
	return r;
}

static int run_process(struct joining *joining, int *ret_status, struct err *err)
{
	scoped_fd int signal_fd = -1;
	bool detach = joining->launch_options.detach;
	int r = detach ? 0 : foreground_begin(&signal_fd, err);
	struct launched launched = {.pidfd = -1, .sync_socket = -1, .console = -1};
	if (r == 0)
		r = launcher_clone_exec(&joining->launch, joining->container_pidfd, &launched, err);
	if (r == 0)
		r = await_ready_and_go(joining, &launched, err);
	if (r == 0 && !detach)
		r = foreground_wait(&launched, signal_fd, ret_status, err);
	launched_done(&launched);
	return r;
}

static int check_status(const struct container *container, bool ignore_paused, struct err *err)
{
	enum container_status status = container_status(container);
	bool able = status == CONTAINER_RUNNING || status == CONTAINER_CREATED ||
		    (status == CONTAINER_PAUSED && ignore_paused);
	if (able)
		return 0;
	return err_set(err, -EINVAL, "container.status", "exec in container %s: expected a running one, it is %s",
		       container->id, container_status_name(status));
}

static int exec_in(const struct globals *globals, const char *id, char **args, const struct exec_options *options,
		   int *ret_status, struct err *err)
{
	scoped(container_free) struct container *container = NULL;
	int r = container_open(globals->root, id, LOCK_NONE, false, &container, err);
	if (r == 0)
		r = check_status(container, options->ignore_paused, err);
	if (r < 0)
		return r;
	scoped_done(arena_done) struct arena arena = {.max = CONFIG_ARENA_MAX};
	struct oci_spec spec = {0};
	struct oci_process process = {0};
	r = config_load(container->dir_fd, "config.json", &arena, &spec, NULL, err);
	if (r == 0)
		r = load_process(options, args, &arena, &spec, &process, err);
	if (r < 0)
		return r;
	if (process.terminal && options->detach && !options->console_socket)
		return err_set(err, -EINVAL, "console.socket", "exec: a detached terminal needs --console-socket");

	struct joining joining = {
		.container_pidfd = -1,
		.launch_options = {.pid_file = options->pid_file,
				   .console_socket = options->console_socket,
				   .preserve_fds = options->preserve_fds,
				   .detach = options->detach,
				   .run = true,
				   .rootfs_fd = -1},
	};
	launcher_init(&joining.launch);
	r = container_open_process(container, &joining.container_pidfd);
	if (r < 0)
		r = err_sys(err, r, "container.status", "exec in container %s: its first process has ended", id);
	if (r == 0)
		r = open_cgroup(&joining, container, options->cgroup, err);
	if (r == 0)
		r = prepare(&joining, container, &spec, &process, err);
	if (r == 0)
		r = run_process(&joining, ret_status, err);
	launcher_done(&joining.launch);
	cgroup_done(&joining.group);
	cgroup_layout_done(&joining.layout);
	if (joining.container_pidfd >= 0)
		(void)close(joining.container_pidfd); /* a reference only */
	return r;
}

int command_exec(const struct globals *globals, char **argv, int *ret_status, struct err *err)
{
	struct exec_options options = {0};
	int first = 0;
	int r = opt_parse(OPTIONS, argv, false, &options, &first, err);
	if (r == OPT_HELP) {
		(void)printf("Usage: axrun exec [OPTION]... ID [COMMAND [ARGUMENT]...]\n");
		opt_print_help(stdout, OPTIONS);
		r = COMMAND_HELP;
	} else if (r < 0) {
		r = err_add(err, r, "exec");
	} else if (!argv[first]) {
		r = err_set(err, -EINVAL, "option.arguments", "exec: expected ID COMMAND [ARGUMENT]...");
	} else {
		r = exec_in(globals, argv[first], argv + first + 1, &options, ret_status, err);
	}
	options_done(&options);
	return r;
}
