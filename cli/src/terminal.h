/* The terminal at the other end of standard input: raw while a container owns it, as it was before at every end. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <termios.h>

struct err;

struct terminal {
	int fd;
	bool raw;
	struct termios before;
};

/* Makes the terminal at @fd raw: every key goes through as it is. Errors: of tcgetattr(3), tcsetattr(3). */
int terminal_make_raw(struct terminal *terminal, int fd, struct err *err);

/* Gives it back as it was. Safe at any time, and twice. */
void terminal_restore(struct terminal *terminal);

/* False where @fd is no terminal, or one that does not know its size. */
bool terminal_size(int fd, uint32_t *ret_rows, uint32_t *ret_columns);

/* ---- The keys that detach ---- */

#define DETACH_KEYS_MAX 8

struct detach_keys {
	uint8_t keys[DETACH_KEYS_MAX];
	size_t count; /* 0: none */
	size_t matched;
};

/* "ctrl-p,ctrl-q", "a,b", "" (none). Errors: -EINVAL. */
int detach_keys_parse(const char *text, struct detach_keys *ret_keys, struct err *err);

/* Looks through @bytes as they are typed. What begins the sequence is held back until it is clear that it is not the
 * sequence; what may go on is written to @ret_out (room for @size + DETACH_KEYS_MAX). Returns whether all keys came. */
bool detach_keys_filter(struct detach_keys *keys, const uint8_t *bytes, size_t size, uint8_t *ret_out,
			size_t *ret_size);
