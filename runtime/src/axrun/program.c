#include "runtime/src/axrun/program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

int program_exec_failed(const char *path, int code, struct err *err)
{
	if (code == -ENOENT || code == -ENOTDIR)
		return err_set(err, code, PROGRAM_NO_FILE, "exec %s: no such file or directory", path);
	if (code == -EACCES || code == -EPERM)
		return err_set(err, code, PROGRAM_PERMISSION, "exec %s: permission denied", path);
	return err_sys(err, code, PROGRAM_FAILED, "exec %s", path);
}

/* Could anybody execute this? The user that will is checked by execve(2) itself. */
static int check(const char *path)
{
	struct stat st = {0};
	if (stat(path, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) && st.st_mode & 0111 ? 0 : -EACCES;
}

int program_find(const char *name, const char *const *env, char **ret_path, struct err *err)
{
	if (strchr(name, '/')) {
		int r = check(name);
		if (r < 0)
			return program_exec_failed(name, r, err);
		*ret_path = strdup(name);
		return *ret_path ? 0 : err_sys(err, -ENOMEM, PROGRAM_FAILED, "exec %s", name);
	}
	const char *path = strv_env_get(env, "PATH");
	scoped(strv_free) char **places = str_split(path ? path : DEFAULT_PATH, ':');
	if (!places)
		return err_sys(err, -ENOMEM, PROGRAM_FAILED, "exec %s", name);
	bool refused = false;
	for (size_t i = 0; places[i]; i++) {
		scoped_free char *candidate = str_printf("%s/%s", *places[i] ? places[i] : ".", name);
		int r = candidate ? check(candidate) : -ENOMEM;
		if (r == 0) {
			*ret_path = TAKE(candidate);
			return 0;
		}
		refused |= r == -EACCES;
	}
	if (refused)
		return err_set(err, -EACCES, PROGRAM_PERMISSION, "exec \"%s\": permission denied", name);
	return err_set(err, -ENOENT, PROGRAM_NOT_FOUND, "exec: \"%s\": executable file not found in $PATH", name);
}
