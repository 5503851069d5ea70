/* The variables of -e and --env-file. */
#pragma once

struct err;

/* Adds NAME=VALUE to the vector, or NAME with its value here (nothing where it has none). Errors: -EINVAL, -ENOMEM. */
int environment_add(char ***environment, const char *text, struct err *err);

/* The same for each line of a file; empty lines and those that begin with '#' are none. Errors: of open(2), -EMSGSIZE. */
int environment_add_file(char ***environment, const char *path, struct err *err);
