/* CAN databases (DBC): what the bits of a frame mean. Pure: text in, structs out; decoding and encoding of frames.
 *
 * Read are messages and signals with plain and extended multiplexing (M, m0, m0M, SG_MUL_VAL_), value tables, float
 * types (SIG_VALTYPE_), and the attributes GenMsgCycleTime, GenSigStartValue and VFrameFormat; the rest is passed
 * over. Latin-1 becomes UTF-8. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/scoped.h"
#include "signals/adaptors/can/frame.h"

struct err;

#define DBC_BYTES_MAX (64u << 20)
#define DBC_MESSAGES_MAX 16384
#define DBC_SIGNALS_MAX 2048 /* of one message */
#define DBC_VALUES_MAX 65536 /* of one signal */

enum dbc_number {
	DBC_UNSIGNED,
	DBC_SIGNED,
	DBC_FLOAT,
	DBC_DOUBLE,
};

struct dbc_value {
	int64_t raw;
	const char *text;
};

struct dbc_range {
	uint64_t low, high; /* both included */
};

struct dbc_signal {
	const char *name;
	const char *unit;
	uint16_t start; /* as in the file: the least significant bit (Intel), the most significant (Motorola) */
	uint8_t length; /* bits, 1 to 64 */
	bool motorola;
	enum dbc_number number;
	double factor, offset;
	double min, max; /* both 0: not limited */
	bool is_multiplexor;
	int multiplexor; /* index of the signal that says when this one is there; -1: always */
	struct dbc_range *ranges; /* of that signal's raw values */
	size_t range_count;
	struct dbc_value *values; /* names of raw values */
	size_t value_count;
	bool has_start_raw;
	uint64_t start_raw;
};

struct dbc_message {
	const char *name;
	uint32_t id;
	bool extended;
	bool fd;
	uint8_t length;
	uint32_t cycle_ms; /* 0: not cyclic */
	struct dbc_signal *signals;
	size_t count;
};

struct dbc {
	struct dbc_message *messages;
	size_t count;
	struct arena *arena; /* everything above */
};

/* Parses the @length bytes at @text. The caller owns *ret_dbc. @source names the file in messages.
 * Errors: -EINVAL (@err: "bus.dbc: line 7: expected ..."), -E2BIG, -ENOMEM. */
int dbc_parse(const char *source, const char *text, size_t length, struct dbc **ret_dbc, struct err *err);
void dbc_free(struct dbc *dbc);
SCOPED_DEFINE(struct dbc, dbc_free)

const struct dbc_message *dbc_find_message(const struct dbc *dbc, uint32_t id, bool extended);
const struct dbc_signal *dbc_find_signal(const struct dbc_message *message, const char *name);

/* The raw bits of @signal, sign extended into *ret_raw where it is signed. Returns 0, or 1: not in this frame (too
 * short, or another multiplexor's turn). */
int dbc_extract(const struct dbc_message *message, const struct dbc_signal *signal, const struct can_frame_data *frame,
		int64_t *ret_raw);

/* Raw bits to physical value: floats, factor, offset. */
double dbc_physical(const struct dbc_signal *signal, int64_t raw);

/* The name of a raw value, or NULL; and the raw value called @text (returns false where there is none). */
const char *dbc_value_text(const struct dbc_signal *signal, int64_t raw);
bool dbc_value_raw(const struct dbc_signal *signal, const char *text, int64_t *ret_raw);

/* Does the raw value say "not available" or "error": by its name in the value table, or (@j1939) by SAE J1939-71's
 * convention of the highest values? */
bool dbc_is_unavailable(const struct dbc_signal *signal, int64_t raw, bool j1939);

/* Physical value to raw bits. Errors: -ERANGE (outside min..max, or of the bits). */
int dbc_raw(const struct dbc_signal *signal, double physical, int64_t *ret_raw);

/* Puts the raw bits into the frame, and the multiplexors' that make them valid. */
void dbc_insert(const struct dbc_message *message, const struct dbc_signal *signal, int64_t raw, struct can_frame_data *frame);

/* A frame of @message with every signal's start value. */
void dbc_start_frame(const struct dbc_message *message, struct can_frame_data *ret_frame);
