#include "runtime/src/axrun/self.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/sys/mount.h"

#define SELF "/proc/self/exe"
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static bool is_protected(int fd)
{
	struct statvfs fs = {0};
	if (fstatvfs(fd, &fs) == 0 && fs.f_flag & ST_RDONLY)
		return true;
	int seals = fcntl(fd, F_GET_SEALS);
	return seals >= 0 && (seals & SEALS) == SEALS;
}

/* A mount of this one file that nobody sees and nobody can write through. */
static int read_only_clone(int *ret_fd)
{
	scoped_fd int tree = -1;
	int r = mount_tree_open(AT_FDCWD, SELF, false, &tree);
	if (r == 0)
		r = mount_change(tree, false, &(struct mount_change){.set = MOUNT_ATTR_RDONLY});
	if (r < 0)
		return r;
	*ret_fd = TAKE_FD(tree);
	return 0;
}

static int sealed_copy(int self, int *ret_fd)
{
	struct stat st = {0};
	scoped_fd int fd = memfd_create("axrun", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || fstat(self, &st) < 0)
		return -errno;
	off_t at = 0;
	while (at < st.st_size)
		if (sendfile(fd, self, &at, (size_t)(st.st_size - at)) <= 0)
			return errno ? -errno : -EIO;
	if (fchmod(fd, 0700) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int self_protect(char **argv, struct err *err)
{
	scoped_fd int self = open(SELF, O_RDONLY | O_CLOEXEC);
	if (self < 0)
		return err_sys(err, -errno, "self.protect", "open " SELF);
	if (is_protected(self))
		return 0;
	scoped_fd int safe = -1;
	int r = read_only_clone(&safe);
	if (r < 0)
		r = sealed_copy(self, &safe);
	if (r < 0)
		return err_sys(err, r, "self.protect", "keep axrun's program file out of the container's reach");
	(void)execveat(safe, "", argv, environ, AT_EMPTY_PATH);
	return err_sys(err, -errno, "self.protect", "execute axrun from its protected copy");
}
