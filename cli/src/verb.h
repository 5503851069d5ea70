/* A verb of `axle`: its words, its options, what it does. Each is one file, verb_<name>.c, its declaration and its row in verbs.c. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/base/opt.h"

struct cli;
struct err;

struct verb {
	const char *name;
	const char *arguments; /* for --help: "IMAGE [COMMAND [ARGUMENT...]]" */
	const char *summary;
	const struct opt *options; /* NULL: none */
	size_t values_size;	   /* of the struct that the options fill */
	const void *defaults;	   /* of that struct; NULL: zeroes */
	bool stop_at_first;	   /* what follows the first argument belongs to somebody else: run IMAGE -x */
	bool pass_on;		   /* options too are another program's; --help alone is ours */
	int least, most;	   /* arguments; most -1: any number */
	const struct verb *const *below; /* verbs of its own (NULL-terminated): `axle image unpack` */
	/* @words: NULL-terminated arguments. Returns the exit code, or < 0 with @err set. */
	int (*run)(struct cli *cli, char **words, const void *values, struct err *err);
};

/* All verbs, NULL-terminated. */
extern const struct verb *const VERBS[];

/* Parses the words behind @path ("axle image") and runs the verb that the first of them names.
 * Returns as verb->run(). --help prints and returns 0. */
int verbs_run(struct cli *cli, const char *path, const struct verb *const *verbs, char **words, struct err *err);

/* Prints the verbs, one a line, below "Commands:". */
void verbs_print(const struct verb *const *verbs);
