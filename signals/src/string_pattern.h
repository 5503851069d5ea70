/* What a catalogue's "pattern" asks of a string: a POSIX extended regular expression with two habits of others, "\d" and groups
 * that do not capture ("(?:...)"). Without back-references, which cost exponential time. Pure. */
#pragma once

#include <regex.h>
#include <stddef.h>

#define STRING_PATTERN_MAX 1024	       /* bytes */
#define STRING_PATTERN_PARTS_MAX 10000 /* with repetitions written out, as the C library does */

/* The caller owns *ret_pattern (regfree()). Errors: -EINVAL (no such expression), -EMSGSIZE (too long, or too many parts: the C
 * library would make 2^30 of "x++++++++++++++++++++++++++++++"), -ENOMEM. */
int string_pattern_compile(const char *text, size_t length, regex_t *ret_pattern);
