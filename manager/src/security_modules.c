#include "manager/src/security_modules.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/sys/fd.h"

#define PROFILES_BYTES_MAX (4 << 20)
#define CATEGORIES 1024 /* of MCS, in the reference policy */

static char *path_below(const struct security_modules *modules, const char *name)
{
	return str_printf("%s/%s", modules->sysfs, name);
}

static bool is_there(const struct security_modules *modules, const char *name)
{
	scoped_free char *path = path_below(modules, name);
	return path && access(path, F_OK) == 0;
}

/* "Y" where it was not switched off at boot. */
static bool is_apparmor_on(const struct security_modules *modules)
{
	scoped_free char *path = path_below(modules, "module/apparmor/parameters/enabled");
	scoped_done(buf_done) struct buf text = {.max = 16};
	return path && file_read_at(AT_FDCWD, path, &text, NULL) == 0 && text.size && text.data[0] == 'Y';
}

void security_modules_find(const char *sysfs, struct security_modules *ret_modules)
{
	struct security_modules modules = {.sysfs = sysfs};
	modules.apparmor = is_apparmor_on(&modules) && is_there(&modules, "kernel/security/apparmor/profiles");
	modules.selinux = is_there(&modules, "fs/selinux/context");
	*ret_modules = modules;
}

/* One line for each: "NAME (MODE)". */
int apparmor_is_loaded(const struct security_modules *modules, const char *profile, struct err *err)
{
	scoped_free char *path = path_below(modules, "kernel/security/apparmor/profiles");
	scoped_done(buf_done) struct buf text = {.max = PROFILES_BYTES_MAX};
	if (!path)
		return err_memory(err, "AppArmor's profiles");
	int r = file_read_at(AT_FDCWD, path, &text, err);
	if (r < 0)
		return r;
	size_t length = strlen(profile);
	for (const char *line = text.data ? text.data : ""; *line; line += strcspn(line, "\n"), line += *line == '\n')
		if (strncmp(line, profile, length) == 0 && strncmp(line + length, " (", 2) == 0)
			return 1;
	return 0;
}

/* Two different categories, the same for each container of the pod: FNV-1a over its id. */
static void categories_of(const char *pod_id, unsigned *ret_low, unsigned *ret_high)
{
	uint64_t hash = UINT64_C(14695981039346656037);
	for (const char *c = pod_id; *c; c++)
		hash = (hash ^ (unsigned char)*c) * UINT64_C(1099511628211);
	unsigned one = (unsigned)(hash % CATEGORIES);
	unsigned other = (unsigned)(hash / CATEGORIES % (CATEGORIES - 1));
	other += other >= one;
	*ret_low = one < other ? one : other;
	*ret_high = one < other ? other : one;
}

static const char *or_usual(const char *text, const char *usual)
{
	return str_empty(text) ? usual : text;
}

int selinux_make_labels(const Cri__SELinuxOption *options, const char *pod_id, struct arena *arena,
			struct selinux_labels *ret_labels)
{
	static const Cri__SELinuxOption NONE = CRI__SELINUX_OPTION__INIT;
	if (!options)
		options = &NONE;
	unsigned low = 0;
	unsigned high = 0;
	categories_of(pod_id, &low, &high);
	const char *level = str_empty(options->level) ? arena_printf(arena, "s0:c%u,c%u", low, high) : options->level;
	const char *user = or_usual(options->user, "system_u");
	if (!level)
		return -ENOMEM;
	*ret_labels = (struct selinux_labels){
		.process = arena_printf(arena, "%s:%s:%s:%s", user, or_usual(options->role, "system_r"),
					or_usual(options->type, "container_t"), level),
		.mount = arena_printf(arena, "%s:object_r:container_file_t:%s", user, level),
	};
	return ret_labels->process && ret_labels->mount ? 0 : -ENOMEM;
}

int selinux_check_label(const struct security_modules *modules, const char *label, struct err *err)
{
	scoped_free char *path = path_below(modules, "fs/selinux/context");
	if (!path)
		return err_memory(err, "SELinux's labels");
	scoped_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, -errno, "container.selinux", "open %s", path);
	if (write(fd, label, strlen(label)) < 0)
		return err_set(err, errno == EINVAL ? -EINVAL : -errno, "container.selinux",
			       "SELinux label \"%s\": the loaded policy does not know it", label);
	return 0;
}
