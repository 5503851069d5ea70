#include "core/codec/base64.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(const uint8_t *bytes, size_t size)
{
	char *text = malloc((size + 2) / 3 * 4 + 1);
	char *p = text;
	for (size_t i = 0; text && i < size; i += 3) {
		size_t left = size - i;
		uint32_t group = (uint32_t)bytes[i] << 16;
		group |= left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0;
		group |= left > 2 ? bytes[i + 2] : 0;
		*p++ = ALPHABET[group >> 18];
		*p++ = ALPHABET[group >> 12 & 63];
		*p++ = left > 1 ? ALPHABET[group >> 6 & 63] : '=';
		*p++ = left > 2 ? ALPHABET[group & 63] : '=';
	}
	if (text)
		*p = '\0';
	return text;
}

/* Decodes four characters of which @padding are '='. */
static int decode_group(const char *text, int padding, uint8_t *ret_bytes)
{
	uint32_t group = 0;
	for (int i = 0; i < 4; i++) {
		const char *found = i < 4 - padding && text[i] ? strchr(ALPHABET, text[i]) : NULL;
		if (i < 4 - padding && !found)
			return -EINVAL;
		group = group << 6 | (uint32_t)(found ? found - ALPHABET : 0);
	}
	if ((padding == 1 && group & 0xff) || (padding == 2 && group & 0xffff))
		return -EINVAL;
	for (int i = 0; i < 3 - padding; i++)
		ret_bytes[i] = (uint8_t)(group >> (16 - 8 * i));
	return 0;
}

int base64_decode(const char *text, size_t length, uint8_t *ret_bytes, size_t *ret_size)
{
	if (length % 4 != 0)
		return -EINVAL;
	size_t size = 0;
	for (size_t i = 0; i < length; i += 4) {
		bool last = i + 4 == length;
		int padding = !last || text[i + 3] != '=' ? 0 : text[i + 2] == '=' ? 2 : 1;
		int r = decode_group(text + i, padding, ret_bytes + size);
		if (r < 0)
			return r;
		size += 3 - (size_t)padding;
	}
	*ret_size = size;
	return 0;
}
