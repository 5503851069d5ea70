#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "manager/src/spec_internal.h"

static int add_device(struct spec_builder *builder, const Cri__Device *wanted, struct oci_device *ret_device,
		      struct oci_device_rule *ret_rule)
{
	struct stat status = {0};
	if (stat(wanted->host_path, &status) < 0)
		return err_sys(builder->err, -errno, "container.device", "device %s", wanted->host_path);
	if (!S_ISCHR(status.st_mode) && !S_ISBLK(status.st_mode))
		return err_set(builder->err, -EINVAL, "container.device", "device %s: expected a device node",
			       wanted->host_path);
	uint32_t *mode = arena_alloc(builder->arena, sizeof *mode);
	uint32_t *uid = arena_alloc(builder->arena, sizeof *uid);
	uint32_t *gid = arena_alloc(builder->arena, sizeof *gid);
	int64_t *numbers = arena_array(builder->arena, 2, sizeof *numbers);
	if (!mode || !uid || !gid || !numbers)
		return -ENOMEM;
	*mode = status.st_mode & 07777;
	*uid = status.st_uid;
	*gid = status.st_gid;
	numbers[0] = major(status.st_rdev);
	numbers[1] = minor(status.st_rdev);
	const char *type = S_ISCHR(status.st_mode) ? "c" : "b";
	*ret_device = (struct oci_device){
		.type = type,
		.path = str_empty(wanted->container_path) ? wanted->host_path : wanted->container_path,
		.major = numbers[0],
		.minor = numbers[1],
		.file_mode = mode,
		.uid = uid,
		.gid = gid,
	};
	*ret_rule = (struct oci_device_rule){
		.allow = true,
		.type = type,
		.major = &numbers[0],
		.minor = &numbers[1],
		.access = str_empty(wanted->permissions) ? "rwm" : wanted->permissions,
	};
	return 0;
}

int spec_make_devices(struct spec_builder *builder, struct oci_linux *linux_, struct oci_resources *resources)
{
	const struct spec_input *input = builder->input;
	size_t own = input->container->n_devices;
	bool privileged = spec_security(input)->privileged;
	size_t host = privileged ? input->host_devices_count : 0;
	struct oci_device *devices = arena_array(builder->arena, own + host + 1, sizeof *devices);
	struct oci_device_rule *rules = arena_array(builder->arena, own + 1, sizeof *rules);
	if (!devices || !rules)
		return -ENOMEM;
	if (host)
		memcpy(devices, input->host_devices, host * sizeof *devices);
	rules[0] = (struct oci_device_rule){.allow = privileged, .access = "rwm"};
	for (size_t i = 0; i < own; i++) {
		int r = add_device(builder, input->container->devices[i], &devices[host + i], &rules[1 + i]);
		if (r < 0)
			return r;
	}
	linux_->devices = devices;
	linux_->devices_count = host + own;
	resources->devices = rules;
	resources->devices_count = own + 1;
	return 0;
}
