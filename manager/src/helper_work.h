/* What axhelper does: each function does one kind of request in the calling process, which it may change (namespaces). */
#pragma once

#include <sys/types.h>

#include "manager/src/helper_protocol.h"

struct arena;
struct err;

int helper_prepare(const struct helper_prepare *request, struct err *err);

int helper_pod_make(const struct helper_pod_make *request, struct err *err);
int helper_pod_remove(const struct helper_pod_remove *request, struct err *err);

/* Makes the pod's namespaces and pins them (helper_namespaces.c). */
int helper_namespaces_make(const struct helper_pod_make *request, struct err *err);

/* A user namespace that lives as long as its one process, which waits. Where @flags name others, they are made with it.
 * *ret_pidfd is the caller's, who kills and reaps. */
int helper_user_namespace(const struct helper_user_map *map, int flags, pid_t *ret_pid, int *ret_pidfd, struct err *err);

int helper_user_probe(const struct helper_user_probe *request, struct err *err);

/* Pins the namespace file @source at DIR/NAME. */
int helper_pin(int dir_fd, const char *dir, const char *name, const char *source, struct err *err);

int helper_pod_init(const struct helper_pod_init *request, int *ret_pidfd, int32_t *ret_pid, struct err *err);

/* *ret_tree: the detached mount, where no target was asked for. *ret_user lies in @arena. */
int helper_rootfs_mount(const struct helper_rootfs_mount *request, struct arena *arena, int *ret_tree,
			const struct helper_user_found **ret_user, struct err *err);
int helper_user_find(const struct helper_user_find *request, struct arena *arena,
		     const struct helper_user_found **ret_user, struct err *err);
int helper_container_remove(const struct helper_container_remove *request, struct err *err);

/* The image's tree, or a part of it, read-only below the request's folder. */
int helper_volume_mount(const struct helper_volume_mount *request, struct err *err);

/* Takes away what helper_volume_mount() mounted in all folders below @folder; a missing folder is success. */
int helper_volumes_unmount(const char *folder, struct err *err);

struct helper_layers {
	const char *folder;
	const char *const *names; /* below the folder, the topmost first */
	const char *upper;	  /* NULL: it cannot be written to */
	const char *work;
	const char *context; /* label of SELinux for all files; NULL or "": their own */
	const char *user_namespace; /* path of one by whose map the owners appear; NULL: as they are */
};

/* The overlay of layers as a detached mount. */
int helper_mount_layers(const struct helper_layers *layers, int *ret_tree, struct err *err);

/* Gives every file below the tree at @path the label of SELinux. */
int helper_relabel(const struct helper_relabel *request, struct err *err);
/* *ret_file: /proc/net/dev of the pinned namespace. */
int helper_net_open(const struct helper_net_open *request, int *ret_file, struct err *err);
int helper_disk_usage(const struct helper_disk_usage *request, struct arena *arena, struct helper_reply *ret_reply,
		      struct err *err);

/* Enters the namespace for good. */
int helper_connect(const struct helper_connect *request, int *ret_socket, struct err *err);

/* Takes what is mounted on @path away, however often. Nothing mounted there, or no such path, is success. */
int helper_unmount(const char *path, struct err *err);

/* Removes the tree at the absolute @path. */
int helper_remove_tree(const char *path, struct err *err);

/* Kills what lives in a cgroup (with @kill), waits for its end, removes it. */
int helper_remove_cgroup(const char *path, bool kill, struct err *err);
