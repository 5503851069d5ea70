#include "cli/src/environment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/sys/fd.h"

#define ENV_FILE_BYTES_MAX (1 << 20)

int environment_add(char ***environment, const char *text, struct err *err)
{
	const char *equals = strchr(text, '=');
	size_t length = equals ? (size_t)(equals - text) : strlen(text);
	if (length == 0)
		return err_set(err, -EINVAL, "cli.usage", "option --env: \"%s\": expected NAME=VALUE or NAME", text);
	const char *value = equals ? equals + 1 : getenv(text);
	if (!value)
		return 0;
	scoped_free char *name = strndup(text, length);
	int r = name ? strv_env_set(environment, name, value) : -ENOMEM;
	return r < 0 ? err_memory(err, "axle") : 0;
}

int environment_add_file(char ***environment, const char *path, struct err *err)
{
	scoped_done(buf_done) struct buf text = {.max = ENV_FILE_BYTES_MAX};
	int r = file_read_at(AT_FDCWD, path, &text, err);
	if (r < 0)
		return err_add(err, r, "option --env-file");
	scoped(strv_free) char **lines = str_split(text.data ? text.data : "", '\n');
	if (!lines)
		return err_memory(err, "axle");
	for (char **line = lines; *line; line++) {
		(*line)[strcspn(*line, "\r")] = '\0';
		const char *begin = *line + strspn(*line, " \t");
		if (!*begin || *begin == '#')
			continue;
		r = environment_add(environment, begin, err);
		if (r < 0)
			return err_add(err, r, "%s", path);
	}
	return 0;
}
