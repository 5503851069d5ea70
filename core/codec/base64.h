/* Base64 of RFC 4648, section 4: the standard alphabet with padding. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* malloc()ed, terminated; NULL when out of memory. */
char *base64_encode(const uint8_t *bytes, size_t size);

/* Writes at most @length / 4 * 3 bytes. Strict: padding is required, nothing else than the alphabet is skipped, and the bits
 * that padding leaves over are zero. Errors: -EINVAL. */
int base64_decode(const char *text, size_t length, uint8_t *ret_bytes, size_t *ret_size);
