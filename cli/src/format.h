/* Values as a person reads them in a table. All return text in @arena, or "" where memory is out. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/axle.h"

struct arena;

#define SHORT_ID 12

/* The first twelve characters of an id, without its algorithm; all of it where @whole. */
const char *format_id(struct arena *arena, const char *id, bool whole);

/* "4.27 MB": powers of 1000, three digits. */
const char *format_size(struct arena *arena, uint64_t bytes);

/* "3 minutes", of the nanoseconds between two times. */
const char *format_duration(struct arena *arena, int64_t from_ns, int64_t to_ns);

/* RFC 3339 in UTC with nanoseconds; "" for 0. */
const char *format_time(struct arena *arena, int64_t time_ns);

/* "Up 3 minutes", "Exited (1) 2 hours ago", "Created". */
const char *format_status(struct arena *arena, const Axle__ContainerSummary *container, int64_t now_ns);

/* The words of a command, at most @most columns with "..." (0: all), control characters as '?'. */
const char *format_command(struct arena *arena, const char *const *words, size_t count, size_t most);

/* "name" or "name@digest" in two: the repository and the tag ("<none>" where it has none). */
void format_reference(struct arena *arena, const char *reference, const char **ret_repository, const char **ret_tag);

int64_t now_ns(void);
