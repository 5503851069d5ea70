/* What a start costs at least: the namespaces, mounts, device rules and cgroups of `axrun spec`'s configuration, made the
 * fast way (runtime/README.md, "The fast start") with nothing parsed, recorded, checked or reported.
 *
 *	floor ROOTFS ID [nocgroup]
 *
 * Runs /bin/true of ROOTFS and takes everything down again. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/sys/cgroup.h"
#include "core/sys/fd.h"
#include "core/sys/mount.h"
#include "core/sys/path.h"
#include "core/sys/pidfd.h"

#define NO_EXEC (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC)
#define LOCKED (NO_EXEC | MOUNT_ATTR_NODEV)

static const struct fresh {
	const char *place;
	const char *type;
	uint64_t attributes;
	struct mount_option options[4];
	size_t count;
} FRESH[] = {
	{"proc", "proc", 0, {{0}}, 0},
	{"dev", "tmpfs", MOUNT_ATTR_NOSUID, {{"mode", "755"}, {"size", "65536k"}}, 2},
	{"dev/pts", "devpts", NO_EXEC, {{"ptmxmode", "0666"}, {"mode", "0620"}, {"gid", "5"}}, 3},
	{"dev/shm", "tmpfs", LOCKED, {{"mode", "1777"}, {"size", "65536k"}}, 2},
	{"dev/mqueue", "mqueue", LOCKED, {{0}}, 0},
	{"sys", "sysfs", LOCKED | MOUNT_ATTR_RDONLY, {{0}}, 0},
	{"sys/fs/cgroup", "tmpfs", LOCKED, {{"mode", "755"}, {"size", "64k"}}, 2},
};

static const char *const DEVICE_RULES[] = {"c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm",
					   "c 1:9 rwm", "c 5:0 rwm", "c 5:1 rwm", "c 5:2 rwm", "c 136:* rwm"};
static const struct {
	const char *name;
	unsigned major, minor;
} NODES[] = {{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}};
static const char *const LINKS[][2] = {{"fd", "/proc/self/fd"},	    {"stdin", "/proc/self/fd/0"},
				       {"stdout", "/proc/self/fd/1"}, {"stderr", "/proc/self/fd/2"},
				       {"core", "/proc/kcore"},	      {"ptmx", "pts/ptmx"}};
static const char *const MASKED_FILES[] = {"proc/kcore", "proc/keys", "proc/latency_stats", "proc/timer_list", "proc/sched_debug"};
static const char *const MASKED_DIRS[] = {"proc/acpi", "proc/asound", "sys/firmware", "proc/scsi"};
static const char *const READ_ONLY[] = {"proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"};

static void __attribute__((noreturn)) fail(const char *what)
{
	(void)fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	_exit(1);
}

static void need(int r, const char *what)
{
	if (r >= 0)
		return;
	errno = r == -1 ? errno : -r;
	fail(what);
}

static int attach(int tree, int root, const char *place, mode_t mode)
{
	(void)mkdirat(root, place, mode); /* mostly there */
	int target = openat(root, place, O_PATH | O_CLOEXEC);
	need(target, place);
	need(mount_tree_attach(tree, target), place);
	(void)close(target);
	return tree;
}

static void make_fresh(int root)
{
	for (size_t i = 0; i < ARRAY_COUNT(FRESH); i++) {
		int tree = -1;
		need(mount_filesystem(FRESH[i].type, FRESH[i].options, FRESH[i].count, FRESH[i].attributes, &tree, NULL),
		     FRESH[i].place);
		(void)close(attach(tree, root, FRESH[i].place, 0755));
	}
}

static void make_cgroup_mounts(int root, const struct cgroup *group)
{
	int base = openat(root, "sys/fs/cgroup", O_PATH | O_CLOEXEC);
	struct mount_change locked = {.set = LOCKED | MOUNT_ATTR_RDONLY};
	for (size_t i = 0; group->layout && i < group->layout->count; i++) {
		char path[700];
		(void)snprintf(path, sizeof path, CGROUP_ROOT "/%s/%s", group->layout->hierarchies[i].directory, group->path);
		int tree = -1;
		need(mount_tree_open(AT_FDCWD, path, false, &tree), path);
		need(mount_change(tree, false, &locked), path);
		(void)close(attach(tree, base, group->layout->hierarchies[i].directory, 0755));
	}
	need(mount_change(base, false, &locked), "cgroup tmpfs");
	(void)close(base);
}

static void make_devices(int root)
{
	int dev = openat(root, "dev", O_PATH | O_CLOEXEC);
	(void)umask(0);
	for (size_t i = 0; i < ARRAY_COUNT(NODES); i++)
		need(mknodat(dev, NODES[i].name, S_IFCHR | 0666, makedev(NODES[i].major, NODES[i].minor)), NODES[i].name);
	for (size_t i = 0; i < ARRAY_COUNT(LINKS); i++)
		need(symlinkat(LINKS[i][1], dev, LINKS[i][0]), LINKS[i][0]);
	(void)umask(022);
	(void)close(dev);
}

static void cover(int root, const char *place, int source)
{
	int target = openat(root, place, O_PATH | O_CLOEXEC);
	if (target < 0)
		return;
	int tree = -1;
	need(mount_tree_open(source, "", false, &tree), place);
	need(mount_tree_attach(tree, target), place);
	(void)close(tree);
	(void)close(target);
}

static void protect(int root)
{
	for (size_t i = 0; i < ARRAY_COUNT(READ_ONLY); i++) {
		int target = openat(root, READ_ONLY[i], O_PATH | O_CLOEXEC);
		int tree = -1;
		if (target < 0)
			continue;
		need(mount_tree_open(target, "", true, &tree), READ_ONLY[i]);
		need(mount_change(tree, true, &(struct mount_change){.set = MOUNT_ATTR_RDONLY}), READ_ONLY[i]);
		need(mount_tree_attach(tree, target), READ_ONLY[i]);
		(void)close(tree);
		(void)close(target);
	}
	int null_fd = open("/dev/null", O_PATH | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_COUNT(MASKED_FILES); i++)
		cover(root, MASKED_FILES[i], null_fd);
	int empty = -1;
	static const struct mount_option SMALL[] = {{"size", "4k"}, {"nr_inodes", "1"}};
	for (size_t i = 0; i < ARRAY_COUNT(MASKED_DIRS); i++) {
		int target = openat(root, MASKED_DIRS[i], O_PATH | O_CLOEXEC);
		if (target < 0)
			continue;
		if (empty >= 0) {
			cover(root, MASKED_DIRS[i], empty);
		} else {
			need(mount_filesystem("tmpfs", SMALL, 2, LOCKED | MOUNT_ATTR_RDONLY, &empty, NULL), "empty");
			need(mount_tree_attach(empty, target), "empty");
		}
		(void)close(target);
	}
}

static void drop_capabilities(void)
{
	const uint64_t kept = 1U << CAP_AUDIT_WRITE | 1U << CAP_KILL | 1U << CAP_NET_BIND_SERVICE;
	for (unsigned i = 0; i <= CAP_LAST_CAP; i++)
		if (!(kept >> i & 1))
			need(prctl(PR_CAPBSET_DROP, i, 0, 0, 0), "bounding set");
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{.effective = (uint32_t)kept, .permitted = (uint32_t)kept}};
	need((int)syscall(SYS_capset, &header, data), "capset");
	need(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
}

static void __attribute__((noreturn)) run(int tree, int entries[], const struct cgroup *group)
{
	need(cgroup_enter(entries, NULL), "enter");
	need(unshare(CLONE_NEWCGROUP), "cgroup namespace");
	need(sethostname("floor", 5), "hostname");
	need(setsid(), "session");
	int old_root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	need(mount_change(old_root, true, &(struct mount_change){.propagation = MS_SLAVE}), "propagation");
	need(mount_tree_attach(tree, old_root), "root");
	make_fresh(tree);
	make_cgroup_mounts(tree, group);
	make_devices(tree);
	protect(tree);
	need(mount_change(tree, false, &(struct mount_change){.set = MOUNT_ATTR_RDONLY}), "read-only");
	need(fchdir(tree), "root");
	need((int)syscall(SYS_pivot_root, ".", "."), "pivot_root");
	need(umount2(".", MNT_DETACH), "umount");
	need(chdir("/"), "root");
	drop_capabilities();
	(void)execl("/bin/true", "/bin/true", (char *)NULL);
	fail("exec");
}

static void limit_devices(const struct cgroup *group)
{
	bool v2 = false;
	int dir = cgroup_controller_fd(group, "devices", &v2);
	if (dir < 0 || v2)
		return;
	need(file_write_kernel(dir, "devices.deny", "a", NULL), "devices.deny");
	int fd = openat(dir, "devices.allow", O_WRONLY | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_COUNT(DEVICE_RULES); i++)
		need((int)write(fd, DEVICE_RULES[i], strlen(DEVICE_RULES[i])), DEVICE_RULES[i]);
	(void)close(fd);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return EXIT_FAILURE;
	struct cgroup_layout layout = {.v2_index = -1};
	struct cgroup group = {0};
	int entries[CGROUP_HIERARCHIES_MAX];
	bool groups = argc == 3;
	if (groups) {
		need(cgroup_layout_open(CGROUP_ROOT, &layout, NULL), "cgroups");
		need(cgroup_make(&layout, argv[2], &group, NULL), "cgroup");
		limit_devices(&group);
	}
	need(cgroup_open_entries(&group, false, entries, NULL), "entries");
	int tree = -1;
	need(mount_tree_open(AT_FDCWD, argv[1], true, &tree), argv[1]);
	need(mount_change(tree, true, &(struct mount_change){.propagation = MS_SLAVE}), argv[1]);
	struct process_clone how = {
		.flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS,
		.cgroup_fd = groups ? cgroup_v2_fd(&group) : -1,
	};
	int pidfd = -1, status = 0;
	pid_t pid = process_clone(&how, &pidfd);
	need(pid, "clone");
	if (pid == 0)
		run(tree, entries, &group);
	need(pidfd_wait(pidfd, &status), "wait");
	if (groups)
		need(cgroup_remove(&layout, argv[2], 1000, NULL), "remove");
	return status;
}
