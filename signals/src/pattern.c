#include "signals/src/pattern.h"

#include <string.h>

static bool is_separator(char c)
{
	return c == '.' || c == '/';
}

static size_t name_length(const char *at)
{
	return strcspn(at, "./");
}

bool pattern_is_path(const char *pattern)
{
	return !strchr(pattern, '*');
}

bool pattern_is_good(const char *pattern)
{
	if (!*pattern || strlen(pattern) >= PATTERN_BYTES_MAX)
		return false;
	for (const char *at = pattern;; at++) {
		size_t n = name_length(at);
		bool doubled = memmem(at, n, "**", 2) != NULL;
		if (n == 0 || (doubled && n != 2) || memchr(at, '@', n))
			return false;
		at += n;
		if (!*at)
			return true;
	}
}

/* One name against one part of a pattern; "*" stands for any characters. */
static bool name_matches(const char *pattern, size_t pattern_size, const char *name, size_t name_size)
{
	const char *star = NULL;
	size_t p = 0, n = 0, resume = 0;
	while (n < name_size) {
		if (p < pattern_size && pattern[p] == '*') {
			star = pattern + p++;
			resume = n;
		} else if (p < pattern_size && pattern[p] == name[n]) {
			p++;
			n++;
		} else if (star) {
			p = (size_t)(star - pattern) + 1;
			n = ++resume;
		} else {
			return false;
		}
	}
	while (p < pattern_size && pattern[p] == '*')
		p++;
	return p == pattern_size;
}

bool pattern_text_matches(const char *glob, const char *text)
{
	return name_matches(glob, strlen(glob), text, strlen(text));
}

static const char *behind(const char *at, size_t n)
{
	return at + n + is_separator(at[n]);
}

/* Greedy with one place to resume at, as with "*" in names: linear for each "**". */
static bool parts_match(const char *pattern, const char *path)
{
	const char *resume_pattern = NULL, *resume_path = NULL;
	while (*path) {
		size_t p = name_length(pattern), n = name_length(path);
		if (p == 2 && memcmp(pattern, "**", 2) == 0) {
			resume_pattern = behind(pattern, p);
			resume_path = path;
			pattern = resume_pattern;
		} else if (*pattern && name_matches(pattern, p, path, n)) {
			pattern = behind(pattern, p);
			path = behind(path, n);
		} else if (resume_pattern) {
			resume_path = behind(resume_path, name_length(resume_path));
			pattern = resume_pattern;
			path = resume_path;
		} else {
			return false;
		}
	}
	while (name_length(pattern) == 2 && memcmp(pattern, "**", 2) == 0)
		pattern = behind(pattern, 2);
	return !*pattern;
}

static bool is_prefix(const char *prefix, const char *path)
{
	while (*prefix && (*prefix == *path || (is_separator(*prefix) && is_separator(*path)))) {
		prefix++;
		path++;
	}
	return !*prefix && (!*path || is_separator(*path));
}

bool pattern_matches(const char *pattern, const char *path)
{
	return pattern_is_path(pattern) ? is_prefix(pattern, path) : parts_match(pattern, path);
}
