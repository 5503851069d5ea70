/* Secrets that stand for a request once: what an URL of Exec, Attach or PortForward is made of. No clock of its own: times
 * are the caller's, in ns. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "manager/src/idtable.h"

struct err;
struct token;

#define TOKENS_MAX 1000	       /* requests that wait for their clients */
#define TOKEN_TEXT_MAX ID_TEXT_MAX /* 256 random bits in hexadecimal */

/* {.release = ...} is empty. */
struct tokens {
	struct token *first; /* the oldest */
	size_t count;
	void (*release)(void *object); /* for one whose time is over */
};

void tokens_done(struct tokens *tokens);

/* Takes the object. Errors: -ENOBUFS (TOKENS_MAX are waiting), -ENOMEM; the object is the caller's then. */
int tokens_add(struct tokens *tokens, void *object, int64_t now_ns, int64_t due_ns, char ret_text[TOKEN_TEXT_MAX],
	       struct err *err);

/* Hands the object over; its token is of no use any more. NULL: there is none, it was used, or its time is over. */
void *tokens_take(struct tokens *tokens, const char *text, int64_t now_ns);
