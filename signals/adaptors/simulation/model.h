/* Simulated signals: what they are (a TOML description, docs/formats/signal-simulation.md) and what they are at a
 * time. Pure: no clock, no chance but a seeded one, so that the same description gives the same values. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/scoped.h"

struct err;

#define SIMULATION_BYTES_MAX (1u << 20)
#define SIMULATION_SIGNALS_MAX 10000
#define SIMULATION_TEXT_MAX 256

enum sim_kind {
	SIM_CONSTANT,
	SIM_RAMP,  /* from..to within period, then again (or back, "bounce") */
	SIM_SINE,  /* between from and to */
	SIM_WALK,  /* from a start in steps of at most @step, within from..to */
	SIM_STEPS, /* one of @values after the other */
};

/* A fault that comes @every so many seconds and stays @lasting (0: never). */
struct sim_fault {
	double every, lasting;
};

struct sim_signal {
	const char *path;
	const char *kind_name;
	enum sim_kind kind;
	double interval; /* seconds between updates */
	double from, to, period, phase, start, step, delay;
	int64_t decimals;
	int64_t seed;
	bool bounce;
	const char *value; /* of a constant */
	const char *const *values;
	size_t value_count;
	struct sim_fault dropout; /* unavailable */
	struct sim_fault stuck;	  /* keeps its last value */
	/* state */
	uint64_t random;
	double position;
	char last[SIMULATION_TEXT_MAX];
};

enum sim_answer {
	SIM_ACCEPT,
	SIM_REFUSE,
	SIM_IGNORE, /* never answers: the requester gets a timeout */
};

struct sim_actuator {
	const char *path;
	const char *answer_name;
	enum sim_answer answer;
	const char *text;    /* of a refusal */
	const char *initial; /* its value at the start, or NULL */
	double after;	     /* seconds until the answer */
	int64_t refuse_every; /* each so many-th request is refused; 0: none */
	double rate;	     /* a number moves towards its target by so much a second; 0: at once */
	double interval;     /* between its updates on the way */
	int64_t decimals;
};

struct simulation {
	struct sim_signal *signals;
	size_t signal_count;
	struct sim_actuator *actuators;
	size_t actuator_count;
	struct arena *arena;
};

/* Errors: -EINVAL (@err: where, what was expected), -E2BIG, -ENOMEM. */
int simulation_parse(const char *source, const char *text, size_t length, struct simulation **ret_simulation, struct err *err);
void simulation_free(struct simulation *simulation);
SCOPED_DEFINE(struct simulation, simulation_free)

/* The value @seconds after the start as text; called once for each interval. Returns 0, or 1: unavailable (dropout).
 * */
int sim_signal_value(struct sim_signal *signal, double seconds, char ret_text[static SIMULATION_TEXT_MAX]);

/* A number as text with @decimals (-1: as short as it goes). */
void sim_format(double number, int64_t decimals, char ret_text[static SIMULATION_TEXT_MAX]);
