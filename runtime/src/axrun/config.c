#include "runtime/src/axrun/config.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/codec/oci_runtime.h"
#include "core/sys/fd.h"
#include "core/sys/ns.h"
#include "runtime/src/axrun/process_limits.h"
#include "runtime/src/axrun/state.h"

static int invalid(struct err *err, const char *source, const char *member, const char *expected, const char *found)
{
	return err_set(err, -EINVAL, "config.invalid", "%s: %s: expected %s, found %s", source, member, expected,
		       found ? found : "nothing");
}

int config_check_process(const char *source, const struct oci_process *process, struct err *err)
{
	if (!process->args || !process->args[0])
		return invalid(err, source, "process.args", "at least one argument", NULL);
	if (process->args[0][0] == '\0')
		return invalid(err, source, "process.args[0]", "the name of a program", "\"\"");
	if (process->cwd[0] != '/')
		return invalid(err, source, "process.cwd", "an absolute path", process->cwd);
	for (size_t i = 0; i < process->rlimits_count; i++)
		if (rlimit_parse(process->rlimits[i].type) < 0)
			return invalid(err, source, "process.rlimits", "a resource limit such as RLIMIT_NOFILE",
				       process->rlimits[i].type);
	return 0;
}

static int check_namespaces(const char *source, const struct oci_linux *config, struct err *err)
{
	uint64_t seen = 0;
	for (size_t i = 0; i < config->namespaces_count; i++) {
		const struct oci_namespace *namespace = &config->namespaces[i];
		const struct ns_kind *kind = ns_kind_find(namespace->type);
		if (!kind)
			return invalid(err, source, "linux.namespaces",
				       "pid, network, mount, ipc, uts, user, cgroup or time", namespace->type);
		if (seen & kind->flag)
			return invalid(err, source, "linux.namespaces", "each type once", namespace->type);
		seen |= kind->flag;
		if (!str_empty(namespace->path) && namespace->path[0] != '/')
			return invalid(err, source, "linux.namespaces.path", "an absolute path", namespace->path);
	}
	return 0;
}

static int check_mounts(const char *source, const struct oci_spec *spec, struct err *err)
{
	for (size_t i = 0; i < spec->mounts_count; i++)
		if (spec->mounts[i].destination[0] == '\0')
			return invalid(err, source, "mounts.destination", "a path", "\"\"");
	return 0;
}

/* Sysctls that belong to a namespace, by prefix; all others are the host's and no container's to set
 * (config-linux.md, "Sysctl"). */
static const struct sysctl_row {
	const char *prefix;
	uint64_t namespace;
} SYSCTLS[] = {
	{"net.", CLONE_NEWNET},		  {"fs.mqueue.", CLONE_NEWIPC},		 {"kernel.msgmax", CLONE_NEWIPC},
	{"kernel.msgmnb", CLONE_NEWIPC},  {"kernel.msgmni", CLONE_NEWIPC},	 {"kernel.sem", CLONE_NEWIPC},
	{"kernel.shmall", CLONE_NEWIPC},  {"kernel.shmmax", CLONE_NEWIPC},	 {"kernel.shmmni", CLONE_NEWIPC},
	{"kernel.domainname", CLONE_NEWUTS}, {"kernel.shm_rmid_forced", CLONE_NEWIPC}, {"user.", CLONE_NEWUSER},
};

static const struct sysctl_row *find_sysctl(const char *key)
{
	char name[256];
	(void)snprintf(name, sizeof name, "%s", key);
	for (char *c = name; *c; c++)
		if (*c == '/')
			*c = '.';
	for (size_t i = 0; i < ARRAY_COUNT(SYSCTLS); i++) {
		const char *rest = str_after_prefix(name, SYSCTLS[i].prefix);
		if (rest && (!*rest || str_ends_with(SYSCTLS[i].prefix, ".")))
			return &SYSCTLS[i];
	}
	return NULL;
}

static int check_sysctls(const char *source, const struct oci_spec *spec, struct err *err)
{
	const struct oci_linux *config = spec->linux_;
	uint64_t own = 0;
	for (size_t i = 0; i < config->namespaces_count; i++)
		own |= ns_kind_find(config->namespaces[i].type)->flag; /* checked before */
	for (size_t i = 0; i < config->sysctl_count; i++) {
		const char *key = config->sysctl[i].key;
		const struct sysctl_row *row = find_sysctl(key);
		if (!row)
			return invalid(err, source, "linux.sysctl", "a sysctl that belongs to a namespace", key);
		if (!(own & row->namespace))
			return err_set(err, -EINVAL, "config.invalid", "%s: linux.sysctl: %s: needs a %s namespace", source, key,
				       ns_kind_of_flag(row->namespace)->name);
		if (row->namespace == CLONE_NEWUTS && !str_empty(spec->domainname))
			return err_set(err, -EINVAL, "config.invalid", "%s: linux.sysctl: %s: conflicts with domainname", source,
				       key);
	}
	return 0;
}

static int check_linux(const char *source, const struct oci_linux *config, struct err *err)
{
	static const char *const PROPAGATIONS[] = {"",	     "private",	 "rprivate", "shared",	    "rshared",
						   "slave", "rslave", "unbindable", "runbindable", NULL};
	if (config->rootfs_propagation && !strv_contains(PROPAGATIONS, config->rootfs_propagation))
		return invalid(err, source, "linux.rootfsPropagation", "private, shared, slave or unbindable",
			       config->rootfs_propagation);
	if (config->intel_rdt)
		return err_set(err, -EOPNOTSUPP, "config.unsupported",
			       "%s: linux.intelRdt: not supported by this runtime", source);
	return check_namespaces(source, config, err);
}

static int check(const char *source, const struct oci_spec *spec, struct err *err)
{
	if (!str_after_prefix(spec->oci_version, "1."))
		return invalid(err, source, "ociVersion", "1.x", spec->oci_version);
	if (!spec->root || str_empty(spec->root->path))
		return invalid(err, source, "root.path", "the root file system's directory", NULL);
	if (spec->process) {
		int r = config_check_process(source, spec->process, err);
		if (r < 0)
			return r;
	}
	int r = check_mounts(source, spec, err);
	if (r == 0 && spec->linux_)
		r = check_linux(source, spec->linux_, err);
	if (r == 0 && spec->linux_)
		r = check_sysctls(source, spec, err);
	return r;
}

int config_decode(const char *source, const char *text, unsigned long length, struct arena *arena,
		  struct oci_spec *ret_spec, struct err *err)
{
	int r = json_decode(source, text, length, &OCI_SPEC, arena, ret_spec, err);
	return r < 0 ? r : check(source, ret_spec, err);
}

int config_load(int dir_fd, const char *name, struct arena *arena, struct oci_spec *ret_spec, struct buf *ret_text,
		struct err *err)
{
	scoped_done(buf_done) struct buf own = {.max = CONFIG_BYTES_MAX};
	struct buf *text = ret_text ? ret_text : &own;
	int r = file_read_at(dir_fd, name, text, err);
	if (r < 0)
		return r;
	return config_decode(name, text->data ? text->data : "", text->size, arena, ret_spec, err);
}

int config_load_process(const char *path, struct arena *arena, struct oci_process *ret_process, struct err *err)
{
	scoped_done(buf_done) struct buf text = {.max = CONFIG_BYTES_MAX};
	int r = file_read_at(AT_FDCWD, path, &text, err);
	if (r < 0)
		return r;
	r = json_decode(path, text.data ? text.data : "", text.size, &OCI_PROCESS, arena, ret_process, err);
	return r < 0 ? r : config_check_process(path, ret_process, err);
}
