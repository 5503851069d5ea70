/* Patterns over paths of signals: "Vehicle.*.Speed" ("*": any part of one name), "Vehicle.Cabin.**" ("**": any number of
 * names, also none). Dots and slashes mean the same. Pure. */
#pragma once

#include <stdbool.h>

#define PATTERN_BYTES_MAX 1024

/* Is @pattern well-formed: names, not empty, no dot at an end, "**" only as a whole name? */
bool pattern_is_good(const char *pattern);

/* A pattern that is a plain path matches this path and everything below it. */
bool pattern_matches(const char *pattern, const char *path);

/* Is all of @text what @glob says, where "*" stands for any characters? */
bool pattern_text_matches(const char *glob, const char *text);

/* Does it hold no "*"? */
bool pattern_is_path(const char *pattern);
