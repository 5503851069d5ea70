#include "core/sys/net_dev.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/scoped.h"
#include "core/base/test_main.h"

#define HEADER                                                                                                         \
	"Inter-|   Receive                                                |  Transmit\n"                               \
	" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier " \
	"compressed\n"

START_TEST(reads_a_recorded_file)
{
	struct net_dev devices[NET_DEV_MAX] = {0};
	size_t count = net_dev_parse(HEADER
				     "    lo: 12146284    1812    0    0    0     0          0         0 12146284    1812    0    "
				     "0    0     0       0          0\n"
				     "  eth0: 736175060   19926    3    0    0     0          0         0   772712    9539    4    0"
				     "    0     0       0          0\n"
				     "veth1:0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 18446744073709551615\n",
				     devices);
	ck_assert_uint_eq(count, 3);
	ck_assert_str_eq(devices[0].name, "lo");
	ck_assert_str_eq(devices[1].name, "eth0");
	ck_assert_uint_eq(devices[1].rx_bytes, 736175060);
	ck_assert_uint_eq(devices[1].rx_errors, 3);
	ck_assert_uint_eq(devices[1].tx_bytes, 772712);
	ck_assert_uint_eq(devices[1].tx_errors, 4);
	ck_assert_str_eq(devices[2].name, "veth1:0");
	ck_assert_uint_eq(devices[2].tx_bytes, 9);
}
END_TEST

START_TEST(leaves_out_what_is_no_device)
{
	struct net_dev devices[NET_DEV_MAX] = {0};
	ck_assert_uint_eq(net_dev_parse("", devices), 0);
	ck_assert_uint_eq(net_dev_parse(HEADER, devices), 0);
	ck_assert_uint_eq(net_dev_parse("eth0: 1 2 3\n", devices), 0);
	ck_assert_uint_eq(net_dev_parse("eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", devices), 0); /* cut */
	ck_assert_uint_eq(net_dev_parse("\377\376: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n", devices), 0);
	ck_assert_uint_eq(net_dev_parse("a234567890123456: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n", devices), 0);
	ck_assert_uint_eq(net_dev_parse(": 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n", devices), 0);
}
END_TEST

START_TEST(more_devices_than_are_told)
{
	scoped_done(buf_done) struct buf text = {.max = 1 << 20};
	for (int i = 0; i < 3 * NET_DEV_MAX; i++)
		ck_assert_int_eq(buf_printf(&text, "d%d: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n", i), 0);
	struct net_dev devices[NET_DEV_MAX];
	ck_assert_uint_eq(net_dev_parse(text.data, devices), NET_DEV_MAX);
	ck_assert_str_eq(devices[NET_DEV_MAX - 1].name, "d63");
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, reads_a_recorded_file);
	tcase_add_test(cases, leaves_out_what_is_no_device);
	tcase_add_test(cases, more_devices_than_are_told);
}

TEST_MAIN("net_dev", add_tests)
