#include "runtime/src/monitor/privileges.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/array.h"
#include "core/base/err.h"

/* capset(2) itself: libcap would cost a library for two calls. */
struct sets {
	struct __user_cap_data_struct words[_LINUX_CAPABILITY_U32S_3];
};

static const uint32_t NEEDED[] = {
	[PRIVILEGE_SIGNAL] = 1U << CAP_KILL,
	[PRIVILEGE_INSPECT] = 1U << CAP_SYS_PTRACE,
	[PRIVILEGE_REOPEN] = 1U << CAP_SYS_PTRACE | 1U << CAP_DAC_OVERRIDE,
};

static int get(struct sets *ret_sets)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	return syscall(SYS_capget, &header, ret_sets->words) < 0 ? -errno : 0;
}

static int set(const struct sets *sets)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	return syscall(SYS_capset, &header, sets->words) < 0 ? -errno : 0;
}

/* The capabilities of all these steps together. */
static uint32_t needed_by(unsigned steps)
{
	uint32_t needed = 0;
	for (unsigned i = 0; i < ARRAY_COUNT(NEEDED); i++)
		needed |= steps & 1U << i ? NEEDED[i] : 0;
	return needed;
}

int privileges_drop(struct err *err)
{
	struct sets sets = {0};
	int r = get(&sets);
	if (r == 0) {
		uint32_t kept = sets.words[0].permitted & needed_by(~0U);
		sets = (struct sets){.words[0].permitted = kept};
		(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0,
			    0); /* follows from the empty inheritable set too */
		r = set(&sets);
	}
	if (r == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		r = -errno;
	return r < 0 ? err_sys(err, r, "monitor.privileges", "drop capabilities") : 0;
}

void privileges_keep(unsigned steps)
{
	struct sets sets = {0};
	if (get(&sets) < 0)
		return;
	sets.words[0].effective = 0;
	sets.words[0].permitted &= needed_by(steps);
	(void)set(&sets); /* giving up cannot be refused */
}

static void set_effective(uint32_t wanted)
{
	struct sets sets = {0};
	if (get(&sets) < 0)
		return;
	sets.words[0].effective = sets.words[0].permitted & wanted;
	(void)set(&sets); /* the step fails by itself, and says so */
}

void privileges_raise(enum privilege privilege)
{
	set_effective(NEEDED[privilege]);
}

void privileges_lower(void)
{
	set_effective(0);
}

bool privileges_have(enum privilege privilege)
{
	struct sets sets = {0};
	return get(&sets) == 0 && (sets.words[0].permitted & NEEDED[privilege]) == NEEDED[privilege];
}
