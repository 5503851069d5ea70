/* The commands of axrun: one function each, found by the table in cmd/axrun.c. */
#pragma once

#include <stdbool.h>

struct err;
struct log;

/* The options in front of the command. */
struct globals {
	const char *root;
	const char *log_path;
	const char *log_format;
	const char *log_level;
	const char *cgroup_manager;
	const char *rootless; /* accepted as runc has it; what axrun may do it finds out by itself */
	bool debug;
	bool systemd_cgroup;
	bool version;
	struct log *log;
};

#define COMMAND_HELP 1 /* --help was asked for and printed */

/* A command: argv[0] is its name. Returns 0 with *ret_status, the exit status; COMMAND_HELP; or an error. */
typedef int command_function(const struct globals *globals, char **argv, int *ret_status, struct err *err);

command_function command_create, command_run, command_start, command_state, command_kill, command_delete, command_exec,
	command_list, command_spec, command_features, command_ps, command_update, command_pause, command_resume;
