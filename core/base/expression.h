/* Small formulas over one variable: "floor((x*40)-100)", "x > 100 and x < 120", "x == \"OPEN\"". Pure.
 *
 * Numbers, 'text' or "text", true and false (1 and 0); the variable x; pi and e; + - * / % ^ (to the power), == != <
 * <= > >=, and, or, not; if(c, a, b) and the functions abs ceil floor round sqrt exp log sin cos tan min max pow.
 * What py-expression-eval reads of these has the same meaning here, so that formulas written for KUKSA's CAN provider
 * hold. */
#pragma once

#include <stdbool.h>

#include "core/base/scoped.h"

struct err;
struct expression;

#define EXPRESSION_BYTES_MAX 1024
#define EXPRESSION_NODES_MAX 256
#define EXPRESSION_DEPTH_MAX 32

struct expression_value {
	const char *text; /* NULL: a number */
	double number;
};

/* The caller owns *ret_expression. Errors: -EINVAL (@err: where, and what was expected), -E2BIG, -ENOMEM. */
int expression_parse(const char *text, struct expression **ret_expression, struct err *err);
void expression_free(struct expression *expression);
SCOPED_DEFINE(struct expression, expression_free)

/* *ret_value.text points into the expression or is @x's. Errors: -EDOM (division by zero, a number that is none or
 * infinite, a text where a number is needed). */
int expression_evaluate(const struct expression *expression, const struct expression_value *x,
			struct expression_value *ret_value);

/* Is the value true: a number other than 0, a text that is not empty? */
bool expression_is_true(const struct expression_value *value);
