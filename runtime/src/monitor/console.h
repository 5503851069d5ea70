/* The socket by which an OCI runtime hands over a terminal (--console-socket): it connects and sends one message with the
 * master's descriptor (runc's docs/terminals.md). */
#pragma once

struct err;

struct console {
	int dir_fd;    /* borrowed */
	int listen_fd; /* -1: none */
	char name[32]; /* of the socket, below dir_fd */
};

/* Listens below @dir_fd. Errors: of bind(2), listen(2). */
int console_open(struct console *console, int dir_fd, const char *name, struct err *err);

/* Takes the master that a runtime which has ended must have sent; sets its size where @rows is not 0, and line ends as a
 * terminal needs them. Returns the descriptor. Errors: -EPROTO (none came). */
int console_receive(struct console *console, unsigned rows, unsigned columns, struct err *err);

/* Removes the socket. */
void console_close(struct console *console);

/* Errors: of ioctl(2). */
int console_resize(int pty_fd, unsigned rows, unsigned columns);
