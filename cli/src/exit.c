#include "cli/src/exit.h"

#include <stdio.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"

static const struct {
	const char *reason;
	int code;
} EXITS[] = {
	{"runtime.executable-not-found", EXIT_NOT_FOUND},
	{"runtime.executable-denied", EXIT_NOT_INVOCABLE},
};

int exit_code_of_error(const struct err *err)
{
	for (size_t i = 0; i < ARRAY_COUNT(EXITS); i++)
		if (str_equal(EXITS[i].reason, err->reason))
			return EXITS[i].code;
	return EXIT_OURS;
}

void print_error(const struct err *err, int code)
{
	char line[ERR_MESSAGE_MAX];
	(void)snprintf(line, sizeof line, "%s", err_text(err, code));
	for (char *c = line; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
	(void)fprintf(stderr, "axle: %s\n", line);
}
