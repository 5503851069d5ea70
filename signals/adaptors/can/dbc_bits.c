/* Bits of frames: where a signal lies and what it says. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "core/base/array.h"
#include "signals/adaptors/can/dbc.h"

/* The bit behind @bit towards the less significant, as Motorola counts: down within a byte, then the next byte's
 * highest. */
static unsigned motorola_next(unsigned bit)
{
	return bit % 8 == 0 ? bit + 15 : bit - 1;
}

static bool fits(const struct dbc_signal *signal, size_t bytes)
{
	unsigned last = signal->motorola ? signal->start / 8u * 8u + (7u - signal->start % 8u) + signal->length - 1u
					 : (unsigned)signal->start + signal->length - 1u;
	return last < bytes * 8;
}

static uint64_t get_bits(const struct dbc_signal *signal, const uint8_t *data)
{
	uint64_t raw = 0;
	unsigned bit = signal->start;
	for (unsigned i = 0; i < signal->length; i++) {
		uint64_t value = (unsigned)data[bit / 8] >> (bit % 8) & 1u;
		raw = signal->motorola ? raw << 1 | value : raw | value << i;
		bit = signal->motorola ? motorola_next(bit) : bit + 1;
	}
	return raw;
}

static void put_bits(const struct dbc_signal *signal, uint64_t raw, uint8_t *data)
{
	unsigned bit = signal->start;
	for (unsigned i = 0; i < signal->length; i++) {
		unsigned from = signal->motorola ? signal->length - 1u - i : i;
		uint8_t mask = (uint8_t)(1u << (bit % 8));
		if (raw >> from & 1)
			data[bit / 8] |= mask;
		else
			data[bit / 8] &= (uint8_t)~mask;
		bit = signal->motorola ? motorola_next(bit) : bit + 1;
	}
}

static bool in_ranges(const struct dbc_signal *signal, uint64_t raw)
{
	for (size_t i = 0; i < signal->range_count; i++)
		if (raw >= signal->ranges[i].low && raw <= signal->ranges[i].high)
			return true;
	return false;
}

/* Is it the turn of @signal in this frame? The parser has seen to it that multiplexors form no ring. */
static bool is_active(const struct dbc_message *message, const struct dbc_signal *signal, const struct can_frame_data *frame)
{
	while (signal->multiplexor >= 0) {
		const struct dbc_signal *multiplexor = &message->signals[signal->multiplexor];
		if (!fits(multiplexor, frame->length) || !in_ranges(signal, get_bits(multiplexor, frame->data)))
			return false;
		signal = multiplexor;
	}
	return true;
}

int dbc_extract(const struct dbc_message *message, const struct dbc_signal *signal, const struct can_frame_data *frame,
		int64_t *ret_raw)
{
	if (!fits(signal, frame->length) || !is_active(message, signal, frame))
		return 1;
	uint64_t raw = get_bits(signal, frame->data);
	if (signal->number == DBC_SIGNED && signal->length < 64 && raw >> (signal->length - 1) & 1)
		raw |= ~UINT64_C(0) << signal->length;
	*ret_raw = (int64_t)raw;
	return 0;
}

double dbc_physical(const struct dbc_signal *signal, int64_t raw)
{
	double value = 0;
	if (signal->number == DBC_FLOAT) {
		float single = 0;
		uint32_t bits = (uint32_t)raw;
		memcpy(&single, &bits, sizeof single);
		value = (double)single;
	} else if (signal->number == DBC_DOUBLE) {
		memcpy(&value, &raw, sizeof value);
	} else {
		value = signal->number == DBC_SIGNED ? (double)raw : (double)(uint64_t)raw;
	}
	return value * signal->factor + signal->offset;
}

const char *dbc_value_text(const struct dbc_signal *signal, int64_t raw)
{
	for (size_t i = 0; i < signal->value_count; i++)
		if (signal->values[i].raw == raw)
			return signal->values[i].text;
	return NULL;
}

bool dbc_value_raw(const struct dbc_signal *signal, const char *text, int64_t *ret_raw)
{
	for (size_t i = 0; i < signal->value_count; i++) {
		if (strcmp(signal->values[i].text, text) == 0) {
			*ret_raw = signal->values[i].raw;
			return true;
		}
	}
	return false;
}

/* Letters and digits of @a, whatever their case, are @b's (which is lower case). */
static bool reads_as(const char *a, const char *b)
{
	for (; *a; a++) {
		if (!isalnum((unsigned char)*a))
			continue;
		if (tolower((unsigned char)*a) != *b++)
			return false;
	}
	return !*b;
}

bool dbc_is_unavailable(const struct dbc_signal *signal, int64_t raw, bool j1939)
{
	static const char *const NAMES[] = {"sna",   "signalnotavailable", "notavailable", "na",	"error",
					    "invalid", "signalinvalid",	   "errorindicator", "unavailable", "novalue"};
	const char *text = dbc_value_text(signal, raw);
	for (size_t i = 0; text && i < ARRAY_COUNT(NAMES); i++)
		if (reads_as(text, NAMES[i]))
			return true;
	if (signal->number == DBC_FLOAT || signal->number == DBC_DOUBLE)
		return !isfinite(dbc_physical(signal, raw));
	if (!j1939 || signal->length < 2 || signal->number == DBC_SIGNED)
		return false;
	/* SAE J1939-71, 5.1.4: 0xFE.. is error, 0xFF.. not available; of two bits 2 and 3 */
	uint64_t top = signal->length >= 8 ? (uint64_t)raw >> (signal->length - 8) : (uint64_t)raw;
	uint64_t limit = signal->length >= 8 ? 0xfe : (UINT64_C(1) << signal->length) - 2;
	return top >= limit;
}

static int raw_of_float(const struct dbc_signal *signal, double value, int64_t *ret_raw)
{
	if (signal->number == DBC_DOUBLE) {
		memcpy(ret_raw, &value, sizeof value);
		return 0;
	}
	float single = (float)value;
	uint32_t bits = 0;
	if (!isfinite(single))
		return -ERANGE;
	memcpy(&bits, &single, sizeof bits);
	*ret_raw = bits;
	return 0;
}

int dbc_raw(const struct dbc_signal *signal, double physical, int64_t *ret_raw)
{
	bool limited = signal->min < signal->max;
	if (!isfinite(physical) || (limited && (physical < signal->min || physical > signal->max)))
		return -ERANGE;
	double value = (physical - signal->offset) / signal->factor;
	if (signal->number == DBC_FLOAT || signal->number == DBC_DOUBLE)
		return raw_of_float(signal, value, ret_raw);
	value = round(value);
	bool is_signed = signal->number == DBC_SIGNED;
	double high = ldexp(1, signal->length - is_signed);
	if (value < (is_signed ? -high : 0) || value >= high)
		return -ERANGE;
	*ret_raw = is_signed ? (int64_t)value : (int64_t)(uint64_t)value;
	return 0;
}

void dbc_insert(const struct dbc_message *message, const struct dbc_signal *signal, int64_t raw, struct can_frame_data *frame)
{
	put_bits(signal, (uint64_t)raw, frame->data);
	if (signal->multiplexor < 0 || is_active(message, signal, frame) || signal->range_count == 0)
		return;
	const struct dbc_signal *multiplexor = &message->signals[signal->multiplexor];
	dbc_insert(message, multiplexor, (int64_t)signal->ranges[0].low, frame);
}

void dbc_start_frame(const struct dbc_message *message, struct can_frame_data *ret_frame)
{
	*ret_frame = (struct can_frame_data){.id = message->id, .extended = message->extended, .fd = message->fd,
					     .length = message->length};
	for (size_t i = 0; i < message->count; i++)
		if (message->signals[i].has_start_raw)
			put_bits(&message->signals[i], message->signals[i].start_raw, ret_frame->data);
}
