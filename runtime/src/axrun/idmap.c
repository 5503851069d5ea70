#include "runtime/src/axrun/idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/codec/oci_runtime.h"
#include "core/sys/fd.h"
#include "core/sys/pidfd.h"

#define MAP_BYTES_MAX 16384 /* 340 lines, the kernel's limit, of 32 bytes */

bool idmap_has(const struct oci_id_mapping *maps, size_t count, uint32_t id)
{
	for (size_t i = 0; i < count; i++)
		if (id >= maps[i].container_id && id - maps[i].container_id < maps[i].size)
			return true;
	return false;
}

static int write_map(int proc_fd, pid_t pid, const char *file, const struct oci_id_mapping *maps, size_t count,
		     struct err *err)
{
	scoped_done(buf_done) struct buf text = {.max = MAP_BYTES_MAX};
	char name[64];
	(void)snprintf(name, sizeof name, "%d/%s", pid, file);
	for (size_t i = 0; i < count; i++)
		if (buf_printf(&text, "%u %u %u\n", maps[i].container_id, maps[i].host_id, maps[i].size) < 0)
			return err_set(err, -E2BIG, "idmap.write", "%s: more than %d bytes of maps", file, MAP_BYTES_MAX);
	if (count == 0)
		return 0;
	int r = file_write_kernel(proc_fd, name, text.data, err);
	return r < 0 ? err_add(err, r, "user namespace") : 0;
}

int idmap_write(int proc_fd, pid_t pid, const struct oci_id_mapping *uids, size_t uid_count,
		const struct oci_id_mapping *gids, size_t gid_count, struct err *err)
{
	int r = 0;
	if (geteuid() != 0) {
		/* user_namespaces(7): without privilege a gid map needs setgroups(2) to be given up first */
		char name[64];
		(void)snprintf(name, sizeof name, "%d/setgroups", pid);
		r = file_write_kernel(proc_fd, name, "deny", err);
	}
	if (r == 0)
		r = write_map(proc_fd, pid, "uid_map", uids, uid_count, err);
	if (r == 0)
		r = write_map(proc_fd, pid, "gid_map", gids, gid_count, err);
	return r;
}

int idmap_make_namespace(int proc_fd, const struct oci_id_mapping *uids, size_t uid_count,
			 const struct oci_id_mapping *gids, size_t gid_count, int *ret_fd, struct err *err)
{
	scoped_fd int pidfd = -1;
	pid_t pid = process_clone(&(struct process_clone){.flags = CLONE_NEWUSER, .cgroup_fd = -1}, &pidfd);
	if (pid < 0)
		return err_sys(err, pid, "idmap.namespace", "make a user namespace");
	if (pid == 0)
		for (;;)
			(void)pause(); /* until killed */
	int r = idmap_write(proc_fd, pid, uids, uid_count, gids, gid_count, err);
	char name[64];
	(void)snprintf(name, sizeof name, "%d/ns/user", pid);
	int fd = openat(proc_fd, name, O_RDONLY | O_CLOEXEC);
	if (r == 0 && fd < 0)
		r = err_sys(err, -errno, "idmap.namespace", "open the user namespace");
	(void)pidfd_signal(pidfd, SIGKILL);
	int status = 0;
	(void)pidfd_wait(pidfd, &status); /* only reaped */
	if (r < 0 && fd >= 0)
		(void)close(fd);
	if (r == 0)
		*ret_fd = fd;
	return r;
}
