/* The volumes of a container that are more than a path of the host's: images, and files that need a label. */
#pragma once

#include <stdbool.h>

struct container;
struct err;

/* Does one of its mounts show an image? */
bool container_has_image_volumes(const struct container *container);

/* Finds the images that its mounts name, notes their ids in the record and holds them in the store.
 * Errors: image.not-found, image.ambiguous, -ENOMEM. */
int container_volumes_take(struct container *container, struct err *err);

/* Holds them again after a restart; lets them go. */
void container_volumes_hold(struct container *container);
void container_volumes_release(struct container *container);

/* Mounts the images where config.json names them; what is mounted there already is replaced. Parks.
 * Errors: volume.sub-path (the image has no such place), those of the mount. */
int container_volumes_mount(struct container *container, struct err *err);

/* Gives the files of mounts with selinux_relabel the container's label, where the kernel has SELinux. Parks.
 * Errors: relabel.path (it is the host's own), of setxattr(2). */
int container_volumes_relabel(struct container *container, struct err *err);
