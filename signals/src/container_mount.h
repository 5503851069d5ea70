/* The file system of signals in a container: mounted on its /dev/signal, with a socket of the line protocol beside it.
 *
 * For those who may mount: the OCI hook, and the holder when a view comes back. Both functions enter the container's mount
 * namespace and do not return from it: they are for single-threaded processes that do this and end. */
#pragma once

#include "signals/src/container_place.h"

struct err;

/* Mounts afresh (a dead mount that lies there is taken away), and makes the socket anew; both in a user namespace as its
 * owner. An @place without an inode is completed. *ret_fuse, *ret_socket (listening): the caller's.
 * Errors: -ESRCH (it is gone), -ESTALE (its root is another), of mounting; @err says what. */
int container_mount(struct container_place *place, int *ret_fuse, int *ret_socket, struct err *err);

/* Takes the mount away where its server is gone: no call in the container meets a dead one. A live one stays.
 * Errors: as above. */
int container_unmount_dead(const struct container_place *place, struct err *err);
