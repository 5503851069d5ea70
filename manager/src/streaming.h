/* The streaming side of CRI: Exec, Attach and PortForward answer with an URL, at which the client then gets its streams.
 *
 * One HTTP server on the loopback device; an URL holds a secret, is good for one connection, and only for a minute. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct container;
struct err;
struct node;
struct pod;
struct streaming;

enum streaming_kind {
	STREAMING_EXEC,
	STREAMING_ATTACH,
	STREAMING_PORT_FORWARD,
	STREAMING_KIND_COUNT,
};

/* What an URL stands for. malloc()ed, with all that it points to. */
struct streaming_request {
	enum streaming_kind kind;
	struct container *container; /* a reference; of Exec and Attach */
	struct pod *pod;	     /* a reference; of PortForward */
	char **command;		     /* of Exec */
	bool tty;
	bool with_stdin;
	bool with_stdout;
	bool with_stderr;
};

void streaming_request_free(struct streaming_request *request);

/* Listens as the node's configuration says. Errors: of socket(2) and bind(2). */
int streaming_open(struct node *node, struct streaming **ret_streaming, struct err *err);

/* Listens no more, forgets the URLs; connections have been or are being cancelled with all fibers. NULL is allowed. */
void streaming_close(struct streaming *streaming);

/* Frees it: after the connections have ended. NULL is allowed. */
void streaming_free(struct streaming *streaming);

/* Takes the request; the URL lies in @arena. Errors: -ENOBUFS (too many wait for their clients), -ENOMEM. */
int streaming_url(struct streaming *streaming, struct streaming_request *request, struct arena *arena,
		  const char **ret_url, struct err *err);
