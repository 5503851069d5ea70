#include "runtime/src/axrun/capability.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/codec/oci_runtime.h"

/* linux/capability.h, by number. */
static const char *const NAMES[] = {
	"CAP_CHOWN",	     "CAP_DAC_OVERRIDE",    "CAP_DAC_READ_SEARCH", "CAP_FOWNER",	   "CAP_FSETID",
	"CAP_KILL",	     "CAP_SETGID",	    "CAP_SETUID",	   "CAP_SETPCAP",	   "CAP_LINUX_IMMUTABLE",
	"CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN",	   "CAP_NET_RAW",	   "CAP_IPC_LOCK",
	"CAP_IPC_OWNER",     "CAP_SYS_MODULE",	    "CAP_SYS_RAWIO",	   "CAP_SYS_CHROOT",	   "CAP_SYS_PTRACE",
	"CAP_SYS_PACCT",     "CAP_SYS_ADMIN",	    "CAP_SYS_BOOT",	   "CAP_SYS_NICE",	   "CAP_SYS_RESOURCE",
	"CAP_SYS_TIME",	     "CAP_SYS_TTY_CONFIG",  "CAP_MKNOD",	   "CAP_LEASE",		   "CAP_AUDIT_WRITE",
	"CAP_AUDIT_CONTROL", "CAP_SETFCAP",	    "CAP_MAC_OVERRIDE",	   "CAP_MAC_ADMIN",	   "CAP_SYSLOG",
	"CAP_WAKE_ALARM",    "CAP_BLOCK_SUSPEND",   "CAP_AUDIT_READ",	   "CAP_PERFMON",	   "CAP_BPF",
	"CAP_CHECKPOINT_RESTORE",
};

#define BIT(number) ((uint64_t)1 << (number))

int capability_parse(const char *name)
{
	const char *bare = strncasecmp(name, "CAP_", 4) == 0 ? name + 4 : name;
	for (size_t i = 0; i < ARRAY_COUNT(NAMES); i++)
		if (strcasecmp(NAMES[i] + 4, bare) == 0)
			return (int)i;
	return -EINVAL;
}

const char *capability_name(unsigned number)
{
	return number < ARRAY_COUNT(NAMES) ? NAMES[number] : NULL;
}

static uint64_t parse_set(const char *const *names, uint64_t available)
{
	uint64_t set = 0;
	for (size_t i = 0; names && names[i]; i++) {
		int number = capability_parse(names[i]);
		if (number >= 0)
			set |= BIT(number);
	}
	return set & available;
}

void capability_sets_from_oci(const struct oci_capabilities *oci, uint64_t available, struct capability_sets *ret_sets)
{
	*ret_sets = (struct capability_sets){0};
	if (!oci)
		return;
	ret_sets->bounding = parse_set(oci->bounding, available);
	ret_sets->permitted = parse_set(oci->permitted, available);
	ret_sets->effective = parse_set(oci->effective, ret_sets->permitted);
	ret_sets->inheritable = parse_set(oci->inheritable, available);
	/* capabilities(7): ambient is within permitted and inheritable */
	ret_sets->ambient = parse_set(oci->ambient, ret_sets->permitted & ret_sets->inheritable);
}

uint64_t capability_bounding_set(void)
{
	uint64_t set = 0;
	for (unsigned i = 0; i < ARRAY_COUNT(NAMES); i++)
		if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1)
			set |= BIT(i);
	return set;
}

int capability_limit_bounding(uint64_t bounding, struct err *err)
{
	for (unsigned i = 0; i < 64; i++) {
		if (bounding & BIT(i))
			continue;
		if (prctl(PR_CAPBSET_DROP, i, 0, 0, 0) == 0)
			continue;
		if (errno == EINVAL)
			break; /* beyond the kernel's last */
		return err_sys(err, -errno, "capability.bounding", "drop capability %u from the bounding set", i);
	}
	return 0;
}

static int raise_ambient(uint64_t ambient, struct err *err)
{
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return err_sys(err, -errno, "capability.ambient", "clear the ambient capabilities");
	for (unsigned i = 0; i < 64; i++)
		if (ambient & BIT(i) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) < 0)
			return err_sys(err, -errno, "capability.ambient", "raise ambient capability %u", i);
	return 0;
}

int capability_apply(const struct capability_sets *sets, struct err *err)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};
	for (unsigned i = 0; i < 2; i++) {
		data[i].effective = (uint32_t)(sets->effective >> 32 * i);
		data[i].permitted = (uint32_t)(sets->permitted >> 32 * i);
		data[i].inheritable = (uint32_t)(sets->inheritable >> 32 * i);
	}
	if (syscall(SYS_capset, &header, data) < 0)
		return err_sys(err, -errno, "capability.set", "set the capabilities");
	return raise_ambient(sets->ambient, err);
}
