#include "cli/src/targets.h"

#include <stdio.h>

#include "cli/src/exit.h"
#include "core/base/err.h"

int targets_each(struct cli *cli, char **words, const struct targets *targets)
{
	int worst = 0;
	for (; *words; words++) {
		struct err err = {0};
		int r = targets->act(cli, *words, targets->data, &err);
		if (r >= 0) {
			if (targets->echo)
				(void)puts(*words);
			continue;
		}
		print_error(&err, r);
		int code = targets->exit_code ? targets->exit_code(&err) : exit_code_of_error(&err);
		worst = code > worst ? code : worst;
	}
	return worst;
}
