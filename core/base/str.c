#include "core/base/str.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>

const char *str_after_prefix(const char *text, const char *prefix)
{
	size_t length = strlen(prefix);
	return strncmp(text, prefix, length) == 0 ? text + length : NULL;
}

bool str_ends_with(const char *text, const char *suffix)
{
	size_t text_length = strlen(text);
	size_t suffix_length = strlen(suffix);
	return text_length >= suffix_length && strcmp(text + text_length - suffix_length, suffix) == 0;
}

__attribute__((format(printf, 1, 0)))
static char *format_alloc(const char *format, va_list args)
{
	char *text = NULL;
	return vasprintf(&text, format, args) < 0 ? NULL : text;
}

char *str_printf(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *text = format_alloc(format, args);
	va_end(args);
	return text;
}

int str_set(char **slot, const char *text)
{
	char *copy = text ? strdup(text) : NULL;
	if (text && !copy)
		return -ENOMEM;
	free(*slot);
	*slot = copy;
	return 0;
}

/* One row for each class of first bytes; RFC 3629, section 4. */
static const struct utf8_class {
	uint8_t first_low, first_high;
	uint8_t second_low, second_high;
	uint8_t length;
} UTF8_CLASSES[] = {
	{0x00, 0x7f, 0x00, 0x00, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
	{0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
	{0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

/* Returns the length of the valid sequence at the front of @bytes, or 0. */
static size_t utf8_sequence(const uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < sizeof UTF8_CLASSES / sizeof *UTF8_CLASSES; i++) {
		const struct utf8_class *class = &UTF8_CLASSES[i];
		if (bytes[0] < class->first_low || bytes[0] > class->first_high)
			continue;
		if (length < class->length)
			return 0;
		if (class->length > 1 && (bytes[1] < class->second_low || bytes[1] > class->second_high))
			return 0;
		for (size_t j = 2; j < class->length; j++)
			if (bytes[j] < 0x80 || bytes[j] > 0xbf)
				return 0;
		return class->length;
	}
	return 0;
}

bool str_is_utf8(const char *text, size_t length)
{
	const uint8_t *bytes = (const uint8_t *)text;
	size_t at = 0;
	while (at < length) {
		size_t step = utf8_sequence(bytes + at, length - at);
		if (step == 0)
			return false;
		at += step;
	}
	return true;
}

size_t strv_count(const char *const *strv)
{
	size_t count = 0;
	while (strv && strv[count])
		count++;
	return count;
}

void strv_free(char **strv)
{
	for (size_t i = 0; strv && strv[i]; i++)
		free(strv[i]);
	free(strv);
}

/* Appends @text itself, which is freed on failure. */
static int strv_push(char ***strv, char *text)
{
	if (!text)
		return -ENOMEM;
	size_t count = strv_count((const char *const *)*strv);
	char **grown = reallocarray(*strv, count + 2, sizeof *grown);
	if (!grown) {
		free(text);
		return -ENOMEM;
	}
	grown[count] = text;
	grown[count + 1] = NULL;
	*strv = grown;
	return 0;
}

int strv_add(char ***strv, const char *text)
{
	return strv_push(strv, strdup(text));
}

int strv_printf(char ***strv, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *text = format_alloc(format, args);
	va_end(args);
	return strv_push(strv, text);
}

char **strv_copy(const char *const *strv)
{
	scoped(strv_free) char **copy = calloc(strv_count(strv) + 1, sizeof *copy);
	for (size_t i = 0; copy && strv && strv[i]; i++) {
		copy[i] = strdup(strv[i]);
		if (!copy[i])
			return NULL;
	}
	return TAKE(copy);
}

char **str_split(const char *text, char separator)
{
	scoped(strv_free) char **parts = NULL;
	for (;;) {
		const char *end = strchrnul(text, separator);
		if (strv_push(&parts, strndup(text, (size_t)(end - text))) < 0)
			return NULL;
		if (!*end)
			return TAKE(parts);
		text = end + 1;
	}
}

bool strv_contains(const char *const *strv, const char *text)
{
	for (size_t i = 0; strv && strv[i]; i++)
		if (strcmp(strv[i], text) == 0)
			return true;
	return false;
}

/* Does @assignment set @name? */
static bool assigns(const char *assignment, const char *name)
{
	const char *rest = str_after_prefix(assignment, name);
	return rest && *rest == '=';
}

const char *strv_env_get(const char *const *strv, const char *name)
{
	for (size_t i = 0; strv && strv[i]; i++)
		if (assigns(strv[i], name))
			return strv[i] + strlen(name) + 1;
	return NULL;
}

int strv_env_set(char ***strv, const char *name, const char *value)
{
	for (size_t i = 0; *strv && (*strv)[i]; i++) {
		if (!assigns((*strv)[i], name))
			continue;
		char *replaced = str_printf("%s=%s", name, value);
		if (!replaced)
			return -ENOMEM;
		free((*strv)[i]);
		(*strv)[i] = replaced;
		return 0;
	}
	return strv_printf(strv, "%s=%s", name, value);
}
