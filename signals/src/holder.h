/* The holder: a process that keeps what a killed daemon needs to go on: the /dev/fuse descriptor and the table's memory.
 *
 * It knows nothing of signals. It listens on a SOCK_SEQPACKET socket, gives the descriptors to the daemon that connects,
 * and watches that connection: when it ends, another daemon has HOLDER_PATIENCE_MS to come. If none does, it closes the
 * descriptors (which ends the connections: parked readers get ECONNABORTED), takes the mounts away, those of containers'
 * views too, and ends. While nobody serves, a reader that waits in the kernel cannot even be killed: hence the patience has
 * an end. The holder of the next daemon mounts the views afresh (signals/src/holder_returns.h).
 *
 * docs/formats/signal-holder.md */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

#define HOLDER_PROTOCOL 2
#define HOLDER_PATIENCE_MS 2000

#define HOLDER_ITEMS_MAX 512
#define HOLDER_SOCKETS 256 /* a view's connection is kept under its number, its socket under this and its number */
#define HOLDER_TEXT_MAX 32768

enum holder_message_type {
	HOLDER_HAVE = 1, /* holder, on connecting: the descriptors (fuse, memory) are attached */
	HOLDER_BUSY,	 /* holder, on connecting: another daemon is at work */
	HOLDER_END,	 /* daemon: unmount and end; answered by the end of the connection */
	HOLDER_ITEM,	 /* daemon: keep a descriptor and a text under a number; holder, on connecting: what is kept */
	HOLDER_DROP,	 /* daemon: forget a number; holder, at any time: what was coming does not come */
	HOLDER_READY,	 /* holder, on connecting: that was all */
	HOLDER_COMING,	 /* holder, on connecting: a view of this number is being mounted again */
	HOLDER_BACK,	 /* holder, at any time: it is; its connection (which nobody has answered yet) and socket attached */
};

struct holder_message {
	uint32_t version;
	uint32_t type;
	uint32_t number;
	uint32_t size; /* of the text that follows */
};

/* One message with its text, as it goes over the socket. */
struct holder_packet {
	struct holder_message message;
	char text[HOLDER_TEXT_MAX];
};

/* What the program is started with: descriptors 3, 4, 5. */
enum holder_descriptors {
	HOLDER_LISTEN_FD = 3,
	HOLDER_FUSE_FD = 4,
	HOLDER_MEMORY_FD = 5,
};

/* Runs until the mount is gone. @mount: where it lies; @socket_path: where it listens, removed at the end. Returns the
 * exit status. */
int holder_run(const char *mount, const char *socket_path);

/* ---- the daemon's side ---- */

struct holder {
	int socket; /* readable when a view is back, or the holder gone */
	int fuse_fd;
	int memory_fd;
};

/* What the holder keeps, or tells of a view's return. */
struct holder_item {
	uint32_t type; /* HOLDER_ITEM (fds[0]), HOLDER_COMING, HOLDER_BACK (both), HOLDER_DROP */
	uint32_t number;
	int fds[2];
	const char *text;
	size_t size;
};

/* Takes over the descriptors. */
typedef void holder_item_fn(void *user, const struct holder_item *item);

/* 1: an earlier daemon's descriptors are taken over; 0: there is no holder. @item may be NULL (nothing is expected).
 * Errors: -EBUSY (another daemon is at work), -EPROTO, of connect(2). */
int holder_connect(const char *socket_path, struct holder *ret_holder, holder_item_fn *item, void *user,
		   struct err *err);

/* Keeps @fd (which stays the caller's) and a text for the next daemon. Errors: of sendmsg(2), -EMSGSIZE. */
int holder_keep(const struct holder *holder, uint32_t number, int fd, const char *text, size_t size);
void holder_drop(const struct holder *holder, uint32_t number);

/* Starts a holder for a new mount and connects to it. Takes over both @fds (/dev/fuse, memory). @item is told of the views
 * that are to return. */
int holder_start(const char *socket_path, const char *mount, const int fds[static 2], holder_item_fn *item, void *user,
		 struct holder *ret_holder, struct err *err);

/* When its socket is readable. 1: @item was told something; 0: nothing is there. Errors: -ECONNRESET (it is gone), -EPROTO,
 * -ENOMEM. */
int holder_hear(const struct holder *holder, holder_item_fn *item, void *user);

/* The mounts go, those of the views too; returns when they are gone (at most a second and a half). */
void holder_end(struct holder *holder);
