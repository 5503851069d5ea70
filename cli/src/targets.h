/* Verbs that do one thing to each of several things named on the command line: stop, rm, kill ... A failure is printed and
 * the next one is tried; the exit code tells of the failures. */
#pragma once

struct cli;
struct err;

/* Calls @act for each word, and prints the word where it succeeded (@echo). Errors of @act: printed, exit code as it
 * maps them. Returns the highest exit code. */
struct targets {
	int (*act)(struct cli *cli, const char *word, const void *data, struct err *err);
	const void *data;
	int (*exit_code)(const struct err *err); /* NULL: exit_code_of_error() */
	int echo;
};

int targets_each(struct cli *cli, char **words, const struct targets *targets);
