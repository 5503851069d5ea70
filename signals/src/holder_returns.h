/* Views of containers over the times without a daemon.
 *
 * Each view has a record in a folder of root's, written when it is made and removed when it ends. When the connections
 * end, the mounts in the containers are taken away, so that nobody there meets a dead one; when a daemon is back, each
 * container that still lives gets its view mounted afresh. Both are done by a child for each container, which enters its
 * mount namespace: one that is held up by what it finds there is killed, and holds up nobody else.
 *
 * docs/formats/signal-views.md, "Records" */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RETURNS_MAX 254	   /* numbers of views: 1 to 254 */
#define RETURN_LIMIT_MS 2000 /* for one container */

struct log;
struct returns;

/* A view that is mounted again. */
struct returned {
	uint32_t number;
	int fuse;
	int socket;
	char *text;    /* of its record; free() */
	uint32_t size; /* of the text */
};

/* @folder is made if it is missing. NULL: it cannot be (@log says why). */
struct returns *returns_new(const char *folder, const struct log *log);

/* Ends what is under way. Records stay. */
void returns_free(struct returns *returns);

/* The record of a view; one that tells of no container is not kept. A failure is logged: that view will not return. */
void returns_keep(struct returns *returns, uint32_t number, const char *text, size_t size);
void returns_forget(struct returns *returns, uint32_t number);

/* Reads the records of the last holder: those of containers that live begin their return, the others are removed. */
void returns_begin(struct returns *returns);
bool returns_pending(const struct returns *returns, uint32_t number);

/* What to wait for: fills at most RETURNS_MAX entries, returns their number, and lowers *timeout_ms (-1: none) to what is due. */
size_t returns_watch(const struct returns *returns, struct pollfd *polled, int *timeout_ms);

/* 1: *ret_returned is the caller's. 0: none is ready. -ESTALE: the view ret_returned->number does not return. */
int returns_take(struct returns *returns, struct returned *ret_returned);

/* The connections have ended: takes the dead mounts out of the containers that have a record. Waits for it, not long. */
void returns_unmount(struct returns *returns);
