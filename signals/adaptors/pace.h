/* When a record of the past is due again: speed, seek, loop. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct pace {
	double speed; /* 1: as recorded; 2: twice as fast; 0: without waiting */
	double seek;  /* seconds from the first record to start at */
	bool begun;
	int64_t first_ns;    /* recorded time of the first record */
	int64_t started_ns; /* when the replay began, CLOCK_MONOTONIC */
	int64_t last_ns;     /* recorded time of the last */
};

/* "2", "0.5", "max" and so on. Errors: -EINVAL. */
int pace_parse_speed(const char *text, double *ret_speed);
int pace_parse_seconds(const char *text, double *ret_seconds);

/* When the record of @recorded_ns is due (@now_ns: CLOCK_MONOTONIC); INT64_MIN: it lies before the seek and is passed
 * over. */
int64_t pace_due(struct pace *pace, int64_t recorded_ns, int64_t now_ns);

/* The record begins again. */
void pace_restart(struct pace *pace);
