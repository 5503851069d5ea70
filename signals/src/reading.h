/* What one sees of a signal at one moment. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A signal or branch: the same over reloads and restarts. */
typedef uint32_t signal_id;
#define SIGNAL_NONE UINT32_MAX

enum quality {
	QUALITY_NEVER,	     /* never set; these up to QUALITY_REMOVED have no value */
	QUALITY_WITHDRAWN,   /* by its provider */
	QUALITY_PROVIDER,    /* its provider went */
	QUALITY_TIMEOUT,     /* older than its maximum age */
	QUALITY_REMOVED,     /* the catalogue has it no more, or in another type */
	QUALITY_GOOD,
	QUALITY_DEFAULT, /* an attribute's default */
	QUALITY_FORCED,	 /* by the test bench, over the publisher */
};

/* A signal's present value. @text is terminated and valid until the next update of the signal. */
struct reading {
	const char *text; /* NULL: unavailable */
	size_t length;
	double number; /* of numbers and booleans */
	uint64_t sequence; /* of updates, from 1; availability counts as an update */
	int64_t source_ns; /* since the epoch; 0: the publisher gave none */
	int64_t receive_ns;
	enum quality quality;
	bool changed; /* in a callback: another text or availability than before */
};
