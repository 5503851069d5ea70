/* The OCI bundle of a container: its config.json below STATE/containers/ID, made anew for each start. */
#pragma once

#include "manager/src/container.h"
#include "manager/src/spec.h"

struct arena;
struct buf;
struct err;

/* The configuration; all of it lies in @arena. Errors: those of spec_build(), image.not-found. */
int container_make_spec(const struct container *container, struct arena *arena, struct oci_spec *ret_spec,
			struct spec_cuts *ret_cuts, struct err *err);

/* What the limits of @config, instead of the container's own, mean to a runtime. All of it lies in @arena.
 * Errors: -EINVAL (container.resources). */
int container_make_resources(const struct container *container, const Cri__ContainerConfig *config, struct arena *arena,
			     struct oci_resources *ret_resources, struct err *err);

/* Writes config.json into the container's folder, which is made. */
int container_write_bundle(const struct container *container, struct err *err);

/* The label of the files that are the container's own; NULL where the kernel has no SELinux or the container
 * is privileged. Errors: -ENOMEM. */
int container_mount_label(const struct container *container, struct arena *arena, const char **ret_label);

/* The process of an exec, as JSON. */
int container_make_exec(const struct container *container, const struct spec_exec *exec, struct buf *ret_json,
			struct err *err);
