/* The command line of one command, behind its name. */
#pragma once

#include <stddef.h>

struct err;
struct opt;

/* Parses options into @values and the positional arguments into @names: @required of them must be there, and one more may
 * be where @optional is given (left as it is where absent). @usage names them, for --help.
 * Returns 0, COMMAND_HELP after printing --help, or -EINVAL. */
int arguments_parse(const struct opt *options, const char *usage, char **argv, void *values, const char **names,
		    size_t required, const char **optional, struct err *err);
