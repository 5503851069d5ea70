#include "core/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 4, 0)))
static void fill(struct err *err, int code, const char *reason, const char *format, va_list args)
{
	err->code = code;
	err->reason = reason;
	(void)vsnprintf(err->message, sizeof err->message, format, args);
}

/* Appends ": " and @text to the message, cut to what fits. */
static void append(struct err *err, const char *text)
{
	size_t used = strlen(err->message);
	(void)snprintf(err->message + used, sizeof err->message - used, ": %s", text);
}

int err_set(struct err *err, int code, const char *reason, const char *format, ...)
{
	if (!err)
		return code;
	va_list args;
	va_start(args, format);
	fill(err, code, reason, format, args);
	va_end(args);
	return code;
}

int err_sys(struct err *err, int code, const char *reason, const char *format, ...)
{
	if (!err)
		return code;
	va_list args;
	va_start(args, format);
	fill(err, code, reason, format, args);
	va_end(args);
	append(err, strerror(-code));
	return code;
}

int err_memory(struct err *err, const char *what)
{
	return err_set(err, -ENOMEM, "memory.exhausted", "%s: out of memory", what);
}

int err_add(struct err *err, int code, const char *format, ...)
{
	if (!err)
		return code;
	char inner[ERR_MESSAGE_MAX];
	memcpy(inner, err->message, sizeof inner);

	va_list args;
	va_start(args, format);
	(void)vsnprintf(err->message, sizeof err->message, format, args);
	va_end(args);
	append(err, inner);
	return code;
}

const char *err_text(const struct err *err, int code)
{
	if (err && err->message[0])
		return err->message;
	return strerror(code < 0 ? -code : code);
}
