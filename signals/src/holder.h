/* The holder: a process that keeps what a killed daemon needs to go on: the /dev/fuse descriptor and the table's memory.
 *
 * It knows nothing of signals. It listens on a SOCK_SEQPACKET socket, gives the descriptors to the daemon that connects,
 * and watches that connection: when it ends, another daemon has HOLDER_PATIENCE_MS to come. If none does, it closes the
 * descriptor (which ends the connection: parked readers get ECONNABORTED), takes the mount away, and ends. While nobody
 * serves, a reader that waits in the kernel cannot even be killed: hence the patience has an end.
 *
 * docs/formats/signal-holder.md */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

#define HOLDER_PROTOCOL 1
#define HOLDER_PATIENCE_MS 2000

#define HOLDER_ITEMS_MAX 512
#define HOLDER_TEXT_MAX 32768

enum holder_message_type {
	HOLDER_HAVE = 1, /* holder, on connecting: the descriptors (fuse, memory) are attached */
	HOLDER_BUSY,	 /* holder, on connecting: another daemon is at work */
	HOLDER_END,	 /* daemon: unmount and end; answered by the end of the connection */
	HOLDER_ITEM,	 /* daemon: keep a descriptor and a text under a number; holder, on connecting: what is kept */
	HOLDER_DROP,	 /* daemon: forget a number */
	HOLDER_READY,	 /* holder, on connecting: that was all */
};

struct holder_message {
	uint32_t version;
	uint32_t type;
	uint32_t number;
	uint32_t size; /* of the text that follows */
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
	int socket; /* readable when the holder is gone */
	int fuse_fd;
	int memory_fd;
};

/* What an earlier daemon gave the holder to keep. Takes over @fd. */
typedef void holder_item_fn(void *user, uint32_t number, int fd, const char *text, size_t size);

/* 1: an earlier daemon's descriptors are taken over; 0: there is no holder. @item may be NULL (nothing is expected).
 * Errors: -EBUSY (another daemon is at work), -EPROTO, of connect(2). */
int holder_connect(const char *socket_path, struct holder *ret_holder, holder_item_fn *item, void *user,
		   struct err *err);

/* Keeps @fd (which stays the caller's) and a text for the next daemon. Errors: of sendmsg(2), -EMSGSIZE. */
int holder_keep(const struct holder *holder, uint32_t number, int fd, const char *text, size_t size);
void holder_drop(const struct holder *holder, uint32_t number);

/* Starts a holder for a new mount and connects to it. Takes over @fuse_fd and @memory_fd. */
int holder_start(const char *socket_path, const char *mount, int fuse_fd, int memory_fd, struct holder *ret_holder,
		 struct err *err);

/* The mount goes; returns when it is gone (at most a second). */
void holder_end(struct holder *holder);
