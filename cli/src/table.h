/* Aligned columns, as `ps` and `images` print them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct arena;

struct table {
	struct arena *arena;
	const char *const *titles; /* of the columns, NULL-terminated */
	size_t columns;
	const char **cells; /* row by row */
	size_t rows;
	size_t capacity; /* rows */
};

/* @titles must outlive the table. */
struct table table_begin(struct arena *arena, const char *const *titles);

/* Adds a row: as many cells as there are titles; they must outlive the table. Errors: -ENOMEM. */
int table_add(struct table *table, const char *const *cells);

/* Prints it; @headings: the titles first. */
void table_print(const struct table *table, bool headings);
