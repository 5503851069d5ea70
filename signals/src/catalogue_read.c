/* JSON layers into nodes and drafts. What depends on other members or layers is left to catalogue_check.c. */
#include <errno.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/codec/json_scan.h"
#include "signals/src/catalogue_internal.h"

#define TYPES_KEY "ComplexDataTypes"

struct reader {
	struct catalogue *catalogue;
	struct json_scan scan;
	uint16_t source;
	unsigned depth;
	struct err *err;
};

static struct place place_of(struct reader *reader, size_t offset)
{
	return (struct place){.source = reader->source, .line = json_scan_line(&reader->scan, offset)};
}

static int fail(struct reader *reader, const struct json_token *token, uint32_t node, const char *key,
		const char *expected)
{
	return catalogue_fail(reader->catalogue, place_of(reader, token->offset), node, key, reader->err,
			      "expected %s, found %s", expected, json_token_name(token->type));
}

static int next(struct reader *reader, struct json_token *token)
{
	return json_scan_next(&reader->scan, token, reader->err);
}

/* ---- members of a node ---- */

enum member {
	MEMBER_CHILDREN,
	MEMBER_TYPE,
	MEMBER_DATATYPE,
	MEMBER_DESCRIPTION,
	MEMBER_COMMENT,
	MEMBER_UNIT,
	MEMBER_DEPRECATION,
	MEMBER_MIN,
	MEMBER_MAX,
	MEMBER_ALLOWED,
	MEMBER_PATTERN,
	MEMBER_DEFAULT,
	MEMBER_ARRAY_SIZE,
	MEMBER_DELETE,
	MEMBER_COUNT,
};

enum member_form {
	FORM_CHILDREN,
	FORM_TYPE,
	FORM_TEXT,	/* a string of the node */
	FORM_DATATYPE,
	FORM_RAW,	/* a value, kept as JSON in the draft */
	FORM_DELETE,
};

static const struct {
	const char *key;
	enum member_form form;
	size_t offset; /* in struct node (FORM_TEXT), struct draft (FORM_RAW) */
} MEMBERS[MEMBER_COUNT] = {
	[MEMBER_CHILDREN] = {"children", FORM_CHILDREN, 0},
	[MEMBER_TYPE] = {"type", FORM_TYPE, 0},
	[MEMBER_DATATYPE] = {"datatype", FORM_DATATYPE, 0},
	[MEMBER_DESCRIPTION] = {"description", FORM_TEXT, offsetof(struct node, description)},
	[MEMBER_COMMENT] = {"comment", FORM_TEXT, offsetof(struct node, comment)},
	[MEMBER_UNIT] = {"unit", FORM_TEXT, offsetof(struct node, unit)},
	[MEMBER_DEPRECATION] = {"deprecation", FORM_TEXT, offsetof(struct node, deprecation)},
	[MEMBER_MIN] = {"min", FORM_RAW, offsetof(struct draft, min)},
	[MEMBER_MAX] = {"max", FORM_RAW, offsetof(struct draft, max)},
	[MEMBER_ALLOWED] = {"allowed", FORM_RAW, offsetof(struct draft, allowed)},
	[MEMBER_PATTERN] = {"pattern", FORM_RAW, offsetof(struct draft, pattern)},
	[MEMBER_DEFAULT] = {"default", FORM_RAW, offsetof(struct draft, standard)},
	[MEMBER_ARRAY_SIZE] = {"arraysize", FORM_RAW, offsetof(struct draft, array_size)},
	[MEMBER_DELETE] = {"delete", FORM_DELETE, 0},
};

static int read_node(struct reader *reader, uint32_t node, struct place place);

static int read_string(struct reader *reader, uint32_t node, const char *key, const char **ret_text)
{
	struct json_token token;
	int r = next(reader, &token);
	if (r < 0)
		return r;
	if (token.type != JSON_TOKEN_STRING)
		return fail(reader, &token, node, key, "a string");
	*ret_text = arena_strndup(&reader->catalogue->arena, token.text, token.length);
	return *ret_text ? 0 : -ENOMEM;
}

static int read_text(struct reader *reader, uint32_t node, enum member member)
{
	const char *text = NULL;
	int r = read_string(reader, node, MEMBERS[member].key, &text);
	if (r < 0)
		return r;
	*(const char **)((char *)&reader->catalogue->nodes[node] + MEMBERS[member].offset) = text;
	return 0;
}

static int read_type(struct reader *reader, uint32_t node)
{
	struct json_token token;
	int r = next(reader, &token);
	if (r < 0)
		return r;
	for (uint8_t kind = NODE_BRANCH; token.type == JSON_TOKEN_STRING && kind <= NODE_PROPERTY; kind++)
		if (str_equal(token.text, node_kind_name(kind))) {
			reader->catalogue->nodes[node].kind = kind;
			return 0;
		}
	return fail(reader, &token, node, "type", "branch, sensor, actuator, attribute, struct or property");
}

static struct draft *draft_of(struct reader *reader, uint32_t node)
{
	struct drafted *drafted = &reader->catalogue->drafted[node];
	if (!drafted->draft)
		drafted->draft = arena_alloc(&reader->catalogue->arena, sizeof *drafted->draft);
	return drafted->draft;
}

static int read_datatype(struct reader *reader, uint32_t node)
{
	struct draft *draft = draft_of(reader, node);
	if (!draft)
		return -ENOMEM;
	draft->datatype_place = place_of(reader, reader->scan.at);
	return read_string(reader, node, "datatype", &draft->datatype);
}

/* null takes away what an earlier layer said. */
static int read_raw(struct reader *reader, uint32_t node, enum member member)
{
	struct draft *draft = draft_of(reader, node);
	if (!draft)
		return -ENOMEM;
	size_t begin = 0, end = 0;
	int r = json_scan_skip(&reader->scan, &begin, &end, reader->err);
	if (r < 0)
		return r;
	struct raw raw = {.length = (uint32_t)(end - begin), .place = place_of(reader, begin)};
	const char *json = reader->scan.bytes + begin;
	if (raw.length != 4 || memcmp(json, "null", 4) != 0) {
		raw.json = arena_strndup(&reader->catalogue->arena, json, raw.length);
		if (!raw.json)
			return -ENOMEM;
	}
	*(struct raw *)((char *)draft + MEMBERS[member].offset) = raw;
	return 0;
}

static int read_delete(struct reader *reader, uint32_t node)
{
	struct json_token token;
	int r = next(reader, &token);
	if (r < 0)
		return r;
	if (token.type != JSON_TOKEN_TRUE && token.type != JSON_TOKEN_FALSE)
		return fail(reader, &token, node, "delete", "true or false");
	reader->catalogue->drafted[node].deleted = token.type == JSON_TOKEN_TRUE;
	return 0;
}

static bool name_is_good(const char *name, size_t length)
{
	static const char GOOD[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
	return length > 0 && length <= CATALOGUE_NAME_MAX && strspn(name, GOOD) == length;
}

/* The node called @token below @parent: made, or found from an earlier layer. */
static int enter_child(struct reader *reader, uint32_t parent, const struct json_token *token, uint32_t *ret_node)
{
	struct catalogue *catalogue = reader->catalogue;
	struct place place = place_of(reader, token->offset);
	if (!name_is_good(token->text, token->length))
		return catalogue_fail(catalogue, place, parent, NULL, reader->err,
				      "child \"%.40s\": expected a name of 1 to %d letters, digits, \"_\" or \"-\"",
				      token->text, CATALOGUE_NAME_MAX);
	uint32_t node = catalogue_child(catalogue, parent, token->text, token->length);
	if (node == NODE_NONE) {
		int r = catalogue_add_node(catalogue, parent, token->text, &node);
		if (r == -E2BIG)
			return err_set(reader->err, r, "catalogue.nodes", "%s: line %u: expected at most %d nodes",
				       reader->scan.source, place.line, CATALOGUE_NODES_MAX);
		if (r < 0)
			return r;
	} else if (catalogue->drafted[node].place.source == reader->source) {
		return catalogue_fail(catalogue, place, node, NULL, reader->err,
				      "expected once, found again (first in line %u)",
				      catalogue->drafted[node].place.line);
	}
	catalogue->drafted[node].place = place;
	*ret_node = node;
	return 0;
}

static int read_children(struct reader *reader, uint32_t parent)
{
	struct json_token token;
	int r = next(reader, &token);
	if (r < 0)
		return r;
	if (token.type != JSON_TOKEN_OBJECT)
		return fail(reader, &token, parent, "children", "an object");
	while ((r = next(reader, &token)) == 0 && token.type == JSON_TOKEN_KEY) {
		uint32_t node = 0;
		struct place place = place_of(reader, token.offset);
		r = enter_child(reader, parent, &token, &node);
		if (r == 0)
			r = read_node(reader, node, place);
		if (r < 0)
			return r;
	}
	return r;
}

static int read_member(struct reader *reader, uint32_t node, enum member member)
{
	switch (MEMBERS[member].form) {
	case FORM_CHILDREN:
		return read_children(reader, node);
	case FORM_TYPE:
		return read_type(reader, node);
	case FORM_TEXT:
		return read_text(reader, node, member);
	case FORM_DATATYPE:
		return read_datatype(reader, node);
	case FORM_RAW:
		return read_raw(reader, node, member);
	case FORM_DELETE:
		return read_delete(reader, node);
	}
	return -EINVAL;
}

static size_t find_member(const char *key)
{
	size_t i = 0;
	while (i < MEMBER_COUNT && strcmp(MEMBERS[i].key, key) != 0)
		i++;
	return i;
}

static int read_members(struct reader *reader, uint32_t node)
{
	struct json_token token;
	uint32_t seen = 0;
	int r = 0;
	while ((r = next(reader, &token)) == 0 && token.type == JSON_TOKEN_KEY) {
		size_t member = find_member(token.text);
		if (member == MEMBER_COUNT) { /* a vendor's own, or of a tool: uuid, fqn ... */
			size_t begin = 0, end = 0;
			r = json_scan_skip(&reader->scan, &begin, &end, reader->err);
		} else if (seen & 1U << member) {
			return catalogue_fail(reader->catalogue, place_of(reader, token.offset), node,
					      MEMBERS[member].key, reader->err, "expected once, found again");
		} else {
			seen |= 1U << member;
			r = read_member(reader, node, (enum member)member);
		}
		if (r < 0)
			return r;
	}
	return r;
}

/* A node that an earlier layer deleted comes back with nothing of its former self. */
static void start_afresh(struct catalogue *catalogue, uint32_t node)
{
	struct node *n = &catalogue->nodes[node];
	*n = (struct node){.name = n->name, .parent = n->parent, .first_child = n->first_child, .next = n->next};
	catalogue->drafted[node].draft = NULL;
	catalogue->drafted[node].deleted = false;
	for (uint32_t i = n->first_child; i != NODE_NONE; i = catalogue->nodes[i].next)
		catalogue->drafted[i].deleted = true;
}

static int read_node(struct reader *reader, uint32_t node, struct place place)
{
	struct json_token token;
	int r = next(reader, &token);
	if (r < 0)
		return r;
	if (token.type != JSON_TOKEN_OBJECT)
		return fail(reader, &token, node, NULL, "an object");
	if (++reader->depth > CATALOGUE_DEPTH_MAX)
		return catalogue_fail(reader->catalogue, place, node, NULL, reader->err, "expected at most %d levels",
				      CATALOGUE_DEPTH_MAX);
	if (reader->catalogue->drafted[node].deleted)
		start_afresh(reader->catalogue, node);
	r = read_members(reader, node);
	reader->depth--;
	return r;
}

/* ---- a document ---- */

static int read_types(struct reader *reader, struct place place)
{
	struct catalogue *catalogue = reader->catalogue;
	if (catalogue->types == NODE_NONE) {
		int r = catalogue_add_node(catalogue, NODE_NONE, "", &catalogue->types);
		if (r < 0)
			return r;
		catalogue->nodes[catalogue->types].kind = NODE_BRANCH;
		catalogue->drafted[catalogue->types].place = place;
	}
	return read_children(reader, catalogue->types);
}

static int read_document(struct reader *reader)
{
	struct json_token token;
	int r = next(reader, &token);
	if (r < 0)
		return r;
	if (token.type != JSON_TOKEN_OBJECT)
		return fail(reader, &token, NODE_ROOT, NULL, "an object with the top branch, as vss-tools exports it");
	while ((r = next(reader, &token)) == 0 && token.type == JSON_TOKEN_KEY) {
		uint32_t node = 0;
		struct place place = place_of(reader, token.offset);
		if (str_equal(token.text, TYPES_KEY)) {
			r = read_types(reader, place);
		} else {
			r = enter_child(reader, NODE_ROOT, &token, &node);
			if (r == 0)
				r = read_node(reader, node, place);
		}
		if (r < 0)
			return r;
	}
	return r < 0 ? r : next(reader, &token); /* nothing may follow */
}

int catalogue_read_layer(struct catalogue *catalogue, uint16_t source, struct err *err)
{
	const struct catalogue_source *from = &catalogue->sources[source];
	if (from->length > CATALOGUE_BYTES_MAX)
		return err_set(err, -E2BIG, "catalogue.size", "%s: expected at most %u bytes", from->name,
			       CATALOGUE_BYTES_MAX);
	struct reader reader = {.catalogue = catalogue, .source = source, .err = err};
	json_scan_init(&reader.scan, from->name, from->bytes, from->length);
	int r = read_document(&reader);
	json_scan_done(&reader.scan);
	return r;
}
