/* Objects by id, and by a prefix of it. Each object's first member is its id: `char id[ID_TEXT_MAX]`. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct err;

#define ID_TEXT_MAX 65 /* 64 hexadecimal digits and the terminator */

/* A new random id. */
void id_make(char ret_id[ID_TEXT_MAX]);

/* Sorted by id; does not own the objects. */
struct idtable {
	void **objects;
	size_t count;
	size_t capacity;
};

void idtable_done(struct idtable *table);

/* Errors: -ENOMEM; -EEXIST (there is one with this id). */
int idtable_add(struct idtable *table, void *object);
void idtable_remove(struct idtable *table, const void *object);

/* The object with exactly this id, or NULL. */
void *idtable_get(const struct idtable *table, const char *id);

/* Finds what @text is the id of, or the only id's prefix. Objects that @visible refuses do not exist (NULL: all do).
 * Errors: -ENOENT; -EEXIST (several begin with it; @err says how many). @kind is the word for messages: "container". */
int idtable_find(const struct idtable *table, const char *text, const char *kind,
		 int (*visible)(const void *object, const void *data), const void *data, void **ret_object,
		 struct err *err);
