/* The terminal of a container process. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct err;
struct oci_process;

/* Makes a terminal of the devpts that is mounted on /dev/pts below @root_fd, as large as configured and owned by the
 * process's user. *ret_master and *ret_slave are the caller's. */
int console_open(int root_fd, const struct oci_process *process, int *ret_master, int *ret_slave, struct err *err);

/* Binds the slave on /dev/console. */
int console_bind(int root_fd, int slave, struct err *err);

/* Makes the slave the calling session leader's terminal and its stdin, stdout and stderr; closes @slave. */
int console_become(int slave, struct err *err);

/* Sends the master to whoever listens at @path, as runc does: one message, the descriptor beside the terminal's name. */
int console_send(const char *path, int master, struct err *err);

/* The caller's own terminal, in raw mode while it is connected with a container's. */
struct console_relay;

/* Starts relaying between stdin, stdout and @master, which it takes over. */
int console_relay_start(int master, struct console_relay **ret_relay, struct err *err);

/* Relays until the process behind @pidfd has ended and its last output has been written. Takes SIGWINCH and others from
 * @signal_fd and calls @on_signal with each. */
int console_relay_run(struct console_relay *relay, int pidfd, int signal_fd, void (*on_signal)(int signal, void *arg),
		      void *arg);

/* Restores the terminal. */
void console_relay_free(struct console_relay *relay);
