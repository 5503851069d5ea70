/* Numbers as text: one spelling for each value, so that equal values are equal texts. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct datatype;

#define NUMBER_TEXT_MAX 40 /* with the terminator */

union number {
	int64_t i; /* DATATYPE_SIGNED */
	uint64_t u; /* DATATYPE_UNSIGNED */
	double d; /* DATATYPE_FLOAT */
};

/* Parses the @length bytes at @text as a number of @type (a scalar). Decimal; floats with fraction and exponent.
 * Errors: -EINVAL (none), -ERANGE (beyond what the type holds). */
int number_parse(const struct datatype *type, const char *text, size_t length, union number *ret_number);

/* The shortest decimal text that reads back as the same value of @type. Returns its length. */
size_t number_format(const struct datatype *type, union number number, char ret_text[static NUMBER_TEXT_MAX]);

/* < 0, 0, > 0 */
int number_compare(const struct datatype *type, union number a, union number b);
double number_to_double(const struct datatype *type, union number number);

/* A limit as a catalogue writes it, which may lie beyond the type or have a fraction where the type has none: the nearest
 * number of @type inside (@upper: below, else above) it. Errors: -EINVAL, -ERANGE (no number of the type lies inside). */
int number_parse_limit(const struct datatype *type, const char *text, size_t length, bool upper,
		       union number *ret_number);
