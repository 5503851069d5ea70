/* Places in a container's root file system, found and made without ever leaving it. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct err;

/* Opens @path below @root_fd (O_PATH), following links as chroot would, making missing parents and the last component
 * itself as a directory or an empty file. @no_links: any symbolic link on the way is refused (-ELOOP).
 * *ret_existed (optional): it was there before. */
int target_open(int root_fd, const char *path, bool directory, bool no_links, int *ret_fd, bool *ret_existed,
		struct err *err);

/* The directory that holds @path (made where missing), and the last component's name. Errors: -EINVAL ("/" or ".."). */
int target_open_parent(int root_fd, const char *path, int *ret_fd, char ret_name[static 256], struct err *err);
