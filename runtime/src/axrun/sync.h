/* What a command and the container's first process (which it cloned) say to each other over a socket pair, one packet per
 * message; the first process later says the same to `start` over the container's start socket. */
#pragma once

struct err;

enum sync_kind {
	SYNC_GO = 1,   /* command -> process: go on */
	SYNC_ERROR,    /* process -> command: the error that ended it */
	SYNC_PID,      /* helper -> command: pid and pidfd number of the first process (with a joined user namespace) */
	SYNC_MAPS,     /* process -> command: give my user namespace its maps */
	SYNC_HOOKS,    /* process -> command: namespaces and mounts are made, run the hooks of this point */
	SYNC_CONSOLE,  /* process -> command: the terminal's master, as a descriptor */
	SYNC_READY,    /* process -> command: everything is done but the start */
};

#define SYNC_END 1 /* sync_receive(): the other side has closed, which for a started process means that it runs */

/* Sends a message with two numbers and a descriptor (-1: none). Errors: those of sendmsg(2). */
int sync_send(int socket, enum sync_kind kind, const int numbers[2], int fd);

/* Sends what ends the sender. */
int sync_send_error(int socket, const struct err *err, int code);

struct sync_message {
	enum sync_kind kind;
	int numbers[2];
	int fd; /* -1: none; owned by the receiver */
};

/* Waits for a message. Returns 0, SYNC_END, or the other side's error, with @err as it was there.
 * Errors: those of recvmsg(2). */
int sync_receive(int socket, struct sync_message *ret_message, struct err *err);

/* Waits for exactly this kind; anything else, and the end, is -EPROTO. */
int sync_expect(int socket, enum sync_kind kind, struct err *err);
