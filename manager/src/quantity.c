#include "manager/src/quantity.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/parse.h"
#include "core/base/str.h"

#define DIGITS_MAX 18 /* what a 64-bit integer holds of any digits */

/* As factor = base ^ exponent; below one: 10 ^ -exponent. */
static const struct {
	const char *text;
	int exponent_of_10;
	int exponent_of_2;
} SUFFIXES[] = {
	{"n", -9, 0}, {"u", -6, 0},  {"m", -3, 0},  {"", 0, 0},	  {"k", 3, 0},	 {"M", 6, 0},	{"G", 9, 0},
	{"T", 12, 0}, {"P", 15, 0},  {"E", 18, 0},  {"Ki", 0, 10}, {"Mi", 0, 20}, {"Gi", 0, 30}, {"Ti", 0, 40},
	{"Pi", 0, 50}, {"Ei", 0, 60},
};

/* The digits before and after the point as one integer. */
static int read_digits(const char **text, uint64_t *ret_digits, int *ret_after_point)
{
	uint64_t digits = 0;
	int count = 0;
	int after = 0;
	bool point = false;
	const char *c = *text;
	for (; isdigit((unsigned char)*c) || (*c == '.' && !point); c++) {
		if (*c == '.') {
			point = true;
			continue;
		}
		digits = digits * 10 + (uint64_t)(*c - '0');
		after += point;
		if (++count > DIGITS_MAX)
			return -ERANGE;
	}
	if (!count)
		return -EINVAL;
	*text = c;
	*ret_digits = digits;
	*ret_after_point = after;
	return 0;
}

static int read_suffix(const char *text, int *ret_exponent_of_10, int *ret_exponent_of_2)
{
	int64_t exponent = 0;
	if ((*text == 'e' || *text == 'E') && text[1] && text[1] != 'i') {
		int r = parse_i64(text + 1 + (text[1] == '+'), -DIGITS_MAX, DIGITS_MAX, &exponent);
		*ret_exponent_of_10 = (int)exponent;
		*ret_exponent_of_2 = 0;
		return r;
	}
	for (size_t i = 0; i < ARRAY_COUNT(SUFFIXES); i++)
		if (str_equal(text, SUFFIXES[i].text)) {
			*ret_exponent_of_10 = SUFFIXES[i].exponent_of_10;
			*ret_exponent_of_2 = SUFFIXES[i].exponent_of_2;
			return 0;
		}
	return -EINVAL;
}

int quantity_parse(const char *text, uint64_t *ret_value)
{
	uint64_t digits = 0;
	int after_point = 0;
	int tens = 0;
	int twos = 0;
	text += *text == '+';
	int r = read_digits(&text, &digits, &after_point);
	if (r == 0)
		r = read_suffix(text, &tens, &twos);
	if (r < 0)
		return r;
	unsigned __int128 value = (unsigned __int128)digits << twos; /* below 2^60 << 60 */
	for (tens -= after_point; tens > 0; tens--)
		if ((value *= 10) > UINT64_MAX)
			return -ERANGE;
	for (; tens < 0; tens++)
		value = value / 10 + (value % 10 != 0);
	if (value > UINT64_MAX)
		return -ERANGE;
	*ret_value = (uint64_t)value;
	return 0;
}
