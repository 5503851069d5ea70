/* The catalogue of signals: a tree of branches and leaves, read from VSS JSON exports (vss-tools, VSS 4.0 and later), one
 * layer over another. Immutable once loaded.
 *
 * A later layer adds nodes, changes members of nodes that are there, and deletes ("delete": true, as in vss-tools
 * overlays). Struct types stand under the key "ComplexDataTypes". Vendors' own members are passed over.
 * docs/formats/signal-catalogue.md */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/scoped.h"
#include "signals/src/value.h"

struct err;

#define CATALOGUE_BYTES_MAX (64U << 20) /* one file */
#define CATALOGUE_NODES_MAX 65536
#define CATALOGUE_DEPTH_MAX 24
#define CATALOGUE_NAME_MAX 100
#define CATALOGUE_PATH_MAX 1024
#define CATALOGUE_LAYERS_MAX 64

#define NODE_NONE UINT32_MAX
#define NODE_ROOT 0 /* has no name; its children are the top of the trees */

enum node_kind {
	NODE_UNKNOWN,
	NODE_BRANCH,
	NODE_SENSOR,
	NODE_ACTUATOR,
	NODE_ATTRIBUTE,
	NODE_STRUCT,
	NODE_PROPERTY,
};

/* What a leaf adds to a node. */
struct leaf {
	struct value_rule rule;
	const char *datatype;	  /* as the catalogue spells it: "uint8[]", "Types.Point" */
	const char *default_text; /* canonical, or NULL */
};

struct node {
	const char *name;
	uint32_t parent;
	uint32_t first_child; /* NODE_NONE: none */
	uint32_t next;	      /* sibling */
	uint8_t kind;	      /* enum node_kind */
	const char *description;
	const char *comment;
	const char *unit;
	const char *deprecation;
	struct leaf *leaf; /* of sensors, actuators, attributes and properties */
};

struct catalogue_source {
	const char *name; /* of the file, for messages */
	const char *bytes;
	size_t length;
};

struct catalogue;

/* Reads and checks the layers in their order. The caller owns *ret_catalogue; the sources may go.
 * Errors: -EINVAL (@err: file, line, key, what was expected), -E2BIG (a maximum), -ENOMEM. */
int catalogue_load(const struct catalogue_source *sources, size_t count, struct catalogue **ret_catalogue,
		   struct err *err);
void catalogue_free(struct catalogue *catalogue);
SCOPED_DEFINE(struct catalogue, catalogue_free)

/* Indices run from 0 (NODE_ROOT) to below the count; deleted nodes are not among the children of any. */
uint32_t catalogue_node_count(const struct catalogue *catalogue);
const struct node *catalogue_node(const struct catalogue *catalogue, uint32_t index);

/* Finds the child of @parent called by the @length bytes at @name, or NODE_NONE. */
uint32_t catalogue_child(const struct catalogue *catalogue, uint32_t parent, const char *name, size_t length);

/* Finds a node by its path, with dots or slashes; NODE_NONE if there is none. */
uint32_t catalogue_find(const struct catalogue *catalogue, const char *path);

/* The node that follows @index in preorder below @top, or NODE_NONE: a walk over a whole tree. */
uint32_t catalogue_next(const struct catalogue *catalogue, uint32_t top, uint32_t index);

size_t catalogue_leaf_count(const struct catalogue *catalogue);

/* Writes the path with dots. Returns its length. */
size_t catalogue_path(const struct catalogue *catalogue, uint32_t index, char ret_path[static CATALOGUE_PATH_MAX]);

static inline bool node_is_leaf(const struct node *node)
{
	return node->kind == NODE_SENSOR || node->kind == NODE_ACTUATOR || node->kind == NODE_ATTRIBUTE;
}

/* "sensor", "branch" ... */
const char *node_kind_name(uint8_t kind);
