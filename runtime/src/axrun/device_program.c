#include "runtime/src/axrun/device_program.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/scoped.h"
#include "runtime/src/axrun/device_rule.h"

/* Registers of the program: what struct bpf_cgroup_dev_ctx says about this access. */
enum {
	RESULT = BPF_REG_0,
	CONTEXT = BPF_REG_1,
	TYPE = BPF_REG_2,
	ACCESS = BPF_REG_3,
	MAJOR = BPF_REG_4,
	MINOR = BPF_REG_5,
	SCRATCH = BPF_REG_6,
};

static struct bpf_insn instruction(int code, int dst, int src, int offset, int32_t immediate)
{
	return (struct bpf_insn){.code = (uint8_t)code,
				 .dst_reg = (uint8_t)(dst & 0xf),
				 .src_reg = (uint8_t)(src & 0xf),
				 .off = (int16_t)offset,
				 .imm = immediate};
}

static size_t put_prologue(struct bpf_insn *code)
{
	size_t at = 0;
	code[at++] = instruction(BPF_LDX | BPF_MEM | BPF_W, TYPE, CONTEXT, 0, 0);
	code[at++] = instruction(BPF_ALU | BPF_AND | BPF_K, TYPE, 0, 0, 0xffff);
	code[at++] = instruction(BPF_LDX | BPF_MEM | BPF_W, ACCESS, CONTEXT, 0, 0);
	code[at++] = instruction(BPF_ALU | BPF_RSH | BPF_K, ACCESS, 0, 0, 16);
	code[at++] = instruction(BPF_LDX | BPF_MEM | BPF_W, MAJOR, CONTEXT, 4, 0);
	code[at++] = instruction(BPF_LDX | BPF_MEM | BPF_W, MINOR, CONTEXT, 8, 0);
	return at;
}

static size_t put_answer(struct bpf_insn *code, bool allow)
{
	code[0] = instruction(BPF_ALU64 | BPF_MOV | BPF_K, RESULT, 0, 0, allow);
	code[1] = instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	return 2;
}

/* An allowing rule answers for accesses that it covers wholly, a refusing one for those that it touches. Conditions jump
 * behind the rule; their distances are filled in at the end. */
static size_t put_rule(struct bpf_insn *code, const struct device_rule *rule)
{
	size_t at = 0;
	if (rule->type != 'a')
		code[at++] = instruction(BPF_JMP | BPF_JNE | BPF_K, TYPE, 0, 0,
					 rule->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
	if (rule->access != DEVICE_ALL) {
		unsigned mask = rule->allow ? ~rule->access & DEVICE_ALL : rule->access;
		code[at++] = instruction(BPF_ALU | BPF_MOV | BPF_X, SCRATCH, ACCESS, 0, 0);
		code[at++] = instruction(BPF_ALU | BPF_AND | BPF_K, SCRATCH, 0, 0, (int32_t)mask);
		code[at++] = instruction(BPF_JMP | (rule->allow ? BPF_JNE : BPF_JEQ) | BPF_K, SCRATCH, 0, 0, 0);
	}
	if (rule->major >= 0)
		code[at++] = instruction(BPF_JMP | BPF_JNE | BPF_K, MAJOR, 0, 0, (int32_t)rule->major);
	if (rule->minor >= 0)
		code[at++] = instruction(BPF_JMP | BPF_JNE | BPF_K, MINOR, 0, 0, (int32_t)rule->minor);
	size_t end = at + put_answer(code + at, rule->allow);
	for (size_t i = 0; i < at; i++)
		if (BPF_CLASS(code[i].code) == BPF_JMP)
			code[i].off = (int16_t)(end - i - 1);
	return end;
}

size_t device_program_build(const struct device_rule *rules, size_t count, struct bpf_insn *ret_code)
{
	size_t at = put_prologue(ret_code);
	for (size_t i = count; i-- > 0;) {
		at += put_rule(ret_code + at, &rules[i]);
		/* the verifier refuses what cannot be reached */
		if (rules[i].type == 'a' && rules[i].access == DEVICE_ALL && rules[i].major < 0 && rules[i].minor < 0)
			return at;
	}
	return at + put_answer(ret_code + at, false);
}

static int load(const struct bpf_insn *code, size_t length)
{
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
		.insns = (unsigned long long)(uintptr_t)code,
		.insn_cnt = (uint32_t)length,
		.license = (unsigned long long)(uintptr_t) "Apache-2.0",
	};
	int fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof attr);
	return fd < 0 ? -errno : fd;
}

/* The program that is attached already (`update`), or -1. */
static int attached(int group_fd)
{
	uint32_t ids[64] = {0};
	union bpf_attr attr = {.query = {
				       .target_fd = (uint32_t)group_fd,
				       .attach_type = BPF_CGROUP_DEVICE,
				       .prog_ids = (unsigned long long)(uintptr_t)ids,
				       .prog_cnt = 64,
			       }};
	if (syscall(SYS_bpf, BPF_PROG_QUERY, &attr, sizeof attr) < 0 || attr.query.prog_cnt != 1)
		return -1;
	union bpf_attr by_id = {.prog_id = ids[0]};
	return (int)syscall(SYS_bpf, BPF_PROG_GET_FD_BY_ID, &by_id, sizeof by_id);
}

int device_program_attach(int dir_fd, const struct device_rule *rules, size_t count, struct err *err)
{
	scoped_free struct bpf_insn *code = calloc(DEVICE_PROGRAM_FRAME + count * DEVICE_PROGRAM_RULE_MAX, sizeof *code);
	if (!code)
		return err_sys(err, -ENOMEM, "cgroup.devices", "device program");
	scoped_fd int program = load(code, device_program_build(rules, count, code));
	if (program < 0)
		return err_sys(err, program, "cgroup.devices", "load the device program");
	scoped_fd int group_fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* bpf(2) takes no O_PATH */
	if (group_fd < 0)
		return err_sys(err, -errno, "cgroup.devices", "open the cgroup");
	scoped_fd int old = attached(group_fd);
	union bpf_attr attr = {
		.target_fd = (uint32_t)group_fd,
		.attach_bpf_fd = (uint32_t)program,
		.attach_type = BPF_CGROUP_DEVICE,
		.attach_flags = BPF_F_ALLOW_MULTI | (old >= 0 ? BPF_F_REPLACE : 0U),
		.replace_bpf_fd = old >= 0 ? (uint32_t)old : 0,
	};
	if (syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof attr) < 0)
		return err_sys(err, -errno, "cgroup.devices", "attach the device program");
	return 0;
}
