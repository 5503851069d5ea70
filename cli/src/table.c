#include "cli/src/table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/str.h"

#define GAP 3

struct table table_begin(struct arena *arena, const char *const *titles)
{
	return (struct table){.arena = arena, .titles = titles, .columns = strv_count(titles)};
}

int table_add(struct table *table, const char *const *cells)
{
	if (table->rows == table->capacity) {
		size_t capacity = table->capacity ? 2 * table->capacity : 16;
		const char **grown = arena_array(table->arena, capacity * table->columns, sizeof *grown);
		if (!grown)
			return -ENOMEM;
		if (table->rows > 0)
			memcpy(grown, table->cells, table->rows * table->columns * sizeof *grown);
		table->cells = grown;
		table->capacity = capacity;
	}
	memcpy(table->cells + table->rows * table->columns, cells, table->columns * sizeof *cells);
	table->rows++;
	return 0;
}

/* Characters, not bytes: what follows a first byte of UTF-8 takes no column. */
static size_t width(const char *text)
{
	size_t count = 0;
	for (; *text; text++)
		count += ((unsigned char)*text & 0xc0) != 0x80;
	return count;
}

static size_t width_of_column(const struct table *table, size_t column, bool headings)
{
	size_t widest = headings ? width(table->titles[column]) : 0;
	for (size_t row = 0; row < table->rows; row++) {
		size_t own = width(table->cells[row * table->columns + column]);
		widest = own > widest ? own : widest;
	}
	return widest;
}

static void print_row(const struct table *table, const char *const *cells, const size_t *widths)
{
	for (size_t column = 0; column < table->columns; column++) {
		bool last = column + 1 == table->columns;
		size_t padding = last ? 0 : widths[column] + GAP - width(cells[column]);
		(void)printf("%s%*s", cells[column], (int)padding, "");
	}
	(void)putchar('\n');
}

void table_print(const struct table *table, bool headings)
{
	size_t *widths = arena_array(table->arena, table->columns, sizeof *widths);
	if (!widths)
		return;
	for (size_t column = 0; column < table->columns; column++)
		widths[column] = width_of_column(table, column, headings);
	if (headings)
		print_row(table, table->titles, widths);
	for (size_t row = 0; row < table->rows; row++)
		print_row(table, table->cells + row * table->columns, widths);
}
