/* The program of a container process: found, and executed. */
#pragma once

struct err;

/* The reasons that podman, containerd and axled turn into the exit codes 126 and 127; only these carry the phrases
 * "executable file not found in $PATH", "no such file or directory" and "permission denied". */
#define PROGRAM_NOT_FOUND "exec.not-found"
#define PROGRAM_NO_FILE "exec.no-file"
#define PROGRAM_PERMISSION "exec.permission"
#define PROGRAM_FAILED "exec.failed"

/* Finds @name as execvp(3) would, in the calling process's root and directory, by PATH of @env.
 * *ret_path is malloc()ed. Errors: -ENOENT, -EACCES. */
int program_find(const char *name, const char *const *env, char **ret_path, struct err *err);

/* Words the failure of execve(2). */
int program_exec_failed(const char *path, int code, struct err *err);
