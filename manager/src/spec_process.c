#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/resource.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "manager/src/capability.h"
#include "manager/src/cdi.h"
#include "manager/src/spec_internal.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* --- command --- */

static int add_all(struct spec_builder *builder, struct spec_strings *strings, const char *const *texts, size_t count)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < count; i++)
		r = spec_strings_add(builder, strings, texts[i]);
	return r;
}

/* CRI: command replaces the entry point; args replace the image's arguments, which also go with a replaced entry point. */
static int make_args(struct spec_builder *builder, const char *const **ret_args)
{
	const Cri__ContainerConfig *config = builder->input->container;
	const struct image_config *image = builder->input->image;
	struct spec_strings args = {0};
	int r = config->n_command ? add_all(builder, &args, (const char *const *)config->command, config->n_command)
				  : add_all(builder, &args, image->entrypoint, strv_count(image->entrypoint));
	if (r == 0 && config->n_args)
		r = add_all(builder, &args, (const char *const *)config->args, config->n_args);
	else if (r == 0 && !config->n_command)
		r = add_all(builder, &args, image->cmd, strv_count(image->cmd));
	if (r < 0)
		return r;
	if (!args.count)
		return err_set(builder->err, -EINVAL, "container.command",
			       "neither the container nor its image says what to run: expected a command");
	*ret_args = args.items;
	return 0;
}

/* --- environment --- */

static int set_variable(struct spec_builder *builder, struct spec_strings *env, const char *assignment)
{
	const char *equals = assignment ? strchr(assignment, '=') : NULL;
	if (!equals)
		return assignment ? 0 : -ENOMEM;
	size_t name = (size_t)(equals - assignment) + 1;
	for (size_t i = 0; i < env->count; i++)
		if (strncmp(env->items[i], assignment, name) == 0) {
			env->items[i] = assignment;
			return 0;
		}
	return spec_strings_add(builder, env, assignment);
}

static int set_default(struct spec_builder *builder, struct spec_strings *env, const char *name, const char *value)
{
	if (str_empty(value) || (env->items && strv_env_get(env->items, name)))
		return 0;
	return spec_strings_add(builder, env, arena_printf(builder->arena, "%s=%s", name, value));
}

static int set_configured(struct spec_builder *builder, struct spec_strings *env, const Cri__KeyValue *pair)
{
	if (memchr(pair->value.data ? (const char *)pair->value.data : "", 0, pair->value.len))
		return err_set(builder->err, -EINVAL, "container.env", "environment variable %s: it holds a zero byte",
			       pair->key);
	if (str_empty(pair->key) || strchr(pair->key, '='))
		return err_set(builder->err, -EINVAL, "container.env",
			       "environment variable \"%s\": expected a name without '='", pair->key);
	return set_variable(builder, env,
			    arena_printf(builder->arena, "%s=%.*s", pair->key, (int)pair->value.len,
					 pair->value.data ? (const char *)pair->value.data : ""));
}

int spec_make_environment(struct spec_builder *builder, const char *const *more, bool tty, const char *const **ret_env)
{
	const struct spec_input *input = builder->input;
	struct spec_strings env = {0};
	int r = 0;
	for (size_t i = 0; r == 0 && input->image->env && input->image->env[i]; i++)
		r = set_variable(builder, &env, input->image->env[i]);
	for (size_t i = 0; r == 0 && i < input->container->n_envs; i++)
		r = set_configured(builder, &env, input->container->envs[i]);
	for (size_t i = 0; r == 0 && input->cdi && input->cdi->env && input->cdi->env[i]; i++)
		r = set_variable(builder, &env, input->cdi->env[i]);
	for (size_t i = 0; r == 0 && more && more[i]; i++)
		r = set_variable(builder, &env, arena_strdup(builder->arena, more[i]));
	if (r == 0)
		r = set_default(builder, &env, "PATH", DEFAULT_PATH);
	if (r == 0)
		r = set_default(builder, &env, "HOSTNAME", input->hostname);
	if (r == 0)
		r = set_default(builder, &env, "HOME", input->home);
	if (r == 0 && tty)
		r = set_default(builder, &env, "TERM", "xterm");
	*ret_env = env.items;
	return r;
}

/* --- rights --- */

static int capability_names(struct spec_builder *builder, uint64_t set, const char *const **ret_names)
{
	struct spec_strings names = {0};
	int r = 0;
	for (int cap = 0; r == 0 && cap <= CAP_LAST_CAP; cap++)
		if (set & UINT64_C(1) << cap)
			r = spec_strings_add(builder, &names, capability_name(cap));
	*ret_names = names.items;
	return r;
}

static int change_set(struct spec_builder *builder, const char *const *names, size_t count, bool add, uint64_t *set)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t one = 0;
		if (capability_parse(names[i], &one) < 0)
			return err_set(builder->err, -EINVAL, "container.capability",
				       "\"%s\" is no capability: expected a name such as NET_ADMIN, or ALL", names[i]);
		*set = add ? *set | one : *set & ~one;
	}
	return 0;
}

static bool names_all(const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcasecmp(names[i], "ALL") == 0)
			return true;
	return false;
}

/* ALL is done first in either list, so that "drop ALL, add X" and "add ALL, drop X" mean what they say. */
static int wanted_capabilities(struct spec_builder *builder, uint64_t *ret_set)
{
	const Cri__LinuxContainerSecurityContext *security = spec_security(builder->input);
	const Cri__Capability *change = security->capabilities;
	if (security->privileged) {
		*ret_set = CAPABILITIES_ALL;
		return 0;
	}
	*ret_set = CAPABILITIES_DEFAULT;
	if (!change)
		return 0;
	const char *const *add = (const char *const *)change->add_capabilities;
	const char *const *drop = (const char *const *)change->drop_capabilities;
	const char *const *ambient = (const char *const *)change->add_ambient_capabilities;
	if (names_all(add, change->n_add_capabilities))
		*ret_set = CAPABILITIES_ALL;
	if (names_all(drop, change->n_drop_capabilities)) {
		*ret_set = 0;
		int r = change_set(builder, add, change->n_add_capabilities, true, ret_set);
		return r < 0 ? r : change_set(builder, ambient, change->n_add_ambient_capabilities, true, ret_set);
	}
	int r = change_set(builder, add, change->n_add_capabilities, true, ret_set);
	if (r == 0)
		r = change_set(builder, ambient, change->n_add_ambient_capabilities, true, ret_set);
	return r < 0 ? r : change_set(builder, drop, change->n_drop_capabilities, false, ret_set);
}

static void tell_cut_capabilities(struct spec_builder *builder, uint64_t cut)
{
	if (spec_security(builder->input)->privileged) /* "all that there is" */
		cut = 0;
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (cut & UINT64_C(1) << cap)
			spec_cut(builder, "%s is not in the bounding set of axled", capability_name(cap));
}

int spec_make_capabilities(struct spec_builder *builder, const struct oci_capabilities **ret_capabilities)
{
	const Cri__Capability *change = spec_security(builder->input)->capabilities;
	uint64_t wanted = 0;
	uint64_t ambient = 0;
	int r = wanted_capabilities(builder, &wanted);
	if (r == 0 && change)
		r = change_set(builder, (const char *const *)change->add_ambient_capabilities,
			       change->n_add_ambient_capabilities, true, &ambient);
	if (r < 0)
		return r;
	uint64_t given = wanted & builder->input->capabilities;
	if (!change || !names_all((const char *const *)change->add_capabilities, change->n_add_capabilities))
		tell_cut_capabilities(builder, wanted & ~given);

	struct oci_capabilities *capabilities = arena_alloc(builder->arena, sizeof *capabilities);
	if (!capabilities)
		return -ENOMEM;
	r = capability_names(builder, given, &capabilities->bounding);
	capabilities->effective = capabilities->bounding;
	capabilities->permitted = capabilities->bounding;
	if (r == 0)
		r = capability_names(builder, given & ambient, &capabilities->ambient);
	capabilities->inheritable = capabilities->ambient; /* ambient ones must be inheritable */
	*ret_capabilities = capabilities;
	return r;
}

static int make_oom_score(struct spec_builder *builder, const int32_t **ret_score)
{
	const Cri__LinuxContainerResources *resources = spec_resources(builder->input);
	int64_t wanted = resources ? resources->oom_score_adj : 0;
	if (wanted < -1000 || wanted > 1000)
		return err_set(builder->err, -EINVAL, "container.oom-score-adj",
			       "oom_score_adj %lld: expected -1000 to 1000", (long long)wanted);
	int32_t *score = arena_alloc(builder->arena, sizeof *score);
	if (!score)
		return -ENOMEM;
	*score = (int32_t)wanted;
	if (*score < builder->input->oom_score_floor) {
		*score = builder->input->oom_score_floor;
		if (wanted != 0)
			spec_cut(builder, "oom_score_adj %lld: %d is the lowest that axled may set", (long long)wanted,
				 *score);
	}
	*ret_score = score;
	return 0;
}

static int make_user(struct spec_builder *builder, struct oci_user *ret_user)
{
	const struct spec_input *input = builder->input;
	*ret_user = (struct oci_user){
		.uid = input->uid,
		.gid = input->gid,
		.additional_gids = input->groups,
		.additional_gids_count = input->groups_count,
	};
	return spec_add_cdi_groups(builder, ret_user);
}

static const char *working_directory(const struct spec_input *input)
{
	if (!str_empty(input->container->working_dir))
		return input->container->working_dir;
	return str_empty(input->image->working_dir) ? "/" : input->image->working_dir;
}

int spec_make_process(struct spec_builder *builder, struct oci_process *ret_process)
{
	const struct spec_input *input = builder->input;
	const Cri__LinuxContainerSecurityContext *security = spec_security(input);
	struct oci_process process = {
		.terminal = input->container->tty,
		.cwd = working_directory(input),
		.no_new_privileges = security->no_new_privs,
		.rlimits = input->rlimits,
		.rlimits_count = input->rlimits_count,
	};
	if (*process.cwd != '/')
		return err_set(builder->err, -EINVAL, "container.working-dir",
			       "working directory \"%s\": expected an absolute path", process.cwd);
	int r = make_user(builder, &process.user);
	if (r == 0)
		r = make_args(builder, &process.args);
	if (r == 0)
		r = spec_make_environment(builder, NULL, process.terminal, &process.env);
	if (r == 0)
		r = spec_make_capabilities(builder, &process.capabilities);
	if (r == 0)
		r = make_oom_score(builder, &process.oom_score_adj);
	if (r == 0)
		*ret_process = process;
	return r;
}

/* All that axled may give. */
static int make_all_capabilities(struct spec_builder *builder, const struct oci_capabilities **ret_capabilities)
{
	struct oci_capabilities *all = arena_alloc(builder->arena, sizeof *all);
	if (!all)
		return -ENOMEM;
	int r = capability_names(builder, CAPABILITIES_ALL & builder->input->capabilities, &all->bounding);
	all->effective = all->bounding;
	all->permitted = all->bounding;
	*ret_capabilities = all;
	return r;
}

int spec_build_exec(const struct spec_input *input, const struct spec_exec *exec, struct arena *arena,
		    struct oci_process *ret_process, struct err *err)
{
	struct spec_builder builder = {.input = input, .arena = arena, .err = err};
	struct spec_strings args = {0};
	struct oci_process process = {
		.terminal = exec->tty,
		.cwd = str_empty(exec->working_directory) ? working_directory(input) : exec->working_directory,
		.no_new_privileges = spec_security(input)->no_new_privs,
		.rlimits = input->rlimits,
		.rlimits_count = input->rlimits_count,
	};
	size_t count = exec->command ? strv_count(exec->command) : 0;
	if (!count)
		return err_set(err, -EINVAL, "exec.command", "expected a command to run");
	if (*process.cwd != '/')
		return err_set(err, -EINVAL, "exec.working-dir", "working directory \"%s\": expected an absolute path",
			       process.cwd);
	int r = add_all(&builder, &args, exec->command, count);
	if (r == 0)
		r = make_user(&builder, &process.user);
	if (r == 0)
		r = spec_make_environment(&builder, exec->environment, exec->tty, &process.env);
	if (r == 0)
		r = exec->privileged ? make_all_capabilities(&builder, &process.capabilities)
				     : spec_make_capabilities(&builder, &process.capabilities);
	if (r == 0)
		r = make_oom_score(&builder, &process.oom_score_adj);
	struct oci_linux unused = {0};
	if (r == 0)
		r = spec_make_labels(&builder, &process, &unused);
	process.args = args.items;
	if (r == 0)
		*ret_process = process;
	return r;
}
