#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "manager/src/spec_internal.h"

#define FOLDER_DEPTH_MAX 8

/* What a container has of its own, where all of the host's /dev is asked for. */
static const char *const SKIPPED[] = {".", "..", "pts", "shm", "fd", "mqueue", "console", "ptmx", NULL};

static int refuse(struct spec_builder *builder, const char *path, int code, const char *why)
{
	return err_set(builder->err, code, "container.device", "device %s: %s", path, why);
}

/* Room for one more of each. */
static int reserve(struct spec_builder *builder, struct spec_devices *list)
{
	if (list->count < list->capacity && list->rules_count < list->capacity)
		return 0;
	if (list->capacity >= SPEC_DEVICES_MAX)
		return err_set(builder->err, -E2BIG, "container.device", "devices: expected at most %d", SPEC_DEVICES_MAX);
	size_t capacity = list->capacity ? list->capacity * 2 : 32;
	struct oci_device *devices = arena_array(builder->arena, capacity, sizeof *devices);
	struct oci_device_rule *rules = arena_array(builder->arena, capacity, sizeof *rules);
	if (!devices || !rules)
		return -ENOMEM;
	if (list->count)
		memcpy(devices, list->devices, list->count * sizeof *devices);
	if (list->rules_count)
		memcpy(rules, list->rules, list->rules_count * sizeof *rules);
	list->devices = devices;
	list->rules = rules;
	list->capacity = capacity;
	return 0;
}

/* A later one replaces an earlier one at the same path. */
static void put_device(struct spec_devices *list, const struct oci_device *device)
{
	size_t at = 0;
	while (at < list->count && !str_equal(list->devices[at].path, device->path))
		at++;
	list->devices[at] = *device;
	if (at == list->count)
		list->count++;
}

int spec_add_device(struct spec_builder *builder, struct spec_devices *list, const struct oci_device *device,
		    const char *access)
{
	int r = reserve(builder, list);
	int64_t *numbers = arena_array(builder->arena, 2, sizeof *numbers);
	if (r < 0 || !numbers)
		return r < 0 ? r : -ENOMEM;
	put_device(list, device);
	if (!access || str_equal(device->type, "p"))
		return 0; /* the cgroup has no say over FIFOs */
	numbers[0] = device->major;
	numbers[1] = device->minor;
	list->rules[list->rules_count++] = (struct oci_device_rule){
		.allow = true,
		.type = str_equal(device->type, "u") ? "c" : device->type,
		.major = &numbers[0],
		.minor = &numbers[1],
		.access = access,
	};
	return 0;
}

int spec_describe_device(struct spec_builder *builder, const char *host_path, const struct stat *status,
			 const char *path, struct oci_device *ret_device)
{
	uint32_t *numbers = arena_array(builder->arena, 3, sizeof *numbers);
	if (!numbers)
		return -ENOMEM;
	if (!S_ISCHR(status->st_mode) && !S_ISBLK(status->st_mode) && !S_ISFIFO(status->st_mode))
		return refuse(builder, host_path, -EINVAL, "expected a device node");
	numbers[0] = status->st_mode & 07777;
	numbers[1] = status->st_uid;
	numbers[2] = status->st_gid;
	*ret_device = (struct oci_device){
		.type = S_ISCHR(status->st_mode) ? "c" : S_ISBLK(status->st_mode) ? "b" : "p",
		.path = path,
		.major = S_ISFIFO(status->st_mode) ? 0 : major(status->st_rdev),
		.minor = S_ISFIFO(status->st_mode) ? 0 : minor(status->st_rdev),
		.file_mode = &numbers[0],
		.uid = &numbers[1],
		.gid = &numbers[2],
	};
	return 0;
}

static int add_node(struct spec_builder *builder, struct spec_devices *list, const Cri__Device *wanted,
		    const char *host_path, const struct stat *status, const char *path)
{
	struct oci_device device = {0};
	int r = spec_describe_device(builder, host_path, status, path, &device);
	if (r < 0)
		return r;
	return spec_add_device(builder, list, &device, str_empty(wanted->permissions) ? "rwm" : wanted->permissions);
}

static void close_folder(DIR **folder)
{
	if (*folder)
		(void)closedir(*folder);
}

/* A directory stands for all devices in it (and below), at the same names below the container's path; what is no device
 * there is left out, as containerd and CRI-O do. */
static int add_folder(struct spec_builder *builder, struct spec_devices *list, const Cri__Device *wanted,
		      const char *host_path, const char *path, int depth)
{
	__attribute__((cleanup(close_folder))) DIR *folder = opendir(host_path);
	if (!folder)
		return err_sys(builder->err, -errno, "container.device", "device %s", host_path);
	for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
		if (strv_contains(SKIPPED, entry->d_name))
			continue;
		const char *from = arena_printf(builder->arena, "%s/%s", host_path, entry->d_name);
		const char *to = arena_printf(builder->arena, "%s/%s", path, entry->d_name);
		struct stat status = {0};
		if (!from || !to)
			return -ENOMEM;
		if (lstat(from, &status) < 0)
			continue; /* it has just gone */
		int r = 0;
		if (S_ISDIR(status.st_mode) && depth < FOLDER_DEPTH_MAX)
			r = add_folder(builder, list, wanted, from, to, depth + 1);
		else if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode))
			r = add_node(builder, list, wanted, from, &status, to);
		if (r < 0)
			return r;
	}
	return 0;
}

bool spec_device_access_is_valid(const char *access)
{
	return strspn(access, "rwm") == strlen(access) && strlen(access) <= 3;
}

static int add_wanted(struct spec_builder *builder, struct spec_devices *list, const Cri__Device *wanted)
{
	const char *path = str_empty(wanted->container_path) ? wanted->host_path : wanted->container_path;
	struct stat status = {0};
	if (wanted->host_path[0] != '/' || path[0] != '/')
		return refuse(builder, wanted->host_path, -EINVAL, "expected absolute paths");
	if (!spec_device_access_is_valid(wanted->permissions))
		return err_set(builder->err, -EINVAL, "container.device",
			       "device %s: permissions \"%s\": expected some of r, w and m", wanted->host_path,
			       wanted->permissions);
	if (stat(wanted->host_path, &status) < 0)
		return err_sys(builder->err, -errno, "container.device", "device %s", wanted->host_path);
	if (S_ISFIFO(status.st_mode))
		return refuse(builder, wanted->host_path, -EINVAL, "expected a device node, or a directory of them");
	if (!S_ISDIR(status.st_mode))
		return add_node(builder, list, wanted, wanted->host_path, &status, path);
	size_t before = list->count;
	int r = add_folder(builder, list, wanted, wanted->host_path, path, 0);
	if (r == 0 && list->count == before)
		r = refuse(builder, wanted->host_path, -EINVAL, "there is no device node in this directory");
	return r;
}

int spec_make_devices(struct spec_builder *builder, struct spec_devices *ret_devices)
{
	const struct spec_input *input = builder->input;
	bool privileged = spec_security(input)->privileged;
	struct spec_devices list = {0};
	int r = reserve(builder, &list);
	if (r < 0)
		return r;
	list.rules[list.rules_count++] = (struct oci_device_rule){.allow = privileged, .access = "rwm"};
	for (size_t i = 0; r == 0 && privileged && i < input->host_devices_count; i++)
		r = spec_add_device(builder, &list, &input->host_devices[i], NULL);
	for (size_t i = 0; r == 0 && i < input->container->n_devices; i++)
		r = add_wanted(builder, &list, input->container->devices[i]);
	if (r == 0)
		r = spec_add_cdi_devices(builder, &list);
	*ret_devices = list;
	return r;
}
