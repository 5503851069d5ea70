/* Container records and configurations: what is accepted, what is refused and in which words; device rules; seccomp. */
#include <check.h>
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/test_main.h"
#include "core/codec/oci_runtime.h"
#include "runtime/src/axrun/config.h"
#include "runtime/src/axrun/device_program.h"
#include "runtime/src/axrun/device_rule.h"
#include "runtime/src/axrun/device_rules.h"
#include "runtime/src/axrun/seccomp.h"
#include "runtime/src/axrun/seccomp_cache.h"
#include "runtime/src/axrun/state.h"

static int decode_state(const char *text, struct err *err)
{
	struct arena arena = {.max = STATE_BYTES_MAX};
	struct state state = {0};
	int r = state_decode(text, strlen(text), &arena, &state, err);
	arena_done(&arena);
	return r;
}

START_TEST(records_of_other_versions_and_damaged_ones_are_refused)
{
	struct err err = {0};
	ck_assert_int_eq(decode_state("{\"version\":1,\"id\":\"a\",\"bundle\":\"/b\"}", &err), 0);
	ck_assert_int_eq(decode_state("{\"version\":2,\"id\":\"a\",\"bundle\":\"/b\"}", &err), -EUCLEAN);
	ck_assert_ptr_nonnull(strstr(err.message, "version 2, expected 1"));
	ck_assert_int_eq(decode_state("{\"version\":1,\"id\":", &err), -EUCLEAN);
	ck_assert_int_eq(decode_state("{\"version\":1,\"id\":\"a\",\"bundle\":\"/b\",\"pid\":-4}", &err), -EUCLEAN);
	ck_assert_int_eq(decode_state("", &err), -EUCLEAN);
}
END_TEST

START_TEST(ids_are_plain_names)
{
	ck_assert(container_id_is_valid("a-b_c.d+1"));
	static const char *const BAD[] = {"", ".", "..", ".cache", "a/b", "a b", "\xc3\xa9"};
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
		ck_assert(!container_id_is_valid(BAD[i]));
}
END_TEST

static int decode_config(const char *text, struct err *err)
{
	struct arena arena = {.max = CONFIG_ARENA_MAX};
	struct oci_spec spec = {0};
	int r = config_decode("config.json", text, strlen(text), &arena, &spec, err);
	arena_done(&arena);
	return r;
}

#define WITH(more) "{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"r\"}," more "}"

START_TEST(configurations_are_checked)
{
	struct err err = {0};
	ck_assert_int_eq(decode_config(WITH("\"linux\":{}"), &err), 0);
	ck_assert_int_eq(decode_config("{\"ociVersion\":\"3.0.0\",\"root\":{\"path\":\"r\"}}", &err), -EINVAL);
	ck_assert_int_eq(decode_config(WITH("\"process\":{\"cwd\":\"/\",\"args\":[\"\"]}"), &err), -EINVAL);
	ck_assert_int_eq(decode_config(WITH("\"linux\":{\"sysctl\":{\"kernel.panic\":\"1\"}}"), &err), -EINVAL);
	ck_assert_int_eq(decode_config(WITH("\"linux\":{\"sysctl\":{\"net.x\":\"1\"}}"), &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.message, "network namespace"));
	ck_assert_int_eq(decode_config(WITH("\"linux\":{\"sysctl\":{\"kernel.semaphore\":\"1\"},"
					    "\"namespaces\":[{\"type\":\"ipc\"}]}"),
				       &err),
			 -EINVAL); /* "kernel.sem" is one name, no prefix */
}
END_TEST

START_TEST(device_rules_are_closed_first_and_everything_opens_all)
{
	struct device_rule *rules = NULL;
	size_t count = 0;
	struct oci_resources none = {0};
	ck_assert_int_eq(device_rules_list(&none, &rules, &count, NULL), 0);
	ck_assert(count > 5 && !rules[0].allow && rules[0].access == DEVICE_ALL);
	free(rules);
	struct oci_device_rule all = {.allow = true, .access = "rwm"};
	struct oci_resources open = {.devices = &all, .devices_count = 1};
	ck_assert_int_eq(device_rules_list(&open, &rules, &count, NULL), 0);
	ck_assert(count == 1 && rules[0].allow);
	free(rules);
	struct oci_device_rule odd = {.allow = true, .type = "x"};
	struct oci_resources bad = {.devices = &odd, .devices_count = 1};
	ck_assert_int_eq(device_rules_list(&bad, &rules, &count, NULL), -EINVAL);
}
END_TEST

/* A tiny interpreter of what device_program_build() makes: the verdict on one access. */
static int run_program(const struct bpf_insn *code, size_t length, const uint32_t context[3])
{
	uint64_t registers[11] = {0};
	for (size_t at = 0; at < length; at++) {
		const struct bpf_insn *insn = &code[at];
		uint64_t *dst = &registers[insn->dst_reg];
		switch (insn->code) {
		case BPF_LDX | BPF_MEM | BPF_W:
			*dst = context[insn->off / 4];
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			*dst &= (uint32_t)insn->imm;
			break;
		case BPF_ALU | BPF_RSH | BPF_K:
			*dst >>= insn->imm;
			break;
		case BPF_ALU | BPF_MOV | BPF_X:
			*dst = registers[insn->src_reg];
			break;
		case BPF_ALU64 | BPF_MOV | BPF_K:
			*dst = (uint64_t)insn->imm;
			break;
		case BPF_JMP | BPF_JNE | BPF_K:
			at += *dst != (uint64_t)insn->imm ? (size_t)insn->off : 0;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			at += *dst == (uint64_t)insn->imm ? (size_t)insn->off : 0;
			break;
		case BPF_JMP | BPF_EXIT:
			return (int)registers[0];
		default:
			ck_abort_msg("instruction %#x", insn->code);
		}
	}
	ck_abort_msg("ran off the end");
	return -1;
}

START_TEST(the_last_device_rule_that_matches_decides)
{
	const struct device_rule rules[] = {
		{false, 'a', -1, -1, DEVICE_ALL},
		{true, 'c', 1, -1, DEVICE_READ | DEVICE_WRITE},
		{false, 'c', 1, 5, DEVICE_WRITE},
		{true, 'b', 7, 0, DEVICE_ALL},
	};
	struct bpf_insn code[DEVICE_PROGRAM_FRAME + 4 * DEVICE_PROGRAM_RULE_MAX];
	size_t length = device_program_build(rules, 4, code);
	ck_assert_uint_le(length, sizeof code / sizeof *code);
	static const struct {
		unsigned type, access, major, minor;
		int verdict;
	} CASES[] = {
		{BPF_DEVCG_DEV_CHAR, DEVICE_READ, 1, 3, 1},
		{BPF_DEVCG_DEV_CHAR, DEVICE_READ | DEVICE_WRITE, 1, 3, 1},
		{BPF_DEVCG_DEV_CHAR, DEVICE_MKNOD, 1, 3, 0},
		{BPF_DEVCG_DEV_CHAR, DEVICE_READ | DEVICE_WRITE, 1, 5, 0},
		{BPF_DEVCG_DEV_CHAR, DEVICE_READ, 1, 5, 1},
		{BPF_DEVCG_DEV_BLOCK, DEVICE_MKNOD, 7, 0, 1},
		{BPF_DEVCG_DEV_BLOCK, DEVICE_READ, 7, 1, 0},
		{BPF_DEVCG_DEV_CHAR, DEVICE_READ, 5, 0, 0},
	};
	for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
		const uint32_t context[3] = {CASES[i].access << 16 | CASES[i].type, CASES[i].major, CASES[i].minor};
		ck_assert_int_eq(run_program(code, length, context), CASES[i].verdict);
	}
}
END_TEST

START_TEST(seccomp_profiles_compile_and_differ)
{
	static const char *const NAMES[] = {"mkdir", "no_such_call", NULL};
	struct oci_seccomp_rule rule = {.names = NAMES, .action = "SCMP_ACT_ERRNO"};
	struct oci_seccomp profile = {.default_action = "SCMP_ACT_ALLOW", .syscalls = &rule, .syscalls_count = 1};
	struct seccomp_program program = {0};
	struct err err = {0};
	ck_assert_msg(seccomp_program_compile(&profile, -1, &program, &err) == 0, "%s", err.message);
	ck_assert(program.length > 2 && !program.notifies);
	seccomp_program_done(&program);

	struct buf one = {.max = SECCOMP_PROFILE_MAX}, two = {.max = SECCOMP_PROFILE_MAX};
	ck_assert_int_eq(seccomp_profile_bytes(&profile, &one), 0);
	static const uint32_t NUMBER = 5;
	rule.errno_ret = &NUMBER;
	ck_assert_int_eq(seccomp_profile_bytes(&profile, &two), 0);
	ck_assert(one.size != two.size || memcmp(one.data, two.data, one.size) != 0);
	buf_done(&one);
	buf_done(&two);

	rule.action = "SCMP_ACT_WISH";
	ck_assert_int_eq(seccomp_program_compile(&profile, -1, &program, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.message, "SCMP_ACT_WISH"));
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, records_of_other_versions_and_damaged_ones_are_refused);
	tcase_add_test(cases, ids_are_plain_names);
	tcase_add_test(cases, configurations_are_checked);
	tcase_add_test(cases, device_rules_are_closed_first_and_everything_opens_all);
	tcase_add_test(cases, the_last_device_rule_that_matches_decides);
	tcase_add_test(cases, seccomp_profiles_compile_and_differ);
}

TEST_MAIN("axrun_records", add_tests)
