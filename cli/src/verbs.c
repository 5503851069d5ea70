#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/src/exit.h"
#include "cli/src/verb.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"

extern const struct verb verb_attach, verb_completion, verb_create, verb_events, verb_exec, verb_image, verb_images,
	verb_info, verb_inspect, verb_kill, verb_load, verb_logs, verb_ps, verb_pull, verb_rm, verb_rmi, verb_run,
	verb_signal, verb_start, verb_stop, verb_version, verb_wait;

const struct verb *const VERBS[] = {
	&verb_attach, &verb_completion, &verb_create, &verb_events, &verb_exec,	   &verb_image,
	&verb_images, &verb_info,	&verb_inspect, &verb_kill,  &verb_load,	   &verb_logs,
	&verb_ps,     &verb_pull,	&verb_rm,     &verb_rmi,    &verb_run,	   &verb_signal,
	&verb_start,  &verb_stop,   &verb_version,	&verb_wait,   NULL,
};

void verbs_print(const struct verb *const *verbs)
{
	(void)puts("\nCommands:");
	for (; *verbs; verbs++)
		(void)printf("  %-11s %s\n", (*verbs)->name, (*verbs)->summary);
}

static const struct verb *find(const struct verb *const *verbs, const char *name)
{
	for (; *verbs; verbs++)
		if (str_equal((*verbs)->name, name))
			return *verbs;
	return NULL;
}

static void print_help(const char *path, const struct verb *verb)
{
	(void)printf("Usage: %s %s%s%s%s\n\n%s\n", path, verb->name, verb->options ? " [OPTIONS]" : "",
		     *verb->arguments ? " " : "", verb->arguments, verb->summary);
	if (verb->below)
		verbs_print(verb->below);
	if (verb->options) {
		(void)puts("\nOptions:");
		opt_print_help(stdout, verb->options);
	}
}

/* The lists that OPT_STRINGS rows have made; aliases share one. */
static void free_lists(const struct verb *verb, char *values)
{
	for (const struct opt *opt = verb->options; opt && (opt->name || opt->letter); opt++)
		if (opt->type == OPT_STRINGS) {
			char ***list = (char ***)(void *)(values + opt->offset);
			strv_free(*list);
			*list = NULL;
		}
}

static int check_words(const char *path, const struct verb *verb, char **words, struct err *err)
{
	size_t count = strv_count((const char *const *)words);
	bool too_few = count < (size_t)verb->least;
	if (!too_few && (verb->most < 0 || count <= (size_t)verb->most))
		return 0;
	return err_set(err, -EINVAL, "cli.usage", "%s: expected: %s %s%s%s",
		       too_few ? "an argument is missing" : "too many arguments", path, verb->name,
		       *verb->arguments ? " " : "", verb->arguments);
}

static bool is_help(const char *word)
{
	return str_equal(word, "--help") || str_equal(word, "-h");
}

static int parse_and_run(struct cli *cli, const char *path, const struct verb *verb, char **words, void *values,
			 struct err *err)
{
	static const struct opt NO_OPTIONS[] = {{0}};
	int first = 0;
	if (verb->defaults)
		memcpy(values, verb->defaults, verb->values_size);
	if (verb->pass_on && words[1] && !is_help(words[1])) {
		int r = check_words(path, verb, words + 1, err);
		return r < 0 ? r : verb->run(cli, words + 1, values, err);
	}
	int r = opt_parse(verb->options ? verb->options : NO_OPTIONS, words, !verb->stop_at_first, values, &first, err);
	if (r == OPT_HELP) {
		print_help(path, verb);
		return 0;
	}
	if (r == 0)
		r = check_words(path, verb, words + first, err);
	return r < 0 ? r : verb->run(cli, words + first, values, err);
}

static int run_below(struct cli *cli, const char *path, const struct verb *verb, char **words, struct err *err)
{
	scoped_free char *deeper = str_printf("%s %s", path, verb->name);
	if (!deeper)
		return err_memory(err, "axle");
	if (!words[1] || is_help(words[1])) {
		print_help(path, verb);
		return words[1] ? 0 : EXIT_OURS;
	}
	return verbs_run(cli, deeper, verb->below, words + 1, err);
}

int verbs_run(struct cli *cli, const char *path, const struct verb *const *verbs, char **words, struct err *err)
{
	const struct verb *verb = find(verbs, words[0]);
	if (!verb)
		return err_set(err, -EINVAL, "cli.usage", "\"%s\" is not a command of %s: see %s --help", words[0], path,
			       path);
	if (verb->below)
		return run_below(cli, path, verb, words, err);
	scoped_free char *values = calloc(1, verb->values_size + 1);
	if (!values)
		return err_memory(err, "axle");
	int r = parse_and_run(cli, path, verb, words, values, err);
	free_lists(verb, values);
	return r;
}
