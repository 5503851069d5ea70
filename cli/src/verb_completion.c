/* axle completion bash: made from the same tables as --help */
#include <errno.h>
#include <stdio.h>

#include "cli/src/verb.h"
#include "core/base/err.h"
#include "core/base/str.h"

static void print_options(const struct verb *verb)
{
	for (const struct opt *opt = verb->options; opt && (opt->name || opt->letter); opt++)
		if (opt->name && opt->help)
			(void)printf(" --%s", opt->name);
	for (const struct verb *const *below = verb->below; below && *below; below++)
		(void)printf(" %s", (*below)->name);
}

static int run(struct cli *cli, char **words, const void *values, struct err *err)
{
	(void)cli;
	(void)values;
	if (!str_equal(words[0], "bash"))
		return err_set(err, -EINVAL, "cli.usage", "axle completion: \"%s\": expected bash", words[0]);
	(void)puts("# bash completion of axle: source <(axle completion bash)\n"
		   "_axle() {\n"
		   "\tlocal word=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]}\n"
		   "\tlocal -A options=(");
	for (const struct verb *const *verb = VERBS; *verb; verb++) {
		(void)printf("\t\t[%s]='--help", (*verb)->name);
		print_options(*verb);
		(void)puts("'");
	}
	(void)puts("\t)\n"
		   "\tif ((COMP_CWORD == 1)); then\n"
		   "\t\tCOMPREPLY=($(compgen -W \"${!options[*]} --help --socket --version\" -- \"$word\"))\n"
		   "\telif [[ $word == -* || $verb == image || ($verb == signal && COMP_CWORD -eq 2) ]]; then\n"
		   "\t\tCOMPREPLY=($(compgen -W \"${options[$verb]}\" -- \"$word\"))\n"
		   "\telse\n"
		   "\t\tcase $verb in\n"
		   "\t\tattach | exec | inspect | kill | logs | rm | start | stop | wait)\n"
		   "\t\t\tCOMPREPLY=($(compgen -W \"$(axle ps -a --noheading 2>/dev/null | awk '{print $1, $NF}')\" -- "
		   "\"$word\")) ;;\n"
		   "\t\tcreate | rmi | run)\n"
		   "\t\t\tCOMPREPLY=($(compgen -W \"$(axle images -n 2>/dev/null | awk '{print $1 \":\" $2}')\" -- \"$word\")) "
		   ";;\n"
		   "\t\tsignal)\n"
		   "\t\t\tCOMPREPLY=($(compgen -W \"$(axle signal ls 2>/dev/null | awk 'NR > 1 {print $1}')\" -- \"$word\")) ;;\n"
		   "\t\t*) COMPREPLY=($(compgen -f -- \"$word\")) ;;\n"
		   "\t\tesac\n"
		   "\tfi\n"
		   "}\n"
		   "complete -F _axle axle");
	return 0;
}

const struct verb verb_completion = {
	.name = "completion",
	.arguments = "bash",
	.summary = "print a shell's completion script",
	.least = 1,
	.most = 1,
	.run = run,
};
