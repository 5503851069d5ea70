#include "core/base/expression.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"

enum operation {
	OP_NUMBER,
	OP_TEXT,
	OP_X,
	OP_NEGATE,
	OP_NOT,
	OP_ADD,
	OP_SUBTRACT,
	OP_MULTIPLY,
	OP_DIVIDE,
	OP_REMAINDER,
	OP_POWER,
	OP_EQUAL,
	OP_UNEQUAL,
	OP_LESS,
	OP_AT_MOST,
	OP_GREATER,
	OP_AT_LEAST,
	OP_AND,
	OP_OR,
	OP_IF,
	OP_FUNCTION,
};

/* Children come before their parents; the last node is the whole. */
struct node {
	enum operation operation;
	unsigned a, b, c; /* children */
	double number;
	const char *text;
	const struct function *function;
};

struct function {
	const char *name;
	double (*one)(double a);
	double (*two)(double a, double b);
};

struct expression {
	char *source; /* texts point into it, terminated in place */
	unsigned count;
	struct node nodes[EXPRESSION_NODES_MAX];
};

static const struct function FUNCTIONS[] = {
	{"abs", fabs, NULL}, {"ceil", ceil, NULL}, {"floor", floor, NULL}, {"round", round, NULL},
	{"sqrt", sqrt, NULL}, {"exp", exp, NULL},  {"log", log, NULL},	   {"sin", sin, NULL},
	{"cos", cos, NULL},   {"tan", tan, NULL},  {"min", NULL, fmin},	   {"max", NULL, fmax},
	{"pow", NULL, pow},
};

static const struct {
	const char *name;
	double number;
} CONSTANTS[] = {{"true", 1}, {"false", 0}, {"pi", M_PI}, {"e", M_E}};

/* Binary operators by how tightly they bind; longer spellings first. */
static const struct binary {
	const char *spelling;
	enum operation operation;
	int binding;
} BINARIES[] = {
	{"or", OP_OR, 1},	{"||", OP_OR, 1},      {"and", OP_AND, 2},    {"&&", OP_AND, 2},      {"==", OP_EQUAL, 3},
	{"!=", OP_UNEQUAL, 3},	{"<=", OP_AT_MOST, 4}, {">=", OP_AT_LEAST, 4}, {"<", OP_LESS, 4},      {">", OP_GREATER, 4},
	{"+", OP_ADD, 5},	{"-", OP_SUBTRACT, 5}, {"*", OP_MULTIPLY, 6}, {"/", OP_DIVIDE, 6},    {"%", OP_REMAINDER, 6},
	{"^", OP_POWER, 8},
};
#define BINDING_UNARY 7

struct parser {
	struct expression *expression;
	char *at;
	int depth;
	struct err *err;
};

static int parse_binary(struct parser *parser, int binding, unsigned *ret_node);

static int expected(struct parser *parser, const char *what)
{
	return err_set(parser->err, -EINVAL, "expression.malformed", "at \"%.20s\": expected %s", parser->at, what);
}

static void skip_blanks(struct parser *parser)
{
	parser->at += strspn(parser->at, " \t");
}

static bool take(struct parser *parser, char c)
{
	skip_blanks(parser);
	if (*parser->at != c)
		return false;
	parser->at++;
	return true;
}

static int add(struct parser *parser, struct node node, unsigned *ret_node)
{
	struct expression *expression = parser->expression;
	if (expression->count >= EXPRESSION_NODES_MAX)
		return err_set(parser->err, -E2BIG, "expression.limit", "a formula has at most %d terms", EXPRESSION_NODES_MAX);
	*ret_node = expression->count;
	expression->nodes[expression->count++] = node;
	return 0;
}

static bool is_word_char(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

static size_t word_length(const char *at)
{
	size_t length = 0;
	while (is_word_char(at[length]))
		length++;
	return length;
}

static int parse_number(struct parser *parser, unsigned *ret_node)
{
	char *end = NULL;
	if (parser->at[0] == '0' && (parser->at[1] | 32) == 'x')
		return expected(parser, "a decimal number");
	double number = strtod(parser->at, &end);
	if (end == parser->at || !isfinite(number))
		return expected(parser, "a number");
	parser->at = end;
	return add(parser, (struct node){.operation = OP_NUMBER, .number = number}, ret_node);
}

static int parse_text(struct parser *parser, unsigned *ret_node)
{
	char quote = *parser->at;
	char *text = parser->at + 1;
	char *end = strchr(text, quote);
	if (!end)
		return expected(parser, "a closing quote");
	*end = '\0';
	parser->at = end + 1;
	return add(parser, (struct node){.operation = OP_TEXT, .text = text}, ret_node);
}

/* "(a, b, c)" behind a function's name. */
static int parse_arguments(struct parser *parser, size_t count, unsigned ret_nodes[static 3])
{
	if (!take(parser, '('))
		return expected(parser, "'('");
	for (size_t i = 0; i < count; i++) {
		if (i > 0 && !take(parser, ','))
			return expected(parser, "','");
		int r = parse_binary(parser, 1, &ret_nodes[i]);
		if (r < 0)
			return r;
	}
	return take(parser, ')') ? 0 : expected(parser, "')'");
}

static int parse_call(struct parser *parser, const struct function *function, unsigned *ret_node)
{
	unsigned nodes[3] = {0};
	int r = parse_arguments(parser, !function ? 3 : function->two ? 2 : 1, nodes);
	if (r < 0)
		return r;
	enum operation operation = function ? OP_FUNCTION : OP_IF;
	return add(parser, (struct node){operation, nodes[0], nodes[1], nodes[2], .function = function}, ret_node);
}

static bool word_is(const char *at, size_t length, const char *name)
{
	return strlen(name) == length && memcmp(at, name, length) == 0;
}

static int parse_name(struct parser *parser, unsigned *ret_node)
{
	char *name = parser->at;
	size_t length = word_length(name);
	parser->at += length;
	if (word_is(name, length, "x"))
		return add(parser, (struct node){.operation = OP_X}, ret_node);
	if (word_is(name, length, "if"))
		return parse_call(parser, NULL, ret_node);
	for (size_t i = 0; i < ARRAY_COUNT(CONSTANTS); i++)
		if (word_is(name, length, CONSTANTS[i].name))
			return add(parser, (struct node){.operation = OP_NUMBER, .number = CONSTANTS[i].number}, ret_node);
	for (size_t i = 0; i < ARRAY_COUNT(FUNCTIONS); i++)
		if (word_is(name, length, FUNCTIONS[i].name))
			return parse_call(parser, &FUNCTIONS[i], ret_node);
	parser->at = name;
	return expected(parser, "x, a number, a quoted text or a function");
}

static int parse_unary(struct parser *parser, enum operation operation, int binding, unsigned *ret_node)
{
	unsigned operand = 0;
	int r = parse_binary(parser, binding, &operand);
	return r < 0 ? r : add(parser, (struct node){.operation = operation, .a = operand}, ret_node);
}

static int parse_primary(struct parser *parser, unsigned *ret_node)
{
	skip_blanks(parser);
	char c = *parser->at;
	if (take(parser, '(')) {
		int r = parse_binary(parser, 1, ret_node);
		return r < 0 ? r : take(parser, ')') ? 0 : expected(parser, "')'");
	}
	if (take(parser, '-'))
		return parse_unary(parser, OP_NEGATE, BINDING_UNARY, ret_node);
	if (c == '!' && parser->at[1] != '=') {
		parser->at++;
		return parse_unary(parser, OP_NOT, BINDING_UNARY, ret_node);
	}
	if (word_is(parser->at, word_length(parser->at), "not")) {
		parser->at += 3;
		return parse_unary(parser, OP_NOT, 3, ret_node);
	}
	if (c == '"' || c == '\'')
		return parse_text(parser, ret_node);
	if (isdigit((unsigned char)c) || c == '.')
		return parse_number(parser, ret_node);
	return parse_name(parser, ret_node);
}

static const struct binary *find_binary(struct parser *parser)
{
	skip_blanks(parser);
	for (size_t i = 0; i < ARRAY_COUNT(BINARIES); i++) {
		size_t length = strlen(BINARIES[i].spelling);
		if (strncmp(parser->at, BINARIES[i].spelling, length) != 0)
			continue;
		if (!is_word_char(*BINARIES[i].spelling) || !is_word_char(parser->at[length]))
			return &BINARIES[i];
	}
	return NULL;
}

/* Everything that binds at least as tightly as @binding. */
static int parse_binary(struct parser *parser, int binding, unsigned *ret_node)
{
	if (++parser->depth > EXPRESSION_DEPTH_MAX)
		return err_set(parser->err, -E2BIG, "expression.limit", "a formula is at most %d deep", EXPRESSION_DEPTH_MAX);
	unsigned left = 0;
	int r = parse_primary(parser, &left);
	for (const struct binary *binary = NULL; r == 0 && (binary = find_binary(parser)) && binary->binding >= binding;) {
		parser->at += strlen(binary->spelling);
		unsigned right = 0;
		/* the power binds to the right: 2^3^2 is 2^(3^2), and 2^-1 a half */
		r = parse_binary(parser, binary->operation == OP_POWER ? BINDING_UNARY : binary->binding + 1, &right);
		if (r == 0)
			r = add(parser, (struct node){.operation = binary->operation, .a = left, .b = right}, &left);
	}
	parser->depth--;
	*ret_node = left;
	return r;
}

int expression_parse(const char *text, struct expression **ret_expression, struct err *err)
{
	if (strlen(text) > EXPRESSION_BYTES_MAX)
		return err_set(err, -E2BIG, "expression.limit", "a formula has at most %d bytes", EXPRESSION_BYTES_MAX);
	scoped(expression_free) struct expression *expression = calloc(1, sizeof *expression);
	if (!expression || !(expression->source = strdup(text)))
		return -ENOMEM;
	struct parser parser = {.expression = expression, .at = expression->source, .err = err};
	unsigned root = 0;
	int r = parse_binary(&parser, 1, &root);
	skip_blanks(&parser);
	if (r == 0 && *parser.at)
		r = expected(&parser, "an operator or the end");
	if (r == 0)
		*ret_expression = TAKE(expression);
	return r;
}

void expression_free(struct expression *expression)
{
	if (!expression)
		return;
	free(expression->source);
	free(expression);
}

bool expression_is_true(const struct expression_value *value)
{
	return value->text ? *value->text != '\0' : value->number != 0;
}

/* ---- evaluating: nodes in their order, each child before its parent ---- */

static int compare(const struct expression_value *a, const struct expression_value *b, int *ret_order)
{
	if (!a->text != !b->text)
		return -EDOM;
	if (a->text)
		*ret_order = strcmp(a->text, b->text);
	else
		*ret_order = (a->number > b->number) - (a->number < b->number);
	return 0;
}

static int evaluate_comparison(enum operation operation, const struct expression_value *a, const struct expression_value *b,
			       double *ret_number)
{
	int order = 0;
	int r = compare(a, b, &order);
	if (r < 0 && (operation == OP_EQUAL || operation == OP_UNEQUAL)) {
		*ret_number = operation == OP_UNEQUAL; /* a text is never a number */
		return 0;
	}
	const bool holds[] = {[OP_EQUAL] = order == 0, [OP_UNEQUAL] = order != 0, [OP_LESS] = order < 0,
			      [OP_AT_MOST] = order <= 0, [OP_GREATER] = order > 0, [OP_AT_LEAST] = order >= 0};
	*ret_number = holds[operation];
	return r;
}

static int evaluate_numbers(const struct node *node, double a, double b, double *ret_number)
{
	double number = 0;
	switch (node->operation) {
	case OP_NEGATE:
		number = -a;
		break;
	case OP_ADD:
		number = a + b;
		break;
	case OP_SUBTRACT:
		number = a - b;
		break;
	case OP_MULTIPLY:
		number = a * b;
		break;
	case OP_DIVIDE:
		number = b == 0 ? NAN : a / b;
		break;
	case OP_REMAINDER:
		number = b == 0 ? NAN : a - b * floor(a / b); /* the sign of the divisor, as in Python */
		break;
	case OP_POWER:
		number = pow(a, b);
		break;
	default:
		number = node->function->two ? node->function->two(a, b) : node->function->one(a);
		break;
	}
	*ret_number = number;
	return isfinite(number) ? 0 : -EDOM;
}

static int evaluate_node(const struct expression *expression, unsigned index, const struct expression_value *x,
			 struct expression_value *ret_value)
{
	const struct node *node = &expression->nodes[index];
	struct expression_value a = {0};
	struct expression_value b = {0};
	*ret_value = (struct expression_value){0};
	if (node->operation == OP_NUMBER || node->operation == OP_TEXT) {
		*ret_value = (struct expression_value){.text = node->text, .number = node->number};
		return 0;
	}
	if (node->operation == OP_X) {
		*ret_value = *x;
		return 0;
	}
	int r = evaluate_node(expression, node->a, x, &a);
	if (r < 0)
		return r;
	if (node->operation == OP_NOT) {
		ret_value->number = !expression_is_true(&a);
		return 0;
	}
	if (node->operation == OP_IF)
		return evaluate_node(expression, expression_is_true(&a) ? node->b : node->c, x, ret_value);
	if (node->operation == OP_AND || node->operation == OP_OR) {
		if (expression_is_true(&a) == (node->operation == OP_OR)) {
			ret_value->number = node->operation == OP_OR;
			return 0;
		}
		r = evaluate_node(expression, node->b, x, &b);
		ret_value->number = expression_is_true(&b);
		return r;
	}
	bool has_b = node->operation != OP_NEGATE && !(node->operation == OP_FUNCTION && node->function->one);
	if (has_b && (r = evaluate_node(expression, node->b, x, &b)) < 0)
		return r;
	if (node->operation >= OP_EQUAL && node->operation <= OP_AT_LEAST)
		return evaluate_comparison(node->operation, &a, &b, &ret_value->number);
	if (a.text || b.text)
		return -EDOM;
	return evaluate_numbers(node, a.number, b.number, &ret_value->number);
}

int expression_evaluate(const struct expression *expression, const struct expression_value *x,
			struct expression_value *ret_value)
{
	return evaluate_node(expression, expression->count - 1, x, ret_value);
}
