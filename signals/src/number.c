#include "signals/src/number.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/parse.h"
#include "signals/src/datatype.h"

/* A terminated copy, if @text could be a number: decimal digits, a sign, a point, an exponent (no "nan", no "0x"). */
static int copy_number(const char *text, size_t length, char ret_copy[static NUMBER_TEXT_MAX * 2])
{
	if (length == 0 || length >= NUMBER_TEXT_MAX * 2)
		return -EINVAL;
	for (size_t i = 0; i < length; i++)
		if (!text[i] || !strchr("0123456789+-.eE", text[i]))
			return -EINVAL;
	memcpy(ret_copy, text, length);
	ret_copy[length] = '\0';
	return 0;
}

static int parse_double(const char *copy, double *ret_value)
{
	char *end = NULL;
	if (*copy == '+')
		return -EINVAL;
	double value = strtod(copy, &end);
	if (*end || end == copy)
		return -EINVAL;
	if (isinf(value))
		return -ERANGE;
	*ret_value = value;
	return 0;
}

static int parse_float(const struct datatype *type, const char *copy, union number *ret_number)
{
	double value = 0;
	int r = parse_double(copy, &value);
	if (r < 0)
		return r;
	if (type->bits == 32) {
		/* from the text, not from the double: rounding twice may give the wrong neighbour */
		value = (double)strtof(copy, NULL);
		if (isinf(value))
			return -ERANGE;
	}
	ret_number->d = value == 0 ? 0 : value; /* no minus zero */
	return 0;
}

int number_parse(const struct datatype *type, const char *text, size_t length, union number *ret_number)
{
	char copy[NUMBER_TEXT_MAX * 2];
	int r = copy_number(text, length, copy);
	if (r < 0)
		return r;
	if (type->kind == DATATYPE_FLOAT)
		return parse_float(type, copy, ret_number);
	if (type->kind == DATATYPE_SIGNED)
		return parse_i64(copy, datatype_signed_min(type), datatype_signed_max(type), &ret_number->i);
	if (copy[0] == '-' && parse_u64(copy + 1, 0, UINT64_MAX, &ret_number->u) != -EINVAL)
		return -ERANGE;
	return parse_u64(copy, 0, datatype_unsigned_max(type), &ret_number->u);
}

#define WHOLE_MAX 1e15 /* below it every whole double is exact and its digits are few */

static bool reads_back(const struct datatype *type, const char *text, double value)
{
	return type->bits == 32 ? strtof(text, NULL) == (float)value : strtod(text, NULL) == value;
}

/* "1e+20" as printf writes it is valid everywhere; the shortest number of digits is found by trying. */
static size_t format_float(const struct datatype *type, double value, char *ret_text)
{
	if (fabs(value) < WHOLE_MAX && value == floor(value)) /* "1000000", where %g would say "1e+06" */
		return (size_t)snprintf(ret_text, NUMBER_TEXT_MAX, "%.0f", value);
	int most = type->bits == 32 ? FLT_DECIMAL_DIG : DBL_DECIMAL_DIG;
	int n = 0;
	for (int digits = type->bits == 32 ? FLT_DIG : DBL_DIG; digits <= most; digits++) {
		n = snprintf(ret_text, NUMBER_TEXT_MAX, "%.*g", digits, value);
		if (reads_back(type, ret_text, value))
			break;
	}
	return (size_t)n;
}

size_t number_format(const struct datatype *type, union number number, char ret_text[static NUMBER_TEXT_MAX])
{
	if (type->kind == DATATYPE_FLOAT)
		return format_float(type, number.d, ret_text);
	if (type->kind == DATATYPE_SIGNED)
		return (size_t)snprintf(ret_text, NUMBER_TEXT_MAX, "%lld", (long long)number.i);
	return (size_t)snprintf(ret_text, NUMBER_TEXT_MAX, "%llu", (unsigned long long)number.u);
}

int number_compare(const struct datatype *type, union number a, union number b)
{
	if (type->kind == DATATYPE_FLOAT)
		return a.d < b.d ? -1 : a.d > b.d;
	if (type->kind == DATATYPE_SIGNED)
		return a.i < b.i ? -1 : a.i > b.i;
	return a.u < b.u ? -1 : a.u > b.u;
}

double number_to_double(const struct datatype *type, union number number)
{
	if (type->kind == DATATYPE_FLOAT)
		return number.d;
	return type->kind == DATATYPE_SIGNED ? (double)number.i : (double)number.u;
}

static union number type_limit(const struct datatype *type, bool upper)
{
	if (type->kind == DATATYPE_FLOAT) {
		double most = type->bits == 32 ? (double)FLT_MAX : DBL_MAX;
		return (union number){.d = upper ? most : -most};
	}
	if (type->kind == DATATYPE_SIGNED)
		return (union number){.i = upper ? datatype_signed_max(type) : datatype_signed_min(type)};
	return (union number){.u = upper ? datatype_unsigned_max(type) : 0};
}

int number_parse_limit(const struct datatype *type, const char *text, size_t length, bool upper,
		       union number *ret_number)
{
	if (type->kind != DATATYPE_FLOAT && number_parse(type, text, length, ret_number) == 0)
		return 0; /* exact in 64 bits */
	char copy[NUMBER_TEXT_MAX * 2];
	double value = 0;
	int r = copy_number(text, length, copy);
	if (r == 0)
		r = parse_double(copy, &value);
	if (r < 0)
		return r;
	union number low = type_limit(type, false);
	union number high = type_limit(type, true);
	bool below = value < number_to_double(type, low);
	bool above = value > number_to_double(type, high);
	if (upper ? below : above)
		return -ERANGE;
	if (below || above) {
		*ret_number = upper ? high : low;
		return 0;
	}
	if (type->kind == DATATYPE_FLOAT)
		return number_parse(type, text, length, ret_number);
	double whole = upper ? floor(value) : ceil(value);
	if (type->kind == DATATYPE_SIGNED)
		ret_number->i = whole >= 0x1p63 ? high.i : (int64_t)whole;
	else
		ret_number->u = whole >= 0x1p64 ? high.u : (uint64_t)whole;
	return 0;
}
