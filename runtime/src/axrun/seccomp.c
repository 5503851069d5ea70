#include "runtime/src/axrun/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/codec/oci_runtime.h"
#include "runtime/src/axrun/seccomp_cache.h"

struct name_row {
	const char *name;
	uint32_t value;
};

enum { ACTION_ERRNO = 0, ACTION_TRACE = 1 };

/* SCMP_ACT_ERRNO and SCMP_ACT_TRACE carry a number: see action_of(). */
static const struct name_row ACTIONS[] = {
	[ACTION_ERRNO] = {"SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0)},
	[ACTION_TRACE] = {"SCMP_ACT_TRACE", SCMP_ACT_TRACE(0)},
	{"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW},
	{"SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD},
	{"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS},
	{"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD},
	{"SCMP_ACT_LOG", SCMP_ACT_LOG},
	{"SCMP_ACT_NOTIFY", SCMP_ACT_NOTIFY},
	{"SCMP_ACT_TRAP", SCMP_ACT_TRAP},
};

static const struct name_row OPERATORS[] = {
	{"SCMP_CMP_NE", SCMP_CMP_NE}, {"SCMP_CMP_LT", SCMP_CMP_LT}, {"SCMP_CMP_LE", SCMP_CMP_LE},
	{"SCMP_CMP_EQ", SCMP_CMP_EQ}, {"SCMP_CMP_GE", SCMP_CMP_GE}, {"SCMP_CMP_GT", SCMP_CMP_GT},
	{"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ},
};

static const struct name_row ARCHITECTURES[] = {
	{"SCMP_ARCH_X86", SCMP_ARCH_X86},	  {"SCMP_ARCH_X86_64", SCMP_ARCH_X86_64},
	{"SCMP_ARCH_X32", SCMP_ARCH_X32},	  {"SCMP_ARCH_ARM", SCMP_ARCH_ARM},
	{"SCMP_ARCH_AARCH64", SCMP_ARCH_AARCH64}, {"SCMP_ARCH_MIPS", SCMP_ARCH_MIPS},
	{"SCMP_ARCH_MIPS64", SCMP_ARCH_MIPS64},	  {"SCMP_ARCH_MIPS64N32", SCMP_ARCH_MIPS64N32},
	{"SCMP_ARCH_MIPSEL", SCMP_ARCH_MIPSEL},	  {"SCMP_ARCH_MIPSEL64", SCMP_ARCH_MIPSEL64},
	{"SCMP_ARCH_MIPSEL64N32", SCMP_ARCH_MIPSEL64N32}, {"SCMP_ARCH_PPC", SCMP_ARCH_PPC},
	{"SCMP_ARCH_PPC64", SCMP_ARCH_PPC64},	  {"SCMP_ARCH_PPC64LE", SCMP_ARCH_PPC64LE},
	{"SCMP_ARCH_S390", SCMP_ARCH_S390},	  {"SCMP_ARCH_S390X", SCMP_ARCH_S390X},
	{"SCMP_ARCH_PARISC", SCMP_ARCH_PARISC},	  {"SCMP_ARCH_PARISC64", SCMP_ARCH_PARISC64},
	{"SCMP_ARCH_RISCV64", SCMP_ARCH_RISCV64},
};

static const struct name_row FLAGS[] = {
	{"SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC},
	{"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG},
	{"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW},
	{"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", 1U << 5}, /* Linux 5.19, newer than these headers */
};

#define DEFINE_NAMES(function, rows)                                                                                   \
	const char *function(size_t index)                                                                             \
	{                                                                                                              \
		return index < ARRAY_COUNT(rows) ? rows[index].name : NULL;                                            \
	}
DEFINE_NAMES(seccomp_action_name, ACTIONS)
DEFINE_NAMES(seccomp_operator_name, OPERATORS)
DEFINE_NAMES(seccomp_architecture_name, ARCHITECTURES)
DEFINE_NAMES(seccomp_flag_name, FLAGS)

static int find(const struct name_row *rows, size_t count, const char *what, const char *name, uint32_t *ret_value,
		struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(rows[i].name, name) != 0)
			continue;
		*ret_value = rows[i].value;
		return (int)i;
	}
	return err_set(err, -EINVAL, "seccomp.profile", "linux.seccomp: unknown %s \"%s\"", what, name);
}

/* The action with its number; EPERM where a profile gives none, as the specification asks. */
static int action_of(const char *name, const uint32_t *errno_ret, uint32_t *ret_action, struct err *err)
{
	int row = find(ACTIONS, ARRAY_COUNT(ACTIONS), "action", name, ret_action, err);
	if (row < 0)
		return row;
	uint32_t number = (errno_ret ? *errno_ret : EPERM) & 0xffff;
	if (row == ACTION_ERRNO)
		*ret_action = SCMP_ACT_ERRNO(number);
	else if (row == ACTION_TRACE)
		*ret_action = SCMP_ACT_TRACE(number);
	return 0;
}

static int add_architectures(scmp_filter_ctx context, const struct oci_seccomp *seccomp, struct err *err)
{
	for (size_t i = 0; seccomp->architectures && seccomp->architectures[i]; i++) {
		uint32_t arch = 0;
		int r = find(ARCHITECTURES, ARRAY_COUNT(ARCHITECTURES), "architecture", seccomp->architectures[i], &arch, err);
		if (r < 0)
			return r;
		r = seccomp_arch_add(context, arch);
		if (r < 0 && r != -EEXIST)
			return err_sys(err, r, "seccomp.profile", "linux.seccomp: architecture %s", seccomp->architectures[i]);
	}
	return 0;
}

static int read_args(const struct oci_seccomp_rule *rule, struct scmp_arg_cmp *ret_args, struct err *err)
{
	if (rule->args_count > 6)
		return err_set(err, -EINVAL, "seccomp.profile", "linux.seccomp: %zu arguments, expected 6 at most",
			       rule->args_count);
	for (size_t i = 0; i < rule->args_count; i++) {
		const struct oci_seccomp_arg *arg = &rule->args[i];
		uint32_t operator= 0;
		int r = find(OPERATORS, ARRAY_COUNT(OPERATORS), "operator", arg->op, &operator, err);
		if (r < 0)
			return r;
		if (arg->index > 5)
			return err_set(err, -EINVAL, "seccomp.profile", "linux.seccomp: argument index %u, expected 0 to 5",
				       arg->index);
		ret_args[i] = (struct scmp_arg_cmp){
			.arg = arg->index, .op = (enum scmp_compare) operator, .datum_a = arg->value, .datum_b = arg->value_two};
	}
	return 0;
}

/* Conditions on the same argument cannot be joined in one rule of the library: each becomes a rule of its own (which is
 * what runc and crun do). */
static bool repeats_an_argument(const struct scmp_arg_cmp *args, size_t count)
{
	unsigned seen = 0;
	for (size_t i = 0; i < count; i++) {
		if (seen >> args[i].arg & 1)
			return true;
		seen |= 1U << args[i].arg;
	}
	return false;
}

static int add_call(scmp_filter_ctx context, uint32_t action, const char *name, const struct scmp_arg_cmp *args,
		    size_t count, struct err *err)
{
	int number = seccomp_syscall_resolve_name(name);
	if (number == __NR_SCMP_ERROR)
		return 0;
	int r = 0;
	if (!repeats_an_argument(args, count))
		r = seccomp_rule_add_array(context, action, number, (unsigned)count, args);
	else
		for (size_t i = 0; i < count && r == 0; i++)
			r = seccomp_rule_add_array(context, action, number, 1, &args[i]);
	return r < 0 ? err_sys(err, r, "seccomp.profile", "linux.seccomp: rule for %s", name) : 0;
}

static int add_rule(scmp_filter_ctx context, const struct oci_seccomp_rule *rule, uint32_t default_action,
		    struct seccomp_program *program, struct err *err)
{
	uint32_t action = 0;
	struct scmp_arg_cmp args[6] = {0};
	int r = action_of(rule->action, rule->errno_ret, &action, err);
	if (r == 0)
		r = read_args(rule, args, err);
	if (r < 0 || action == default_action)
		return r;
	program->notifies |= action == SCMP_ACT_NOTIFY;
	for (size_t i = 0; rule->names[i] && r == 0; i++)
		r = add_call(context, action, rule->names[i], args, rule->args_count, err);
	return r;
}

static int export_program(scmp_filter_ctx context, struct seccomp_program *program, struct err *err)
{
	scoped_fd int fd = memfd_create("seccomp", MFD_CLOEXEC);
	struct stat st = {0};
	int r = fd < 0 ? -errno : seccomp_export_bpf(context, fd);
	if (r < 0 || fstat(fd, &st) < 0)
		return err_sys(err, r < 0 ? r : -errno, "seccomp.compile", "compile the seccomp profile");
	size_t count = (size_t)st.st_size / sizeof *program->filter;
	if (count == 0 || count > BPF_MAXINSNS)
		return err_set(err, -E2BIG, "seccomp.compile", "seccomp profile: %zu instructions, %d at most", count,
			       BPF_MAXINSNS);
	program->filter = malloc((size_t)st.st_size);
	if (!program->filter || pread(fd, program->filter, (size_t)st.st_size, 0) != st.st_size)
		return err_sys(err, -ENOMEM, "seccomp.compile", "compile the seccomp profile");
	program->length = (unsigned short)count;
	return 0;
}

static int build(scmp_filter_ctx context, const struct oci_seccomp *seccomp, uint32_t default_action,
		 struct seccomp_program *program, struct err *err)
{
	int r = add_architectures(context, seccomp, err);
	if (r < 0)
		return r;
	(void)seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree; else the list of older libraries */
	for (size_t i = 0; i < seccomp->syscalls_count; i++) {
		r = add_rule(context, &seccomp->syscalls[i], default_action, program, err);
		if (r < 0)
			return r;
	}
	return export_program(context, program, err);
}

static int read_flags(const struct oci_seccomp *seccomp, unsigned *ret_flags, struct err *err)
{
	unsigned flags = 0;
	for (size_t i = 0; seccomp->flags && seccomp->flags[i]; i++) {
		uint32_t flag = 0;
		int r = find(FLAGS, ARRAY_COUNT(FLAGS), "flag", seccomp->flags[i], &flag, err);
		if (r < 0)
			return r;
		flags |= flag;
	}
	/* only one thread is there to be synchronised, and with a listener the kernel refuses the flag */
	*ret_flags = flags & ~(unsigned)SECCOMP_FILTER_FLAG_TSYNC;
	return 0;
}

int seccomp_program_compile(const struct oci_seccomp *seccomp, int cache_fd, struct seccomp_program *ret_program,
		    struct err *err)
{
	struct seccomp_program program = {0};
	uint32_t default_action = 0;
	int r = read_flags(seccomp, &program.flags, err);
	if (r == 0)
		r = action_of(seccomp->default_action, seccomp->default_errno_ret, &default_action, err);
	if (r < 0)
		return r;
	scoped_done(buf_done) struct buf profile = {.max = SECCOMP_PROFILE_MAX};
	bool cached = cache_fd >= 0 && seccomp_profile_bytes(seccomp, &profile) == 0;
	if (cached && seccomp_cache_get(cache_fd, &profile, &program) == 0) {
		*ret_program = program;
		return 0;
	}
	scmp_filter_ctx context = seccomp_init(default_action);
	if (!context)
		return err_set(err, -EINVAL, "seccomp.profile", "linux.seccomp.defaultAction: \"%s\" is not accepted",
			       seccomp->default_action);
	r = build(context, seccomp, default_action, &program, err);
	seccomp_release(context);
	if (r < 0) {
		seccomp_program_done(&program);
		return r;
	}
	if (cached)
		seccomp_cache_put(cache_fd, &profile, &program);
	*ret_program = program;
	return 0;
}

void seccomp_program_done(struct seccomp_program *program)
{
	free(program->filter);
	program->filter = NULL;
}

int seccomp_program_load(const struct seccomp_program *program, int *ret_listener, struct err *err)
{
	struct sock_fprog code = {.len = program->length, .filter = program->filter};
	unsigned flags = program->flags;
	if (program->notifies)
		flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
	long r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &code);
	if (r < 0)
		return err_sys(err, -errno, "seccomp.load", "load the seccomp filter");
	*ret_listener = program->notifies ? (int)r : -1;
	return 0;
}
