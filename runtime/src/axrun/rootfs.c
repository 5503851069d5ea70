#include "runtime/src/axrun/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/codec/oci_runtime.h"
#include "core/sys/mount.h"
#include "core/sys/path.h"
#include "runtime/src/axrun/devices.h"
#include "runtime/src/axrun/launch.h"
#include "runtime/src/axrun/mask.h"
#include "runtime/src/axrun/mounts.h"

static const struct propagation_row {
	const char *name;
	uint64_t flag;
	bool recursive;
} PROPAGATIONS[] = {
	{"private", MS_PRIVATE, false}, {"rprivate", MS_PRIVATE, true},	  {"slave", MS_SLAVE, false},
	{"rslave", MS_SLAVE, true},	{"shared", MS_SHARED, false},	  {"rshared", MS_SHARED, true},
	{"unbindable", MS_UNBINDABLE, false}, {"runbindable", MS_UNBINDABLE, true},
};

static const struct propagation_row *wanted_propagation(const struct launch *launch)
{
	const char *name = launch->spec->linux_ ? launch->spec->linux_->rootfs_propagation : NULL;
	for (size_t i = 0; i < ARRAY_COUNT(PROPAGATIONS) && name; i++)
		if (strcmp(PROPAGATIONS[i].name, name) == 0)
			return &PROPAGATIONS[i];
	return NULL;
}

/* Nothing that is mounted here may reach the host; with rootfsPropagation=shared that is what is wanted. */
static int seal_old_root(const struct launch *launch, struct err *err)
{
	const struct propagation_row *wanted = wanted_propagation(launch);
	uint64_t flag = wanted && wanted->flag == MS_PRIVATE ? MS_PRIVATE : MS_SLAVE;
	scoped_fd int old_root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = old_root < 0 ? -errno : mount_change(old_root, true, &(struct mount_change){.propagation = flag});
	return r < 0 ? err_sys(err, r, "root.propagation", "keep mounts from reaching the host") : 0;
}

int rootfs_attach(const struct launch *launch, int *ret_root_fd, struct err *err)
{
	if (!(launch->new_namespaces & CLONE_NEWNS)) {
		*ret_root_fd = fcntl(launch->rootfs_tree, F_DUPFD_CLOEXEC, 0);
		return *ret_root_fd < 0 ? err_sys(err, -errno, "root.attach", "open the root file system") : 0;
	}
	int r = seal_old_root(launch, err);
	if (r < 0)
		return r;
	/* Hooks look for it at its path. A root that was handed over, or that a user namespace cannot reach, goes on top of
	 * the old root: lookups from "/" still start beneath, so the host's files stay in reach until rootfs_enter(). */
	scoped_fd int place =
		launch->options->rootfs_fd < 0 ? open(launch->spec->root->path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	if (place < 0)
		place = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	r = place < 0 ? -errno : mount_tree_attach(launch->rootfs_tree, place);
	if (r < 0)
		return err_sys(err, r, "root.attach", "attach the root file system");
	*ret_root_fd = fcntl(launch->rootfs_tree, F_DUPFD_CLOEXEC, 0);
	return *ret_root_fd < 0 ? err_sys(err, -errno, "root.attach", "open the root file system") : 0;
}

int rootfs_fill(const struct launch *launch, int root_fd, struct err *err)
{
	if (!(launch->new_namespaces & CLONE_NEWNS))
		return 0; /* the caller's own mounts are not ours to change */
	int r = mounts_make(launch, root_fd, err);
	if (r == 0)
		r = devices_make(launch, root_fd, err);
	/* a missing working directory is made while the root can still be written to; one that cannot be is seen later */
	scoped_fd int cwd = -1;
	if (r == 0 && launch->process)
		(void)path_make_directories_in_root(root_fd, launch->process->cwd, 0755, &cwd);
	return r;
}

int rootfs_protect(const struct launch *launch, int root_fd, struct err *err)
{
	const struct oci_linux *config = launch->spec->linux_;
	if (!(launch->new_namespaces & CLONE_NEWNS))
		return 0;
	int r = config ? mask_readonly_paths(config, root_fd, err) : 0;
	if (r == 0 && config)
		r = mask_paths(config, root_fd, err);
	if (r == 0 && launch->spec->root->readonly) {
		r = mount_change(root_fd, false, &(struct mount_change){.set = MOUNT_ATTR_RDONLY});
		if (r < 0)
			return err_sys(err, r, "root.readonly", "make the root file system read-only");
	}
	return r;
}

static int pivot(struct err *err)
{
	/* pivot_root(2), "pivot_root(".", ".")": the old root comes to lie over the new one, and is taken off again */
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return err_sys(err, -errno, "root.pivot", "make the root file system the root");
	if (umount2(".", MNT_DETACH) < 0)
		return err_sys(err, -errno, "root.pivot", "let go of the host's root file system");
	return 0;
}

static int move_and_chroot(struct err *err)
{
	/* for a host whose root is the initial ramfs, which cannot be pivoted (--no-pivot) */
	if (chroot(".") < 0)
		return err_sys(err, -errno, "root.chroot", "make the root file system the root");
	return 0;
}

static int set_propagation(const struct launch *launch, struct err *err)
{
	const struct propagation_row *wanted = wanted_propagation(launch);
	if (!wanted || (wanted->flag != MS_SHARED && wanted->flag != MS_UNBINDABLE))
		return 0;
	scoped_fd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = root < 0 ? -errno
			 : mount_change(root, wanted->recursive, &(struct mount_change){.propagation = wanted->flag});
	return r < 0 ? err_sys(err, r, "root.propagation", "linux.rootfsPropagation %s", wanted->name) : 0;
}

int rootfs_enter(const struct launch *launch, int root_fd, struct err *err)
{
	if (fchdir(root_fd) < 0)
		return err_sys(err, -errno, "root.enter", "enter the root file system");
	bool can_pivot = launch->new_namespaces & CLONE_NEWNS && !launch->options->no_pivot;
	int r = can_pivot ? pivot(err) : move_and_chroot(err);
	if (r == 0 && chdir("/") < 0)
		r = err_sys(err, -errno, "root.enter", "enter the root file system");
	return r < 0 || !can_pivot ? r : set_propagation(launch, err);
}
