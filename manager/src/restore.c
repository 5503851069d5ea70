#include "manager/src/restore.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/sys/fd.h"
#include "image/include/axle/image.h"
#include "manager/src/cni_plugin.h"
#include "manager/src/container_life.h"
#include "manager/src/container_volumes.h"
#include "manager/src/networks.h"
#include "manager/src/pod_init.h"
#include "manager/src/pod_life.h"
#include "manager/src/runtime_config.h"
#include "manager/src/pod_network.h"

#define BOOT_ID_FILE "/proc/sys/kernel/random/boot_id"
#define BOOT_RECORD "boot-id"

/* --- the boot --- */

static int read_line(int dir_fd, const char *name, struct buf *ret_line)
{
	int r = file_read_at(dir_fd, name, ret_line, NULL);
	if (r == 0 && ret_line->data)
		ret_line->data[strcspn(ret_line->data, "\n")] = '\0';
	return r;
}

/* Another boot id than the one that was noted: all processes and mounts of before are gone. */
static int check_boot(struct node *node, const char *boot_id_file, struct buf *ret_boot_id, struct err *err)
{
	scoped_done(buf_done) struct buf noted = {.max = 128};
	int r = read_line(AT_FDCWD, boot_id_file ? boot_id_file : BOOT_ID_FILE, ret_boot_id);
	if (r < 0)
		return err_sys(err, r, "node.boot-id", "read the boot id");
	if (read_line(node->places.root_fd, BOOT_RECORD, &noted) == 0)
		node->rebooted = !str_equal(noted.data, ret_boot_id->data);
	return 0;
}

/* Last of all: where the start is cut off before, the next one does it again. */
static int note_boot(const struct node *node, const struct buf *boot_id, struct err *err)
{
	return file_replace_at(node->places.root_fd, BOOT_RECORD, boot_id->data, strlen(boot_id->data), 0600, FILE_SYNCED,
			       err);
}

/* --- records --- */

static void close_folder(DIR **folder)
{
	if (*folder)
		(void)closedir(*folder);
}

/* Calls @load for each "ID.json". Its errors are logged; -ENOTSUP (a newer record) ends it all. */
static int for_each_record(struct node *node, int dir_fd, int (*load)(struct node *, const char *, struct err *),
			   struct err *err)
{
	int copy = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	__attribute__((cleanup(close_folder))) DIR *folder = copy < 0 ? NULL : fdopendir(copy);
	if (!folder)
		return err_sys(err, -errno, "record.list", "list the records");
	for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
		struct err local = {0};
		if (str_ends_with(entry->d_name, ".json.new"))
			(void)unlinkat(dir_fd, entry->d_name, 0); /* a write that was cut off: the record itself is whole */
		if (entry->d_name[0] == '.' || !str_ends_with(entry->d_name, ".json"))
			continue;
		int r = load(node, entry->d_name, &local);
		if (r == -ENOTSUP) {
			*err = local;
			return r;
		}
		if (r < 0)
			log_err(&node->log, &local, r, "record %s", entry->d_name);
	}
	return 0;
}

static int load_pod(struct node *node, const char *name, struct err *err)
{
	struct pod *pod = NULL;
	int r = pod_load(node, name, &pod, err);
	if (r == 0)
		r = idtable_add(&node->pods, pod);
	if (r < 0)
		pod_unref(pod);
	return r;
}

static int load_container(struct node *node, const char *name, struct err *err)
{
	struct container *container = NULL;
	int r = container_load(node, name, &container, err);
	if (r == 0)
		r = idtable_add(&node->containers, container);
	if (r < 0) {
		container_unref(container);
		return r;
	}
	if (!str_empty(container->record.image_id))
		container->image_held = image_store_hold(node->images, container->record.image_id, NULL) == 0;
	container_volumes_hold(container);
	return 0;
}

/* --- containers --- */

static bool exists(const char *path)
{
	struct stat status = {0};
	return path && lstat(path, &status) == 0;
}

static int settle_container(struct container *container, struct err *err)
{
	scoped_free char *state = container_state_path(container, NULL);
	switch (container->phase) {
	case CONTAINER_CREATING:
	case CONTAINER_REMOVING:
		return container_remove(container, err);
	case CONTAINER_CREATED:
		return container->node->rebooted
			       ? container_declare_lost(container, "reboot", "the machine was restarted", err)
			       : 0;
	case CONTAINER_STARTED:
		if (container->node->rebooted)
			return container_declare_lost(container, "reboot", "the machine was restarted", err);
		container_resume(container);
		return 0;
	default:
		container->cleaned = !exists(state);
		return container_clean(container, err);
	}
}

/* --- pods --- */

/* What a ready pod has must still be there; a state folder may be emptied without a reboot. */
static bool is_whole(const struct pod *pod)
{
	scoped_free char *files = pod_files_path(pod);
	scoped_free char *pins = pod_pins_path(pod);
	scoped_free char *net = pins ? str_printf("%s/net", pins) : NULL;
	return exists(files) && (pod_namespaces(pod->config).host_network || exists(net));
}

static int settle_pod(struct pod *pod, struct err *err)
{
	scoped_free char *pins = pod_pins_path(pod);
	scoped_free char *files = pod_files_path(pod);
	if (pod->phase == POD_CREATING || pod->phase == POD_REMOVING)
		return pod_remove(pod, err);
	if (pod->phase == POD_READY && (pod->node->rebooted || !is_whole(pod)))
		return pod_stop(pod, err);
	if (pod->phase == POD_STOPPED && pod->record.network)
		return pod_stop(pod, err);
	if (pod->phase == POD_READY && pod_init_resume(pod, pod_lose_init, err) < 0) {
		log_err(&pod->node->log, err, -ESRCH, "pod %.12s is stopped", pod->id);
		return pod_stop(pod, err);
	}
	if (pod->phase == POD_STOPPED && (exists(pins) || exists(files)))
		return pod_release(pod, false, err);
	return 0;
}

/* --- all --- */

/* Each in a fiber of its own: one whose monitor hangs must not keep the others waiting. */
struct settling {
	struct node *node;
	struct container *container; /* a reference */
	struct settling_crew *crew;
};

struct settling_crew {
	size_t left;
	struct fiber_signal done;
};

static void settle_one(struct node *node, struct container *container)
{
	if (container->gone)
		return; /* with its pod, meanwhile */
	struct err err = {0};
	int r = settle_container(container, &err);
	if (r < 0)
		log_err(&node->log, &err, r, "container %s", container->id);
	container_finish_policy(container);
}

static void run_settling(void *data)
{
	struct settling *settling = data;
	settle_one(settling->node, settling->container);
	container_unref(settling->container);
	if (--settling->crew->left == 0)
		fiber_signal_all(&settling->crew->done);
	free(settling);
}

static int start_settling(struct node *node, struct container *container, struct settling_crew *crew)
{
	struct settling *settling = calloc(1, sizeof *settling);
	if (!settling)
		return -ENOMEM;
	*settling = (struct settling){.node = node, .container = container_ref(container), .crew = crew};
	int r = fiber_start(node->fibers, run_settling, settling, NULL);
	if (r < 0) {
		container_unref(container);
		free(settling);
		return r;
	}
	crew->left++;
	return 0;
}

/* The table changes while they are settled: a copy is walked. */
static int copy_containers(const struct node *node, struct container ***ret_all, size_t *ret_count)
{
	*ret_count = node->containers.count;
	*ret_all = calloc(*ret_count + 1, sizeof **ret_all);
	for (size_t i = 0; *ret_all && i < *ret_count; i++)
		(*ret_all)[i] = container_ref(node->containers.objects[i]);
	return *ret_all ? 0 : -ENOMEM;
}

static int settle_containers(struct node *node)
{
	scoped_free struct container **all = NULL;
	size_t count = 0;
	struct settling_crew crew = {0};
	int r = copy_containers(node, &all, &count);
	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++) {
		bool started = all[i]->phase == CONTAINER_STARTED && !node->rebooted;
		if (!started || start_settling(node, all[i], &crew) < 0)
			settle_one(node, all[i]);
	}
	fiber_shield(node->fibers); /* the fibers have this frame */
	while (crew.left)
		(void)fiber_signal_wait(node->fibers, &crew.done);
	fiber_unshield(node->fibers);
	for (size_t i = 0; i < count; i++)
		container_unref(all[i]);
	return 0;
}

static void settle_pods(struct node *node)
{
	for (size_t i = node->pods.count; i-- > 0;) {
		scoped(pod_unref) struct pod *pod = pod_ref(node->pods.objects[i]);
		struct err err = {0};
		int r = settle_pod(pod, &err);
		if (r < 0)
			log_err(&node->log, &err, r, "pod %s", pod->id);
	}
}

static int prepare_places(struct node *node, bool undo, struct err *err)
{
	scoped_done(arena_done) struct arena arena = {.max = 64 << 10};
	const struct helper_prepare prepare = {.pins = node->places.pins, .undo = undo};
	struct helper_request request = {.prepare = &prepare};
	struct helper_reply reply = {0};
	return helper_run(&node->helper, &request, &arena, &reply, NULL, err);
}

/* What a pull or a removal that was cut off has left. The containers' images are held by now. */
static void collect_images(struct node *node)
{
	struct err err = {0};
	int r = image_store_collect(node->images, &err);
	if (r < 0)
		log_err(&node->log, &err, r, "tidy up the images");
}

int node_restore(struct node *node, const char *boot_id_file, struct err *err)
{
	scoped_done(buf_done) struct buf boot_id = {.max = 128};
	int r = check_boot(node, boot_id_file, &boot_id, err);
	if (r == 0)
		r = prepare_places(node, false, err);
	if (r == 0)
		r = runtime_config_load(node, err);
	if (r == 0)
		r = cni_plugins_settle(node, err);
	if (r == 0)
		r = for_each_record(node, node->places.pod_records_fd, load_pod, err);
	if (r == 0)
		r = for_each_record(node, node->places.container_records_fd, load_container, err);
	if (r < 0)
		return r;
	collect_images(node);
	r = settle_containers(node);
	if (r < 0)
		return err_memory(err, "the containers that are there");
	settle_pods(node);
	networks_collect(node);
	if (node->pods.count)
		log_info(&node->log, "node.restored", "%zu pods, %zu containers%s", node->pods.count,
			 node->containers.count, node->rebooted ? ", after a reboot" : "");
	r = note_boot(node, &boot_id, err);
	return r < 0 ? r : pod_network_check_all(node);
}

void node_leave(struct node *node)
{
	if (node->pods.count)
		return;
	struct err err = {0};
	int r = prepare_places(node, true, &err);
	if (r == 0)
		r = cgroup_remove(&node->cgroups, node->name, 0, &err);
	if (r < 0)
		log_err(&node->log, &err, r, "leave the machine as it was");
}
