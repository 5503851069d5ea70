/* How axrun's errors are worded at the very end. */
#pragma once

#include <stddef.h>

struct err;

/* podman and containerd read a runtime's error text to choose the exit codes 126 and 127: "permission denied", "operation
 * not permitted", "no such file or directory", "executable file not found in $PATH". Those words stay for errors of the
 * program itself (program.h); in all others the kernel's wording of the same errno is replaced.
 * Copies the message into @ret_text. */
void report_text(const struct err *err, int code, char *ret_text, size_t size);

/* The exit status of a failed `run` or `exec`: 127, 126, or 1. */
int report_exit_status(const struct err *err);
