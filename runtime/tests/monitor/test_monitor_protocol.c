#include <errno.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/test_main.h"
#include "runtime/include/axle/monitor.h"

static int decode(enum monitor_sender sender, const char *text, struct arena *arena, struct monitor_message *ret,
		  struct err *err)
{
	return monitor_message_decode(sender, text, strlen(text), arena, ret, err);
}

START_TEST(a_configuration_comes_back_whole)
{
	const char *const args[] = {"--root", "/run/x", NULL};
	const char *const names[] = {"rootfs", NULL};
	const struct monitor_runtime runtime = {.path = "/bin/axrun", .args = args, .timeout_ms = 5};
	const struct monitor_log log = {.path = "/var/log/\xc3\xa4", .max_bytes = UINT64_C(1) << 40, .files = 3};
	const struct monitor_config config = {.id = "c1",
					      .bundle = "/b",
					      .record_dir = "/r",
					      .socket = "/s",
					      .runtime = &runtime,
					      .log = &log,
					      .tty = true,
					      .open_stdin = true,
					      .rows = 24,
					      .columns = 80,
					      .pid = 7};
	const struct monitor_message message = {
		.id = UINT64_C(1) << 60, .op = MONITOR_CREATE, .config = &config, .descriptors = names};
	scoped_done(buf_done) struct buf text = {.max = MONITOR_MESSAGE_MAX};
	ck_assert_int_eq(monitor_message_encode(&message, &text), 0);

	scoped_done(arena_done) struct arena arena = {.max = 65536};
	struct monitor_message back = {0};
	ck_assert_int_eq(monitor_message_decode(MONITOR_FROM_CLIENT, text.data, text.size, &arena, &back, NULL), 0);
	ck_assert_uint_eq(back.id, message.id);
	ck_assert_int_eq(back.op, MONITOR_CREATE);
	ck_assert_str_eq(back.descriptors[0], "rootfs");
	ck_assert_str_eq(back.config->runtime->args[1], "/run/x");
	ck_assert_ptr_null(back.config->runtime->create_args);
	ck_assert_str_eq(back.config->log->path, log.path);
	ck_assert_uint_eq(back.config->log->max_bytes, log.max_bytes);
	ck_assert(back.config->tty && back.config->open_stdin && !back.config->stdin_once);
	ck_assert_uint_eq(back.config->columns, 80);
}
END_TEST

START_TEST(events_and_errors_come_back)
{
	const struct monitor_exit exit = {.version = 1, .id = "c", .exit_code = 137, .signal = 9, .reason = "signaled"};
	const struct monitor_message event = {.op = MONITOR_EXITED, .exit = &exit};
	scoped_done(buf_done) struct buf text = {.max = MONITOR_MESSAGE_MAX};
	ck_assert_int_eq(monitor_message_encode(&event, &text), 0);
	scoped_done(arena_done) struct arena arena = {.max = 65536};
	struct monitor_message back = {0};
	ck_assert_int_eq(monitor_message_decode(MONITOR_FROM_MONITOR, text.data, text.size, &arena, &back, NULL), 0);
	ck_assert_int_eq(back.exit->exit_code, 137);

	const char *refusal = "{\"id\":4,\"op\":\"start\",\"error\":{\"code\":-5,\"reason\":\"r\","
			      "\"message\":\"m\"}}";
	ck_assert_int_eq(decode(MONITOR_FROM_MONITOR, refusal, &arena, &back, NULL), 0);
	ck_assert_int_eq(back.error->code, -5);
	ck_assert_ptr_null(back.state);
}
END_TEST

static const struct {
	enum monitor_sender sender;
	const char *text;
	int code;
	const char *reason;
} REFUSED[] = {
	{MONITOR_FROM_CLIENT, "", -EINVAL, "monitor.malformed"},
	{MONITOR_FROM_CLIENT, "{}", -EINVAL, "monitor.malformed"},
	{MONITOR_FROM_CLIENT, "{\"op\":\"state\"}", -EINVAL, "monitor.malformed"},
	{MONITOR_FROM_CLIENT, "{\"op\":\"state\",\"id\":1,\"id\":2}", -EINVAL, "monitor.malformed"},
	{MONITOR_FROM_CLIENT, "{\"op\":\"signal\",\"id\":1}", -EINVAL, "monitor.malformed"},
	{MONITOR_FROM_CLIENT, "{\"op\":\"create\",\"id\":1,\"config\":{\"id\":\"x\"}}", -EINVAL, "monitor.malformed"},
	{MONITOR_FROM_CLIENT, "{\"op\":\"signal\",\"id\":1,\"signal\":{\"signal\":4294967296}}", -EINVAL,
	 "monitor.malformed"},
	{MONITOR_FROM_CLIENT, "{\"op\":\"state\",\"id\":1}x", -EINVAL, "monitor.malformed"},
	{MONITOR_FROM_CLIENT, "{\"op\":\"no-such\",\"id\":1}", -EOPNOTSUPP, "monitor.unknown-op"},
	{MONITOR_FROM_CLIENT, "{\"op\":\"exited\",\"id\":1}", -EOPNOTSUPP, "monitor.unknown-op"},
	{MONITOR_FROM_MONITOR, "{\"op\":\"state\",\"id\":1}", -EINVAL, "monitor.malformed"},
	{MONITOR_FROM_MONITOR, "{\"op\":\"stdin-closed\",\"id\":1}", -EINVAL, "monitor.malformed"},
	{MONITOR_FROM_MONITOR, "{\"op\":\"quit\"}", -EINVAL, "monitor.malformed"},
};

START_TEST(what_is_no_message_of_its_sender_is_refused)
{
	scoped_done(arena_done) struct arena arena = {.max = 65536};
	struct monitor_message message = {0};
	struct err err = {0};
	int r = decode(REFUSED[_i].sender, REFUSED[_i].text, &arena, &message, &err);
	ck_assert_int_eq(r, REFUSED[_i].code);
	ck_assert_str_eq(err.reason, REFUSED[_i].reason);
	if (r == -EOPNOTSUPP)
		ck_assert_uint_eq(message.id, 1); /* so that it can be answered */
}
END_TEST

START_TEST(a_message_has_a_largest_size_both_ways)
{
	static char big[MONITOR_MESSAGE_MAX + 2];
	memset(big, 'x', MONITOR_MESSAGE_MAX);
	const struct monitor_signal signal = {.signal = 9, .session = big};
	const struct monitor_message message = {.id = 1, .op = MONITOR_SIGNAL, .signal = &signal};
	scoped_done(buf_done) struct buf text = {.max = 4 * MONITOR_MESSAGE_MAX};
	ck_assert_int_eq(monitor_message_encode(&message, &text), -EMSGSIZE);

	memset(big, ' ', sizeof big - 1);
	memcpy(big, "{\"op\":\"state\",\"id\":1}", 21);
	scoped_done(arena_done) struct arena arena = {.max = 1 << 20};
	struct monitor_message back = {0};
	ck_assert_int_eq(monitor_message_decode(MONITOR_FROM_CLIENT, big, MONITOR_MESSAGE_MAX + 1, &arena, &back, NULL),
			 -EMSGSIZE);
	ck_assert_int_eq(monitor_message_decode(MONITOR_FROM_CLIENT, big, MONITOR_MESSAGE_MAX, &arena, &back, NULL), 0);
}
END_TEST

START_TEST(every_phase_has_a_name)
{
	for (int phase = 0; phase < MONITOR_PHASE_COUNT; phase++)
		ck_assert_str_ne(monitor_phase_name((enum monitor_phase)phase), "unknown");
	ck_assert_str_eq(monitor_phase_name(MONITOR_PHASE_COUNT), "unknown");
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, a_configuration_comes_back_whole);
	tcase_add_test(cases, events_and_errors_come_back);
	tcase_add_loop_test(cases, what_is_no_message_of_its_sender_is_refused, 0, (int)ARRAY_COUNT(REFUSED));
	tcase_add_test(cases, a_message_has_a_largest_size_both_ways);
	tcase_add_test(cases, every_phase_has_a_name);
}

TEST_MAIN("monitor-protocol", add_tests)
