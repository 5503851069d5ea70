#include "core/codec/toml.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/codec/toml_lex.h"

/* How a table or array came to be decides who may add to it (TOML 1.0, "Table", "Inline Table", "Array of Tables"). A
 * table without a mark was only implied by a header of one of its children. */
enum mark {
	MARK_HEADER = 1, /* [table]: may not be opened again */
	MARK_DOTTED = 2, /* by a dotted key: no header may open it */
	MARK_CLOSED = 4, /* inline table or array written as a value: nobody may add to it */
	MARK_TABLES = 8, /* an array of tables: [[name]] adds to it */
};

struct toml_mark {
	const json_t *value;
	unsigned marks;
};

struct toml_parser {
	struct toml_reader reader;
	struct buf key; /* scratch of keys */
	struct buf text; /* scratch of strings */
	struct toml_mark *marks;
	size_t mark_count;
	json_t *root;
	json_t *current; /* the table that key = value lines go to; borrowed */
};

static int read_value(struct toml_parser *parser, int depth, json_t **ret_value);

static unsigned marks_of(const struct toml_parser *parser, const json_t *value)
{
	for (size_t i = parser->mark_count; i-- > 0;)
		if (parser->marks[i].value == value)
			return parser->marks[i].marks;
	return 0;
}

static int mark(struct toml_parser *parser, const json_t *value, unsigned marks)
{
	for (size_t i = parser->mark_count; i-- > 0;)
		if (parser->marks[i].value == value) {
			parser->marks[i].marks |= marks;
			return 0;
		}
	if (parser->mark_count == TOML_TABLES_MAX)
		return toml_limit(&parser->reader, "tables", TOML_TABLES_MAX);
	if (parser->mark_count % 64 == 0) {
		size_t bytes = (parser->mark_count + 64) * sizeof *parser->marks;
		struct toml_mark *grown = realloc(parser->marks, bytes);
		if (!grown)
			return -ENOMEM;
		parser->marks = grown;
	}
	parser->marks[parser->mark_count++] = (struct toml_mark){value, marks};
	return 0;
}

/* Puts a new value (whose reference is taken) under @key. */
static int put(json_t *table, const char *key, json_t *value)
{
	if (!value || json_object_set_new(table, key, value) < 0)
		return -ENOMEM;
	return 0;
}

static int defined_twice(const struct toml_parser *parser, const char *key)
{
	return toml_refuse(&parser->reader, "\"%s\" is defined twice", key);
}

/* Makes an empty table under @key, of which @marks is known. */
static int add_table(struct toml_parser *parser, json_t *table, const char *key, unsigned marks, json_t **ret_child)
{
	json_t *child = json_object();
	int r = put(table, key, child);
	if (r == 0)
		r = mark(parser, child, marks);
	if (r == 0)
		*ret_child = child;
	return r;
}

/* --- key = value --- */

/* Steps from @table into the table of a dotted key's part, made where it is missing. */
static int enter_dotted(struct toml_parser *parser, json_t *table, const char *key, json_t **ret_child)
{
	json_t *child = json_object_get(table, key);
	if (!child)
		return add_table(parser, table, key, MARK_DOTTED, ret_child);
	if (!json_is_object(child) || marks_of(parser, child) & (MARK_HEADER | MARK_CLOSED))
		return defined_twice(parser, key);
	*ret_child = child;
	return mark(parser, child, MARK_DOTTED);
}

/* Reads "a.b.c =" relative to *@table; leaves the last part in parser->key and its table in *@table. */
static int read_dotted_key(struct toml_parser *parser, int depth, json_t **table)
{
	struct toml_reader *reader = &parser->reader;
	int r = toml_read_key(reader, &parser->key);
	for (int parts = depth; r == 0; parts++) {
		toml_skip_blanks(reader);
		if (!toml_accept(reader, "."))
			break;
		if (parts >= TOML_DEPTH_MAX)
			return toml_limit(reader, "levels", TOML_DEPTH_MAX);
		r = enter_dotted(parser, *table, parser->key.data, table);
		toml_skip_blanks(reader);
		if (r == 0)
			r = toml_read_key(reader, &parser->key);
	}
	if (r < 0)
		return r;
	if (!toml_accept(reader, "="))
		return toml_expected(reader, "'='");
	toml_skip_blanks(reader);
	return 0;
}

static int read_pair(struct toml_parser *parser, int depth, json_t *table)
{
	int r = read_dotted_key(parser, depth, &table);
	if (r < 0)
		return r;
	if (json_object_get(table, parser->key.data))
		return defined_twice(parser, parser->key.data);
	scoped_free char *key = buf_take(&parser->key);
	if (!key)
		return -ENOMEM;
	json_t *value = NULL;
	r = read_value(parser, depth, &value);
	if (r < 0)
		return r;
	if (json_object_set_new(table, key, value) < 0)
		return -ENOMEM;
	return 0;
}

/* --- values --- */

static int read_array(struct toml_parser *parser, int depth, json_t *array)
{
	struct toml_reader *reader = &parser->reader;
	for (;;) {
		int r = toml_skip_lines(reader);
		if (r < 0)
			return r;
		if (toml_accept(reader, "]"))
			return mark(parser, array, MARK_CLOSED);
		json_t *value = NULL;
		r = read_value(parser, depth, &value);
		if (r < 0)
			return r;
		if (json_array_append_new(array, value) < 0)
			return -ENOMEM;
		r = toml_skip_lines(reader);
		if (r < 0)
			return r;
		if (!toml_accept(reader, ",") && !toml_looking_at(reader, "]"))
			return toml_expected(reader, "',' or ']'");
	}
}

static int read_inline_table(struct toml_parser *parser, int depth, json_t *table)
{
	struct toml_reader *reader = &parser->reader;
	toml_skip_blanks(reader);
	bool more = !toml_looking_at(reader, "}");
	while (more) {
		toml_skip_blanks(reader);
		int r = read_pair(parser, depth, table);
		if (r < 0)
			return r;
		toml_skip_blanks(reader);
		more = toml_accept(reader, ",");
	}
	if (!toml_accept(reader, "}"))
		return toml_expected(reader, "',' or '}'");
	return mark(parser, table, MARK_CLOSED);
}

/* Fills a new container; it is dropped when that fails. */
static int read_nested(struct toml_parser *parser, int depth, json_t *made,
		       int (*read)(struct toml_parser *, int, json_t *), json_t **ret_value)
{
	if (!made)
		return -ENOMEM;
	parser->reader.p++;
	int r = depth >= TOML_DEPTH_MAX ? toml_limit(&parser->reader, "levels", TOML_DEPTH_MAX)
					: read(parser, depth + 1, made);
	if (r < 0) {
		json_decref(made);
		return r;
	}
	*ret_value = made;
	return 0;
}

static int read_string_value(struct toml_parser *parser, json_t **ret_value)
{
	int r = toml_read_string(&parser->reader, &parser->text);
	if (r < 0)
		return r;
	json_t *value = json_stringn(parser->text.size ? parser->text.data : "", parser->text.size);
	if (!value)
		return -ENOMEM;
	*ret_value = value;
	return 0;
}

static int read_value(struct toml_parser *parser, int depth, json_t **ret_value)
{
	struct toml_reader *reader = &parser->reader;
	if (toml_looking_at(reader, "["))
		return read_nested(parser, depth, json_array(), read_array, ret_value);
	if (toml_looking_at(reader, "{"))
		return read_nested(parser, depth, json_object(), read_inline_table, ret_value);
	if (toml_looking_at(reader, "\"") || toml_looking_at(reader, "'"))
		return read_string_value(parser, ret_value);
	return toml_read_scalar(reader, ret_value);
}

/* --- [table] and [[array of tables]] --- */

/* Steps through a part of a header that is not its last: into a table, or into the newest table of an array. */
static int enter_header(struct toml_parser *parser, json_t *table, const char *key, json_t **ret_child)
{
	json_t *child = json_object_get(table, key);
	if (!child)
		return add_table(parser, table, key, 0, ret_child);
	if (json_is_array(child) && marks_of(parser, child) & MARK_TABLES)
		child = json_array_get(child, json_array_size(child) - 1);
	if (!json_is_object(child) || marks_of(parser, child) & MARK_CLOSED)
		return defined_twice(parser, key);
	*ret_child = child;
	return 0;
}

static int open_table(struct toml_parser *parser, json_t *table, const char *key)
{
	json_t *child = json_object_get(table, key);
	if (!child)
		return add_table(parser, table, key, MARK_HEADER, &parser->current);
	if (!json_is_object(child) || marks_of(parser, child) & (MARK_HEADER | MARK_DOTTED | MARK_CLOSED))
		return defined_twice(parser, key);
	parser->current = child;
	return mark(parser, child, MARK_HEADER);
}

static int open_array_element(struct toml_parser *parser, json_t *table, const char *key)
{
	json_t *array = json_object_get(table, key);
	if (!array) {
		array = json_array();
		int r = put(table, key, array);
		if (r == 0)
			r = mark(parser, array, MARK_TABLES);
		if (r < 0)
			return r;
	}
	if (!json_is_array(array) || !(marks_of(parser, array) & MARK_TABLES))
		return defined_twice(parser, key);
	json_t *element = json_object();
	if (!element || json_array_append_new(array, element) < 0)
		return -ENOMEM;
	parser->current = element;
	return mark(parser, element, MARK_HEADER);
}

static int read_header(struct toml_parser *parser)
{
	struct toml_reader *reader = &parser->reader;
	bool in_array = toml_accept(reader, "[[");
	if (!in_array)
		reader->p++;
	json_t *table = parser->root;
	for (int parts = 1;; parts++) {
		toml_skip_blanks(reader);
		int r = toml_read_key(reader, &parser->key);
		toml_skip_blanks(reader);
		if (r < 0)
			return r;
		if (!toml_accept(reader, "."))
			break;
		r = parts >= TOML_DEPTH_MAX ? toml_limit(reader, "levels", TOML_DEPTH_MAX)
					    : enter_header(parser, table, parser->key.data, &table);
		if (r < 0)
			return r;
	}
	if (!toml_accept(reader, in_array ? "]]" : "]"))
		return toml_expected(reader, in_array ? "']]'" : "']'");
	return in_array ? open_array_element(parser, table, parser->key.data)
			: open_table(parser, table, parser->key.data);
}

static int read_document(struct toml_parser *parser)
{
	struct toml_reader *reader = &parser->reader;
	int r = toml_skip_lines(reader);
	while (r == 0 && reader->p < reader->end) {
		r = toml_looking_at(reader, "[") ? read_header(parser) : read_pair(parser, 1, parser->current);
		if (r == 0)
			r = toml_end_line(reader);
		if (r == 0)
			r = toml_skip_lines(reader);
	}
	return r;
}

static void parser_done(struct toml_parser *parser)
{
	buf_done(&parser->key);
	buf_done(&parser->text);
	free(parser->marks);
	json_decref(parser->root);
}

int toml_parse(const char *source, const char *text, size_t length, json_t **ret_value, struct err *err)
{
	scoped_done(parser_done) struct toml_parser parser = {
		.reader = {source, text, text, text + length, err},
		.key = {.max = TOML_BYTES_MAX},
		.text = {.max = TOML_BYTES_MAX},
		.root = json_object(),
	};
	parser.current = parser.root;
	if (length > TOML_BYTES_MAX)
		return toml_limit(&parser.reader, "bytes", TOML_BYTES_MAX);
	if (!str_is_utf8(text, length))
		return toml_refuse(&parser.reader, "the document is not UTF-8");
	int r = parser.root ? read_document(&parser) : -ENOMEM;
	if (r == -ENOMEM)
		return err_set(err, r, "toml.memory", "%s: out of memory", source);
	if (r < 0)
		return r;
	*ret_value = TAKE(parser.root);
	return 0;
}
