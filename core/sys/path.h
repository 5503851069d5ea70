/* Paths in trees that others wrote: a directory descriptor plus a relative name, never followed out of the directory. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

/* openat2(RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS): a link or ".." that leaves the tree is -EXDEV. @flags as for openat. */
int path_open_beneath(int dir_fd, const char *path, int flags, mode_t mode);

/* openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS): absolute links and ".." are read as chroot would. */
int path_open_in_root(int dir_fd, const char *path, int flags, mode_t mode);

/* Makes all missing directories of @path below @root_fd, following links as chroot would, and opens the last one (O_PATH).
 * Errors: of mkdirat(2), -ENOTDIR, -ELOOP. */
int path_make_directories_in_root(int root_fd, const char *path, mode_t mode, int *ret_fd);

/* mkdir -p for paths of our own. Errors: of mkdir(2). */
int path_make_directories(const char *path, mode_t mode, struct err *err);

/* Removes @name below @dir_fd with all that is in it, links not followed, never crossing onto another file system (a
 * foreign mount below is -EXDEV, and what lies on it is untouched). A missing name is success. */
int path_remove_tree(int dir_fd, const char *name, struct err *err);

/* The folder that holds the running program, for finding its siblings: malloc()ed, NULL when out of memory. */
char *path_of_own_program_dir(void);

/* The path of a sibling program: @name beside the running program, else in ../libexec/axle, else as found by PATH alone.
 * malloc()ed; NULL when out of memory. */
char *path_of_sibling_program(const char *name);
