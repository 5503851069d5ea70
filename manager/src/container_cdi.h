/* The CDI devices of a container: which it asks for, and what that meant when it was made. */
#pragma once

struct arena;
struct cdi_edits;
struct container;
struct err;

/* Finds the devices of its configuration (CDI_devices, and the annotations cdi.k8s.io/..., which came before) and notes in
 * its record what they ask for, so that a changed file changes no container that is there. Errors: those of cdi_find(). */
int container_cdi_take(struct container *container, struct err *err);

/* What was noted, into @arena; NULL: nothing. Errors: -EINVAL (a damaged record), -ENOMEM. */
int container_cdi_edits(const struct container *container, struct arena *arena, const struct cdi_edits **ret_edits,
			struct err *err);
