#include "core/net/http_upgrade.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/parse.h"
#include "core/base/str.h"

void http_head_reader_done(struct http_head_reader *reader)
{
	buf_done(&reader->bytes);
}

static int malformed(struct err *err, const char *what)
{
	return err_set(err, -EBADMSG, "http.malformed", "HTTP request: %s", what);
}

/* token (RFC 9110, 5.6.2) */
static bool is_token_char(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(const char *text)
{
	const char *at = text;
	while (is_token_char(*at))
		at++;
	return at > text && !*at;
}

/* Ends the text at @at with its @separator; returns what follows, or NULL where there is none. */
static char *split(char *at, const char *separator)
{
	char *end = strstr(at, separator);
	if (!end)
		return NULL;
	*end = '\0';
	return end + strlen(separator);
}

static bool is_visible(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text >= 0x7f)
			return false;
	return true;
}

/* METHOD SP PATH["?"QUERY] SP "HTTP/1."DIGIT */
static int parse_request_line(struct http_head *head, char *line, struct err *err)
{
	char *target = split(line, " ");
	char *version = target ? split(target, " ") : NULL;
	if (!version || !is_token(line))
		return malformed(err, "expected a method, a path and a version");
	if (*target != '/' || !is_visible(target))
		return malformed(err, "expected a path that begins with '/'");
	if (strncmp(version, "HTTP/", 5) != 0)
		return malformed(err, "expected HTTP/1.1");
	if (!str_equal(version, "HTTP/1.1") && !str_equal(version, "HTTP/1.0"))
		return err_set(err, -EOPNOTSUPP, "http.version", "HTTP request: expected HTTP/1.1, found %.16s", version);
	head->minor = (uint8_t)(version[7] - '0');
	head->method = line;
	head->path = target;
	head->query = split(target, "?");
	return 0;
}

static bool is_value(const char *value)
{
	for (; *value; value++)
		if ((unsigned char)*value < ' ' && *value != '\t')
			return false;
	return true;
}

/* NAME ":" OWS VALUE OWS (RFC 9112, 5) */
static int parse_field(struct http_head *head, char *line, struct err *err)
{
	if (head->fields_count == HTTP_HEAD_FIELDS_MAX)
		return err_set(err, -EMSGSIZE, "http.limit", "HTTP request: more than %d header fields",
			       HTTP_HEAD_FIELDS_MAX);
	char *value = split(line, ":");
	if (!value || !is_token(line))
		return malformed(err, "expected a header field");
	for (char *at = line; *at; at++)
		*at = (char)tolower((unsigned char)*at);
	value += strspn(value, " \t");
	size_t length = strlen(value);
	while (length && strchr(" \t", value[length - 1]))
		value[--length] = '\0';
	if (!is_value(value))
		return malformed(err, "a header field holds a control character");
	head->fields[head->fields_count++] = (struct http_field){line, value};
	return 0;
}

/* One host, and no body (RFC 9112, 3.2 and 6.3). */
static int check(const struct http_head *head, struct err *err)
{
	if (http_head_value(head, "host", 1) || (head->minor == 1 && !http_head_value(head, "host", 0)))
		return malformed(err, "expected one Host");
	if (http_head_value(head, "transfer-encoding", 0))
		return err_set(err, -EOPNOTSUPP, "http.body", "HTTP request: expected none with a body");
	const char *length = NULL;
	for (size_t i = 0; (length = http_head_value(head, "content-length", i)); i++) {
		uint64_t size = 0;
		if (parse_u64(length, 0, UINT64_MAX, &size) < 0)
			return malformed(err, "expected a number as Content-Length");
		if (size)
			return err_set(err, -EOPNOTSUPP, "http.body", "HTTP request: expected none with a body");
	}
	return 0;
}

static int parse_head(struct http_head_reader *reader, struct err *err)
{
	struct http_head *head = &reader->head;
	char *line = reader->bytes.data;
	if (memchr(line, '\0', reader->bytes.size))
		return malformed(err, "a zero byte");
	char *next = split(line, "\r\n");
	int r = parse_request_line(head, line, err);
	while (r == 0 && next && !str_equal(next, "\r\n")) {
		line = next;
		next = split(line, "\r\n");
		r = parse_field(head, line, err);
	}
	return r < 0 ? r : check(head, err);
}

/* Where the head ends (behind its empty line), or 0. Looks at what is new, and three bytes before that. */
static size_t find_end(const struct buf *bytes, size_t looked_at)
{
	size_t from = looked_at > 3 ? looked_at - 3 : 0;
	if (bytes->size - from < 4)
		return 0;
	const char *end = memmem(bytes->data + from, bytes->size - from, "\r\n\r\n", 4);
	return end ? (size_t)(end - bytes->data) + 4 : 0;
}

int http_head_read(struct http_head_reader *reader, const void *bytes, size_t size, size_t *ret_used, struct err *err)
{
	size_t before = reader->bytes.size;
	size_t room = reader->bytes.max - before;
	size_t taken = size < room ? size : room;
	int r = buf_add(&reader->bytes, bytes, taken);
	if (r < 0)
		return r;
	size_t end = reader->bytes.data ? find_end(&reader->bytes, before) : 0;
	*ret_used = taken;
	if (!end)
		return taken < size ? err_set(err, -EMSGSIZE, "http.limit", "HTTP request: a head of more than %zu bytes",
					      reader->bytes.max)
				    : 0;
	*ret_used = end - before;
	reader->bytes.size = end;
	reader->bytes.data[end] = '\0';
	r = parse_head(reader, err);
	return r < 0 ? r : 1;
}

const char *http_head_value(const struct http_head *head, const char *name, size_t nth)
{
	for (size_t i = 0; i < head->fields_count; i++)
		if (str_equal(head->fields[i].name, name) && nth-- == 0)
			return head->fields[i].value;
	return NULL;
}

static bool list_has(const char *list, const char *token)
{
	size_t length = strlen(token);
	while (*list) {
		list += strspn(list, ", \t");
		size_t item = strcspn(list, ",");
		size_t end = item;
		while (end && strchr(" \t", list[end - 1]))
			end--;
		if (end == length && strncasecmp(list, token, length) == 0)
			return true;
		list += item;
	}
	return false;
}

bool http_head_has_token(const struct http_head *head, const char *name, const char *token)
{
	const char *list = NULL;
	for (size_t i = 0; (list = http_head_value(head, name, i)); i++)
		if (list_has(list, token))
			return true;
	return false;
}

/* --- answers --- */

static const struct {
	int status;
	const char *phrase;
} PHRASES[] = {
	{101, "Switching Protocols"},
	{400, "Bad Request"},
	{403, "Forbidden"},
	{404, "Not Found"},
	{405, "Method Not Allowed"},
	{408, "Request Timeout"},
	{431, "Request Header Fields Too Large"},
	{500, "Internal Server Error"},
	{501, "Not Implemented"},
	{503, "Service Unavailable"},
	{505, "HTTP Version Not Supported"},
};

static const char *find_phrase(int status)
{
	for (size_t i = 0; i < ARRAY_COUNT(PHRASES); i++)
		if (PHRASES[i].status == status)
			return PHRASES[i].phrase;
	return "Error";
}

static int add_head(int status, const struct http_field *fields, size_t count, struct buf *bytes)
{
	int r = buf_printf(bytes, "HTTP/1.1 %d %s\r\n", status, find_phrase(status));
	for (size_t i = 0; r == 0 && i < count; i++)
		r = buf_printf(bytes, "%s: %s\r\n", fields[i].name, fields[i].value);
	return r;
}

int http_answer_upgrade(const char *protocol, const struct http_field *fields, size_t count, struct buf *ret_bytes)
{
	int r = add_head(101, fields, count, ret_bytes);
	return r < 0 ? r : buf_printf(ret_bytes, "Connection: Upgrade\r\nUpgrade: %s\r\n\r\n", protocol);
}

int http_answer(int status, const struct http_field *fields, size_t count, const char *text, struct buf *ret_bytes)
{
	int r = add_head(status, fields, count, ret_bytes);
	return r < 0 ? r
		     : buf_printf(ret_bytes,
				  "Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n"
				  "Content-Length: %zu\r\nConnection: close\r\n\r\n%s\n",
				  strlen(text) + 1, text);
}
