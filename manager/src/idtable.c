#include "manager/src/idtable.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/base/err.h"

#define ID_BYTES 32

void id_make(char ret_id[ID_TEXT_MAX])
{
	static const char DIGITS[] = "0123456789abcdef";
	unsigned char bytes[ID_BYTES];
	while (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
		; /* only a signal can interrupt it, and only before the pool is ready */
	for (size_t i = 0; i < ID_BYTES; i++) {
		ret_id[2 * i] = DIGITS[bytes[i] >> 4];
		ret_id[2 * i + 1] = DIGITS[bytes[i] & 15];
	}
	ret_id[2 * ID_BYTES] = '\0';
}

void idtable_done(struct idtable *table)
{
	free(table->objects);
	*table = (struct idtable){0};
}

/* The first object whose id is not below @id. */
static size_t lower_bound(const struct idtable *table, const char *id)
{
	size_t low = 0;
	size_t high = table->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(table->objects[middle], id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int idtable_add(struct idtable *table, void *object)
{
	size_t at = lower_bound(table, object);
	if (at < table->count && strcmp(table->objects[at], object) == 0)
		return -EEXIST;
	if (table->count == table->capacity) {
		size_t capacity = table->capacity ? table->capacity * 2 : 16;
		void **grown = reallocarray(table->objects, capacity, sizeof *grown);
		if (!grown)
			return -ENOMEM;
		table->objects = grown;
		table->capacity = capacity;
	}
	memmove(table->objects + at + 1, table->objects + at, (table->count - at) * sizeof *table->objects);
	table->objects[at] = object;
	table->count++;
	return 0;
}

void idtable_remove(struct idtable *table, const void *object)
{
	size_t at = lower_bound(table, object);
	if (at == table->count || table->objects[at] != object)
		return;
	table->count--;
	memmove(table->objects + at, table->objects + at + 1, (table->count - at) * sizeof *table->objects);
}

void *idtable_get(const struct idtable *table, const char *id)
{
	size_t at = lower_bound(table, id);
	return at < table->count && strcmp(table->objects[at], id) == 0 ? table->objects[at] : NULL;
}

int idtable_find(const struct idtable *table, const char *text, const char *kind,
		 int (*visible)(const void *object, const void *data), const void *data, void **ret_object,
		 struct err *err)
{
	void *found = NULL;
	size_t length = strlen(text);
	size_t matches = 0;
	for (size_t i = length ? lower_bound(table, text) : table->count; i < table->count; i++) {
		if (strncmp(table->objects[i], text, length) != 0)
			break;
		if (visible && !visible(table->objects[i], data))
			continue;
		found = table->objects[i];
		if (length == ID_TEXT_MAX - 1)
			matches = 0;
		matches++;
	}
	if (matches == 0)
		return err_set(err, -ENOENT, "id.not-found", "no such %s: \"%.64s\"", kind, text);
	if (matches > 1)
		return err_set(err, -EEXIST, "id.ambiguous", "%zu %ss begin with \"%.64s\": expected more digits", matches,
			       kind, text);
	*ret_object = found;
	return 0;
}
