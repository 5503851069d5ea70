/* Command lines by table: one row for each option, from which both the parser and --help are made, so that they agree.
 *
 *	static const struct opt OPTIONS[] = {
 *		{'d', "detach", NULL, OPT_FLAG, offsetof(struct run, detach), "run in the background"},
 *		{'e', "env", "NAME=VALUE", OPT_STRINGS, offsetof(struct run, env), "set an environment variable"},
 *		{0},
 *	};
 *
 * Accepted spellings: --name VALUE, --name=VALUE, -n VALUE, -nVALUE, bundled flags (-it), "--" to end options. A name may
 * be given more than once in a table (an alias): an alias without help is not shown. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct err;

enum opt_type {
	OPT_FLAG,    /* bool; also --name=true and --name=false */
	OPT_STRING,  /* const char *, pointing into argv; the last one wins */
	OPT_STRINGS, /* char **: a strv that grows, freed by the caller with strv_free() */
	OPT_I64,     /* int64_t */
	OPT_U64,     /* uint64_t */
	OPT_BYTES,   /* uint64_t, by parse_bytes() */
};

struct opt {
	char letter;	  /* 0: none */
	const char *name; /* NULL ends the table unless there is a letter */
	const char *value; /* the value's name in --help; NULL for a flag */
	enum opt_type type;
	size_t offset; /* of the member in the struct that is filled */
	const char *help;
};

enum opt_outcome {
	OPT_DONE = 0,
	OPT_HELP = 1, /* --help or -h was asked for (where the table has no row of its own for it) */
};

/* Parses options in argv[1..] into @values. Options end at the first positional argument, at "--", or at the end
 * (@permute: positional arguments may stand between options; argv is reordered so that they come last). *ret_first is the
 * index in argv of the first positional argument (argc where there is none).
 * Errors: -EINVAL (@err: the option, the value, what was expected). */
int opt_parse(const struct opt *options, char **argv, bool permute, void *values, int *ret_first, struct err *err);

/* Prints the table's options, one a line, aligned. */
void opt_print_help(FILE *out, const struct opt *options);
