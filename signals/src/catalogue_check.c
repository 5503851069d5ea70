/* What is left when all layers are read: deleted nodes go, drafts become leaves, struct types are put together. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/parse.h"
#include "core/base/str.h"
#include "core/codec/json_scan.h"
#include "signals/src/catalogue_internal.h"
#include "signals/src/string_pattern.h"

#define ALLOWED_MAX 4096

struct checker {
	struct catalogue *catalogue;
	struct struct_type **structures; /* by node: made when first needed */
	unsigned depth;
	struct err *err;
};

static struct place place_of(struct checker *checker, uint32_t node)
{
	return checker->catalogue->drafted[node].place;
}

/* The message of a value check, put behind file, line and key. */
static int fail_value(struct checker *checker, const struct raw *raw, uint32_t node, const char *key,
		      const struct err *cause)
{
	return catalogue_fail(checker->catalogue, raw->place, node, key, checker->err, "%s", cause->message);
}

/* ---- deletions ---- */

static void unlink_deleted(struct catalogue *catalogue, uint32_t parent)
{
	uint32_t *link = &catalogue->nodes[parent].first_child;
	while (*link != NODE_NONE) {
		if (catalogue->drafted[*link].deleted) {
			catalogue->nodes[*link].parent = NODE_NONE; /* not found by name either */
			*link = catalogue->nodes[*link].next;
		} else {
			link = &catalogue->nodes[*link].next;
		}
	}
}

static int remove_deleted(struct checker *checker)
{
	struct catalogue *catalogue = checker->catalogue;
	for (uint32_t i = 1; i < catalogue->count; i++) {
		struct drafted *drafted = &catalogue->drafted[i];
		bool empty = catalogue->nodes[i].kind == NODE_UNKNOWN && !drafted->draft;
		if (drafted->deleted && empty)
			return catalogue_fail(catalogue, drafted->place, i, "delete", checker->err,
					      "expected a node of an earlier layer");
	}
	for (uint32_t i = 0; i < catalogue->count; i++)
		unlink_deleted(catalogue, i);
	return catalogue_index_rebuild(catalogue, catalogue->index_size);
}

/* ---- members ---- */

static int check_limit(struct checker *checker, uint32_t node, const struct raw *raw, bool upper,
		       struct value_rule *rule)
{
	const char *key = upper ? "max" : "min";
	struct datatype element = datatype_element(&rule->type);
	if (!raw->json)
		return 0;
	if (!datatype_is_number(&element))
		return catalogue_fail(checker->catalogue, raw->place, node, key, checker->err,
				      "expected only where the datatype is a number");
	union number limit = {0};
	int r = number_parse_limit(&element, raw->json, raw->length, upper, &limit);
	if (r < 0)
		return catalogue_fail(checker->catalogue, raw->place, node, key, checker->err,
				      "expected a number within %s, found %.40s", datatype_scalar_name(&element),
				      raw->json);
	if (upper) {
		rule->max = limit;
		rule->has_max = true;
	} else {
		rule->min = limit;
		rule->has_min = true;
	}
	if (rule->has_min && rule->has_max && number_compare(&element, rule->min, rule->max) > 0)
		return catalogue_fail(checker->catalogue, raw->place, node, key, checker->err,
				      "expected at least what min says");
	return 0;
}

/* One element of "allowed" as canonical text. */
static int check_allowed_element(struct checker *checker, uint32_t node, const struct raw *raw,
				 const struct value_rule *rule, struct json_scan *scan, const struct json_token *token,
				 const char **ret_text)
{
	struct err cause = {0};
	scoped_done(buf_done) struct buf text = {.max = VALUE_TEXT_MAX};
	double number = 0;
	int r = value_parse_json(rule, scan->bytes + token->offset, token->end - token->offset, &text, &number, &cause);
	if (r == -EINVAL || r == -ERANGE || r == -EMSGSIZE)
		return fail_value(checker, raw, node, "allowed", &cause);
	if (r < 0)
		return r;
	*ret_text = arena_strdup(&checker->catalogue->arena, text.data);
	return *ret_text ? 0 : -ENOMEM;
}

static int check_allowed_array(struct checker *checker, uint32_t node, const struct raw *raw, struct json_scan *scan,
			       struct value_rule *rule)
{
	struct value_rule element = *rule;
	element.type = datatype_element(&rule->type);
	const char **allowed = calloc(ALLOWED_MAX + 1, sizeof *allowed);
	scoped_free const char **scratch = allowed;
	struct json_token token;
	size_t count = 0;
	int r = scratch ? json_scan_next(scan, &token, checker->err) : -ENOMEM;
	if (r < 0)
		return r;
	if (token.type != JSON_TOKEN_ARRAY)
		return catalogue_fail(checker->catalogue, raw->place, node, "allowed", checker->err,
				      "expected an array, found %s", json_token_name(token.type));
	while ((r = json_scan_next(scan, &token, checker->err)) == 0 && token.type != JSON_TOKEN_ARRAY_END) {
		if (count == ALLOWED_MAX)
			return catalogue_fail(checker->catalogue, raw->place, node, "allowed", checker->err,
					      "expected at most %d elements", ALLOWED_MAX);
		r = check_allowed_element(checker, node, raw, &element, scan, &token, &scratch[count++]);
		if (r < 0)
			return r;
	}
	if (r == 0 && count == 0)
		return catalogue_fail(checker->catalogue, raw->place, node, "allowed", checker->err,
				      "expected at least one element");
	const char **kept = arena_array(&checker->catalogue->arena, count + 1, sizeof *kept);
	if (!kept)
		return -ENOMEM;
	memcpy(kept, scratch, count * sizeof *kept);
	rule->allowed = kept;
	return r;
}

static int check_allowed(struct checker *checker, uint32_t node, const struct raw *raw, struct value_rule *rule)
{
	if (!raw->json)
		return 0;
	if (rule->type.kind == DATATYPE_STRUCT)
		return catalogue_fail(checker->catalogue, raw->place, node, "allowed", checker->err,
				      "expected only where the datatype is no struct");
	struct json_scan scan;
	json_scan_init(&scan, "allowed", raw->json, raw->length);
	int r = check_allowed_array(checker, node, raw, &scan, rule);
	json_scan_done(&scan);
	return r;
}

static int keep_pattern(struct catalogue *catalogue, const struct json_token *text, const regex_t **ret_pattern)
{
	regex_t **patterns = realloc(catalogue->patterns, (catalogue->pattern_count + 1) * sizeof(regex_t *));
	if (!patterns)
		return -ENOMEM;
	catalogue->patterns = patterns;
	scoped_free regex_t *pattern = calloc(1, sizeof *pattern);
	if (!pattern)
		return -ENOMEM;
	int r = string_pattern_compile(text->text, text->length, pattern);
	if (r < 0)
		return r;
	*ret_pattern = pattern;
	catalogue->patterns[catalogue->pattern_count++] = TAKE(pattern);
	return 0;
}

static int check_pattern(struct checker *checker, uint32_t node, const struct raw *raw, struct value_rule *rule)
{
	if (!raw->json)
		return 0;
	struct json_scan scan;
	struct json_token token;
	json_scan_init(&scan, "pattern", raw->json, raw->length);
	int r = json_scan_next(&scan, &token, checker->err);
	if (r == 0 && (token.type != JSON_TOKEN_STRING || rule->type.kind != DATATYPE_STRING))
		r = -EINVAL;
	if (r == 0)
		r = keep_pattern(checker->catalogue, &token, &rule->pattern);
	json_scan_done(&scan);
	if (r == -EMSGSIZE)
		return catalogue_fail(checker->catalogue, raw->place, node, "pattern", checker->err,
				      "expected at most %d bytes and, with repetitions written out, %d parts", STRING_PATTERN_MAX,
				      STRING_PATTERN_PARTS_MAX);
	if (r == -EINVAL)
		return catalogue_fail(checker->catalogue, raw->place, node, "pattern", checker->err,
				      "expected a regular expression for a string, without back-references");
	return r;
}

static int check_array_size(struct checker *checker, uint32_t node, const struct raw *raw, struct value_rule *rule)
{
	uint64_t size = 0;
	if (!raw->json)
		return 0;
	if (!rule->type.array || parse_u64(raw->json, 1, ARRAY_ELEMENTS_MAX, &size) < 0)
		return catalogue_fail(checker->catalogue, raw->place, node, "arraysize", checker->err,
				      "expected 1 to %d, for an array", ARRAY_ELEMENTS_MAX);
	rule->type.array_size = (uint32_t)size;
	return 0;
}

static int check_default(struct checker *checker, uint32_t node, const struct raw *raw, struct leaf *leaf)
{
	struct err cause = {0};
	scoped_done(buf_done) struct buf text = {.max = VALUE_TEXT_MAX * 6};
	double number = 0;
	if (!raw->json)
		return 0;
	int r = value_parse_json(&leaf->rule, raw->json, raw->length, &text, &number, &cause);
	if (r == -EINVAL || r == -ERANGE || r == -EMSGSIZE)
		return fail_value(checker, raw, node, "default", &cause);
	if (r < 0)
		return r;
	leaf->default_text = arena_strdup(&checker->catalogue->arena, text.data);
	return leaf->default_text ? 0 : -ENOMEM;
}

/* ---- types ---- */

static int make_structure(struct checker *checker, uint32_t node, struct struct_type **ret_type);

/* The struct type called @name: a path below the types, or below the top. */
static int find_structure(struct checker *checker, const char *name, size_t length, uint32_t *ret_node)
{
	struct catalogue *catalogue = checker->catalogue;
	const uint32_t tops[] = {catalogue->types, NODE_ROOT};
	for (size_t i = 0; i < 2; i++) {
		uint32_t node = tops[i];
		const char *at = name, *end = name + length;
		while (node != NODE_NONE && at < end) {
			size_t n = 0;
			while (at + n < end && at[n] != '.')
				n++;
			node = n ? catalogue_child(catalogue, node, at, n) : NODE_NONE;
			at += n + (at + n < end);
		}
		if (node != NODE_NONE && catalogue->nodes[node].kind == NODE_STRUCT) {
			*ret_node = node;
			return 0;
		}
	}
	return -ENOENT;
}

static int check_datatype(struct checker *checker, uint32_t node, const struct draft *draft, struct datatype *ret_type)
{
	size_t length = strlen(draft->datatype);
	if (datatype_parse(draft->datatype, length, ret_type) < 0)
		return catalogue_fail(checker->catalogue, draft->datatype_place, node, "datatype", checker->err,
				      "expected a datatype of VSS, found \"%.40s\"", draft->datatype);
	if (ret_type->kind != DATATYPE_STRUCT)
		return 0;
	uint32_t found = NODE_NONE;
	if (find_structure(checker, draft->datatype, length - (ret_type->array ? 2 : 0), &found) < 0)
		return catalogue_fail(checker->catalogue, draft->datatype_place, node, "datatype", checker->err,
				      "expected a datatype of VSS or a struct of " "ComplexDataTypes, found \"%.40s\"",
				      draft->datatype);
	struct struct_type *structure = NULL;
	int r = make_structure(checker, found, &structure);
	ret_type->structure = structure;
	return r;
}

static int check_leaf(struct checker *checker, uint32_t node)
{
	struct catalogue *catalogue = checker->catalogue;
	const struct draft *draft = catalogue->drafted[node].draft;
	if (!draft || !draft->datatype)
		return catalogue_fail(catalogue, place_of(checker, node), node, NULL, checker->err,
				      "expected a member \"datatype\" (it is a leaf)");
	if (catalogue->nodes[node].first_child != NODE_NONE)
		return catalogue_fail(catalogue, place_of(checker, node), node, "children", checker->err,
				      "expected none: it is a leaf");
	struct leaf *leaf = arena_alloc(&catalogue->arena, sizeof *leaf);
	if (!leaf)
		return -ENOMEM;
	leaf->datatype = draft->datatype;
	int r = check_datatype(checker, node, draft, &leaf->rule.type);
	if (r == 0)
		r = check_array_size(checker, node, &draft->array_size, &leaf->rule);
	if (r == 0)
		r = check_limit(checker, node, &draft->min, false, &leaf->rule);
	if (r == 0)
		r = check_limit(checker, node, &draft->max, true, &leaf->rule);
	if (r == 0)
		r = check_pattern(checker, node, &draft->pattern, &leaf->rule);
	if (r == 0)
		r = check_allowed(checker, node, &draft->allowed, &leaf->rule);
	if (r == 0)
		r = check_default(checker, node, &draft->standard, leaf);
	if (r == 0)
		catalogue->nodes[node].leaf = leaf;
	return r;
}

static int fill_members(struct checker *checker, uint32_t node, struct struct_type *type)
{
	struct catalogue *catalogue = checker->catalogue;
	size_t count = 0;
	for (uint32_t i = catalogue->nodes[node].first_child; i != NODE_NONE; i = catalogue->nodes[i].next)
		count++;
	struct struct_member *members = arena_array(&catalogue->arena, count + 1, sizeof *members);
	if (!members)
		return -ENOMEM;
	for (uint32_t i = catalogue->nodes[node].first_child; i != NODE_NONE; i = catalogue->nodes[i].next) {
		if (catalogue->nodes[i].kind != NODE_PROPERTY)
			return catalogue_fail(catalogue, place_of(checker, i), i, "type", checker->err,
					      "expected property: it stands in a struct");
		int r = catalogue->nodes[i].leaf ? 0 : check_leaf(checker, i);
		if (r < 0)
			return r;
		members[type->count++] =
			(struct struct_member){.name = catalogue->nodes[i].name, .rule = catalogue->nodes[i].leaf->rule};
	}
	type->members = members;
	return 0;
}

static int make_structure(struct checker *checker, uint32_t node, struct struct_type **ret_type)
{
	if (!checker->structures[node]) {
		if (checker->depth == STRUCT_DEPTH_MAX)
			return catalogue_fail(checker->catalogue, place_of(checker, node), node, NULL, checker->err,
					      "expected at most %d structs within each other, and none within itself",
					      STRUCT_DEPTH_MAX);
		struct struct_type *type = arena_alloc(&checker->catalogue->arena, sizeof *type);
		if (!type)
			return -ENOMEM;
		type->name = checker->catalogue->nodes[node].name;
		checker->depth++;
		int r = fill_members(checker, node, type);
		checker->depth--;
		if (r < 0)
			return r;
		checker->structures[node] = type;
	}
	*ret_type = checker->structures[node];
	return 0;
}

/* ---- nodes ---- */

static int check_branch(struct checker *checker, uint32_t node)
{
	const struct draft *draft = checker->catalogue->drafted[node].draft;
	if (draft && draft->datatype)
		return catalogue_fail(checker->catalogue, draft->datatype_place, node, "datatype", checker->err,
				      "expected none: it is a branch");
	return 0;
}

static int check_node(struct checker *checker, uint32_t node)
{
	struct struct_type *structure = NULL;
	switch (checker->catalogue->nodes[node].kind) {
	case NODE_BRANCH:
		return check_branch(checker, node);
	case NODE_STRUCT:
		return make_structure(checker, node, &structure);
	case NODE_SENSOR:
	case NODE_ACTUATOR:
	case NODE_ATTRIBUTE:
		return check_leaf(checker, node);
	case NODE_PROPERTY:
		return checker->catalogue->nodes[node].leaf ? 0 : check_leaf(checker, node);
	default:
		return catalogue_fail(checker->catalogue, place_of(checker, node), node, NULL, checker->err,
				      "expected a member \"type\"");
	}
}

static int check_tree(struct checker *checker, uint32_t top)
{
	int r = 0;
	for (uint32_t i = top; r == 0 && i != NODE_NONE; i = catalogue_next(checker->catalogue, top, i))
		r = check_node(checker, i);
	return r;
}

/* Structs are no files: one that stands in the signal tree itself is taken out of its parent's children. */
static void hide_structures(struct catalogue *catalogue)
{
	for (uint32_t i = 0; i < catalogue->count; i++) {
		uint32_t *link = &catalogue->nodes[i].first_child;
		while (*link != NODE_NONE && catalogue->nodes[i].kind == NODE_BRANCH) {
			uint8_t kind = catalogue->nodes[*link].kind;
			if (kind == NODE_STRUCT || kind == NODE_PROPERTY) {
				catalogue->nodes[*link].parent = NODE_NONE;
				*link = catalogue->nodes[*link].next;
			} else {
				link = &catalogue->nodes[*link].next;
			}
		}
	}
}

int catalogue_check(struct catalogue *catalogue, struct err *err)
{
	scoped_free struct struct_type **structures = calloc(catalogue->count, sizeof(struct struct_type *));
	if (!structures)
		return -ENOMEM;
	struct checker checker = {.catalogue = catalogue, .structures = structures, .err = err};
	int r = remove_deleted(&checker);
	if (r == 0 && catalogue->types != NODE_NONE)
		r = check_tree(&checker, catalogue->types);
	if (r == 0)
		r = check_tree(&checker, NODE_ROOT);
	if (r < 0)
		return r;
	hide_structures(catalogue);
	return catalogue_index_rebuild(catalogue, catalogue->index_size);
}
