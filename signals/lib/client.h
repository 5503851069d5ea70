/* The inside of libaxle-signal: one connection, its subscriptions, claims and unanswered requests. */
#pragma once

#include <stdbool.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "signals/include/axle/signal.h"
#include "signals/src/line/line.h"

#define CLIENT_OUT_MAX (8u << 20)   /* all that waits to be sent, requests included */
#define CLIENT_HANDLES_MAX (1u << 20) /* a service that numbers beyond is not believed */
#define CLIENT_RETRY_FIRST_MS 20
#define CLIENT_RETRY_LAST_MS 500
#define CLIENT_BUSY_RETRY_MS 1000

/* What a handle of the service stands for. */
struct handle {
	struct axle_signal_sub *sub; /* an update of its signal @index */
	struct axle_signal_claim *claim;
	size_t index;
};

struct sub_signal {
	char *path;
	uint64_t lost; /* to be told with the next update */
};

struct axle_signal_sub {
	struct axle_signal *client;
	struct axle_signal_sub *next;
	char *pattern;
	unsigned flags;
	axle_signal_update_fn *callback;
	void *user;
	bool has_id;
	bool dead; /* unsubscribed within a callback: freed behind it */
	uint64_t id;
	int error;
	struct sub_signal *signals;
	size_t count;
	size_t cursor; /* where the next name is looked for first: they come in the same order again */
};

struct axle_signal_claim {
	struct axle_signal *client;
	struct axle_signal_claim *next;
	char *path;
	unsigned flags;
	axle_signal_request_fn *callback;
	void *user;
	bool stands;
	bool dead;
	uint32_t handle;
	int error;
	struct buf last; /* the last value published */
	bool has_last;
	int64_t last_time_ns;
};

enum pending_kind {
	PENDING_NOTHING, /* nobody waits for the answer */
	PENDING_HELLO,
	PENDING_SUB,
	PENDING_CLAIM,
	PENDING_CALLER, /* a call that blocks */
};

/* A request without its answer yet; answers come in the order of requests. */
struct pending {
	struct pending *next;
	enum pending_kind kind;
	void *target; /* the sub, the claim (NULL: gone since) or the struct answer */
};

/* What a call that blocks waits for. */
struct answer {
	bool done;
	int r;
	struct buf text;
	axle_signal_item_fn *item;
	void *user;
};

struct axle_signal {
	char *path;
	char *name;
	int epoll_fd;
	int timer_fd;
	int socket_fd; /* -1: not connected */
	bool want_write;
	bool greeted; /* the service has answered our hello */
	bool dispatching;
	bool in_callback;
	int retry_ms;
	int fatal; /* the service speaks another version: no further attempts */
	int timeout_ms;
	struct line_reader in;
	struct buf out;
	size_t unsent_updates;
	struct pending *first_pending;
	struct pending **last_pending;
	struct handle *handles;
	size_t handle_count;
	struct axle_signal_sub *subs;
	struct axle_signal_claim *claims;
	bool have_dead;
	axle_signal_link_fn *on_link;
	void *on_link_user;
	int callbacks; /* made since dispatch began */
	/* the one actuation that axle_signal_actuate() waits for */
	bool outcome_wanted, outcome_there;
	uint64_t outcome_id;
	int outcome;
	struct err err;
};

/* ---- link.c: the socket ---- */

/* Tries to connect now; where that fails, arms the timer for the next attempt. */
void client_connect(struct axle_signal *client);
void client_disconnect(struct axle_signal *client);
void client_arm_timer(struct axle_signal *client, int milliseconds);

/* Sends what waits, as far as the kernel takes it. Returns 0: all, 1: some is left. A broken connection is noted, not
 * returned. */
int client_send(struct axle_signal *client);

/* Receives and handles what is there. */
void client_receive(struct axle_signal *client);

/* ---- events.c ---- */

/* Handles one line of the service. */
void client_take_line(struct axle_signal *client, char *line, size_t length);

/* The connection stands: greets, subscribes and claims anew. And its end: every handle is forgotten, every caller
 * told. */
void client_link_up(struct axle_signal *client);
void client_link_down(struct axle_signal *client);

/* ---- request.c ---- */

/* Appends a request line, to be sent by the next flush, and remembers who waits for its answer. Nothing is queued
 * while there is no connection (-ENOTCONN). Errors: -ENOMEM, -EMSGSIZE, -EINVAL (a line break). */
int client_ask(struct axle_signal *client, enum pending_kind kind, void *target, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Forgets that @target waits (its answer will be dropped). */
void client_forget_target(struct axle_signal *client, const void *target);

/* Ends the first pending request: takes it off the list. NULL where there is none. */
struct pending *client_pop_pending(struct axle_signal *client);

void client_request_sub(struct axle_signal_sub *sub);
void client_request_claim(struct axle_signal_claim *claim);

/* Sends the claim's last value. */
int claim_send_last(struct axle_signal_claim *claim);
void client_free_dead(struct axle_signal *client, bool all);
int client_set_handle(struct axle_signal *client, uint64_t handle, struct handle value);
