#include "runtime/src/axrun/process_limits.h"

#include <errno.h>
#include <linux/ioprio.h>
#include <linux/sched.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/codec/oci_runtime.h"

/* sched_setattr(2): linux/sched/types.h, which cannot be included beside sched.h. */
struct scheduling {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime;
	uint64_t deadline;
	uint64_t period;
};

struct name_row {
	const char *name;
	int value;
};

static const struct name_row RLIMITS[] = {
	{"RLIMIT_AS", RLIMIT_AS},	      {"RLIMIT_CORE", RLIMIT_CORE},
	{"RLIMIT_CPU", RLIMIT_CPU},	      {"RLIMIT_DATA", RLIMIT_DATA},
	{"RLIMIT_FSIZE", RLIMIT_FSIZE},	      {"RLIMIT_LOCKS", RLIMIT_LOCKS},
	{"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},   {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
	{"RLIMIT_NICE", RLIMIT_NICE},	      {"RLIMIT_NOFILE", RLIMIT_NOFILE},
	{"RLIMIT_NPROC", RLIMIT_NPROC},	      {"RLIMIT_RSS", RLIMIT_RSS},
	{"RLIMIT_RTPRIO", RLIMIT_RTPRIO},     {"RLIMIT_RTTIME", RLIMIT_RTTIME},
	{"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING}, {"RLIMIT_STACK", RLIMIT_STACK},
};

static const struct name_row IO_CLASSES[] = {
	{"IOPRIO_CLASS_RT", IOPRIO_CLASS_RT},
	{"IOPRIO_CLASS_BE", IOPRIO_CLASS_BE},
	{"IOPRIO_CLASS_IDLE", IOPRIO_CLASS_IDLE},
};

static const struct name_row POLICIES[] = {
	{"SCHED_OTHER", SCHED_OTHER}, {"SCHED_FIFO", SCHED_FIFO}, {"SCHED_RR", SCHED_RR}, {"SCHED_BATCH", SCHED_BATCH},
	{"SCHED_ISO", 4},	      {"SCHED_IDLE", SCHED_IDLE}, {"SCHED_DEADLINE", 6},
};

static const struct name_row SCHED_FLAGS[] = {
	{"SCHED_FLAG_RESET_ON_FORK", SCHED_FLAG_RESET_ON_FORK}, {"SCHED_FLAG_RECLAIM", SCHED_FLAG_RECLAIM},
	{"SCHED_FLAG_DL_OVERRUN", SCHED_FLAG_DL_OVERRUN},	{"SCHED_FLAG_KEEP_POLICY", SCHED_FLAG_KEEP_POLICY},
	{"SCHED_FLAG_KEEP_PARAMS", SCHED_FLAG_KEEP_PARAMS},	{"SCHED_FLAG_UTIL_CLAMP_MIN", SCHED_FLAG_UTIL_CLAMP_MIN},
	{"SCHED_FLAG_UTIL_CLAMP_MAX", SCHED_FLAG_UTIL_CLAMP_MAX},
};

static int find(const struct name_row *rows, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(rows[i].name, name) == 0)
			return rows[i].value;
	return -EINVAL;
}

int rlimit_parse(const char *type)
{
	return find(RLIMITS, ARRAY_COUNT(RLIMITS), type);
}

int rlimits_apply(pid_t pid, const struct oci_process *process, struct err *err)
{
	for (size_t i = 0; i < process->rlimits_count; i++) {
		const struct oci_rlimit *limit = &process->rlimits[i];
		int resource = rlimit_parse(limit->type);
		if (resource < 0)
			return err_set(err, -EINVAL, "process.rlimit", "%s: unknown resource limit", limit->type);
		struct rlimit value = {.rlim_cur = limit->soft, .rlim_max = limit->hard};
		if (prlimit(pid, (unsigned)resource, &value, NULL) < 0)
			return err_sys(err, -errno, "process.rlimit", "set %s to %llu (hard %llu)", limit->type,
				       (unsigned long long)limit->soft, (unsigned long long)limit->hard);
	}
	return 0;
}

static int apply_io_priority(const struct oci_io_priority *priority, struct err *err)
{
	int class = find(IO_CLASSES, ARRAY_COUNT(IO_CLASSES), priority->class);
	if (class < 0)
		return err_set(err, -EINVAL, "process.io-priority", "ioPriority.class: unknown class \"%s\"", priority->class);
	if (syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(class, priority->priority)) < 0)
		return err_sys(err, -errno, "process.io-priority", "set the I/O priority %s %d", priority->class,
			       priority->priority);
	return 0;
}

static int apply_scheduler(const struct oci_scheduler *scheduler, struct err *err)
{
	int policy = find(POLICIES, ARRAY_COUNT(POLICIES), scheduler->policy);
	if (policy < 0)
		return err_set(err, -EINVAL, "process.scheduler", "scheduler.policy: unknown policy \"%s\"",
			       scheduler->policy);
	struct scheduling attr = {
		.size = sizeof attr,
		.policy = (unsigned)policy,
		.nice = scheduler->nice,
		.priority = (uint32_t)scheduler->priority,
		.runtime = scheduler->runtime,
		.deadline = scheduler->deadline,
		.period = scheduler->period,
	};
	for (size_t i = 0; scheduler->flags && scheduler->flags[i]; i++) {
		int flag = find(SCHED_FLAGS, ARRAY_COUNT(SCHED_FLAGS), scheduler->flags[i]);
		if (flag < 0)
			return err_set(err, -EINVAL, "process.scheduler", "scheduler.flags: unknown flag \"%s\"",
				       scheduler->flags[i]);
		attr.flags |= (unsigned)flag;
	}
	if (syscall(SYS_sched_setattr, 0, &attr, 0) < 0)
		return err_sys(err, -errno, "process.scheduler", "set the scheduler %s", scheduler->policy);
	return 0;
}

int scheduling_apply(const struct oci_process *process, struct err *err)
{
	int r = process->io_priority ? apply_io_priority(process->io_priority, err) : 0;
	if (r == 0 && process->scheduler)
		r = apply_scheduler(process->scheduler, err);
	return r;
}
