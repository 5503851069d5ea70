/* What a tmpfs with the option "tmpcopyup" starts with. */
#pragma once

struct err;

/* Copies everything below @from_fd (any kind of descriptor of a directory) into @to_fd: directories, files, symbolic links,
 * device nodes, with owners and modes; mounts below are not entered. */
int copy_up(int from_fd, int to_fd, struct err *err);
