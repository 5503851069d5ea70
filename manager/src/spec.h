/* config.json: what a container's CRI configuration and its image mean to an OCI runtime. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/codec/oci_runtime.h"
#include "image/include/axle/image.h"
#include "proto/cri.h"

struct arena;
struct cdi_edits;
struct err;
struct security_modules;
struct selinux_labels;

#define SPEC_VOLUME_NAME "tree"

/* How a container gets its view of the vehicle's signals. */
struct spec_signals {
	const char *hook;	     /* the program axsignal-hook */
	const char *socket;	     /* control socket of axsignald */
	const char *service_account; /* the pod's label or annotation that holds it; NULL: none does */
	const char *image_digests;   /* by which the image is known, separated by blanks */
};

/* All that the configuration is made of; nothing is looked up elsewhere, so that equal input gives equal bytes. */
struct spec_input {
	const Cri__PodSandboxConfig *pod;
	const Cri__ContainerConfig *container;
	const struct image_config *image;
	const char *container_id;
	const char *pod_id;
	const char *rootfs;   /* root.path */
	const char *cgroup;   /* from the hierarchies' roots, without a leading '/' */
	const char *pins;     /* the pod's pinned namespaces */
	const char *files;    /* the pod's hosts, hostname, resolv.conf, shm */
	const char *volumes;  /* where images are mounted: the N-th mount's at N/SPEC_VOLUME_NAME */
	const char *hostname; /* for $HOSTNAME; NULL: not set */
	const char *pid_namespace; /* of the target container, for the mode TARGET */
	uint32_t uid;
	uint32_t gid;
	const uint32_t *groups;
	size_t groups_count;
	const char *home;
	uint64_t capabilities;	 /* what may be given at most */
	int32_t oom_score_floor; /* lowest oom_score_adj that may be set */
	bool may_raise_limits;	 /* rlimits above those of axled */
	const char *v2_controllers; /* of the cgroup v2 tree, separated by spaces; NULL: there is no such tree */
	bool counts_swap;	 /* a limit of memory and swap can be kept */
	const char *const *pod_annotations; /* patterns (fnmatch(3)) of those that the runtime gets; NULL: none */
	const char *const *container_annotations;
	const struct cdi_edits *cdi; /* of its CDI devices; NULL: none */
	const struct security_modules *modules; /* NULL: none */
	const struct selinux_labels *labels;	/* NULL: none */
	const struct oci_rlimit *rlimits;
	size_t rlimits_count;
	const struct oci_device *host_devices; /* given to a privileged container */
	size_t host_devices_count;
	const struct spec_signals *signals; /* NULL: no signal service is configured */
};

/* What was asked for and cannot be given here: one line of text each, in @arena; NULL-terminated. */
struct spec_cuts {
	const char *lines[8];
	size_t count;
};

/* Makes the configuration; all of it lies in @arena. Errors: -EINVAL (@err names the field), -ENOTSUP, -ENOMEM, of stat(2)
 * for devices and mounts. */
int spec_build(const struct spec_input *input, struct arena *arena, struct oci_spec *ret_spec, struct spec_cuts *ret_cuts,
	       struct err *err);

/* Its limits alone, for `update`. */
int spec_build_resources(const struct spec_input *input, struct arena *arena, struct oci_resources *ret_resources,
			 struct err *err);

/* The security context, or one of defaults where there is none; only input->container is looked at. */
const Cri__LinuxContainerSecurityContext *spec_security(const struct spec_input *input);

/* Do the pod's containers have ids of their own? */
bool spec_has_user_namespace(const struct spec_input *input);
/* Which pid namespace a container has: CONTAINER, POD, NODE or TARGET. */
Cri__NamespaceMode spec_pid_mode(const Cri__PodSandboxConfig *pod, const Cri__ContainerConfig *container);

/* The security context, or one of defaults where there is none. Of the input, only the container counts. */
const Cri__LinuxContainerSecurityContext *spec_security(const struct spec_input *input);

bool spec_is_privileged(const Cri__ContainerConfig *container);

/* The process of an exec in the same container: its own command, the container's environment, user and rights. */
struct spec_exec {
	const char *const *command;
	const char *const *environment; /* added; NULL: none */
	const char *working_directory;	/* "" or NULL: the container's */
	const char *user;		/* "" or NULL: the container's; resolved by the caller, who sets the input's ids */
	bool tty;
	bool privileged;
};

int spec_build_exec(const struct spec_input *input, const struct spec_exec *exec, struct arena *arena,
		    struct oci_process *ret_process, struct err *err);
