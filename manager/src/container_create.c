/* CreateContainer: the record, the root file system, the user, and a configuration that is known to be good. */
#include <errno.h>
#include <string.h>

#include "core/base/err.h"
#include "core/base/str.h"
#include "image/include/axle/image.h"
#include "manager/src/container_bundle.h"
#include "manager/src/container_cdi.h"
#include "manager/src/container_life.h"
#include "manager/src/container_volumes.h"
#include "manager/src/pod_security.h"
#include "manager/src/pod_user.h"
#include "manager/src/rootfs.h"
#include "manager/src/runtimes.h"
#include "manager/src/signals.h"

#define NAME_BYTES_MAX 255

static int check(const struct pod *pod, const Cri__ContainerConfig *config, struct err *err)
{
	if (!config || !config->metadata || str_empty(config->metadata->name) ||
	    strlen(config->metadata->name) > NAME_BYTES_MAX)
		return err_set(err, -EINVAL, "container.metadata",
			       "expected a configuration with metadata and a name of at most %d bytes", NAME_BYTES_MAX);
	if (!config->image || str_empty(config->image->image))
		return err_set(err, -EINVAL, "container.image", "container %s: expected an image", config->metadata->name);
	if (pod->phase != POD_READY)
		return err_set(err, -EBUSY, "pod.not-ready", "pod %s is %s: expected one that is ready", pod->id,
			       pod_phase_name(pod->phase));
	int r = pod_check_privileged(pod->config, config, err);
	if (r == 0)
		r = pod_user_check_container(pod->config, config, err);
	return r < 0 ? r : runtime_check_container(pod->node, pod->record.runtime_handler, config, err);
}

static int make_room(struct pod *pod, const Cri__ContainerMetadata *metadata, struct err *err)
{
	struct container *found = container_find_by_metadata(pod, metadata);
	if (!found)
		return 0;
	scoped(container_unref) struct container *container = container_ref(found);
	if (container->phase != CONTAINER_CREATING && container->phase != CONTAINER_REMOVING)
		return err_set(err, -EEXIST, "container.exists", "the name \"%s\" is used by container %s",
			       metadata->name, container->id);
	return container_remove(container, err);
}

static int take_image(struct container *container, struct err *err)
{
	const struct image *image = NULL;
	int r = image_store_resolve(container->node->images, container->record.image, &image, err);
	if (r < 0)
		return r;
	container->record.image_id = arena_strdup(&container->arena, image->id);
	if (!container->record.image_id)
		return -ENOMEM;
	r = image_store_hold(container->node->images, image->id, err);
	container->image_held = r == 0;
	return r;
}

/* CRI gives the stop signal; else the image does; else SIGTERM. */
static int choose_stop_signal(struct container *container, struct err *err)
{
	const struct image *image = NULL;
	int r = image_store_resolve(container->node->images, container->record.image_id, &image, err);
	if (r < 0)
		return r;
	container->record.stop_signal = signal_of_cri(container->config->stop_signal);
	if (!container->record.stop_signal)
		container->record.stop_signal = signal_parse(image->config.stop_signal);
	if (!container->record.stop_signal)
		container->record.stop_signal = signal_parse("SIGTERM");
	return 0;
}

static int check_configuration(const struct container *container, struct err *err)
{
	scoped_done(arena_done) struct arena arena = {.max = 16 << 20};
	struct oci_spec spec = {0};
	struct spec_cuts cuts = {0};
	int r = container_make_spec(container, &arena, &spec, &cuts, err);
	for (size_t i = 0; r == 0 && i < cuts.count; i++)
		log_warning(&container->node->log, "container.cut", "container %.12s: %s", container->id, cuts.lines[i]);
	return r;
}

static int make(struct container *container, struct err *err)
{
	int r = container_save(container, CONTAINER_CREATING, err);
	if (r == 0)
		r = take_image(container, err);
	if (r == 0)
		r = container_volumes_take(container, err);
	if (r == 0)
		r = container_cdi_take(container, err);
	if (r == 0)
		r = choose_stop_signal(container, err);
	if (r == 0)
		r = rootfs_prepare(container, err);
	if (r == 0)
		r = check_configuration(container, err);
	if (r == 0)
		r = container_volumes_mount(container, err); /* so that what is wrong with an image shows now */
	if (r == 0)
		r = container_save(container, CONTAINER_CREATED, err);
	return r < 0 ? err_add(err, r, "container %s", container->config->metadata->name) : 0;
}

static void undo(struct container *container)
{
	struct err err = {0};
	fiber_shield(container->node->fibers);
	int r = container_remove(container, &err);
	fiber_unshield(container->node->fibers);
	if (r < 0)
		log_err(&container->node->log, &err, r, "undo container %s", container->id);
}

static int create_locked(struct pod *pod, const Cri__ContainerConfig *config, struct container **ret_container,
			 struct err *err)
{
	scoped(container_unref) struct container *container = NULL;
	int r = check(pod, config, err);
	if (r == 0)
		r = make_room(pod, config->metadata, err);
	if (r == 0)
		r = container_new(pod, config, &container, err);
	if (r == 0)
		r = idtable_add(&pod->node->containers, container);
	if (r < 0)
		return r;
	(void)container_ref(container); /* the table's */
	r = make(container, err);
	if (r < 0) {
		undo(container);
		return r;
	}
	*ret_container = TAKE(container);
	return 0;
}

int container_create(struct pod *pod, const Cri__ContainerConfig *config, struct container **ret_container,
		     struct err *err)
{
	struct fibers *fibers = pod->node->fibers;
	int r = fiber_lock(fibers, &pod->lock);
	if (r < 0)
		return err_set(err, r, "pod.busy", "pod %s: another call is not done with it", pod->id);
	struct container *container = NULL;
	r = create_locked(pod, config, &container, err);
	fiber_unlock(fibers, &pod->lock);
	if (r < 0)
		return r;
	container_event(container, "created");
	log_info(&pod->node->log, "container.created", "container %s (%s) in pod %.12s", container->id,
		 config->metadata->name, pod->id);
	*ret_container = container;
	return 0;
}
