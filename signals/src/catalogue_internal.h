/* Shared by catalogue.c (the tree), catalogue_read.c (JSON into drafts) and catalogue_check.c (drafts into leaves). */
#pragma once

#include "core/base/arena.h"
#include "signals/src/catalogue.h"

/* A place in a source, for messages. */
struct place {
	uint16_t source;
	uint32_t line; /* 0: not given */
};

/* A member as it was written, to be checked when all layers are in: JSON text. */
struct raw {
	const char *json;
	uint32_t length;
	struct place place;
};

/* What layers say of a leaf, before it is checked. */
struct draft {
	const char *datatype;
	struct place datatype_place;
	struct raw min;
	struct raw max;
	struct raw allowed;
	struct raw pattern;
	struct raw standard; /* "default" */
	struct raw array_size;
};

/* Beside each node while layers are read. */
struct drafted {
	struct draft *draft; /* NULL: nothing of a leaf was given */
	struct place place;
	uint32_t last_child;
	bool deleted;
};

struct catalogue {
	struct arena arena;
	struct node *nodes;
	struct drafted *drafted; /* while loading */
	uint32_t count;
	uint32_t capacity;
	uint32_t types; /* the root of the struct types, a tree of its own; NODE_NONE: none */
	uint32_t *index; /* open addressing over (parent, name) */
	uint32_t index_size;
	regex_t **patterns;
	size_t pattern_count;
	const struct catalogue_source *sources; /* while loading */
};

int catalogue_add_node(struct catalogue *catalogue, uint32_t parent, const char *name, uint32_t *ret_node);
int catalogue_index_rebuild(struct catalogue *catalogue, uint32_t size);

int catalogue_read_layer(struct catalogue *catalogue, uint16_t source, struct err *err);
int catalogue_check(struct catalogue *catalogue, struct err *err);

/* "vss.json: line 7: Vehicle.Speed.min: expected ..." */
int catalogue_fail(const struct catalogue *catalogue, struct place place, uint32_t node, const char *key,
		   struct err *err, const char *format, ...) __attribute__((format(printf, 6, 7)));
