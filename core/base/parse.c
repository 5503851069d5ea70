#include "core/base/parse.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/array.h"

int parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value)
{
	if (!*text)
		return -EINVAL;
	uint64_t value = 0;
	bool over = false;
	for (const char *c = text; *c; c++) {
		if (*c < '0' || *c > '9')
			return -EINVAL;
		over |= __builtin_mul_overflow(value, 10, &value);
		over |= __builtin_add_overflow(value, (uint64_t)(*c - '0'), &value);
	}
	if (over || value < min || value > max)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

int parse_i64(const char *text, int64_t min, int64_t max, int64_t *ret_value)
{
	bool negative = *text == '-';
	uint64_t magnitude = 0;
	uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX;
	int r = parse_u64(text + negative, 0, limit, &magnitude);
	if (r < 0)
		return r;
	int64_t value = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
	if (value < min || value > max)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

/* Reads digits[.digits] at the front of @text, scaled by @scale (fraction digits beyond the scale are dropped).
 * *ret_end is the first character behind them. */
static int parse_fraction(const char *text, uint64_t scale, uint64_t *ret_scaled, const char **ret_end)
{
	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	uint64_t value = 0;
	const char *c = text;
	for (; isdigit((unsigned char)*c); c++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*c - '0'), &value))
			return -ERANGE;
	if (__builtin_mul_overflow(value, scale, &value))
		return -ERANGE;
	if (*c == '.') {
		uint64_t weight = scale;
		for (c++; isdigit((unsigned char)*c); c++) {
			uint64_t part = weight % 10 ? weight * (uint64_t)(*c - '0') / 10 : weight / 10 * (uint64_t)(*c - '0');
			weight /= 10;
			if (__builtin_add_overflow(value, part, &value))
				return -ERANGE;
		}
	}
	*ret_scaled = value;
	*ret_end = c;
	return 0;
}

static const struct {
	const char *name;
	uint64_t bytes;
} UNITS[] = {
	{"", 1},
	{"b", 1},
	{"k", 1ULL << 10},
	{"kb", 1ULL << 10},
	{"kib", 1ULL << 10},
	{"m", 1ULL << 20},
	{"mb", 1ULL << 20},
	{"mib", 1ULL << 20},
	{"g", 1ULL << 30},
	{"gb", 1ULL << 30},
	{"gib", 1ULL << 30},
	{"t", 1ULL << 40},
	{"tb", 1ULL << 40},
	{"tib", 1ULL << 40},
};

int parse_bytes(const char *text, uint64_t *ret_bytes)
{
	const char *unit = text + strspn(text, "0123456789.");
	for (size_t i = 0; i < ARRAY_COUNT(UNITS); i++) {
		if (strcasecmp(unit, UNITS[i].name) != 0)
			continue;
		uint64_t bytes = 0;
		const char *end = NULL;
		int r = parse_fraction(text, UNITS[i].bytes, &bytes, &end);
		if (r < 0)
			return r;
		if (end != unit)
			return -EINVAL;
		*ret_bytes = bytes;
		return 0;
	}
	return -EINVAL;
}

int parse_thousandths(const char *text, uint64_t *ret_thousandths)
{
	uint64_t value = 0;
	const char *end = NULL;
	int r = parse_fraction(text, 1000, &value, &end);
	if (r < 0)
		return r;
	if (*end)
		return -EINVAL;
	*ret_thousandths = value;
	return 0;
}

int parse_mode(const char *text, uint32_t *ret_mode)
{
	if (!*text)
		return -EINVAL;
	uint32_t mode = 0;
	for (const char *c = text; *c; c++) {
		if (*c < '0' || *c > '7')
			return -EINVAL;
		mode = mode << 3 | (uint32_t)(*c - '0');
		if (mode > 07777)
			return -ERANGE;
	}
	*ret_mode = mode;
	return 0;
}

int parse_bool(const char *text, bool *ret_value)
{
	bool is_true = strcmp(text, "true") == 0;
	if (!is_true && strcmp(text, "false") != 0)
		return -EINVAL;
	*ret_value = is_true;
	return 0;
}
