/* cgroup v2's device control: a BPF program made of the rules (cgroup-v2.rst, "Device controller"). */
#pragma once

#include <stddef.h>

struct bpf_insn;
struct device_rule;
struct err;

/* Most instructions that one rule, and the program around them, take. */
#define DEVICE_PROGRAM_RULE_MAX 8
#define DEVICE_PROGRAM_FRAME 8

/* Translates @count rules (the last that matches decides, none: refused) into @ret_code, which has room for
 * DEVICE_PROGRAM_FRAME + count * DEVICE_PROGRAM_RULE_MAX instructions. Returns how many were used. */
size_t device_program_build(const struct device_rule *rules, size_t count, struct bpf_insn *ret_code);

/* Builds, loads and attaches it to the v2 group's directory, in place of any former one. Errors: of bpf(2). */
int device_program_attach(int dir_fd, const struct device_rule *rules, size_t count, struct err *err);
