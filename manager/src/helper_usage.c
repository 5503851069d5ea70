/* axhelper: what must be looked up from inside a namespace, or takes long to count. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/sys/disk_usage.h"
#include "manager/src/helper_work.h"

int helper_net_open(const struct helper_net_open *request, int *ret_file, struct err *err)
{
	scoped_fd int pin = open(request->pin, O_RDONLY | O_CLOEXEC);
	if (pin < 0)
		return err_sys(err, -errno, "net.open", "open %s", request->pin);
	if (setns(pin, CLONE_NEWNET) < 0)
		return err_sys(err, -errno, "net.open", "enter %s", request->pin);
	int fd = open("/proc/thread-self/net/dev", O_RDONLY | O_CLOEXEC); /* what it shows is settled by who opens it */
	if (fd < 0)
		return err_sys(err, -errno, "net.open", "open /proc/thread-self/net/dev in %s", request->pin);
	*ret_file = fd;
	return 0;
}

int helper_disk_usage(const struct helper_disk_usage *request, struct arena *arena, struct helper_reply *ret_reply,
		      struct err *err)
{
	size_t count = strv_count(request->trees);
	if (count > HELPER_TREES_MAX)
		return err_set(err, -E2BIG, "disk-usage", "%zu trees: expected at most %d", count, HELPER_TREES_MAX);
	struct helper_tree_usage *trees = arena_array(arena, count + 1, sizeof *trees);
	if (!trees)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		struct disk_usage usage = {0};
		int r = disk_usage_of(request->trees[i], &usage, err);
		if (r < 0 && r != -ENOENT)
			return r;
		trees[i] = (struct helper_tree_usage){usage.bytes, usage.inodes};
	}
	ret_reply->trees = trees;
	ret_reply->trees_count = count;
	return 0;
}
