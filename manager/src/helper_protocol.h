/* What axled asks of axhelper: one request, one reply, over the socket that is the helper's descriptor 3.
 *
 * A helper is a short-lived single-threaded process that does what would change a daemon's own namespaces or block it: it
 * makes and pins namespaces, mounts root file systems, removes trees. It ends with axled and with its request. Both come
 * from one build, so the form has no version. A request has exactly one of its members. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/codec/json.h"

struct arena;
struct err;

#define HELPER_PROGRAM "axhelper"
#define HELPER_SOCKET 3
#define HELPER_MESSAGE_MAX (128 * 1024)
#define HELPER_TIMEOUT_MS 30000

/* Makes the node's folders and the private tmpfs on which namespaces are pinned. Repeating it changes nothing. */
struct helper_prepare {
	const char *pins; /* absolute */
	bool undo;	  /* the opposite: nothing of it is left */
};

/* What a user namespace maps: its ids from 0 on to ranges of the host's. */
struct helper_user_map {
	uint32_t host_uid;
	uint32_t uid_count;
	uint32_t host_gid;
	uint32_t gid_count;
};

/* A pod's namespaces, pinned as files in @pins, and its files. What is there already is removed first. */
struct helper_pod_make {
	const char *pins;  /* absolute: becomes a directory with "user", "net", "ipc", "uts" */
	const char *files; /* absolute: becomes a directory with "hosts", "hostname", "resolv.conf", "shm" */
	const struct helper_user_map *user; /* a new user namespace, which owns the others; NULL: the host's */
	bool network;	   /* a new one, with the loopback device up; else the host's */
	bool ipc;
	bool uts;
	const char *hostname; /* of the new uts namespace */
	const struct json_pair *sysctls;
	size_t sysctls_count;
	uint64_t shm_bytes; /* size of /dev/shm; 0: the pod uses the host's */
	const char *hosts;  /* contents of the files */
	const char *hostname_file;
	const char *resolv_conf;
};

/* Unpins and removes; what is missing is no error. @cgroup: removed in all hierarchies with all below it. */
struct helper_pod_remove {
	const char *pins;
	const char *files;
	const char *init_cgroup; /* of the pod's init, which is ended first; NULL: none */
	const char *cgroup;	 /* NULL: none */
};

/* Starts the first process of a pid namespace for a whole pod (axinit(8)), and pins that namespace as "pid". One that is
 * there already is ended first. The reply brings its pid, and its pidfd as descriptor. */
struct helper_pod_init {
	const char *pins;    /* "user", "net", "ipc", "uts" in it are joined, where they are there */
	const char *files;   /* "init.json" is written there */
	const char *cgroup;  /* is made */
	const char *program; /* absolute path of axinit */
	uint32_t uid;	     /* within the pod's user namespace */
	uint32_t gid;
};

/* Makes, in a folder of its own, a root file system for a user namespace, looks whether it is one, and removes all. */
struct helper_user_probe {
	const char *folder; /* absolute */
};

struct helper_user {
	const char *name; /* "user", "uid", "user:group" ... as image.h's image_user_resolve() takes it */
	const char *groups_of; /* a name without a group, whose supplementary groups count; NULL: those of @name */
	bool group_only_given; /* do not read the image's /etc/group for supplementary groups */
};

/* Looks a user up in the tree at @root, which is read as chroot would. */
struct helper_user_find {
	const char *root; /* absolute */
	const struct helper_user *user;
};

/* An overlay of @lowers (topmost first, relative to @layers) below @data's "upper" and "work", which are made. The reply
 * brings the detached mount as its descriptor, or it is attached at @target. */
struct helper_rootfs_mount {
	const char *layers;
	const char *const *lowers;
	const char *data;
	const char *target; /* absolute; NULL: none */
	const char *context; /* SELinux's label of all files; NULL: none */
	const char *user_namespace; /* path of a pin: the layers' owners appear by its map; NULL: as they are */
	uint32_t owner_uid;	    /* of the root directory */
	uint32_t owner_gid;
	const struct helper_user *user; /* looked up in the mounted tree; NULL: nobody asks */
};

/* What a mount of an image shows: the tree of @lowers (as above), or of it what is at @sub_path, which is read as chroot
 * would and never leaves the image. It is mounted read-only at @folder/@name; what was mounted there is taken away first. */
struct helper_volume_mount {
	const char *layers;
	const char *const *lowers;
	const char *folder;   /* absolute; made */
	const char *name;
	const char *sub_path; /* NULL or "": all of it */
	const char *context;  /* SELinux's label of all files; NULL: none */
	const char *user_namespace; /* path of a pin: owners appear by its map; NULL: as they are */
};

/* Gives all files of the tree at @path the security label @label (SELinux). */
struct helper_relabel {
	const char *path;
	const char *label;
};

/* Ends what a container left: mount at @target, cgroup, trees. What is missing is no error. */
struct helper_container_remove {
	const char *target; /* NULL: none */
	const char *volumes; /* the folder of its mounts of images; NULL: none */
	const char *cgroup;
	const char *const *trees; /* absolute */
	bool kill;		  /* everything in the cgroup, first */
};

/* Opens /proc/net/dev inside the network namespace that is pinned at @pin; the reply brings it as its descriptor. While it
 * is open the namespace lives. */
struct helper_net_open {
	const char *pin; /* absolute */
};

#define HELPER_TREES_MAX 128 /* of one request */

/* Measures what each of @trees takes of the disk. */
struct helper_disk_usage {
	const char *const *trees; /* absolute */
};

/* Connects to the loopback device's @port in a network namespace. The reply brings the socket as its descriptor. */
struct helper_connect {
	const char *network; /* absolute path of the namespace; NULL: the host's */
	uint32_t port;
};

struct helper_request {
	const struct helper_prepare *prepare;
	const struct helper_pod_make *pod_make;
	const struct helper_pod_remove *pod_remove;
	const struct helper_pod_init *pod_init;
	const struct helper_user_probe *user_probe;
	const struct helper_rootfs_mount *rootfs_mount;
	const struct helper_user_find *user_find;
	const struct helper_container_remove *container_remove;
	const struct helper_volume_mount *volume_mount;
	const struct helper_relabel *relabel;
	const struct helper_connect *connect;
	const struct helper_net_open *net_open;
	const struct helper_disk_usage *disk_usage;
};

struct helper_failure {
	int32_t code; /* -errno */
	const char *reason;
	const char *message;
};

struct helper_user_found {
	uint32_t uid;
	uint32_t gid;
	const uint32_t *groups;
	size_t groups_count;
	const char *name;
	const char *home;
};

/* One for each tree asked for, in order; a tree that is not there takes nothing. */
struct helper_tree_usage {
	uint64_t bytes;
	uint64_t inodes;
};

struct helper_reply {
	const struct helper_failure *failure; /* NULL: done */
	const struct helper_user_found *user;
	const struct helper_tree_usage *trees;
	size_t trees_count;
	int32_t pid; /* of what was started */
};

/* STATE/pods/ID/init.json (docs/formats/records.md). */
#define POD_INIT_FILE "init.json"
#define POD_INIT_VERSION 1

struct pod_init_file {
	uint32_t version;
	int32_t pid;
};

extern const struct json_table POD_INIT_TABLE;

extern const struct json_table HELPER_REQUEST;
extern const struct json_table HELPER_REPLY;

/* The name of the request's only member, for messages: "pod-make". NULL where there is not exactly one. */
const char *helper_request_name(const struct helper_request *request);
