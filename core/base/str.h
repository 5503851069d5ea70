/* Text: comparisons, and vectors of strings (strv: a NULL-terminated, malloc()ed array of malloc()ed strings). */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "core/base/scoped.h"

static inline bool str_equal(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static inline bool str_empty(const char *text)
{
	return !text || !*text;
}

/* Whatever the locale: 0 to 9. */
static inline bool char_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Returns what follows @prefix in @text, or NULL where @text does not begin with it. */
const char *str_after_prefix(const char *text, const char *prefix);
bool str_ends_with(const char *text, const char *suffix);

/* A malloc()ed formatted string; NULL when out of memory. */
char *str_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Replaces *@slot by a copy of @text (NULL for none). Errors: -ENOMEM, with the old string kept. */
int str_set(char **slot, const char *text);

/* Is @text valid UTF-8 without surrogates and over-long forms? (protobuf strings, JSON: RFC 3629) */
bool str_is_utf8(const char *text, size_t length);

size_t strv_count(const char *const *strv);
void strv_free(char **strv);
SCOPED_DEFINE(char *, strv_free)

/* Appends a copy of @text; *@strv may be NULL. Errors: -ENOMEM, with *@strv unchanged. */
int strv_add(char ***strv, const char *text);
int strv_printf(char ***strv, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A deep copy; NULL when out of memory (a NULL vector copies to an empty one). */
char **strv_copy(const char *const *strv);

/* Splits @text at each @separator; "" gives one empty string. NULL when out of memory. */
char **str_split(const char *text, char separator);
bool strv_contains(const char *const *strv, const char *text);

/* The value behind "@name=" in a vector of assignments (an environment), or NULL. */
const char *strv_env_get(const char *const *strv, const char *name);

/* Sets or replaces "@name=@value". Errors: -ENOMEM. */
int strv_env_set(char ***strv, const char *name, const char *value);
