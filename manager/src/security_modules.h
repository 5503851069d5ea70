/* AppArmor and SELinux, where this kernel has them. */
#pragma once

#include <stdbool.h>

#include "proto/cri.h"

struct arena;
struct err;

#define APPARMOR_DEFAULT_PROFILE "axle-default" /* /etc/apparmor.d/axle-default */

struct security_modules {
	const char *sysfs; /* "/sys"; borrowed */
	bool apparmor;	   /* on, and its list of profiles can be read */
	bool selinux;
};

/* Looks below @sysfs. */
void security_modules_find(const char *sysfs, struct security_modules *ret_modules);

/* Is there such a profile in the kernel? Errors: of open(2) and read(2). Returns 1 or 0. */
int apparmor_is_loaded(const struct security_modules *modules, const char *profile, struct err *err);

/* The labels of a container: of its processes, and of the files that are its own. */
struct selinux_labels {
	const char *process;
	const char *mount;
};

/* Makes them of @options (NULL: none; what is left out is as usual: system_u, container_t). Without a level, two categories
 * that follow from @pod_id keep pods apart. All of it lies in @arena. Errors: -ENOMEM. */
int selinux_make_labels(const Cri__SELinuxOption *options, const char *pod_id, struct arena *arena,
			struct selinux_labels *ret_labels);

/* Does the loaded policy know this label? Errors: -EINVAL (container.selinux: it does not), of open(2). */
int selinux_check_label(const struct security_modules *modules, const char *label, struct err *err);
