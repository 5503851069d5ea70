#include "manager/src/networks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "manager/src/cni.h"
#include "manager/src/pod.h"

#define LIST_ARENA_MAX (4 << 20)
#define SETTLED_S 2 /* a younger change may be followed by one that the file's times do not show */

/* What tells that a file is still the same. */
struct stamp {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec modified;
	struct timespec changed;
	bool settled;
};

struct networks {
	struct arena arena; /* of the list */
	struct cni_list list;
	const char *file; /* NULL: nothing is loaded */
	struct stamp folder_stamp;
	struct stamp file_stamp;
};

int networks_new(struct networks **ret_networks)
{
	struct networks *networks = calloc(1, sizeof *networks);
	if (!networks)
		return -ENOMEM;
	networks->arena.max = LIST_ARENA_MAX;
	*ret_networks = networks;
	return 0;
}

static void forget(struct networks *networks)
{
	cni_list_done(&networks->list);
	arena_done(&networks->arena);
	networks->arena = (struct arena){.max = LIST_ARENA_MAX};
	networks->file = NULL;
}

void networks_free(struct networks *networks)
{
	if (!networks)
		return;
	forget(networks);
	free(networks);
}

/* --- changes --- */

static struct stamp stamp_of(const char *path)
{
	struct stat status = {0};
	struct timespec now = {0};
	if (stat(path, &status) < 0)
		return (struct stamp){0};
	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (struct stamp){
		.device = status.st_dev,
		.inode = status.st_ino,
		.size = status.st_size,
		.modified = status.st_mtim,
		.changed = status.st_ctim,
		.settled = now.tv_sec - status.st_ctim.tv_sec > SETTLED_S,
	};
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool is_unchanged(const struct stamp *then, const char *path)
{
	struct stamp now = stamp_of(path);
	return then->settled && then->device == now.device && then->inode == now.inode && then->size == now.size &&
	       same_time(&then->modified, &now.modified) && same_time(&then->changed, &now.changed);
}

/* With a network that is chosen by its name any file of the folder may become the one. */
static bool is_fresh(const struct networks *networks, const struct config_cni *config)
{
	return networks->file && !config->network && is_unchanged(&networks->folder_stamp, config->conf_dir) &&
	       is_unchanged(&networks->file_stamp, networks->file);
}

static int load(struct networks *networks, const struct config_cni *config, struct err *err)
{
	forget(networks);
	networks->folder_stamp = stamp_of(config->conf_dir); /* first: what changes while we read is found next time */
	const char *file = NULL;
	int r = cni_list_load(config->conf_dir, config->network, &networks->arena, &networks->list, &file, err);
	if (r < 0)
		return r;
	networks->file = file;
	networks->file_stamp = stamp_of(file);
	return 0;
}

int networks_current(struct node *node, const struct cni_list **ret_list, struct err *err)
{
	struct networks *networks = node->networks;
	const struct config_cni *config = &node->config.cni;
	struct err local = {0};
	if (!config->enabled) {
		(void)err_set(err, 0, "network.loopback-only",
			      "pods have the host's network or a private one with a loopback device: CNI is switched off in %s",
			      node->places.config);
		return NETWORKS_LOOPBACK_ONLY;
	}
	int r = is_fresh(networks, config) ? 0 : load(networks, config, &local);
	if (r == -ENOENT) {
		(void)err_set(err, 0, "network.not-ready", "%s", local.message);
		return NETWORKS_UNCONFIGURED;
	}
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return err_set(err, -ENETUNREACH, "network.not-ready", "%s", err_text(&local, r));
	*ret_list = &networks->list;
	return NETWORKS_CNI;
}

/* A list of one's own, that holds while one parks. */
static int copy_current(struct node *node, struct arena *arena, struct cni_list *ret_list, struct err *err)
{
	const struct cni_list *current = NULL;
	int r = networks_current(node, &current, err);
	return r != NETWORKS_CNI ? r : cni_list_decode(current->name, current->document, arena, ret_list, err);
}

int networks_ready(struct node *node, struct err *err)
{
	scoped_done(arena_done) struct arena arena = {.max = LIST_ARENA_MAX};
	scoped_done(cni_list_done) struct cni_list list = {0};
	int r = copy_current(node, &arena, &list, err);
	if (r == NETWORKS_CNI)
		r = cni_find_plugins(node, &list, err);
	return r == NETWORKS_CNI ? cni_status(node, &list, err) : r;
}

/* --- what plugins hold for nobody --- */

static int add_attachment(json_t *all, const struct pod *pod)
{
	return json_array_append_new(all, json_pack("{s:s,s:s}", "containerID", pod->id, "ifname",
						    pod->record.network->interface));
}

/* Those of the network @name that pods still have. */
static json_t *list_attachments(const struct node *node, const char *name)
{
	json_t *all = json_array();
	int r = all ? 0 : -ENOMEM;
	for (size_t i = 0; r == 0 && i < node->pods.count; i++) {
		const struct pod *pod = node->pods.objects[i];
		if (pod->record.network && str_equal(pod->record.network->name, name))
			r = add_attachment(all, pod);
	}
	if (r == 0)
		return all;
	json_decref(all);
	return NULL;
}

void networks_collect(struct node *node)
{
	scoped_done(arena_done) struct arena arena = {.max = LIST_ARENA_MAX};
	scoped_done(cni_list_done) struct cni_list list = {0};
	struct err err = {0};
	if (copy_current(node, &arena, &list, NULL) != NETWORKS_CNI)
		return; /* Status says it */
	json_t *attachments = list_attachments(node, list.name);
	int r = attachments ? cni_collect(node, &list, attachments, &err) : -ENOMEM;
	json_decref(attachments);
	if (r < 0)
		log_err(&node->log, &err, r, "collect what is left in networks");
}
