/* Values of signals as text: one line, one spelling for each value ("canonical"), so that equal values are equal texts.
 *
 *	boolean		true, false		(read too: 1, 0)
 *	numbers		the shortest decimal	(23.50 becomes 23.5)
 *	string		itself; as a JSON string where it is empty, begins with a quote, or holds a control character
 *	array, struct	JSON without blanks; the members of a struct in the order of its definition, all of them
 *
 * docs/formats/signal-value.md. Everything here is pure: text in, text out. */
#pragma once

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>

#include "signals/src/datatype.h"
#include "signals/src/number.h"

struct buf;
struct err;

#define VALUE_TEXT_MAX 16384 /* bytes of a canonical text, without the newline */
#define ARRAY_ELEMENTS_MAX 4096

/* What a signal, or a member of a struct, admits. */
struct value_rule {
	struct datatype type;
	bool has_min;
	bool has_max;
	union number min;
	union number max;
	const char *const *allowed; /* canonical texts of elements, NULL-terminated; NULL: everything */
	const regex_t *pattern;	    /* must match from the beginning; NULL: none */
};

struct struct_member {
	const char *name;
	struct value_rule rule;
};

struct struct_type {
	const char *name;
	const struct struct_member *members;
	size_t count;
};

/* Checks one line (without its newline) and appends its canonical text to @ret_text. *ret_number is set for numbers,
 * booleans (0 and 1), and untouched for others.
 * Errors: -EINVAL (not a value of the type), -ERANGE (out of range, not allowed, pattern not matched), -EMSGSIZE, -ENOMEM;
 * @err has what was expected. */
int value_parse(const struct value_rule *rule, const char *text, size_t length, struct buf *ret_text,
		double *ret_number, struct err *err);

/* The same from JSON text: only strings differ, which are always in quotes here. */
int value_parse_json(const struct value_rule *rule, const char *json, size_t length, struct buf *ret_text,
		     double *ret_number, struct err *err);

/* Appends a canonical text (terminated) as JSON. */
int value_add_json(const struct datatype *type, const char *text, size_t length, struct buf *ret_json);

/* Appends the canonical text of a string (terminated, UTF-8). Errors: -EMSGSIZE, -ENOMEM. */
int value_add_string(struct buf *ret_text, const char *text, size_t length);
