#include "manager/src/host_devices.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/codec/oci_runtime.h"

#define DEPTH_MAX 4

/* What a container has of its own, or what is no device of the host's. */
static const char *const SKIPPED[] = {"pts",  "shm",  "fd",	"mqueue", "console", "ptmx",	"stdin", "stdout", "stderr",
				      "core", "null", "zero", "full",	"random", "urandom", "tty",	NULL};

struct list {
	struct arena *arena;
	struct oci_device *devices;
	size_t count;
};

static void close_folder(DIR **folder)
{
	if (*folder)
		(void)closedir(*folder);
}

static int add(struct list *list, const char *path, const struct stat *status)
{
	uint32_t *numbers = arena_array(list->arena, 3, sizeof *numbers);
	const char *copy = arena_strdup(list->arena, path);
	if (!numbers || !copy)
		return -ENOMEM;
	numbers[0] = status->st_mode & 07777;
	numbers[1] = status->st_uid;
	numbers[2] = status->st_gid;
	list->devices[list->count++] = (struct oci_device){
		.type = S_ISCHR(status->st_mode) ? "c" : "b",
		.path = copy,
		.major = major(status->st_rdev),
		.minor = minor(status->st_rdev),
		.file_mode = &numbers[0],
		.uid = &numbers[1],
		.gid = &numbers[2],
	};
	return 0;
}

static int walk(struct list *list, const char *folder_path, int depth)
{
	__attribute__((cleanup(close_folder))) DIR *folder = opendir(folder_path);
	for (struct dirent *entry = folder ? readdir(folder) : NULL; entry; entry = readdir(folder)) {
		if (entry->d_name[0] == '.' || strv_contains(SKIPPED, entry->d_name))
			continue;
		scoped_free char *path = str_printf("%s/%s", folder_path, entry->d_name);
		struct stat status = {0};
		if (!path)
			return -ENOMEM;
		if (lstat(path, &status) < 0)
			continue;
		int r = 0;
		if (S_ISDIR(status.st_mode) && depth < DEPTH_MAX)
			r = walk(list, path, depth + 1);
		else if ((S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) && list->count < HOST_DEVICES_MAX)
			r = add(list, path, &status);
		if (r < 0)
			return r;
	}
	return 0;
}

int host_devices_list(struct arena *arena, const struct oci_device **ret_devices, size_t *ret_count)
{
	struct list list = {.arena = arena, .devices = arena_array(arena, HOST_DEVICES_MAX, sizeof *list.devices)};
	int r = list.devices ? walk(&list, "/dev", 0) : -ENOMEM;
	*ret_devices = list.devices;
	*ret_count = list.count;
	return r;
}
