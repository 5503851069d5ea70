#include "core/codec/oci_runtime.h"

#include <check.h>
#include <errno.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/test_main.h"

#define CONFIG                                                                                                         \
	"{\"ociVersion\":\"1.2.0\",\"process\":{\"terminal\":true,\"user\":{\"uid\":0,\"gid\":0,\"additionalGids\":[5]},"     \
	"\"args\":[\"sh\"],\"env\":[\"A=b\"],\"cwd\":\"/\",\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"hard\":2,\"soft\":1}],"  \
	"\"oomScoreAdj\":-7},\"root\":{\"path\":\"rootfs\",\"readonly\":true},\"mounts\":[{\"destination\":\"/proc\","          \
	"\"type\":\"proc\",\"options\":[\"nosuid\"]}],\"annotations\":{\"k\":\"v\"},\"linux\":{\"sysctl\":{\"a.b\":\"1\"},"       \
	"\"resources\":{\"devices\":[{\"allow\":false,\"access\":\"rwm\"}],\"memory\":{\"limit\":-1}},"                         \
	"\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"network\",\"path\":\"/n\"}],"                                          \
	"\"timeOffsets\":{\"boottime\":{\"secs\":5}}}}"

static int decode(const char *text, struct arena *arena, struct oci_spec *ret_spec, struct err *err)
{
	return json_decode("config.json", text, strlen(text), &OCI_SPEC, arena, ret_spec, err);
}

START_TEST(reads_a_configuration_and_writes_the_same)
{
	struct arena arena = {.max = 1 << 20};
	struct oci_spec spec = {0};
	struct err err = {0};
	ck_assert_msg(decode(CONFIG, &arena, &spec, &err) == 0, "%s", err.message);
	ck_assert(spec.process->terminal);
	ck_assert_int_eq(*spec.process->oom_score_adj, -7);
	ck_assert_uint_eq(spec.process->user.additional_gids[0], 5);
	ck_assert_uint_eq(spec.process->rlimits[0].hard, 2);
	ck_assert(spec.root->readonly);
	ck_assert_int_eq(*spec.linux_->resources->memory->limit, -1);
	ck_assert_str_eq(spec.linux_->namespaces[1].path, "/n");
	ck_assert_str_eq(spec.linux_->time_offsets[0].clock, "boottime");
	ck_assert_str_eq(oci_annotation(&spec, "k"), "v");
	ck_assert_ptr_null(oci_annotation(&spec, "none"));

	struct buf text = {.max = 65536};
	ck_assert_int_eq(json_encode(&OCI_SPEC, &spec, &text), 0);
	ck_assert_str_eq(text.data, CONFIG);
	buf_done(&text);
	arena_done(&arena);
}
END_TEST

START_TEST(names_the_member_that_is_wrong)
{
	struct arena arena = {.max = 1 << 20};
	struct oci_spec spec = {0};
	struct err err = {0};
	ck_assert_int_eq(decode("{\"ociVersion\":\"1.2.0\",\"process\":{\"cwd\":\"/\",\"args\":[1]}}", &arena, &spec, &err),
			 -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.message, "process.args[0]"));
	ck_assert_int_eq(decode("{}", &arena, &spec, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.message, "ociVersion"));
	arena_done(&arena);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, reads_a_configuration_and_writes_the_same);
	tcase_add_test(cases, names_the_member_that_is_wrong);
}

TEST_MAIN("oci_runtime", add_tests)
