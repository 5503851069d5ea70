#include "runtime/src/monitor/runtime_log.h"

#include <stdbool.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/str.h"
#include "core/codec/json.h"

#define LINE_ARENA_MAX (64 * 1024)

struct line {
	const char *level;
	const char *msg;
};

static const struct json_field LINE_FIELDS[] = {
	JSON_FIELD(struct line, level, "level", JSON_STRING_T, 0),
	JSON_FIELD(struct line, msg, "msg", JSON_STRING_T, JSON_REQUIRED),
};
static const struct json_table LINE = JSON_TABLE(struct line, LINE_FIELDS);

static bool is_error(const char *level)
{
	static const char *const ERRORS[] = {"error", "fatal", "panic"};
	for (size_t i = 0; i < ARRAY_COUNT(ERRORS); i++)
		if (str_equal(level, ERRORS[i]))
			return true;
	return false;
}

/* Copies @text for a person to read in one line; bytes that are no UTF-8 become '?'. */
static void copy_clean(const char *text, size_t size, char ret_message[static RUNTIME_MESSAGE_MAX])
{
	size_t length = size < RUNTIME_MESSAGE_MAX - 1 ? size : RUNTIME_MESSAGE_MAX - 1;
	while (length < size && length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
		length--; /* not in the middle of a character */
	for (size_t i = 0; i < length; i++)
		ret_message[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? ' ' : text[i];
	while (length > 0 && ret_message[length - 1] == ' ')
		length--;
	ret_message[length] = '\0';
	if (str_is_utf8(ret_message, length))
		return;
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)ret_message[i] >= 0x80)
			ret_message[i] = '?';
}

/* Takes the line over if it says more than what we have. */
static void consider(const char *text, size_t size, bool *have_error, char ret_message[static RUNTIME_MESSAGE_MAX])
{
	struct line line = {0};
	scoped_done(arena_done) struct arena arena = {.max = LINE_ARENA_MAX};
	if (json_decode("log", text, size, &LINE, &arena, &line, NULL) < 0) {
		if (!*have_error)
			copy_clean(text, size, ret_message);
		return;
	}
	bool error = is_error(line.level);
	if (!error && *have_error)
		return;
	*have_error |= error;
	copy_clean(line.msg, strlen(line.msg), ret_message);
}

typedef void take_line(const char *text, size_t size, bool *have_error, char ret_message[static RUNTIME_MESSAGE_MAX]);

static void take_plain(const char *text, size_t size, bool *have_error, char ret_message[static RUNTIME_MESSAGE_MAX])
{
	(void)have_error;
	copy_clean(text, size, ret_message);
}

static void for_each_line(const char *text, size_t size, take_line *take, char ret_message[static RUNTIME_MESSAGE_MAX])
{
	bool have_error = false;
	for (size_t at = 0; at < size;) {
		const char *newline = memchr(text + at, '\n', size - at);
		size_t length = newline ? (size_t)(newline - text) - at : size - at;
		if (length > 0)
			take(text + at, length, &have_error, ret_message);
		at += length + 1;
	}
}

void runtime_log_last_error(const char *log, size_t log_size, const char *text, size_t text_size,
			    char ret_message[static RUNTIME_MESSAGE_MAX])
{
	ret_message[0] = '\0';
	for_each_line(log, log_size, consider, ret_message);
	if (ret_message[0] == '\0')
		for_each_line(text, text_size, take_plain, ret_message);
}
