/* Numbers and sizes as text, with explicit ranges. The whole text must be consumed; no leading blanks, no '+'. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Decimal. Errors: -EINVAL (not a number), -ERANGE (outside @min..@max). */
int parse_i64(const char *text, int64_t min, int64_t max, int64_t *ret_value);
int parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value);

/* A size in bytes: a decimal number with an optional fraction and an optional unit b, k, m, g, t (powers of 1024; upper
 * or lower case; "kb", "kib" ... mean the same), as docker and podman read --memory. Errors: -EINVAL, -ERANGE. */
int parse_bytes(const char *text, uint64_t *ret_bytes);

/* A decimal fraction such as --cpus takes, in thousandths: "0.5" gives 500. Errors: -EINVAL, -ERANGE. */
int parse_thousandths(const char *text, uint64_t *ret_thousandths);

/* An octal file mode, at most 07777. Errors: -EINVAL, -ERANGE. */
int parse_mode(const char *text, uint32_t *ret_mode);

/* "true" or "false". Errors: -EINVAL. */
int parse_bool(const char *text, bool *ret_value);
