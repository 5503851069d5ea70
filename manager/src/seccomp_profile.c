#include "manager/src/seccomp_profile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/codec/oci_runtime.h"
#include "core/sys/fd.h"
#include "manager/src/capability.h"

#if defined(__x86_64__)
#define MACHINE_NAME "amd64" /* as Go spells it, and so these files do */
#define MACHINE_ARCHITECTURE "SCMP_ARCH_X86_64"
#elif defined(__aarch64__)
#define MACHINE_NAME "arm64"
#define MACHINE_ARCHITECTURE "SCMP_ARCH_AARCH64"
#elif defined(__riscv) && __riscv_xlen == 64
#define MACHINE_NAME "riscv64"
#define MACHINE_ARCHITECTURE "SCMP_ARCH_RISCV64"
#else
#error "name this machine's architecture"
#endif

#define ERRNO_MAX 4095 /* the kernel's MAX_ERRNO */

struct condition {
	const char *const *caps;
	const char *const *arches;
	const char *min_kernel; /* "4.8" */
};

struct rule {
	const char *name;
	const char *const *names;
	const char *action;
	const uint32_t *errno_ret;
	const char *errno_name; /* "EPERM" */
	const struct oci_seccomp_arg *args;
	size_t args_count;
	const struct condition *includes;
	const struct condition *excludes;
};

struct architecture {
	const char *architecture;
	const char *const *sub_architectures;
};

struct profile {
	const char *default_action;
	const uint32_t *default_errno_ret;
	const char *default_errno_name;
	const char *const *architectures;
	const struct architecture *arch_map;
	size_t arch_map_count;
	const char *const *flags;
	const char *listener_path;
	const char *listener_metadata;
	const struct rule *syscalls;
	size_t syscalls_count;
};

static const struct json_field CONDITION_FIELDS[] = {
	JSON_FIELD(struct condition, caps, "caps", JSON_STRINGS, 0),
	JSON_FIELD(struct condition, arches, "arches", JSON_STRINGS, 0),
	JSON_FIELD(struct condition, min_kernel, "minKernel", JSON_STRING_T, 0),
};
static const struct json_table CONDITION = JSON_TABLE(struct condition, CONDITION_FIELDS);

static const struct json_field ARG_FIELDS[] = {
	JSON_FIELD(struct oci_seccomp_arg, index, "index", JSON_U32, JSON_REQUIRED),
	JSON_FIELD(struct oci_seccomp_arg, value, "value", JSON_U64, JSON_REQUIRED),
	JSON_FIELD(struct oci_seccomp_arg, value_two, "valueTwo", JSON_U64, 0),
	JSON_FIELD(struct oci_seccomp_arg, op, "op", JSON_STRING_T, JSON_REQUIRED),
};
static const struct json_table ARG = JSON_TABLE(struct oci_seccomp_arg, ARG_FIELDS);

static const struct json_field RULE_FIELDS[] = {
	JSON_FIELD(struct rule, name, "name", JSON_STRING_T, 0),
	JSON_FIELD(struct rule, names, "names", JSON_STRINGS, 0),
	JSON_FIELD(struct rule, action, "action", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct rule, errno_ret, "errnoRet", JSON_U32_OPT, 0),
	JSON_FIELD(struct rule, errno_name, "errno", JSON_STRING_T, 0),
	JSON_NESTED_COUNTED(struct rule, args, "args", JSON_STRUCTS, &ARG, 0),
	JSON_NESTED(struct rule, includes, "includes", JSON_STRUCT_OPT, &CONDITION, 0),
	JSON_NESTED(struct rule, excludes, "excludes", JSON_STRUCT_OPT, &CONDITION, 0),
};
static const struct json_table RULE = JSON_TABLE(struct rule, RULE_FIELDS);

static const struct json_field ARCHITECTURE_FIELDS[] = {
	JSON_FIELD(struct architecture, architecture, "architecture", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct architecture, sub_architectures, "subArchitectures", JSON_STRINGS, 0),
};
static const struct json_table ARCHITECTURE = JSON_TABLE(struct architecture, ARCHITECTURE_FIELDS);

static const struct json_field PROFILE_FIELDS[] = {
	JSON_FIELD(struct profile, default_action, "defaultAction", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct profile, default_errno_ret, "defaultErrnoRet", JSON_U32_OPT, 0),
	JSON_FIELD(struct profile, default_errno_name, "defaultErrno", JSON_STRING_T, 0),
	JSON_FIELD(struct profile, architectures, "architectures", JSON_STRINGS, 0),
	JSON_NESTED_COUNTED(struct profile, arch_map, "archMap", JSON_STRUCTS, &ARCHITECTURE, 0),
	JSON_FIELD(struct profile, flags, "flags", JSON_STRINGS, 0),
	JSON_FIELD(struct profile, listener_path, "listenerPath", JSON_STRING_T, 0),
	JSON_FIELD(struct profile, listener_metadata, "listenerMetadata", JSON_STRING_T, 0),
	JSON_NESTED_COUNTED(struct profile, syscalls, "syscalls", JSON_STRUCTS, &RULE, 0),
};
static const struct json_table PROFILE = JSON_TABLE(struct profile, PROFILE_FIELDS);

struct reader {
	const char *source;
	uint64_t capabilities;
	const char *kernel;
	struct arena *arena;
	struct err *err;
};

static int invalid(const struct reader *reader, const char *member, const char *expected, const char *found)
{
	return err_set(reader->err, -EINVAL, "seccomp.profile", "%s: %s: expected %s, found \"%s\"", reader->source,
		       member, expected, found);
}

/* The two leading numbers of "6.1.0-13-amd64"; later parts never matter to a profile. */
static bool read_version(const char *text, unsigned long ret_numbers[2])
{
	char *end = NULL;
	if (*text < '0' || *text > '9')
		return false;
	ret_numbers[0] = strtoul(text, &end, 10);
	if (*end != '.' || end[1] < '0' || end[1] > '9')
		return false;
	ret_numbers[1] = strtoul(end + 1, &end, 10);
	return true;
}

/* Returns 1 where the kernel is at least @wanted. */
static int has_kernel(const struct reader *reader, const char *wanted)
{
	unsigned long least[2];
	unsigned long own[2];
	if (!read_version(wanted, least))
		return invalid(reader, "minKernel", "two numbers such as 4.8", wanted);
	if (!read_version(reader->kernel, own))
		return 0;
	return own[0] > least[0] || (own[0] == least[0] && own[1] >= least[1]);
}

/* The capabilities of a list, as a set; *ret_count: how many it names. */
static int read_capabilities(const struct reader *reader, const char *const *names, uint64_t *ret_set)
{
	*ret_set = 0;
	for (size_t i = 0; names && names[i]; i++) {
		uint64_t one = 0;
		if (capability_parse(names[i], &one) < 0)
			return invalid(reader, "caps", "capabilities", names[i]);
		*ret_set |= one;
	}
	return 0;
}

/* Everything that "includes" names must be so. */
static int is_included(const struct reader *reader, const struct condition *includes)
{
	uint64_t caps = 0;
	if (!includes)
		return 1;
	int r = read_capabilities(reader, includes->caps, &caps);
	if (r < 0 || (caps & reader->capabilities) != caps)
		return r;
	if (includes->arches && includes->arches[0] && !strv_contains(includes->arches, MACHINE_NAME))
		return 0;
	return str_empty(includes->min_kernel) ? 1 : has_kernel(reader, includes->min_kernel);
}

/* One of what "excludes" names is enough. */
static int is_excluded(const struct reader *reader, const struct condition *excludes)
{
	uint64_t caps = 0;
	if (!excludes)
		return 0;
	int r = read_capabilities(reader, excludes->caps, &caps);
	if (r < 0)
		return r;
	if (caps & reader->capabilities || strv_contains(excludes->arches, MACHINE_NAME))
		return 1;
	return str_empty(excludes->min_kernel) ? 0 : has_kernel(reader, excludes->min_kernel);
}

static int read_errno(const struct reader *reader, const char *name, const uint32_t **slot)
{
	if (*slot || str_empty(name))
		return 0; /* the number counts before the name */
	uint32_t *number = arena_alloc(reader->arena, sizeof *number);
	if (!number)
		return -ENOMEM;
	for (*number = 1; *number < ERRNO_MAX; (*number)++)
		if (str_equal(strerrorname_np((int)*number), name)) {
			*slot = number;
			return 0;
		}
	return invalid(reader, "errno", "the name of an error such as EPERM", name);
}

static int read_names(const struct reader *reader, const struct rule *rule, const char *const **ret_names)
{
	if (rule->names && rule->names[0] && rule->name)
		return invalid(reader, "syscalls", "either name or names", rule->name);
	*ret_names = rule->names;
	if (!rule->name)
		return rule->names ? 0 : invalid(reader, "syscalls", "names", "");
	const char **names = arena_array(reader->arena, 2, sizeof *names);
	if (!names)
		return -ENOMEM;
	names[0] = rule->name;
	*ret_names = names;
	return 0;
}

/* Returns 1 where the rule holds and *ret_rule was filled. */
static int read_rule(const struct reader *reader, const struct rule *rule, struct oci_seccomp_rule *ret_rule)
{
	int r = is_included(reader, rule->includes);
	if (r <= 0)
		return r;
	r = is_excluded(reader, rule->excludes);
	if (r != 0)
		return r < 0 ? r : 0;
	struct oci_seccomp_rule made = {
		.action = rule->action,
		.errno_ret = rule->errno_ret,
		.args = rule->args,
		.args_count = rule->args_count,
	};
	r = read_names(reader, rule, &made.names);
	if (r == 0)
		r = read_errno(reader, rule->errno_name, &made.errno_ret);
	*ret_rule = made;
	return r < 0 ? r : 1;
}

static int read_architectures(const struct reader *reader, const struct profile *profile, const char *const **ret_names)
{
	if (profile->architectures && profile->architectures[0] && profile->arch_map_count)
		return invalid(reader, "archMap", "not both of architectures and archMap", profile->architectures[0]);
	*ret_names = profile->architectures;
	for (size_t i = 0; i < profile->arch_map_count; i++) {
		const struct architecture *map = &profile->arch_map[i];
		if (!str_equal(map->architecture, MACHINE_ARCHITECTURE))
			continue;
		size_t more = map->sub_architectures ? strv_count(map->sub_architectures) : 0;
		const char **names = arena_array(reader->arena, more + 2, sizeof *names);
		if (!names)
			return -ENOMEM;
		names[0] = map->architecture;
		if (more)
			memcpy(names + 1, map->sub_architectures, more * sizeof *names);
		*ret_names = names;
	}
	return 0;
}

static int resolve(const struct reader *reader, const struct profile *profile, struct oci_seccomp *ret_seccomp)
{
	struct oci_seccomp_rule *rules = arena_array(reader->arena, profile->syscalls_count + 1, sizeof *rules);
	if (!rules)
		return -ENOMEM;
	*ret_seccomp = (struct oci_seccomp){
		.default_action = profile->default_action,
		.default_errno_ret = profile->default_errno_ret,
		.flags = profile->flags,
		.listener_path = profile->listener_path,
		.listener_metadata = profile->listener_metadata,
		.syscalls = rules,
	};
	int r = read_architectures(reader, profile, &ret_seccomp->architectures);
	if (r == 0)
		r = read_errno(reader, profile->default_errno_name, &ret_seccomp->default_errno_ret);
	for (size_t i = 0; r >= 0 && i < profile->syscalls_count; i++) {
		r = read_rule(reader, &profile->syscalls[i], &rules[ret_seccomp->syscalls_count]);
		ret_seccomp->syscalls_count += r == 1;
	}
	return r < 0 ? r : 0;
}

int seccomp_profile_parse(const char *source, const char *text, size_t length, uint64_t capabilities, const char *kernel,
			  struct arena *arena, const struct oci_seccomp **ret_seccomp, struct err *err)
{
	const struct reader reader = {source, capabilities, kernel, arena, err};
	struct profile profile = {0};
	struct oci_seccomp *seccomp = arena_alloc(arena, sizeof *seccomp);
	int r = seccomp ? json_decode(source, text, length, &PROFILE, arena, &profile, err) : -ENOMEM;
	if (r == 0)
		r = resolve(&reader, &profile, seccomp);
	if (r == 0)
		*ret_seccomp = seccomp;
	return r;
}

int seccomp_profile_read(const char *path, uint64_t capabilities, struct arena *arena,
			 const struct oci_seccomp **ret_seccomp, struct err *err)
{
	if (path[0] != '/')
		return err_set(err, -EINVAL, "seccomp.profile", "seccomp profile \"%s\": expected an absolute path", path);
	scoped_done(buf_done) struct buf text = {.max = SECCOMP_PROFILE_BYTES_MAX};
	struct utsname name = {0};
	(void)uname(&name); /* cannot fail */
	int r = file_read_at(AT_FDCWD, path, &text, err);
	if (r == 0)
		r = seccomp_profile_parse(path, text.data ? text.data : "", text.size, capabilities, name.release, arena,
					  ret_seccomp, err);
	return r < 0 ? err_add(err, r, "seccomp profile") : 0;
}
