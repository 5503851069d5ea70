#include "runtime/src/axrun/arguments.h"

#include <errno.h>
#include <stdio.h>

#include "core/base/err.h"
#include "core/base/opt.h"
#include "runtime/src/axrun/commands.h"

int arguments_parse(const struct opt *options, const char *usage, char **argv, void *values, const char **names,
		    size_t required, const char **optional, struct err *err)
{
	int first = 0;
	int r = opt_parse(options, argv, true, values, &first, err);
	if (r == OPT_HELP) {
		(void)printf("Usage: axrun %s [OPTION]... %s\n", argv[0], usage);
		opt_print_help(stdout, options);
		return COMMAND_HELP;
	}
	if (r < 0)
		return err_add(err, r, "%s", argv[0]);
	size_t count = 0;
	for (char **argument = argv + first; *argument; argument++, count++) {
		if (count < required)
			names[count] = *argument;
		else if (count == required && optional)
			*optional = *argument;
		else
			return err_set(err, -EINVAL, "option.arguments", "%s: \"%s\": expected only %s", argv[0], *argument, usage);
	}
	if (count < required)
		return err_set(err, -EINVAL, "option.arguments", "%s: expected %s", argv[0], usage);
	return 0;
}
