#include "core/sys/ns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "core/base/err.h"
#include "core/base/scoped.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

const struct ns_kind NS_KIND[NS_KINDS] = {
	{"user", "user", CLONE_NEWUSER}, {"pid", "pid", CLONE_NEWPID},	    {"network", "net", CLONE_NEWNET},
	{"ipc", "ipc", CLONE_NEWIPC},	 {"uts", "uts", CLONE_NEWUTS},	    {"cgroup", "cgroup", CLONE_NEWCGROUP},
	{"time", "time", CLONE_NEWTIME}, {"mount", "mnt", CLONE_NEWNS},
};

const struct ns_kind *ns_kind_find(const char *name)
{
	for (size_t i = 0; i < NS_KINDS; i++)
		if (strcmp(NS_KIND[i].name, name) == 0)
			return &NS_KIND[i];
	return NULL;
}

const struct ns_kind *ns_kind_of_flag(uint64_t flag)
{
	for (size_t i = 0; i < NS_KINDS; i++)
		if (NS_KIND[i].flag == flag)
			return &NS_KIND[i];
	return NULL;
}

int ns_open(const char *path, const struct ns_kind *kind, int *ret_fd, struct err *err)
{
	scoped_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return err_sys(err, -errno, "ns.open", "open the %s namespace %s", kind->name, path);
	int type = ioctl(fd, NS_GET_NSTYPE);
	if (type < 0 || (uint64_t)type != kind->flag)
		return err_set(err, -EINVAL, "ns.kind", "%s: expected a %s namespace", path, kind->name);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int ns_open_of_process(int pid, const struct ns_kind *kind, int *ret_fd, struct err *err)
{
	char path[64];
	(void)snprintf(path, sizeof path, "/proc/%d/ns/%s", pid, kind->proc_name);
	return ns_open(path, kind, ret_fd, err);
}

int ns_join(int fd, const struct ns_kind *kind, struct err *err)
{
	if (setns(fd, (int)kind->flag) < 0)
		return err_sys(err, -errno, "ns.join", "join the %s namespace", kind->name);
	return 0;
}
