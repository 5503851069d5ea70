/* What runtimes and this machine can do (runtimes.h). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/codec/json.h"
#include "manager/src/pod_user.h"
#include "manager/src/runtimes.h"

#define OUTPUT_MAX (256 << 10)

/* features.md and features-linux.md of the runtime specification, as far as they are asked for. */
struct idmap {
	bool enabled;
};
static const struct json_field IDMAP_FIELDS[] = {JSON_FIELD(struct idmap, enabled, "enabled", JSON_BOOL_T, 0)};
static const struct json_table IDMAP = JSON_TABLE(struct idmap, IDMAP_FIELDS);

struct mount_extensions {
	struct idmap idmap;
};
static const struct json_field EXTENSIONS_FIELDS[] = {
	JSON_NESTED(struct mount_extensions, idmap, "idmap", JSON_STRUCT, &IDMAP, 0),
};
static const struct json_table EXTENSIONS = JSON_TABLE(struct mount_extensions, EXTENSIONS_FIELDS);

struct linux_features {
	const char *const *namespaces;
	struct mount_extensions mount_extensions;
};
static const struct json_field LINUX_FIELDS[] = {
	JSON_FIELD(struct linux_features, namespaces, "namespaces", JSON_STRINGS, 0),
	JSON_NESTED(struct linux_features, mount_extensions, "mountExtensions", JSON_STRUCT, &EXTENSIONS, 0),
};
static const struct json_table LINUX = JSON_TABLE(struct linux_features, LINUX_FIELDS);

struct features {
	const char *const *mount_options;
	struct linux_features linux_;
};
static const struct json_field FEATURES_FIELDS[] = {
	JSON_FIELD(struct features, mount_options, "mountOptions", JSON_STRINGS, 0),
	JSON_NESTED(struct features, linux_, "linux", JSON_STRUCT, &LINUX, 0),
};
static const struct json_table FEATURES = JSON_TABLE(struct features, FEATURES_FIELDS);

/* One answer per handler, while its program is the same file. */
struct known {
	bool asked;
	dev_t device;
	ino_t inode;
	struct timespec modified;
	struct runtime_features features;
};

struct runtime_knowledge {
	bool tried; /* user namespaces with mapped layers */
	bool works;
	struct err problem;
	struct known *known; /* by index in config.runtimes */
};

static struct runtime_knowledge *knowledge_of(struct node *node)
{
	if (node->runtimes)
		return node->runtimes;
	struct runtime_knowledge *made = arena_alloc(&node->arena, sizeof *made);
	if (made)
		made->known = arena_array(&node->arena, node->config.runtimes_count + 1, sizeof *made->known);
	node->runtimes = made && made->known ? made : NULL;
	return node->runtimes;
}

/* --- the machine --- */

/* Makes such a root file system once, with the folders where they will be. */
static bool try_machine(struct node *node, struct runtime_knowledge *knowledge)
{
	if (knowledge->tried)
		return knowledge->works;
	scoped_done(arena_done) struct arena arena = {.max = 64 << 10};
	const struct helper_user_probe probe = {.folder = arena_printf(&arena, "%s/.probe", node->places.rootfs)};
	struct helper_request request = {.user_probe = &probe};
	struct helper_reply reply = {0};
	struct err err = {0};
	int r = probe.folder ? helper_run(&node->helper, &request, &arena, &reply, NULL, &err)
			     : err_memory(&err, "the probe of user namespaces");
	if (r == -ETIMEDOUT || r == -ECANCELED || r == -ENOMEM)
		return false; /* says nothing about the machine */
	knowledge->tried = true;
	knowledge->works = r == 0;
	knowledge->problem = err;
	if (r < 0)
		log_warning(&node->log, "node.user-namespaces", "pods cannot have user namespaces here: %s", err_text(&err, r));
	return knowledge->works;
}

const char *runtime_user_namespace_problem(const struct node *node)
{
	const struct runtime_knowledge *knowledge = node->runtimes;
	return knowledge && knowledge->tried && !knowledge->works ? knowledge->problem.message : NULL;
}

/* --- the runtimes --- */

static bool ask(struct node *node, const struct runtime *runtime, struct runtime_features *ret_features)
{
	static const char *const ARGS[] = {"features", NULL};
	scoped_done(arena_done) struct arena arena = {.max = 1 << 20};
	scoped_done(buf_done) struct buf output = {.max = OUTPUT_MAX};
	struct features features = {0};
	if (runtime_run(node, runtime, ARGS, &output, NULL) < 0 ||
	    json_decode("features", output.data ? output.data : "", output.size, &FEATURES, &arena, &features, NULL) < 0)
		return false; /* crun before 1.9 does not know the command */
	ret_features->recursive_read_only = features.mount_options && strv_contains(features.mount_options, "rro");
	ret_features->user_namespaces = features.linux_.mount_extensions.idmap.enabled && features.linux_.namespaces &&
					strv_contains(features.linux_.namespaces, "user");
	return true;
}

static bool is_same_file(const struct known *known, const struct stat *status)
{
	return known->asked && known->device == status->st_dev && known->inode == status->st_ino &&
	       known->modified.tv_sec == status->st_mtim.tv_sec && known->modified.tv_nsec == status->st_mtim.tv_nsec;
}

struct runtime_features runtime_features(struct node *node, const char *handler)
{
	scoped_done(arena_done) struct arena arena = {.max = 1 << 20};
	struct runtime_features features = {0};
	struct runtime runtime = {0};
	struct stat status = {0};
	struct runtime_knowledge *knowledge = knowledge_of(node);
	if (!knowledge || runtime_find(node, handler, &arena, &runtime, NULL) < 0 || stat(runtime.program, &status) < 0)
		return features;
	struct known *known = &knowledge->known[config_find_runtime(&node->config, handler) - node->config.runtimes];
	if (is_same_file(known, &status))
		return known->features;
	features.present = true;
	(void)ask(node, &runtime, &features); /* else it can do nothing special */
	if (features.user_namespaces)
		features.user_namespaces = try_machine(node, knowledge);
	*known = (struct known){true, status.st_dev, status.st_ino, status.st_mtim, features};
	return features;
}

/* --- what is asked of them --- */

static int refuse(const struct node *node, const char *handler, const char *what, struct err *err)
{
	const char *problem = runtime_user_namespace_problem(node);
	return err_set(err, -ENOTSUP, "runtime.feature", "runtime handler \"%s\" has no %s%s%s",
		       str_empty(handler) ? node->config.default_runtime : handler, what, problem ? ": " : "",
		       problem ? problem : "");
}

int runtime_check_pod(struct node *node, const char *handler, const Cri__PodSandboxConfig *config, struct err *err)
{
	scoped_done(arena_done) struct arena arena = {.max = 64 << 10};
	struct runtime runtime = {0};
	int r = runtime_find(node, handler, &arena, &runtime, err);
	if (r < 0 || !pod_user_of(config).own || runtime_features(node, handler).user_namespaces)
		return r;
	return refuse(node, handler, "user namespaces with idmapped mounts", err);
}

int runtime_check_container(struct node *node, const char *handler, const Cri__ContainerConfig *config, struct err *err)
{
	bool maps = false;
	bool recursive = false;
	for (size_t i = 0; i < config->n_mounts; i++) {
		maps |= config->mounts[i]->n_uidmappings > 0;
		recursive |= config->mounts[i]->recursive_read_only;
	}
	if (!maps && !recursive)
		return 0;
	struct runtime_features features = runtime_features(node, handler);
	if (maps && !features.user_namespaces)
		return refuse(node, handler, "idmapped mounts", err);
	return recursive && !features.recursive_read_only ? refuse(node, handler, "recursive read-only mounts", err) : 0;
}
