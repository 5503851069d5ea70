#include "runtime/src/axrun/report.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "runtime/src/axrun/program.h"

static const struct {
	const char *phrase;
	const char *instead;
} WORDS[] = {
	{"no such file or directory", "does not exist (ENOENT)"},
	{"permission denied", "access refused (EACCES)"},
	{"operation not permitted", "not allowed (EPERM)"},
	{"executable file not found in", "no executable file in"},
};

static const struct {
	const char *reason;
	int status;
} STATUS[] = {
	{PROGRAM_NOT_FOUND, 127},
	{PROGRAM_NO_FILE, 127},
	{PROGRAM_PERMISSION, 126},
	{PROGRAM_FAILED, 126},
};

int report_exit_status(const struct err *err)
{
	for (size_t i = 0; i < ARRAY_COUNT(STATUS); i++)
		if (str_equal(err->reason, STATUS[i].reason))
			return STATUS[i].status;
	return 1;
}

static void add(char *text, size_t size, size_t *at, const char *piece, size_t length)
{
	size_t room = size - 1 - *at;
	if (length > room)
		length = room;
	memcpy(text + *at, piece, length);
	*at += length;
	text[*at] = '\0';
}

void report_text(const struct err *err, int code, char *ret_text, size_t size)
{
	const char *rest = err_text(err, code);
	bool keep = report_exit_status(err) != 1;
	size_t at = 0;
	ret_text[0] = '\0';
	while (*rest) {
		size_t skipped = 0;
		for (size_t i = 0; i < ARRAY_COUNT(WORDS) && !keep && skipped == 0; i++) {
			size_t length = strlen(WORDS[i].phrase);
			if (strncasecmp(rest, WORDS[i].phrase, length) != 0)
				continue;
			add(ret_text, size, &at, WORDS[i].instead, strlen(WORDS[i].instead));
			skipped = length;
		}
		if (skipped == 0)
			add(ret_text, size, &at, rest, skipped = 1);
		rest += skipped;
	}
}
