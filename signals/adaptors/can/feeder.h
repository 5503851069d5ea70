/* Frames to values and actuations to frames: the CAN adaptor without its sources. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/scoped.h"
#include "signals/include/axle/signal.h"

struct can_frame_data;
struct dbc;
struct err;
struct feeder;
struct log;
struct mapping;

#define FEEDER_CYCLES_MISSED 3.0 /* so many cycles without a frame make its signals unavailable */

struct feeder_options {
	struct axle_signal *signals;
	const struct dbc *dbc;
	const struct mapping *mapping;
	const struct log *log;
	bool j1939;	       /* the highest raw values say "not available" */
	double cycles_missed; /* 0: never by cycle */
	/* Sends a frame. Returns 0 or a negative errno; @err says why. */
	int (*send)(void *user, const struct can_frame_data *frame, struct err *err);
	void *user;
};

/* Claims all signals of the mapping. What @options point to is borrowed. Errors: -ENOMEM, those of
 * axle_signal_claim(). */
int feeder_new(const struct feeder_options *options, struct feeder **ret_feeder, struct err *err);
void feeder_free(struct feeder *feeder);
SCOPED_DEFINE(struct feeder, feeder_free)

/* Publishes what @frame says. @time_ns: since 1970. @now_ns: CLOCK_MONOTONIC. */
void feeder_take(struct feeder *feeder, const struct can_frame_data *frame, int64_t time_ns, int64_t now_ns);

/* Withdraws what no frame has said for too long; when to call it next (INT64_MAX: never). */
void feeder_expire(struct feeder *feeder, int64_t now_ns);
int64_t feeder_due(const struct feeder *feeder);

/* The start value of a CAN signal in frames that are sent. Errors: -ENOENT (no such signal), -ERANGE. */
int feeder_set_default(struct feeder *feeder, const char *signal, double value);

/* The claims, in one array, and their paths: for adaptor_settle(). */
size_t feeder_claims(const struct feeder *feeder, struct axle_signal_claim *const **ret_claims,
		     const char *const **ret_paths);
