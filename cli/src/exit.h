/* Exit codes, as those of podman and docker: the program's own, or what says why there was none. */
#pragma once

struct err;

enum {
	EXIT_OURS = 125,	  /* axle or the daemon failed */
	EXIT_NOT_INVOCABLE = 126, /* the program is there and cannot be executed */
	EXIT_NOT_FOUND = 127,	  /* the program is not there */
};

/* The exit code for an error, by its reason. */
int exit_code_of_error(const struct err *err);

/* Prints "axle: MESSAGE", one line, whatever is in it. */
void print_error(const struct err *err, int code);
