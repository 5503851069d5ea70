/* What stands behind "@" in the name of a stream: which updates its reader wants. Pure.
 *
 *	follow		changes (what one gets without any other)
 *	all		every update, also those that change nothing
 *	rate=N		at most N a second; the newest when the time has come
 *	change=D	numbers: those that differ by at least D from the last one delivered
 *	above=X below=X inside=A:B outside=A:B		numbers: those for which it holds (inside: A and B included)
 *
 * Joined by commas, each at most once. A signal that becomes unavailable passes every filter. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct datatype;
struct reading;

#define FILTER_TEXT_MAX 128 /* of a name's part behind "@", with the terminator */
#define FILTER_RATE_MAX 10000.0

struct filter {
	bool all;
	uint8_t window; /* enum filter_window, private */
	double rate;	     /* a second; 0: none */
	int64_t interval_ns; /* what it means */
	double change;	     /* 0: none */
	double low;
	double high;
};

/* What must be remembered between updates. Zeroed is the beginning. */
struct filter_state {
	double delivered_number;
	int64_t delivered_ns; /* CLOCK_BOOTTIME */
	uint64_t delivered_sequence; /* 0: nothing yet */
	bool delivered_available;
	bool waiting; /* an update waits until the rate allows it */
};

enum filter_verdict {
	FILTER_DROP,
	FILTER_PASS, /* deliver now, then filter_delivered() */
	FILTER_WAIT, /* deliver what is newest then, at filter_due() */
};

/* Parses "rate=10,change=0.5". @type: the signal's; thresholds need a number.
 * Errors: -ENOENT (no such filter, or none for this type: the name does not exist). */
int filter_parse(const char *text, size_t length, const struct datatype *type, struct filter *ret_filter);

/* The one spelling of a filter: what all its spellings share. Returns its length. */
size_t filter_format(const struct filter *filter, char ret_text[static FILTER_TEXT_MAX]);

enum filter_verdict filter_judge(const struct filter *filter, const struct filter_state *state,
				 const struct reading *reading, int64_t now_ns);
int64_t filter_due(const struct filter *filter, const struct filter_state *state);
void filter_delivered(struct filter_state *state, const struct reading *reading, int64_t now_ns);
