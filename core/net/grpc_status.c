#include "core/net/grpc_status.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/str.h"

static const struct {
	const char *name;
	int error;
} STATUSES[] = {
	[GRPC_OK] = {"OK", 0},
	[GRPC_CANCELLED] = {"CANCELLED", -ECANCELED},
	[GRPC_UNKNOWN] = {"UNKNOWN", -EREMOTEIO},
	[GRPC_INVALID_ARGUMENT] = {"INVALID_ARGUMENT", -EINVAL},
	[GRPC_DEADLINE_EXCEEDED] = {"DEADLINE_EXCEEDED", -ETIMEDOUT},
	[GRPC_NOT_FOUND] = {"NOT_FOUND", -ENOENT},
	[GRPC_ALREADY_EXISTS] = {"ALREADY_EXISTS", -EEXIST},
	[GRPC_PERMISSION_DENIED] = {"PERMISSION_DENIED", -EACCES},
	[GRPC_RESOURCE_EXHAUSTED] = {"RESOURCE_EXHAUSTED", -ENOBUFS},
	[GRPC_FAILED_PRECONDITION] = {"FAILED_PRECONDITION", -EBUSY},
	[GRPC_ABORTED] = {"ABORTED", -EAGAIN},
	[GRPC_OUT_OF_RANGE] = {"OUT_OF_RANGE", -ERANGE},
	[GRPC_UNIMPLEMENTED] = {"UNIMPLEMENTED", -ENOSYS},
	[GRPC_INTERNAL] = {"INTERNAL", -EIO},
	[GRPC_UNAVAILABLE] = {"UNAVAILABLE", -ECONNRESET},
	[GRPC_DATA_LOSS] = {"DATA_LOSS", -EUCLEAN},
	[GRPC_UNAUTHENTICATED] = {"UNAUTHENTICATED", -EKEYREJECTED},
};

/* What the table above does not say already, by its error. */
static const struct {
	int error;
	enum grpc_status status;
} ERRORS[] = {
	{-EPERM, GRPC_PERMISSION_DENIED},
	{-EROFS, GRPC_PERMISSION_DENIED},
	{-ESRCH, GRPC_NOT_FOUND},
	{-ENODEV, GRPC_NOT_FOUND},
	{-E2BIG, GRPC_INVALID_ARGUMENT},
	{-ENAMETOOLONG, GRPC_INVALID_ARGUMENT},
	{-ENOTDIR, GRPC_INVALID_ARGUMENT},
	{-EISDIR, GRPC_INVALID_ARGUMENT},
	{-ELOOP, GRPC_INVALID_ARGUMENT},
	{-EXDEV, GRPC_INVALID_ARGUMENT},
	{-ENOEXEC, GRPC_INVALID_ARGUMENT},
	{-EOVERFLOW, GRPC_OUT_OF_RANGE},
	{-EMSGSIZE, GRPC_RESOURCE_EXHAUSTED},
	{-ENOMEM, GRPC_RESOURCE_EXHAUSTED},
	{-ENOSPC, GRPC_RESOURCE_EXHAUSTED},
	{-EDQUOT, GRPC_RESOURCE_EXHAUSTED},
	{-EMFILE, GRPC_RESOURCE_EXHAUSTED},
	{-ENFILE, GRPC_RESOURCE_EXHAUSTED},
	{-ENOTEMPTY, GRPC_FAILED_PRECONDITION},
	{-ENOTCONN, GRPC_UNAVAILABLE},
	{-ECONNREFUSED, GRPC_UNAVAILABLE},
	{-EHOSTUNREACH, GRPC_UNAVAILABLE},
	{-ENETUNREACH, GRPC_UNAVAILABLE},
	{-EPIPE, GRPC_UNAVAILABLE},
	{-EOPNOTSUPP, GRPC_UNIMPLEMENTED},
	{-EBADMSG, GRPC_INTERNAL}, /* what gRPC's own libraries say of a message that cannot be parsed */
};

const char *grpc_status_name(enum grpc_status status)
{
	return (size_t)status < ARRAY_COUNT(STATUSES) ? STATUSES[status].name : STATUSES[GRPC_UNKNOWN].name;
}

enum grpc_status grpc_status_of_error(int code)
{
	for (size_t i = 0; i < ARRAY_COUNT(STATUSES); i++)
		if (STATUSES[i].error == code)
			return (enum grpc_status)i;
	for (size_t i = 0; i < ARRAY_COUNT(ERRORS); i++)
		if (ERRORS[i].error == code)
			return ERRORS[i].status;
	return GRPC_UNKNOWN;
}

int grpc_status_to_error(enum grpc_status status)
{
	return (size_t)status < ARRAY_COUNT(STATUSES) ? STATUSES[status].error : STATUSES[GRPC_UNKNOWN].error;
}

int grpc_status_parse(const char *text, size_t length, enum grpc_status *ret_status)
{
	if (length == 0 || length > 10)
		return -EINVAL;
	uint64_t value = 0;
	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
		value = value * 10 + (uint64_t)(text[i] - '0');
	}
	*ret_status = value < ARRAY_COUNT(STATUSES) ? (enum grpc_status)value : GRPC_UNKNOWN;
	return 0;
}

int grpc_message_encode(const char *message, struct buf *ret_text)
{
	for (const unsigned char *at = (const unsigned char *)message; *at; at++) {
		bool plain = *at >= ' ' && *at <= '~' && *at != '%';
		int r = plain ? buf_add_char(ret_text, (char)*at) : buf_printf(ret_text, "%%%02X", *at);
		if (r < 0)
			return r;
	}
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static int decode_bytes(const char *text, size_t length, struct buf *ret_bytes)
{
	for (size_t i = 0; i < length; i++) {
		int high = text[i] == '%' && i + 2 < length ? hex_digit(text[i + 1]) : -1;
		int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
		char c = low >= 0 ? (char)(high * 16 + low) : text[i];
		if (low >= 0)
			i += 2;
		int r = c ? buf_add_char(ret_bytes, c) : 0; /* a zero byte would end the text early */
		if (r < 0)
			return r;
	}
	return 0;
}

int grpc_message_decode(const char *text, size_t length, struct buf *ret_message)
{
	size_t start = ret_message->size;
	int r = decode_bytes(text, length, ret_message);
	if (r < 0 || ret_message->size == start || str_is_utf8(ret_message->data + start, ret_message->size - start))
		return r;
	size_t kept = start;
	for (size_t i = start; i < ret_message->size; i++)
		if ((unsigned char)ret_message->data[i] < 0x80)
			ret_message->data[kept++] = ret_message->data[i];
	ret_message->size = kept;
	ret_message->data[kept] = '\0';
	return 0;
}

static const struct {
	char letter;
	uint64_t ns;
} UNITS[] = {
	{'n', 1},
	{'u', 1000},
	{'m', 1000000},
	{'S', 1000000000},
	{'M', 60ULL * 1000000000},
	{'H', 3600ULL * 1000000000},
};

#define TIMEOUT_DIGITS 8
#define TIMEOUT_MAX_NS (1ULL << 53)

int grpc_timeout_parse(const char *text, size_t length, uint64_t *ret_ns)
{
	if (length < 2 || length > TIMEOUT_DIGITS + 1)
		return -EINVAL;
	uint64_t value = 0;
	for (size_t i = 0; i + 1 < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
		value = value * 10 + (uint64_t)(text[i] - '0');
	}
	for (size_t i = 0; i < ARRAY_COUNT(UNITS); i++)
		if (UNITS[i].letter == text[length - 1]) {
			bool longest = value > TIMEOUT_MAX_NS / UNITS[i].ns;
			*ret_ns = longest ? TIMEOUT_MAX_NS : value * UNITS[i].ns;
			return 0;
		}
	return -EINVAL;
}

void grpc_timeout_format(uint64_t ns, char ret_text[16])
{
	for (size_t i = 0; i < ARRAY_COUNT(UNITS); i++) {
		uint64_t count = ns / UNITS[i].ns + (ns % UNITS[i].ns != 0);
		if (count < 100000000 || i + 1 == ARRAY_COUNT(UNITS)) {
			(void)snprintf(ret_text, 16, "%u%c", (unsigned)count, UNITS[i].letter);
			return;
		}
	}
}
