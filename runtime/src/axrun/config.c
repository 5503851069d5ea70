#include "runtime/src/axrun/config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "core/base/arena.h"
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
