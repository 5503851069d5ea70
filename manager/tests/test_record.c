#include "manager/src/record.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/test_main.h"
#include "core/codec/proto_json.h"
#include "proto/cri.h"

static const char POD[] = "{\"version\":1,\"id\":\"abc\",\"owner\":\"cri\",\"phase\":\"ready\",\"created_ns\":5,"
			  "\"runtime_handler\":\"\",\"cgroup\":\"axle/pods/abc\",\"cgroup_is_ours\":true,"
			  "\"config\":{\"metadata\":{\"name\":\"web\"}}}";

START_TEST(what_is_written_is_read_again)
{
	struct arena arena = {.max = 1 << 20};
	struct pod_record record = {0};
	struct err err = {0};
	json_t *document = NULL;
	int r = record_parse("abc.json", POD, strlen(POD), &POD_RECORD, &arena, &record, &document, &err);
	ck_assert_msg(r == 0, "%s", err.message);
	ck_assert_str_eq(record.phase, "ready");
	ck_assert(record.cgroup_is_ours);
	scoped_done(buf_done) struct buf text = {.max = 4096};
	ck_assert_int_eq(json_encode(&POD_RECORD, &record, &text), 0);
	ck_assert_str_eq(text.data, POD);
	json_decref(document);
	arena_done(&arena);
}
END_TEST

static const struct {
	const char *text;
	int code;
	const char *reason;
} REFUSED[] = {
	{"", -EINVAL, "json.malformed"},
	{"{}", -EINVAL, "json.invalid"},
	{"{\"version\":2}", -ENOTSUP, "record.version"},
	{"{\"version\":0,\"id\":\"abc\"}", -ENOTSUP, "record.version"},
	{"{\"version\":1,\"id\":\"abc\"}", -EINVAL, "json.invalid"},
	{"{\"version\":1,\"id\":7,\"owner\":\"cri\",\"phase\":\"x\",\"cgroup\":\"\",\"config\":{}}", -EINVAL, "json.invalid"},
};

START_TEST(damaged_and_newer_records_are_told_apart)
{
	struct arena arena = {.max = 1 << 20};
	struct pod_record record = {0};
	struct err err = {0};
	json_t *document = NULL;
	const char *text = REFUSED[_i].text;
	ck_assert_int_eq(record_parse("x.json", text, strlen(text), &POD_RECORD, &arena, &record, &document, &err),
			 REFUSED[_i].code);
	ck_assert_str_eq(err.reason, REFUSED[_i].reason);
	ck_assert_ptr_null(document);
	arena_done(&arena);
}
END_TEST

/* The configuration in a record: every kind of field, there and back. */
START_TEST(messages_survive_json)
{
	Cri__ContainerConfig config = CRI__CONTAINER_CONFIG__INIT;
	Cri__ContainerMetadata metadata = CRI__CONTAINER_METADATA__INIT;
	Cri__KeyValue env = CRI__KEY_VALUE__INIT;
	Cri__KeyValue *envs[] = {&env};
	Cri__LinuxContainerConfig linux_ = CRI__LINUX_CONTAINER_CONFIG__INIT;
	Cri__LinuxContainerSecurityContext security = CRI__LINUX_CONTAINER_SECURITY_CONTEXT__INIT;
	Cri__LinuxContainerResources resources = CRI__LINUX_CONTAINER_RESOURCES__INIT;
	const char *command[] = {"a", "", "c"};
	int64_t groups[] = {0, 7, INT64_MAX};
	uint8_t bytes[] = {0, 0xff, 'x'};
	metadata.name = "n";
	metadata.attempt = UINT32_MAX;
	env.key = "K";
	env.value = (ProtobufCBinaryData){sizeof bytes, bytes};
	security.privileged = true;
	security.supplemental_groups = groups;
	security.n_supplemental_groups = 3;
	resources.memory_limit_in_bytes = INT64_MIN;
	linux_.security_context = &security;
	linux_.resources = &resources;
	config.metadata = &metadata;
	config.command = command;
	config.n_command = 3;
	config.envs = envs;
	config.n_envs = 1;
	config.linux = &linux_;
	config.stop_signal = CRI__SIGNAL__SIGNAL_SIGUSR1;

	json_t *json = proto_json_encode(&config.base);
	ck_assert_ptr_nonnull(json);
	ck_assert_str_eq(json_string_value(json_object_get(json, "stop_signal")), "SIGNAL_SIGUSR1");
	struct arena arena = {.max = 1 << 20};
	ProtobufCMessage *message = NULL;
	ck_assert_int_eq(proto_json_decode("t", &cri__container_config__descriptor, json, &arena, &message, NULL), 0);
	const Cri__ContainerConfig *read = (const Cri__ContainerConfig *)message;
	ck_assert_str_eq(read->command[2], "c");
	ck_assert_str_eq(read->command[1], "");
	ck_assert_uint_eq(read->metadata->attempt, UINT32_MAX);
	ck_assert_mem_eq(read->envs[0]->value.data, bytes, sizeof bytes);
	ck_assert(read->linux->security_context->privileged);
	ck_assert_int_eq(read->linux->security_context->supplemental_groups[2], INT64_MAX);
	ck_assert_int_eq(read->linux->resources->memory_limit_in_bytes, INT64_MIN);
	ck_assert_int_eq(read->stop_signal, CRI__SIGNAL__SIGNAL_SIGUSR1);
	ck_assert_str_eq(read->working_dir, "");
	json_t *again = proto_json_encode(message);
	ck_assert(json_equal(json, again));
	json_decref(again);
	json_decref(json);
	arena_done(&arena);
}
END_TEST

static const char *const MISFITS[] = {
	"{\"command\":\"a\"}",	    "{\"command\":[1]}",     "{\"tty\":1}",
	"{\"metadata\":[]}",	    "{\"stop_signal\":\"X\"}", "{\"metadata\":{\"attempt\":4294967296}}",
	"{\"envs\":[{\"value\":\"*\"}]}",
};

START_TEST(json_that_is_no_such_message_is_refused)
{
	json_t *json = json_loads(MISFITS[_i], 0, NULL);
	struct arena arena = {.max = 1 << 20};
	ProtobufCMessage *message = NULL;
	ck_assert_int_eq(proto_json_decode("t", &cri__container_config__descriptor, json, &arena, &message, NULL), -EINVAL);
	json_decref(json);
	arena_done(&arena);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, what_is_written_is_read_again);
	tcase_add_loop_test(cases, damaged_and_newer_records_are_told_apart, 0, ARRAY_COUNT(REFUSED));
	tcase_add_test(cases, messages_survive_json);
	tcase_add_loop_test(cases, json_that_is_no_such_message_is_refused, 0, ARRAY_COUNT(MISFITS));
}

TEST_MAIN("record", add_tests)
