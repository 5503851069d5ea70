#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/parse.h"
#include "core/base/str.h"
#include "signals/adaptors/can/dbc.h"
#include "signals/adaptors/can/dbc_lex.h"

#define VECTOR_INDEPENDENT_SIGNALS 0xC0000000u /* a message of this id holds signals that are nowhere */
#define ARENA_MAX (256u << 20)

struct parser {
	const char *source;
	struct dbc *dbc;
	struct dbc_lexer lexer;
	size_t message_capacity;
	size_t signal_capacity; /* of the last message */
	uint32_t default_cycle_ms;
	struct err *err;
};

/* ---- tokens ---- */

static int fail(struct parser *parser, const char *what)
{
	const struct dbc_lexer *lexer = &parser->lexer;
	int shown = lexer->length > 30 ? 30 : (int)lexer->length;
	if (lexer->kind == TOKEN_END)
		return err_set(parser->err, -EINVAL, "dbc.malformed", "%s: line %u: expected %s, found the end", parser->source,
			       lexer->token_line, what);
	return err_set(parser->err, -EINVAL, "dbc.malformed", "%s: line %u: expected %s, found \"%.*s\"", parser->source,
		       lexer->token_line, what, shown, lexer->text);
}

static int next(struct parser *parser)
{
	return dbc_lex(&parser->lexer) < 0 ? fail(parser, "a closing quote") : 0;
}

static int take_char(struct parser *parser, char c)
{
	char what[4] = {'\'', c, '\'', '\0'};
	return dbc_token_is_char(&parser->lexer, c) ? next(parser) : fail(parser, what);
}

static int no_memory(struct parser *parser)
{
	return err_set(parser->err, -ENOMEM, "dbc.memory", "%s: more than can be held", parser->source);
}

/* Texts are UTF-8 or, as most tools write them, Latin-1. */
static int copy_text(struct parser *parser, const char **ret_text)
{
	const char *text = parser->lexer.text;
	size_t length = parser->lexer.length;
	char *copy = arena_alloc(parser->dbc->arena, 2 * length + 1);
	if (!copy)
		return no_memory(parser);
	char *out = copy;
	bool is_utf8 = str_is_utf8(text, length);
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)text[i];
		if (is_utf8 || c < 0x80) {
			*out++ = c < ' ' ? ' ' : (char)c;
		} else {
			*out++ = (char)(0xc0 | c >> 6);
			*out++ = (char)(0x80 | (c & 0x3f));
		}
	}
	*ret_text = copy;
	return 0;
}

static int take_word(struct parser *parser, const char *what, const char **ret_word)
{
	if (parser->lexer.kind != TOKEN_WORD || parser->lexer.length > 128)
		return fail(parser, what);
	int r = copy_text(parser, ret_word);
	return r < 0 ? r : next(parser);
}

static int take_string(struct parser *parser, const char **ret_text)
{
	if (parser->lexer.kind != TOKEN_STRING)
		return fail(parser, "a text in quotes");
	int r = copy_text(parser, ret_text);
	return r < 0 ? r : next(parser);
}

/* The number that stands there as a terminated text. */
static int number_text(struct parser *parser, char ret_text[static 40])
{
	if (parser->lexer.kind != TOKEN_NUMBER || parser->lexer.length >= 40)
		return fail(parser, "a number");
	memcpy(ret_text, parser->lexer.text, parser->lexer.length);
	ret_text[parser->lexer.length] = '\0';
	return 0;
}

static int take_double(struct parser *parser, double *ret_number)
{
	char text[40];
	char *end = NULL;
	int r = number_text(parser, text);
	if (r < 0)
		return r;
	*ret_number = strtod(text, &end);
	if (*end || !isfinite(*ret_number))
		return fail(parser, "a number");
	return next(parser);
}

static int take_unsigned(struct parser *parser, uint64_t max, uint64_t *ret_number)
{
	char text[40];
	int r = number_text(parser, text);
	if (r == 0 && parse_u64(text, 0, max, ret_number) < 0)
		r = fail(parser, "a whole number within range");
	return r < 0 ? r : next(parser);
}

/* A raw value: tools write those of 64 bits with and without sign, and some with a fraction of zero. */
static int take_raw(struct parser *parser, int64_t *ret_raw)
{
	char text[40];
	uint64_t number = 0;
	int r = number_text(parser, text);
	if (r < 0)
		return r;
	if (parse_i64(text, INT64_MIN, INT64_MAX, ret_raw) == 0)
		return next(parser);
	if (parse_u64(text, 0, UINT64_MAX, &number) == 0) {
		*ret_raw = (int64_t)number;
		return next(parser);
	}
	double real = strtod(text, NULL);
	if (!isfinite(real) || fabs(real) >= 9.2e18)
		return fail(parser, "a raw value of at most 64 bits");
	*ret_raw = (int64_t)real;
	return next(parser);
}

/* Passes over what is left of a statement: up to its ';'. */
static int skip_statement(struct parser *parser)
{
	int r = 0;
	while (r == 0 && parser->lexer.kind != TOKEN_END && !dbc_token_is_char(&parser->lexer, ';'))
		r = next(parser);
	if (r == 0 && parser->lexer.kind != TOKEN_END)
		r = next(parser);
	return r;
}

/* ---- growing ---- */

/* The arena gives nothing back: doubling wastes at most as much again. */
static void *grow(struct parser *parser, void *old, size_t count, size_t size, size_t *capacity, size_t max)
{
	if (count < *capacity)
		return old;
	if (count >= max) {
		(void)err_set(parser->err, -E2BIG, "dbc.limit", "%s: line %u: more than %zu", parser->source,
			      parser->lexer.token_line, max);
		return NULL;
	}
	size_t more = *capacity ? *capacity * 2 : 8;
	void *bigger = arena_array(parser->dbc->arena, more, size);
	if (!bigger) {
		(void)no_memory(parser);
		return NULL;
	}
	if (count > 0)
		memcpy(bigger, old, count * size);
	*capacity = more;
	return bigger;
}

/* The code that grow() left behind. */
static int grow_error(const struct parser *parser)
{
	return parser->err && parser->err->code == -E2BIG ? -E2BIG : -ENOMEM;
}

/* ---- messages and signals ---- */

/* "BO_ 256 Engine: 8 ECU" */
static int parse_message(struct parser *parser)
{
	struct dbc *dbc = parser->dbc;
	struct dbc_message message = {0};
	uint64_t id = 0;
	uint64_t length = 0;
	unsigned line = parser->lexer.token_line;
	int r = take_unsigned(parser, UINT32_MAX, &id);
	if (r == 0)
		r = take_word(parser, "the name of a message", &message.name);
	if (r == 0)
		r = take_char(parser, ':');
	if (r == 0)
		r = take_unsigned(parser, UINT16_MAX, &length);
	if (r < 0)
		return r;
	if (id != VECTOR_INDEPENDENT_SIGNALS && length > CAN_FRAME_BYTES_MAX)
		return err_set(parser->err, -EINVAL, "dbc.malformed", "%s: line %u: %s: expected at most %d bytes",
			       parser->source, parser->lexer.token_line, message.name, CAN_FRAME_BYTES_MAX);
	if (parser->lexer.kind == TOKEN_WORD && parser->lexer.token_line == line) /* the sender */
		r = next(parser);
	message.id = (uint32_t)id & 0x1fffffffu;
	message.extended = id >> 31;
	message.length = (uint8_t)(length > CAN_FRAME_BYTES_MAX ? 0 : length);
	message.fd = length > 8;
	struct dbc_message *messages =
		grow(parser, dbc->messages, dbc->count, sizeof message, &parser->message_capacity, DBC_MESSAGES_MAX);
	if (!messages)
		return grow_error(parser);
	dbc->messages = messages;
	dbc->messages[dbc->count++] = message;
	parser->signal_capacity = 0;
	return r;
}

/* Behind the name: "M", "m4", "m4M" or nothing. Which signal is the multiplexor is settled at the end of the file. */
static int parse_multiplexing(struct parser *parser, struct dbc_signal *signal)
{
	const char *c = parser->lexer.text;
	const char *end = c + parser->lexer.length;
	if (parser->lexer.kind != TOKEN_WORD)
		return 0;
	if (*c == 'm') {
		uint64_t value = 0;
		const char *digits = ++c;
		for (; c < end && *c >= '0' && *c <= '9' && value < UINT32_MAX; c++)
			value = value * 10 + (uint64_t)(*c - '0');
		if (c == digits)
			return fail(parser, "m and a number");
		signal->ranges = arena_array(parser->dbc->arena, 1, sizeof *signal->ranges);
		if (!signal->ranges)
			return no_memory(parser);
		signal->ranges[0] = (struct dbc_range){value, value};
		signal->range_count = 1;
	}
	if (c < end && *c == 'M') {
		signal->is_multiplexor = true;
		c++;
	}
	return c == end ? next(parser) : fail(parser, "M, m4 or m4M");
}

/* "0|16@1+" : where the bits lie */
static int parse_layout(struct parser *parser, struct dbc_signal *signal)
{
	uint64_t start = 0;
	uint64_t length = 0;
	uint64_t order = 0;
	int r = take_unsigned(parser, CAN_FRAME_BYTES_MAX * 8 - 1, &start);
	if (r == 0)
		r = take_char(parser, '|');
	if (r == 0)
		r = take_unsigned(parser, 64, &length);
	if (r == 0 && length == 0)
		r = err_set(parser->err, -EINVAL, "dbc.malformed", "%s: line %u: %s: expected 1 to 64 bits", parser->source,
			    parser->lexer.token_line, signal->name);
	if (r == 0)
		r = take_char(parser, '@');
	if (r < 0)
		return r;
	/* "1+" may have been read as one number, or "1" and "+" */
	if (parser->lexer.kind != TOKEN_NUMBER || (*parser->lexer.text != '0' && *parser->lexer.text != '1'))
		return fail(parser, "0 (Motorola) or 1 (Intel)");
	order = (uint64_t)(*parser->lexer.text - '0');
	r = next(parser);
	bool is_signed = dbc_token_is_char(&parser->lexer, '-');
	if (r == 0 && !is_signed && !dbc_token_is_char(&parser->lexer, '+'))
		r = fail(parser, "'+' or '-'");
	signal->start = (uint16_t)start;
	signal->length = (uint8_t)length;
	signal->motorola = order == 0;
	signal->number = is_signed ? DBC_SIGNED : DBC_UNSIGNED;
	return r < 0 ? r : next(parser);
}

/* Two numbers: "(0.1,-40)", "[0|250]" */
static int parse_pair(struct parser *parser, const char punctuation[static 3], double *ret_first, double *ret_second)
{
	int r = take_char(parser, punctuation[0]);
	if (r == 0)
		r = take_double(parser, ret_first);
	if (r == 0)
		r = take_char(parser, punctuation[1]);
	if (r == 0)
		r = take_double(parser, ret_second);
	return r < 0 ? r : take_char(parser, punctuation[2]);
}

/* Do the bits lie within the message? Motorola's first bit is the most significant. */
static bool lies_within(const struct dbc_signal *signal, const struct dbc_message *message)
{
	unsigned last = signal->motorola ? signal->start / 8u * 8u + (7u - signal->start % 8u) + signal->length - 1u
					 : (unsigned)signal->start + signal->length - 1u;
	return last < message->length * 8u;
}

/* "SG_ Speed m1 : 8|16@1+ (0.01,0) [0|655.35] "km/h" ECU,GW" */
static int parse_signal(struct parser *parser)
{
	struct dbc *dbc = parser->dbc;
	if (dbc->count == 0)
		return fail(parser, "a message (BO_) before its signals");
	struct dbc_message *message = &dbc->messages[dbc->count - 1];
	struct dbc_signal signal = {.multiplexor = -1};
	unsigned line = parser->lexer.token_line;
	int r = take_word(parser, "the name of a signal", &signal.name);
	if (r == 0)
		r = parse_multiplexing(parser, &signal);
	if (r == 0)
		r = take_char(parser, ':');
	if (r == 0)
		r = parse_layout(parser, &signal);
	if (r == 0)
		r = parse_pair(parser, "(,)", &signal.factor, &signal.offset);
	if (r == 0)
		r = parse_pair(parser, "[|]", &signal.min, &signal.max);
	if (r == 0)
		r = take_string(parser, &signal.unit);
	while (r == 0 && parser->lexer.kind != TOKEN_END && parser->lexer.token_line == line)
		r = next(parser); /* the receivers */
	if (r < 0)
		return r;
	if (signal.factor == 0)
		signal.factor = 1;
	if (message->length == 0)
		return 0; /* a message without data, or the independent signals */
	if (!lies_within(&signal, message))
		return err_set(parser->err, -EINVAL, "dbc.malformed", "%s: line %u: %s: expected bits within the %u bytes of %s",
			       parser->source, line, signal.name, message->length, message->name);
	struct dbc_signal *signals =
		grow(parser, message->signals, message->count, sizeof signal, &parser->signal_capacity, DBC_SIGNALS_MAX);
	if (!signals)
		return grow_error(parser);
	message->signals = signals;
	message->signals[message->count++] = signal;
	return 0;
}

/* ---- what is said of them later ---- */

static struct dbc_message *message_of(struct dbc *dbc, uint64_t id)
{
	return (struct dbc_message *)dbc_find_message(dbc, (uint32_t)id & 0x1fffffffu, id >> 31);
}

/* "256 Speed": NULL where the file does not have it, which many do not mind. */
static int take_signal(struct parser *parser, struct dbc_message **ret_message, struct dbc_signal **ret_signal)
{
	uint64_t id = 0;
	const char *name = NULL;
	int r = take_unsigned(parser, UINT32_MAX, &id);
	if (r == 0)
		r = take_word(parser, "the name of a signal", &name);
	if (r < 0)
		return r;
	struct dbc_message *message = message_of(parser->dbc, id);
	*ret_message = message;
	*ret_signal = message ? (struct dbc_signal *)dbc_find_signal(message, name) : NULL;
	return 0;
}

/* "VAL_ 256 Gear 0 "P" 1 "R" ;" ("VAL_ EnvVar 0 ..." is of no frame) */
static int parse_values(struct parser *parser)
{
	struct dbc_message *message = NULL;
	struct dbc_signal *signal = NULL;
	if (parser->lexer.kind == TOKEN_WORD)
		return skip_statement(parser);
	int r = take_signal(parser, &message, &signal);
	struct dbc_value *values = NULL;
	size_t count = 0;
	size_t capacity = 0;
	while (r == 0 && parser->lexer.kind == TOKEN_NUMBER) {
		struct dbc_value value = {0};
		values = grow(parser, values, count, sizeof value, &capacity, DBC_VALUES_MAX);
		if (!values)
			return grow_error(parser);
		r = take_raw(parser, &value.raw);
		if (r == 0)
			r = take_string(parser, &value.text);
		values[count++] = value;
	}
	if (r < 0)
		return r;
	if (signal) {
		signal->values = values;
		signal->value_count = count;
	}
	return take_char(parser, ';');
}

/* "SIG_VALTYPE_ 256 Speed : 1;" (1: IEEE float, 2: double) */
static int parse_value_type(struct parser *parser)
{
	struct dbc_message *message = NULL;
	struct dbc_signal *signal = NULL;
	uint64_t type = 0;
	int r = take_signal(parser, &message, &signal);
	if (r == 0 && dbc_token_is_char(&parser->lexer, ':'))
		r = next(parser);
	if (r == 0)
		r = take_unsigned(parser, 3, &type);
	if (r < 0)
		return r;
	if (signal && (type == 1 || type == 2)) {
		if (signal->length != (type == 1 ? 32 : 64))
			return err_set(parser->err, -EINVAL, "dbc.malformed", "%s: %s: expected %d bits of a floating-point signal",
				       parser->source, signal->name, type == 1 ? 32 : 64);
		signal->number = type == 1 ? DBC_FLOAT : DBC_DOUBLE;
	}
	return take_char(parser, ';');
}

/* "3-5" is read as the numbers 3 and -5 */
static int take_range(struct parser *parser, struct dbc_range *ret_range)
{
	int64_t high = 0;
	int r = take_unsigned(parser, INT64_MAX, &ret_range->low);
	if (r == 0 && dbc_token_is_char(&parser->lexer, '-'))
		r = next(parser);
	if (r == 0)
		r = take_raw(parser, &high);
	ret_range->high = (uint64_t)(high < 0 ? -high : high);
	return r;
}

/* "SG_MUL_VAL_ 256 Value Selector 1-1, 3-5;" */
static int parse_extended_multiplexing(struct parser *parser)
{
	struct dbc_message *message = NULL;
	struct dbc_signal *signal = NULL;
	const char *name = NULL;
	int r = take_signal(parser, &message, &signal);
	if (r == 0)
		r = take_word(parser, "the name of a multiplexor", &name);
	struct dbc_range *ranges = NULL;
	size_t count = 0;
	size_t capacity = 0;
	while (r == 0 && parser->lexer.kind == TOKEN_NUMBER) {
		ranges = grow(parser, ranges, count, sizeof *ranges, &capacity, DBC_VALUES_MAX);
		if (!ranges)
			return grow_error(parser);
		r = take_range(parser, &ranges[count++]);
		if (r == 0 && dbc_token_is_char(&parser->lexer, ','))
			r = next(parser);
	}
	if (r < 0)
		return r;
	const struct dbc_signal *multiplexor = message ? dbc_find_signal(message, name) : NULL;
	if (signal && multiplexor && count > 0) {
		signal->multiplexor = (int)(multiplexor - message->signals);
		signal->ranges = ranges;
		signal->range_count = count;
	}
	return take_char(parser, ';');
}

static void set_attribute(struct parser *parser, const char *name, struct dbc_message *message, struct dbc_signal *signal,
			  double value)
{
	bool is_whole = value >= 0 && value < 4294967296.0;
	if (message && !signal && is_whole && str_equal(name, "GenMsgCycleTime"))
		message->cycle_ms = (uint32_t)value;
	else if (message && !signal && str_equal(name, "VFrameFormat"))
		message->fd |= value == 14 || value == 15; /* StandardCAN_FD, ExtendedCAN_FD */
	else if (signal && str_equal(name, "GenSigStartValue") && fabs(value) < 9.2e18) {
		signal->has_start_raw = true;
		signal->start_raw = (uint64_t)(int64_t)value;
	}
	(void)parser;
}

/* "BA_ "GenMsgCycleTime" BO_ 256 100;" */
static int parse_attribute(struct parser *parser)
{
	struct dbc_message *message = NULL;
	struct dbc_signal *signal = NULL;
	const char *name = NULL;
	uint64_t id = 0;
	double value = 0;
	int r = take_string(parser, &name);
	if (r < 0)
		return r;
	if (dbc_token_is(&parser->lexer, "BO_")) {
		r = next(parser);
		if (r == 0)
			r = take_unsigned(parser, UINT32_MAX, &id);
		message = r == 0 ? message_of(parser->dbc, id) : NULL;
	} else if (dbc_token_is(&parser->lexer, "SG_")) {
		r = next(parser);
		if (r == 0)
			r = take_signal(parser, &message, &signal);
	} else {
		return skip_statement(parser);
	}
	if (r == 0 && parser->lexer.kind != TOKEN_NUMBER)
		return skip_statement(parser); /* a text */
	if (r == 0)
		r = take_double(parser, &value);
	if (r == 0)
		set_attribute(parser, name, message, signal, value);
	return r < 0 ? r : take_char(parser, ';');
}

/* "BA_DEF_DEF_ "GenMsgCycleTime" 100;" */
static int parse_attribute_default(struct parser *parser)
{
	const char *name = NULL;
	double value = 0;
	int r = take_string(parser, &name);
	if (r == 0 && str_equal(name, "GenMsgCycleTime") && parser->lexer.kind == TOKEN_NUMBER) {
		r = take_double(parser, &value);
		if (r == 0 && value >= 0 && value < 4294967296.0)
			parser->default_cycle_ms = (uint32_t)value;
	}
	return r < 0 ? r : skip_statement(parser);
}

/* "NS_ :" and the keywords that a tool knows: they stand for nothing. */
static int skip_new_symbols(struct parser *parser)
{
	int r = 0;
	while (r == 0 && parser->lexer.kind != TOKEN_END && !dbc_token_is(&parser->lexer, "BS_") &&
	       !dbc_token_is(&parser->lexer, "BU_") && !dbc_token_is(&parser->lexer, "BO_"))
		r = next(parser);
	return r;
}

/* What ends with its line: "VERSION "..."", "BS_: ...", "BU_: ECU GW" */
static int skip_line(struct parser *parser)
{
	int r = 0;
	while (r == 0 && parser->lexer.kind != TOKEN_END && !parser->lexer.first && !dbc_token_is(&parser->lexer, "BO_"))
		r = next(parser);
	return r;
}

static const struct {
	const char *keyword;
	int (*parse)(struct parser *parser);
} STATEMENTS[] = {
	{"BO_", parse_message},
	{"SG_", parse_signal},
	{"VAL_", parse_values},
	{"SIG_VALTYPE_", parse_value_type},
	{"SG_MUL_VAL_", parse_extended_multiplexing},
	{"BA_", parse_attribute},
	{"BA_DEF_DEF_", parse_attribute_default},
	{"NS_", skip_new_symbols},
	{"VERSION", skip_line},
	{"BS_", skip_line},
	{"BU_", skip_line},
};

static int parse_statement(struct parser *parser)
{
	for (size_t i = 0; i < ARRAY_COUNT(STATEMENTS); i++) {
		if (!dbc_token_is(&parser->lexer, STATEMENTS[i].keyword))
			continue;
		int r = next(parser);
		return r < 0 ? r : STATEMENTS[i].parse(parser);
	}
	if (parser->lexer.kind != TOKEN_WORD)
		return fail(parser, "a keyword such as BO_, SG_ or VAL_");
	return skip_statement(parser);
}

/* ---- what holds for the whole ---- */

/* Gives "m4" signals their multiplexor, where SG_MUL_VAL_ has not: the message's only M. */
static int settle_multiplexors(struct parser *parser, struct dbc_message *message)
{
	int only = -1;
	for (size_t i = 0; i < message->count; i++)
		if (message->signals[i].is_multiplexor && message->signals[i].range_count == 0)
			only = (int)i;
	for (size_t i = 0; i < message->count; i++) {
		struct dbc_signal *signal = &message->signals[i];
		if (signal->range_count > 0 && signal->multiplexor < 0)
			signal->multiplexor = only;
		if (signal->range_count > 0 && signal->multiplexor < 0)
			return err_set(parser->err, -EINVAL, "dbc.malformed", "%s: %s: %s: expected a multiplexor "
				"(M) in its message",
				       parser->source, message->name, signal->name);
	}
	for (size_t i = 0; i < message->count; i++) {
		size_t steps = 0;
		for (int at = (int)i; at >= 0; at = message->signals[at].multiplexor)
			if (steps++ > message->count)
				return err_set(parser->err, -EINVAL, "dbc.malformed", "%s: %s: multiplexors in a ring",
					       parser->source, message->name);
	}
	return 0;
}

static int compare_messages(const void *a, const void *b)
{
	const struct dbc_message *x = a;
	const struct dbc_message *y = b;
	uint64_t p = (uint64_t)x->extended << 32 | x->id;
	uint64_t q = (uint64_t)y->extended << 32 | y->id;
	return (p > q) - (p < q);
}

static int parse_all(struct parser *parser)
{
	int r = next(parser);
	bool sorted = false;
	while (r == 0 && parser->lexer.kind != TOKEN_END) {
		/* All messages come before what is said of them. */
		if (!sorted && parser->dbc->count > 0 && !dbc_token_is(&parser->lexer, "BO_") &&
		    !dbc_token_is(&parser->lexer, "SG_")) {
			qsort(parser->dbc->messages, parser->dbc->count, sizeof *parser->dbc->messages, compare_messages);
			sorted = true;
		}
		if (sorted && (dbc_token_is(&parser->lexer, "BO_") || dbc_token_is(&parser->lexer, "SG_")))
			return fail(parser, "all messages before anything that is said of them");
		r = parse_statement(parser);
	}
	if (r == 0 && !sorted && parser->dbc->count > 0)
		qsort(parser->dbc->messages, parser->dbc->count, sizeof *parser->dbc->messages, compare_messages);
	for (size_t i = 0; r == 0 && i < parser->dbc->count; i++) {
		struct dbc_message *message = &parser->dbc->messages[i];
		if (i > 0 && compare_messages(message - 1, message) == 0)
			return err_set(parser->err, -EINVAL, "dbc.malformed", "%s: %s and %s have the same identifier",
				       parser->source, message[-1].name, message->name);
		if (message->cycle_ms == 0)
			message->cycle_ms = parser->default_cycle_ms;
		r = settle_multiplexors(parser, message);
	}
	return r;
}

int dbc_parse(const char *source, const char *text, size_t length, struct dbc **ret_dbc, struct err *err)
{
	struct err own = {0};
	if (length > DBC_BYTES_MAX)
		return err_set(err, -E2BIG, "dbc.limit", "%s: more than %u bytes", source, DBC_BYTES_MAX);
	scoped(dbc_free) struct dbc *dbc = calloc(1, sizeof *dbc);
	if (!dbc || !(dbc->arena = calloc(1, sizeof *dbc->arena)))
		return -ENOMEM;
	dbc->arena->max = ARENA_MAX;
	if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) { /* a byte order mark */
		text += 3;
		length -= 3;
	}
	struct parser parser = {.source = source, .dbc = dbc, .err = err ? err : &own,
				.lexer = {.source = text, .at = text, .end = text + length, .line = 1}};
	int r = parse_all(&parser);
	if (r == 0)
		*ret_dbc = TAKE(dbc);
	return r;
}

void dbc_free(struct dbc *dbc)
{
	if (!dbc)
		return;
	if (dbc->arena)
		arena_done(dbc->arena);
	free(dbc->arena);
	free(dbc);
}

const struct dbc_message *dbc_find_message(const struct dbc *dbc, uint32_t id, bool extended)
{
	struct dbc_message wanted = {.id = id, .extended = extended};
	return dbc->count ? bsearch(&wanted, dbc->messages, dbc->count, sizeof wanted, compare_messages) : NULL;
}

const struct dbc_signal *dbc_find_signal(const struct dbc_message *message, const char *name)
{
	for (size_t i = 0; i < message->count; i++)
		if (strcmp(message->signals[i].name, name) == 0)
			return &message->signals[i];
	return NULL;
}
