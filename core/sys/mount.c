#include "core/sys/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/scoped.h"

int mount_tree_open(int dir_fd, const char *path, bool recursive, int *ret_tree)
{
	unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
	if (recursive)
		flags |= AT_RECURSIVE;
	if (!*path)
		flags |= AT_EMPTY_PATH;
	int tree = open_tree(dir_fd, path, flags);
	if (tree < 0)
		return -errno;
	*ret_tree = tree;
	return 0;
}

int mount_tree_attach(int tree, int target_fd)
{
	if (move_mount(tree, "", target_fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return -errno;
	return 0;
}

int mount_change(int fd, bool recursive, const struct mount_change *change)
{
	struct mount_attr attr = {
		.attr_set = change->set,
		.attr_clr = change->clear,
		.propagation = change->propagation,
	};
	if (change->set & MOUNT_ATTR_IDMAP)
		attr.userns_fd = (unsigned)change->userns_fd;
	unsigned flags = AT_EMPTY_PATH | (recursive ? (unsigned)AT_RECURSIVE : 0);
	return mount_setattr(fd, "", flags, &attr, sizeof attr) < 0 ? -errno : 0;
}

/* What the kernel has to say about a refused option, or nothing (fsopen(2): messages are "e text", "w text"). */
static void read_kernel_message(int context, char ret_text[static 128])
{
	ret_text[0] = '\0';
	ssize_t length = read(context, ret_text, 127);
	if (length <= 0)
		return;
	ret_text[length] = '\0';
	ret_text[strcspn(ret_text, "\n")] = '\0';
}

static int refuse(int context, int code, const char *type, const struct mount_option *option, struct err *err)
{
	char words[128];
	read_kernel_message(context, words);
	const char *text = *words && words[1] == ' ' ? words + 2 : words;
	if (option)
		return err_sys(err, code, "mount.option", "%s: option \"%s%s%s\" refused%s%s", type, option->key,
			       option->value ? "=" : "", option->value ? option->value : "", *text ? ": " : "", text);
	return err_sys(err, code, "mount.filesystem", "make a %s file system%s%s", type, *text ? ": " : "", text);
}

int mount_filesystem(const char *type, const struct mount_option *options, size_t count, uint64_t attributes,
		     int *ret_tree, struct err *err)
{
	scoped_fd int context = fsopen(type, FSOPEN_CLOEXEC);
	if (context < 0)
		return err_sys(err, -errno, "mount.filesystem", "file system type %s", type);
	for (size_t i = 0; i < count; i++) {
		const struct mount_option *option = &options[i];
		unsigned command = option->value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG;
		if (fsconfig(context, command, option->key, option->value, 0) < 0)
			return refuse(context, -errno, type, option, err);
	}
	if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return refuse(context, -errno, type, NULL, err);
	int tree = fsmount(context, FSMOUNT_CLOEXEC, (unsigned)attributes);
	if (tree < 0)
		return refuse(context, -errno, type, NULL, err);
	*ret_tree = tree;
	return 0;
}

bool mount_is_filesystem(int fd, long magic)
{
	struct statfs fs = {0};
	return fstatfs(fd, &fs) == 0 && fs.f_type == magic;
}

/* Asked for the answer, not for what the kernel remembers of an earlier one. */
bool mount_is_dead(int dir_fd, const char *path)
{
	struct statx status;
	int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_FORCE_SYNC;
	return statx(dir_fd, path, flags, STATX_BASIC_STATS, &status) < 0 && (errno == ENOTCONN || errno == ECONNABORTED);
}
