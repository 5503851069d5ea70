#include "signals/adaptors/can/dbc.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/test_main.h"

static const char BUS[] =
	"VERSION \"1\"\n\nNS_ :\n\tNS_DESC_\n\tCM_\n\tBA_DEF_\n\tVAL_\n\tBO_TX_BU_\n\nBS_:\n\nBU_: ECU GW\n"
	"VAL_TABLE_ OnOff 1 \"on\" 0 \"off\" ;\n\n"
	"BO_ 496 Example: 8 ECU\n"
	" SG_ Temperature : 0|12@0- (0.01,250) [229.53|270.47] \"degK\" GW\n"
	" SG_ AverageRadius : 6|6@0+ (0.1,0) [0|5] \"m\"  GW,ECU\n"
	" SG_ Enable : 7|1@0+ (1,0) [0|0] \"-\" Vector__XXX\n\n"
	"BO_ 256 Intel: 8 Vector__XXX\n"
	" SG_ Speed : 4|13@1+ (0.1,-10) [0|0] \"km/h\" GW\n"
	" SG_ Torque : 17|9@1- (1,0) [0|0] \"Nm\" GW\n"
	" SG_ Ratio : 32|32@1- (1,0) [0|0] \"\" GW\n\n"
	"BO_ 2566844926 Extended: 8\n"
	" SG_ Whole : 0|64@1+ (1,0) [0|0] \"\" GW\n\n"
	"BO_ 300 Plain: 8 ECU\n"
	" SG_ Which M : 0|8@1+ (1,0) [0|0] \"\" GW\n"
	" SG_ A m0 : 8|16@1+ (1,0) [0|0] \"\" GW\n"
	" SG_ B m1 : 8|16@0+ (1,0) [0|0] \"\" GW\n\n"
	"BO_ 301 Deep: 8 ECU\n"
	" SG_ Top M : 0|4@1+ (1,0) [0|0] \"\" GW\n"
	" SG_ Middle m3M : 4|4@1+ (1,0) [0|0] \"\" GW\n"
	" SG_ Leaf m1 : 8|8@1+ (1,0) [0|0] \"\" GW\n\n"
	"BO_ 400 Flexible: 64 ECU\n"
	" SG_ Far : 504|8@1+ (1,0) [0|0] \"\" GW\n"
	" SG_ Double : 0|64@1- (2,0) [0|0] \"\" GW\n\n"
	"CM_ SG_ 496 Enable \"a comment\nwith BO_ 1 lines; and a semicolon\";\n"
	"BA_DEF_ BO_ \"GenMsgCycleTime\" INT 0 65535;\n"
	"BA_DEF_DEF_ \"GenMsgCycleTime\" 0;\n"
	"BA_ \"GenMsgCycleTime\" BO_ 496 100;\n"
	"BA_ \"GenSigStartValue\" SG_ 256 Speed 100;\n"
	"BA_ \"BusType\" \"CAN FD\";\n"
	"BA_ \"VFrameFormat\" BO_ 300 14;\n"
	"VAL_ 256 Torque 255 \"SNA\" 254 \"Error\" -1 \"minus \xfc\" ;\n"
	"VAL_ 999 Nothing 1 \"x\" ;\n"
	"SIG_VALTYPE_ 256 Ratio : 1;\n"
	"SIG_VALTYPE_ 400 Double : 2;\n"
	"SG_MUL_VAL_ 301 Middle Top 3-5, 9-9;\n"
	"SG_MUL_VAL_ 301 Leaf Middle 1-1;\n";

static struct dbc *load(const char *text)
{
	struct dbc *dbc = NULL;
	struct err err = {0};
	ck_assert_msg(dbc_parse("bus.dbc", text, strlen(text), &dbc, &err) == 0, "%s", err.message);
	return dbc;
}

static struct can_frame_data frame_of(uint32_t id, const char *bytes, size_t length)
{
	struct can_frame_data frame = {.id = id, .length = (uint8_t)length};
	memcpy(frame.data, bytes, length);
	return frame;
}

static const struct {
	uint32_t id;
	bool extended;
	const char *signal;
	const char *bytes;
	size_t length;
	int present; /* what dbc_extract() returns */
	double physical;
} DECODED[] = {
	/* the well-known example of cantools' manual */
	{496, false, "Temperature", "\xc0\x01\x40\0\0\0\0\0", 8, 0, 250.1},
	{496, false, "AverageRadius", "\xc0\x01\x40\0\0\0\0\0", 8, 0, 3.2},
	{496, false, "Enable", "\xc0\x01\x40\0\0\0\0\0", 8, 0, 1},
	{496, false, "Temperature", "\x01\xff\xe0\0\0\0\0\0", 8, 0, 249.99},
	{496, false, "Temperature", "\x01\xff", 2, 1, 0}, /* a frame that is too short */
	{256, false, "Speed", "\x80\x3e\0\0\0\0\0\0", 8, 0, 90},
	{256, false, "Torque", "\0\0\xfe\x03\0\0\0\0", 8, 0, -1},
	{256, false, "Torque", "\0\0\xfe\x01\0\0\0\0", 8, 0, 255},
	{256, false, "Ratio", "\0\0\0\0\0\0\x20\x40", 8, 0, 2.5},
	{0x18fef1fe, true, "Whole", "\xff\xff\xff\xff\xff\xff\xff\x7f", 8, 0, 9223372036854775807.0},
	{300, false, "A", "\x00\x34\x12\0\0\0\0\0", 8, 0, 0x1234},
	{300, false, "B", "\x00\x34\x12\0\0\0\0\0", 8, 1, 0},
	{300, false, "B", "\x01\x34\x12\x80\0\0\0\0", 8, 0, 0x0000 | 0 << 15 | 0x12 << 7 | 1 << 6},
	{301, false, "Leaf", "\x13\x07\0\0\0\0\0\0", 8, 0, 7},
	{301, false, "Leaf", "\x15\x07\0\0\0\0\0\0", 8, 0, 7},
	{301, false, "Leaf", "\x19\x07\0\0\0\0\0\0", 8, 0, 7},
	{301, false, "Leaf", "\x16\x07\0\0\0\0\0\0", 8, 1, 0}, /* 6: Middle is not there */
	{301, false, "Leaf", "\x23\x07\0\0\0\0\0\0", 8, 1, 0},
	{400, false, "Double", "\0\0\0\0\0\0\xf8\x3f", 8, 0, 3},
	{400, false, "Far", "\0\0\0\0\0\0\xf8\x3f", 8, 1, 0},
};

START_TEST(bits_become_values)
{
	scoped(dbc_free) struct dbc *dbc = load(BUS);
	const struct dbc_message *message = dbc_find_message(dbc, DECODED[_i].id, DECODED[_i].extended);
	ck_assert_ptr_nonnull(message);
	const struct dbc_signal *signal = dbc_find_signal(message, DECODED[_i].signal);
	ck_assert_ptr_nonnull(signal);
	struct can_frame_data frame = frame_of(DECODED[_i].id, DECODED[_i].bytes, DECODED[_i].length);
	int64_t raw = 0;
	ck_assert_int_eq(dbc_extract(message, signal, &frame, &raw), DECODED[_i].present);
	if (DECODED[_i].present != 0)
		return;
	ck_assert_double_eq_tol(dbc_physical(signal, raw), DECODED[_i].physical, 1e-9);
}
END_TEST

START_TEST(motorola_counts_from_its_highest_bit)
{
	scoped(dbc_free) struct dbc *dbc = load("BO_ 1 M: 8 E\n SG_ S : 7|16@0+ (1,0) [0|0] \"\" E\n"
						" SG_ T : 19|8@0+ (1,0) [0|0] \"\" E\n");
	const struct dbc_message *message = dbc_find_message(dbc, 1, false);
	struct can_frame_data frame = frame_of(1, "\x12\x34\x0a\xb0\0\0\0\0", 8);
	int64_t raw = 0;
	ck_assert_int_eq(dbc_extract(message, dbc_find_signal(message, "S"), &frame, &raw), 0);
	ck_assert_int_eq(raw, 0x1234);
	ck_assert_int_eq(dbc_extract(message, dbc_find_signal(message, "T"), &frame, &raw), 0);
	ck_assert_int_eq(raw, 0xab);
}
END_TEST

START_TEST(what_is_inserted_is_extracted_and_nothing_else_changes)
{
	scoped(dbc_free) struct dbc *dbc = load(BUS);
	for (size_t m = 0; m < dbc->count; m++) {
		const struct dbc_message *message = &dbc->messages[m];
		for (size_t s = 0; s < message->count; s++) {
			const struct dbc_signal *signal = &message->signals[s];
			struct can_frame_data frame = {.length = message->length};
			uint64_t mask = signal->length == 64 ? ~UINT64_C(0) : (UINT64_C(1) << signal->length) - 1;
			dbc_insert(message, signal, (int64_t)(0xa5a5a5a5a5a5a5a5u & mask), &frame);
			int64_t raw = 0;
			ck_assert_int_eq(dbc_extract(message, signal, &frame, &raw), 0); /* its multiplexors were set, too */
			ck_assert_uint_eq((uint64_t)raw & mask, 0xa5a5a5a5a5a5a5a5u & mask);
			if (signal->multiplexor >= 0)
				continue;
			unsigned bits = 0;
			for (size_t i = 0; i < sizeof frame.data; i++)
				bits += (unsigned)__builtin_popcount(frame.data[i]);
			ck_assert_uint_eq(bits, (unsigned)__builtin_popcountll(0xa5a5a5a5a5a5a5a5u & mask));
		}
	}
}
END_TEST

START_TEST(what_the_file_says_of_its_messages_is_known)
{
	scoped(dbc_free) struct dbc *dbc = load(BUS);
	ck_assert_uint_eq(dbc->count, 6);
	const struct dbc_message *example = dbc_find_message(dbc, 496, false);
	const struct dbc_message *intel = dbc_find_message(dbc, 256, false);
	ck_assert_uint_eq(example->cycle_ms, 100);
	ck_assert(!example->fd);
	ck_assert(dbc_find_message(dbc, 400, false)->fd);
	ck_assert(dbc_find_message(dbc, 300, false)->fd);
	ck_assert_ptr_null(dbc_find_message(dbc, 496, true));
	ck_assert_ptr_nonnull(dbc_find_message(dbc, 2566844926u & 0x1fffffff, true));
	struct can_frame_data start;
	dbc_start_frame(intel, &start);
	int64_t raw = 0;
	ck_assert_int_eq(dbc_extract(intel, dbc_find_signal(intel, "Speed"), &start, &raw), 0);
	ck_assert_int_eq(raw, 100);
	const struct dbc_signal *torque = dbc_find_signal(intel, "Torque");
	ck_assert_str_eq(dbc_value_text(torque, -1), "minus \u00fc"); /* Latin-1 became UTF-8 */
	ck_assert(dbc_is_unavailable(torque, 255, false));
	ck_assert(dbc_is_unavailable(torque, 254, false));
	ck_assert(!dbc_is_unavailable(torque, 253, true));
	ck_assert(!dbc_is_unavailable(dbc_find_signal(intel, "Speed"), 0x1fff, false));
	ck_assert(dbc_is_unavailable(dbc_find_signal(intel, "Speed"), 0x1fff, true));
	ck_assert(dbc_is_unavailable(dbc_find_signal(intel, "Ratio"), 0x7fc00000, false)); /* no number */
}
END_TEST

START_TEST(physical_values_have_their_raw_ones)
{
	scoped(dbc_free) struct dbc *dbc = load(BUS);
	const struct dbc_message *example = dbc_find_message(dbc, 496, false);
	const struct dbc_message *intel = dbc_find_message(dbc, 256, false);
	const struct dbc_signal *temperature = dbc_find_signal(example, "Temperature");
	int64_t raw = 0;
	ck_assert_int_eq(dbc_raw(temperature, 249.99, &raw), 0);
	ck_assert_int_eq(raw, -1);
	ck_assert_int_eq(dbc_raw(temperature, 229.52, &raw), -ERANGE);
	ck_assert_int_eq(dbc_raw(dbc_find_signal(intel, "Speed"), 90, &raw), 0);
	ck_assert_int_eq(raw, 1000);
	ck_assert_int_eq(dbc_raw(dbc_find_signal(intel, "Speed"), 809.2, &raw), -ERANGE); /* 8192 needs 14 bits */
	ck_assert_int_eq(dbc_raw(dbc_find_signal(intel, "Speed"), -10.1, &raw), -ERANGE);
	ck_assert_int_eq(dbc_raw(dbc_find_signal(intel, "Torque"), -256, &raw), 0);
	ck_assert_int_eq(dbc_raw(dbc_find_signal(intel, "Torque"), 256, &raw), -ERANGE);
	ck_assert_int_eq(dbc_raw(dbc_find_signal(intel, "Ratio"), 2.5, &raw), 0);
	ck_assert_int_eq(raw, 0x40200000);
}
END_TEST

static const struct {
	const char *text;
	const char *message;
} REFUSED[] = {
	{"BO_ x Name: 8 E\n", "bus.dbc: line 1: expected a number"},
	{"BO_ 1 Name: 65 E\n", "at most 64 bytes"},
	{"BO_ 1 N: 8 E\n SG_ S : 60|8@1+ (1,0) [0|0] \"\" E\n", "line 2: S: expected bits within the 8 bytes of N"},
	{"BO_ 1 N: 1 E\n SG_ S : 3|8@0+ (1,0) [0|0] \"\" E\n", "expected bits within the 1 bytes"},
	{"BO_ 1 N: 8 E\n SG_ S : 0|0@1+ (1,0) [0|0] \"\" E\n", "1 to 64 bits"},
	{"BO_ 1 N: 8 E\n SG_ S : 0|8@2+ (1,0) [0|0] \"\" E\n", "0 (Motorola) or 1 (Intel)"},
	{"BO_ 1 N: 8 E\n SG_ S : 0|8@1+ (1;0) [0|0] \"\" E\n", "expected ','"},
	{"SG_ S : 0|8@1+ (1,0) [0|0] \"\" E\n", "expected a message (BO_)"},
	{"BO_ 1 N: 8 E\nBO_ 1 O: 8 E\n", "N and O have the same identifier"},
	{"BO_ 1 N: 8 E\n SG_ S m1 : 0|8@1+ (1,0) [0|0] \"\" E\n", "expected a multiplexor (M)"},
	{"CM_ \"never ends\n", "a closing quote"},
	{"BO_ 1 N: 8 E\n SG_ A m0M : 0|8@1+ (1,0) [0|0] \"\" E\n SG_ B m0M : 8|8@1+ (1,0) [0|0] \"\" E\n"
	 "SG_MUL_VAL_ 1 A B 0-0;\nSG_MUL_VAL_ 1 B A 0-0;\n", "in a ring"},
	{"BO_ 1 N: 8 E\nVAL_ 1 S 1 \"x\" ;\nBO_ 2 O: 8 E\n", "all messages before"},
	{"}\n", "a keyword"},
	{"BO_ 1 N: 8 E\n SG_ S : 0|16@1+ (1,0) [0|0] \"\" E\nSIG_VALTYPE_ 1 S : 1;\n", "32 bits"},
};

START_TEST(what_is_wrong_is_told_with_its_line)
{
	struct dbc *dbc = NULL;
	struct err err = {0};
	ck_assert_int_eq(dbc_parse("bus.dbc", REFUSED[_i].text, strlen(REFUSED[_i].text), &dbc, &err), -EINVAL);
	ck_assert_msg(strstr(err.message, REFUSED[_i].message) != NULL, "%s", err.message);
	ck_assert_ptr_null(dbc);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_loop_test(cases, bits_become_values, 0, ARRAY_COUNT(DECODED));
	tcase_add_test(cases, motorola_counts_from_its_highest_bit);
	tcase_add_test(cases, what_is_inserted_is_extracted_and_nothing_else_changes);
	tcase_add_test(cases, what_the_file_says_of_its_messages_is_known);
	tcase_add_test(cases, physical_values_have_their_raw_ones);
	tcase_add_loop_test(cases, what_is_wrong_is_told_with_its_line, 0, ARRAY_COUNT(REFUSED));
}
TEST_MAIN("dbc", add_tests)
