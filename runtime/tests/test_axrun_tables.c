/* The tables of axrun: names of signals, capabilities and mount options, error phrases, points in time. */
#include <check.h>
#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>

#include "core/base/err.h"
#include "core/base/test_main.h"
#include "core/codec/oci_runtime.h"
#include "runtime/src/axrun/capability.h"
#include "runtime/src/axrun/mount_options.h"
#include "runtime/src/axrun/program.h"
#include "runtime/src/axrun/report.h"
#include "runtime/src/axrun/signal_name.h"
#include "runtime/src/axrun/timestamp.h"

START_TEST(signals_have_names_and_numbers)
{
	ck_assert_int_eq(signal_parse("KILL"), SIGKILL);
	ck_assert_int_eq(signal_parse("sigterm"), SIGTERM);
	ck_assert_int_eq(signal_parse("10"), 10);
	ck_assert_int_eq(signal_parse("RTMIN+3"), SIGRTMIN + 3);
	ck_assert_int_eq(signal_parse("SIGRTMAX-1"), SIGRTMAX - 1);
	static const char *const BAD[] = {"", "SIG", "NOSUCH", "-1", "999", "RTMIN+99", "RTMIN-1", "9 "};
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
		ck_assert_int_eq(signal_parse(BAD[i]), -EINVAL);
}
END_TEST

START_TEST(capability_sets_are_cut_to_what_can_be_given)
{
	ck_assert_int_eq(capability_parse("CAP_CHECKPOINT_RESTORE"), CAP_CHECKPOINT_RESTORE);
	ck_assert_int_eq(capability_parse("sys_admin"), CAP_SYS_ADMIN);
	ck_assert_int_eq(capability_parse("CAP_NOSUCH"), -EINVAL);
	ck_assert_str_eq(capability_name(CAP_KILL), "CAP_KILL");
	ck_assert_ptr_null(capability_name(CAP_LAST_CAP + 1));

	static const char *const NAMES[] = {"CAP_KILL", "CAP_CHOWN", "CAP_FUTURE", NULL};
	static const char *const KILL_ALONE[] = {"CAP_KILL", NULL};
	struct oci_capabilities oci = {
		.bounding = NAMES, .permitted = NAMES, .effective = NAMES, .inheritable = KILL_ALONE, .ambient = NAMES};
	struct capability_sets sets = {0};
	capability_sets_from_oci(&oci, 1U << CAP_KILL | 1U << CAP_SETUID, &sets);
	ck_assert_uint_eq(sets.bounding, 1U << CAP_KILL);
	capability_sets_from_oci(&oci, ~(uint64_t)0, &sets);
	ck_assert_uint_eq(sets.permitted, 1U << CAP_KILL | 1U << CAP_CHOWN);
	ck_assert_uint_eq(sets.ambient, 1U << CAP_KILL); /* within the inheritable ones */
	capability_sets_from_oci(NULL, ~(uint64_t)0, &sets);
	ck_assert_uint_eq(sets.bounding | sets.permitted | sets.effective | sets.inheritable | sets.ambient, 0);
}
END_TEST

START_TEST(mount_options_are_sorted_by_meaning)
{
	static const char *const WORDS[] = {"rbind",  "ro,nosuid", "rw",	      "rro",	 "rslave",
					    "mode=755", "tmpcopyup", "noatime", NULL};
	struct mount_options options;
	ck_assert_int_eq(mount_options_parse(WORDS, &options, NULL), 0);
	ck_assert(options.bind && options.recursive && options.copy_up && options.readonly);
	ck_assert_uint_eq(options.set, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOATIME); /* "rw" took "ro" back */
	ck_assert_uint_eq(options.clear, MOUNT_ATTR_RDONLY | MOUNT_ATTR__ATIME);
	ck_assert_uint_eq(options.rset, MOUNT_ATTR_RDONLY);
	ck_assert_uint_eq(options.propagation, MS_SLAVE);
	ck_assert(options.propagation_recursive);
	ck_assert_uint_eq(options.data_count, 1);
	ck_assert_str_eq(options.data[0].key, "mode");
	ck_assert_str_eq(options.data[0].value, "755");
}
END_TEST

START_TEST(too_many_mount_options_are_refused)
{
	const char *words[MOUNT_DATA_MAX + 2] = {NULL};
	for (size_t i = 0; i <= MOUNT_DATA_MAX; i++)
		words[i] = "key=value";
	struct mount_options options;
	struct err err = {0};
	ck_assert_int_eq(mount_options_parse(words, &options, &err), -E2BIG);
	char long_word[5000];
	memset(long_word, 'x', sizeof long_word - 1);
	long_word[sizeof long_word - 1] = '\0';
	const char *const one[] = {long_word, NULL};
	ck_assert_int_eq(mount_options_parse(one, &options, &err), -E2BIG);
}
END_TEST

START_TEST(phrases_stay_with_their_causes)
{
	char text[256];
	struct err err = {0};
	(void)err_sys(&err, -ENOENT, "mount.source", "mount source /x");
	report_text(&err, -ENOENT, text, sizeof text);
	ck_assert_str_eq(text, "mount source /x: does not exist (ENOENT)");
	ck_assert_int_eq(report_exit_status(&err), 1);
	(void)err_sys(&err, -EPERM, "seccomp.load", "load");
	report_text(&err, -EPERM, text, sizeof text);
	ck_assert_str_eq(text, "load: not allowed (EPERM)");
	(void)program_exec_failed("/x", -ENOENT, &err);
	report_text(&err, -ENOENT, text, sizeof text);
	ck_assert_str_eq(text, "exec /x: no such file or directory");
	ck_assert_int_eq(report_exit_status(&err), 127);
	(void)program_exec_failed("/x", -EACCES, &err);
	ck_assert_int_eq(report_exit_status(&err), 126);
	report_text(&err, -EACCES, text, 8);
	ck_assert_str_eq(text, "exec /x");
}
END_TEST

START_TEST(points_in_time_read_as_rfc_3339)
{
	char text[TIMESTAMP_MAX];
	timestamp_format(0, 0, text);
	ck_assert_str_eq(text, "1970-01-01T00:00:00.000000000Z");
	timestamp_format(951868799, 1, text); /* the last second of a leap day */
	ck_assert_str_eq(text, "2000-02-29T23:59:59.000000001Z");
	timestamp_format(4102444800, 999999999, text);
	ck_assert_str_eq(text, "2100-01-01T00:00:00.999999999Z");
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, signals_have_names_and_numbers);
	tcase_add_test(cases, capability_sets_are_cut_to_what_can_be_given);
	tcase_add_test(cases, mount_options_are_sorted_by_meaning);
	tcase_add_test(cases, too_many_mount_options_are_refused);
	tcase_add_test(cases, phrases_stay_with_their_causes);
	tcase_add_test(cases, points_in_time_read_as_rfc_3339);
}

TEST_MAIN("axrun_tables", add_tests)
