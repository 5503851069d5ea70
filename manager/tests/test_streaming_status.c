#include "manager/src/streaming_status.h"

#include <errno.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/test_main.h"

START_TEST(how_a_command_ended_as_a_kubelet_reads_it)
{
	scoped_done(buf_done) struct buf text = {.max = 4096};
	ck_assert_int_eq(status_of_exit(4, 0, &text), 0);
	ck_assert_str_eq(text.data, "{\"metadata\":{},\"status\":\"Success\"}");
	buf_clear(&text);
	ck_assert_int_eq(status_of_exit(4, 137, &text), 0);
	ck_assert_str_eq(text.data, "{\"metadata\":{},\"status\":\"Failure\",\"message\":\"command terminated with non-zero exit code: "
				    "exit status 137\",\"reason\":\"NonZeroExitCode\",\"details\":{\"causes\":[{\"reason\":"
				    "\"ExitCode\",\"message\":\"137\"}]}}");
}
END_TEST

START_TEST(why_it_could_not_be_done)
{
	scoped_done(buf_done) struct buf text = {.max = 4096};
	struct err err = {0};
	(void)err_set(&err, -ENOENT, "x", "no \"such\" program");
	ck_assert_int_eq(status_of_failure(4, "executing", &err, -ENOENT, &text), 0);
	ck_assert_str_eq(text.data, "{\"metadata\":{},\"status\":\"Failure\",\"message\":\"Internal error occurred: error executing: "
				    "no \\\"such\\\" program\",\"reason\":\"InternalError\",\"details\":{\"causes\":[{\"message\":"
				    "\"error executing: no \\\"such\\\" program\"}]},\"code\":500}");
}
END_TEST

START_TEST(older_protocols_have_text)
{
	scoped_done(buf_done) struct buf text = {.max = 4096};
	for (int version = 1; version < STATUS_PROTOCOL_JSON; version++) {
		buf_clear(&text);
		ck_assert_int_eq(status_of_exit(version, 0, &text), 0);
		ck_assert_uint_eq(text.size, 0);
		ck_assert_int_eq(status_of_exit(version, 3, &text), 0);
		ck_assert_str_eq(text.data, "command terminated with non-zero exit code: exit status 3");
		buf_clear(&text);
		ck_assert_int_eq(status_of_failure(version, "attaching", NULL, -ENOENT, &text), 0);
		ck_assert_str_eq(text.data, "Internal error occurred: error attaching: No such file or directory");
	}
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, how_a_command_ended_as_a_kubelet_reads_it);
	tcase_add_test(cases, why_it_could_not_be_done);
	tcase_add_test(cases, older_protocols_have_text);
}

TEST_MAIN("streaming-status", add_tests)
