/* Texts of passwd(5) and group(5): sans-I/O. Lines longer than USER_LINE_MAX and such that are none are passed over. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "image/include/axle/image.h"

#define USER_LINE_MAX 4096

/* By @name, or where it is NULL by *@uid. */
bool user_file_find(const char *passwd, const char *name, const uint32_t *uid, struct image_user *ret_user);
bool user_file_find_group(const char *group, const char *name, uint32_t *ret_gid);

/* Adds the groups that list the user as a member, but for its own. */
void user_file_add_groups(const char *group, struct image_user *user);

/* image_user_resolve() on texts. As docker does, an explicit group takes the place of all others. */
int user_file_resolve(const char *passwd, const char *group, const char *spec, struct image_user *ret_user,
		      struct err *err);
