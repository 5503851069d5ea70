/* passwd(5) and group(5) of a tree that somebody else made: read as chroot would, with hard maxima. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/parse.h"
#include "core/base/str.h"
#include "core/sys/fd.h"
#include "core/sys/path.h"
#include "image/src/user_file.h"

#define USER_FILE_MAX ((size_t)4 * 1024 * 1024)
#define FIELDS_MAX 7

/* Splits a line in place at its colons. Returns the number of fields; those beyond the last are empty. */
static size_t split(char *line, char *fields[static FIELDS_MAX])
{
	size_t count = 0;
	for (char *at = line; count < FIELDS_MAX;) {
		fields[count++] = at;
		at += strcspn(at, ":");
		if (!*at)
			break;
		*at++ = '\0';
	}
	for (size_t i = count; i < FIELDS_MAX; i++)
		fields[i] = line + strlen(line); /* at its terminator */
	return count;
}

static int parse_id(const char *text, uint32_t *ret_id)
{
	uint64_t value;
	int r = parse_u64(text, 0, UINT32_MAX - 1, &value);
	if (r == 0)
		*ret_id = (uint32_t)value;
	return r;
}

/* Copies the next line that fits; returns false at the end. */
static bool next_line(const char **at, char ret_line[static USER_LINE_MAX])
{
	while (**at) {
		size_t length = strcspn(*at, "\n");
		const char *line = *at;
		*at += length + (line[length] == '\n');
		if (length == 0 || length >= USER_LINE_MAX || line[0] == '#')
			continue;
		memcpy(ret_line, line, length);
		ret_line[length] = '\0';
		return true;
	}
	return false;
}

bool user_file_find(const char *passwd, const char *name, const uint32_t *uid, struct image_user *ret_user)
{
	char line[USER_LINE_MAX];
	char *fields[FIELDS_MAX];
	while (next_line(&passwd, line)) {
		struct image_user user = {0};
		if (split(line, fields) < 4 || parse_id(fields[2], &user.uid) < 0 || parse_id(fields[3], &user.gid) < 0)
			continue;
		if (name ? !str_equal(fields[0], name) : user.uid != *uid)
			continue;
		(void)snprintf(user.name, sizeof user.name, "%s", fields[0]);
		(void)snprintf(user.home, sizeof user.home, "%s", *fields[5] ? fields[5] : "/");
		*ret_user = user;
		return true;
	}
	return false;
}

bool user_file_find_group(const char *group, const char *name, uint32_t *ret_gid)
{
	char line[USER_LINE_MAX];
	char *fields[FIELDS_MAX];
	while (next_line(&group, line))
		if (split(line, fields) >= 3 && str_equal(fields[0], name) && parse_id(fields[2], ret_gid) == 0)
			return true;
	return false;
}

/* Is @name one of the comma-separated @members? */
static bool is_member(const char *members, const char *name)
{
	size_t length = strlen(name);
	for (const char *at = members; *at; at += *at == ',') {
		size_t n = strcspn(at, ",");
		if (n == length && strncmp(at, name, n) == 0)
			return true;
		at += n;
	}
	return false;
}

void user_file_add_groups(const char *group, struct image_user *user)
{
	char line[USER_LINE_MAX];
	char *fields[FIELDS_MAX];
	while (user->name[0] && user->groups_count < IMAGE_GROUPS_MAX && next_line(&group, line)) {
		uint32_t gid = 0;
		if (split(line, fields) < 4 || parse_id(fields[2], &gid) < 0 || gid == user->gid ||
		    !is_member(fields[3], user->name))
			continue;
		user->groups[user->groups_count++] = gid;
	}
}

/* A missing file is an empty one: many images have none. */
static int read_file(int root_fd, const char *path, struct buf *ret_text, struct err *err)
{
	scoped_fd int fd = path_open_in_root(root_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0);
	if (fd == -ENOENT || fd == -ENOTDIR)
		return 0;
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, fd < 0 ? fd : -errno, "user.not-found", "/%s of the image", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "user.not-found", "/%s of the image is no regular file", path);
	int r = fd_read_all(fd, ret_text);
	return r < 0 ? err_sys(err, r, "user.not-found", "/%s of the image", path) : 0;
}

static const char *text_of(const struct buf *buf)
{
	return buf->data ? buf->data : "";
}

int user_file_resolve(const char *passwd, const char *group, const char *spec, struct image_user *ret_user,
		      struct err *err)
{
	char name[256];
	const char *colon = spec ? strchr(spec, ':') : NULL;
	size_t length = colon ? (size_t)(colon - spec) : spec ? strlen(spec) : 0;
	if (length >= sizeof name)
		return err_set(err, -EINVAL, "user.not-found", "user \"%.100s...\" is too long", spec);
	memcpy(name, spec ? spec : "", length);
	name[length] = '\0';
	const char *wanted_group = colon ? colon + 1 : "";

	struct image_user user = {.home = "/"};
	uint32_t uid = 0;
	int read = *name ? parse_id(name, &uid) : 0;
	int read_group = *wanted_group ? parse_id(wanted_group, &user.gid) : 0;
	if (read == -ERANGE || read_group == -ERANGE) /* the image's own files must not say whom a number means */
		return err_set(err, -EINVAL, "user.not-found", "user \"%.100s\": no user or group has such a number", spec);
	bool number = read == 0;
	bool known = user_file_find(passwd, number ? NULL : name, &uid, &user);
	if (!known && !number)
		return err_set(err, -ENOENT, "user.not-found", "user \"%s\" is not in /etc/passwd of the image", name);
	user.uid = known ? user.uid : uid;
	if (*wanted_group) {
		if (parse_id(wanted_group, &user.gid) < 0 && !user_file_find_group(group, wanted_group, &user.gid))
			return err_set(err, -ENOENT, "user.not-found",
				       "group \"%.100s\" is not in /etc/group of the image", wanted_group);
	} else {
		user_file_add_groups(group, &user);
	}
	*ret_user = user;
	return 0;
}

int image_user_resolve(int root_fd, const char *spec, struct image_user *ret_user, struct err *err)
{
	scoped_done(buf_done) struct buf passwd = {.max = USER_FILE_MAX};
	scoped_done(buf_done) struct buf group = {.max = USER_FILE_MAX};
	int r = read_file(root_fd, "etc/passwd", &passwd, err);
	if (r == 0)
		r = read_file(root_fd, "etc/group", &group, err);
	return r < 0 ? r : user_file_resolve(text_of(&passwd), text_of(&group), spec, ret_user, err);
}
