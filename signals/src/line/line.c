#include "signals/src/line/line.h"

#include <errno.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"

/* The arguments of a verb: N a number, W one word, T the rest of the line (may be empty), t the same or nothing. */
struct shape {
	const char *name;
	enum line_verb verb;
	const char *arguments;
};

static const struct shape REQUESTS[] = {
	{"get", LINE_GET, "W"},		 {"set", LINE_SET, "WT"},	 {"sub", LINE_SUB, "Wt"},
	{"ok", LINE_DONE, "N"},		 {"error", LINE_FAILED, "Nt"},	 {"claim", LINE_CLAIM, "W"},
	{"open", LINE_OPEN, "W"},	 {"release", LINE_RELEASE, "N"}, {"unsub", LINE_UNSUB, "N"},
	{"ping", LINE_PING, ""},	 {"hello", LINE_HELLO, "Nt"},	 {"values", LINE_VALUES, "W"},
	{"list", LINE_LIST, "W"},	 {"meta", LINE_META, "W"},	 {"state", LINE_STATE, "W"},
	{"group", LINE_GROUP, "WT"},	 {"force", LINE_FORCE, "WNT"},	 {"unforce", LINE_UNFORCE, "W"},
	{"who", LINE_WHO, "W"},		 {"grants", LINE_GRANTS, ""},	 {"stats", LINE_STATS, ""},
	{"views", LINE_VIEWS, ""},
};

static const struct shape EVENTS[] = {
	{"ok", LINE_OK, "t"},		  {"error", LINE_ERROR, "Wt"},	      {"item", LINE_ITEM, "T"},
	{"name", LINE_NAME, "NNW"}, {"request", LINE_REQUEST, "NNNT"},  {"outcome", LINE_OUTCOME, "NWt"},
	{"refused", LINE_REFUSED, "NWt"}, {"lost", LINE_LOST, "NN"},	      {"gone", LINE_GONE, "N"},
	{"late", LINE_LATE, "N"},
};

/* Cuts the next word off the front of *@rest: up to a blank or the end; *@rest is NULL behind the last. */
static char *take_word(char **rest)
{
	char *word = *rest;
	char *blank = strchr(word, ' ');
	if (blank)
		*blank = '\0';
	*rest = blank ? blank + 1 : NULL;
	return word;
}

/* Reads digits at *@text and moves it behind them. Errors: -EINVAL (none, or over 2^63 - 1). */
static int take_number(const char **text, uint64_t *ret_number)
{
	const char *c = *text;
	uint64_t number = 0;
	if (*c < '0' || *c > '9')
		return -EINVAL;
	for (; *c >= '0' && *c <= '9'; c++) {
		if (number > (INT64_MAX - 9) / 10)
			return -EINVAL;
		number = number * 10 + (uint64_t)(*c - '0');
	}
	*text = c;
	*ret_number = number;
	return 0;
}

/* "H", "H VALUE", "H@TIME", "H@TIME VALUE" */
static int parse_data(const char *line, size_t length, struct line_message *ret_message, struct err *err)
{
	const char *c = line;
	struct line_message message = {.verb = LINE_DATA, .time_ns = LINE_NO_TIME};
	if (take_number(&c, &message.numbers[0]) < 0 || message.numbers[0] > UINT32_MAX)
		return err_set(err, -EINVAL, "line.syntax", "\"%.20s\": expected a handle", line);
	if (*c == '@') {
		uint64_t time = 0;
		c++;
		if (take_number(&c, &time) < 0)
			return err_set(err, -EINVAL, "line.syntax", "\"%.40s\": expected nanoseconds behind the '@'", line);
		message.time_ns = (int64_t)time;
	}
	if (*c == ' ') {
		message.text = c + 1;
		message.text_length = length - (size_t)(c + 1 - line);
	} else if (*c) {
		return err_set(err, -EINVAL, "line.syntax", "\"%.40s\": expected a blank behind the handle", line);
	}
	*ret_message = message;
	return 0;
}

static int missing(const struct shape *shape, const char *what, struct err *err)
{
	return err_set(err, -EINVAL, "line.syntax", "%s: expected %s", shape->name, what);
}

/* Fills in the arguments of @shape from @rest (NULL: nothing behind the verb), which ends at @end. */
static int parse_arguments(const struct shape *shape, char *rest, const char *end, struct line_message *message,
			   struct err *err)
{
	size_t numbers = 0;
	for (const char *kind = shape->arguments; *kind; kind++) {
		if (*kind == 'T' || *kind == 't') {
			if (!rest && *kind == 'T')
				return missing(shape, "a value or text", err);
			message->text = rest;
			message->text_length = rest ? (size_t)(end - rest) : 0;
			rest = NULL;
			continue;
		}
		if (!rest || !*rest)
			return missing(shape, *kind == 'N' ? "a number" : "a path", err);
		const char *word = take_word(&rest);
		if (*kind == 'N') {
			if (take_number(&word, &message->numbers[numbers++]) < 0 || *word)
				return missing(shape, "a number", err);
		} else {
			if (!*word)
				return missing(shape, "a path", err);
			message->word = word;
		}
	}
	if (rest && *rest)
		return missing(shape, "nothing more", err);
	return 0;
}

static int parse(const struct shape *shapes, size_t count, char *line, size_t length, struct line_message *ret_message,
		 struct err *err)
{
	if (*line >= '0' && *line <= '9')
		return parse_data(line, length, ret_message, err);
	char *rest = line;
	const char *verb = take_word(&rest);
	for (size_t i = 0; i < count; i++) {
		if (strcmp(verb, shapes[i].name) != 0)
			continue;
		struct line_message message = {.verb = shapes[i].verb, .time_ns = LINE_NO_TIME};
		int r = parse_arguments(&shapes[i], rest, line + length, &message, err);
		if (r == 0)
			*ret_message = message;
		return r;
	}
	return err_set(err, -ENOENT, "line.syntax", "\"%.40s\": no such verb", verb);
}

int line_parse_request(char *line, size_t length, struct line_message *ret_message, struct err *err)
{
	int r = parse(REQUESTS, ARRAY_COUNT(REQUESTS), line, length, ret_message, err);
	return r == -ENOENT ? -EINVAL : r;
}

int line_parse_event(char *line, size_t length, struct line_message *ret_message, struct err *err)
{
	int r = parse(EVENTS, ARRAY_COUNT(EVENTS), line, length, ret_message, err);
	if (r != -ENOENT)
		return r;
	*ret_message = (struct line_message){.verb = LINE_UNKNOWN_EVENT, .time_ns = LINE_NO_TIME};
	return 0;
}

static char *put_number(char *out, uint64_t number)
{
	char digits[20];
	size_t count = 0;
	do
		digits[count++] = (char)('0' + number % 10);
	while ((number /= 10) > 0);
	while (count > 0)
		*out++ = digits[--count];
	return out;
}

int line_add_data(struct buf *out, uint32_t handle, int64_t time_ns, const char *text, size_t length)
{
	char *start = NULL;
	int r = buf_reserve(out, length + 48, &start); /* 10 + '@' + 19 + ' ' + '\n' */
	if (r < 0)
		return r;
	char *c = put_number(start, handle);
	if (time_ns >= 0) {
		*c++ = '@';
		c = put_number(c, (uint64_t)time_ns);
	}
	if (text) {
		*c++ = ' ';
		memcpy(c, text, length);
		c += length;
	}
	*c++ = '\n';
	buf_claim(out, (size_t)(c - start));
	return 0;
}

bool line_text_fits(const char *text, size_t length)
{
	return !memchr(text, '\n', length) && !memchr(text, '\0', length);
}

static const struct {
	const char *code;
	int number;
} CODES[] = {
	{"value", EINVAL},	{"syntax", EINVAL},	 {"filter", EINVAL},	 {"version", EPROTONOSUPPORT},
	{"too-long", EMSGSIZE}, {"unknown", ENOENT},	 {"denied", EACCES},	 {"range", ERANGE},
	{"unavailable", ENODATA}, {"no-provider", ENXIO}, {"busy", EBUSY},	 {"full", EAGAIN},
	{"handle", EBADF},	{"limit", ENOSPC},	 {"timeout", ETIMEDOUT}, {"gone", ECONNRESET},
	{"failed", EIO},	{"internal", EIO},
};

const char *line_code_of(int r)
{
	for (size_t i = 0; i < ARRAY_COUNT(CODES); i++)
		if (CODES[i].number == -r && r != -EIO)
			return CODES[i].code;
	return r == -EPERM ? "denied" : "internal";
}

int line_errno_of(const char *code)
{
	for (size_t i = 0; i < ARRAY_COUNT(CODES); i++)
		if (str_equal(CODES[i].code, code))
			return -CODES[i].number;
	return -EIO;
}
