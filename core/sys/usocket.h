/* UNIX sockets by paths of any length: sun_path holds 107 bytes, a state folder may be deeper. The socket's directory
 * is opened and the name reached through /proc/self/fd. */
#pragma once

#include <sys/types.h>

struct err;

/* Makes a listening socket (@type: SOCK_STREAM, SOCK_SEQPACKET; FD_CLOEXEC and O_NONBLOCK are set) at @path with @mode.
 * A socket that lies there and that nobody serves is replaced; one that is served is -EADDRINUSE. Returns the
 * descriptor. Errors: -EADDRINUSE, -ENOENT, -ENAMETOOLONG (its last component), those of socket(2), bind(2). */
int usocket_listen(const char *path, int type, mode_t mode, int backlog, struct err *err);

/* Connects (FD_CLOEXEC and O_NONBLOCK are set; a UNIX socket connects at once or not at all). Returns the descriptor.
 * Errors: -ENOENT, -ECONNREFUSED (nobody serves it), -EAGAIN (its backlog is full), -EACCES, those of connect(2). */
int usocket_connect(const char *path, int type, struct err *err);
