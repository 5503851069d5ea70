#include "signals/adaptors/simulation/model.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/codec/json.h"
#include "core/codec/toml.h"

#define DEFAULT_INTERVAL 0.1
#define INTERVAL_MIN 0.0001
#define SECONDS_MAX 1e6

/* ---- reading ---- */

struct document {
	double interval;
	struct sim_signal *signals;
	size_t signals_count;
	struct sim_actuator *actuators;
	size_t actuators_count;
};

static const struct json_field FAULT_FIELDS[] = {
	JSON_FIELD(struct sim_fault, every, "every", JSON_DOUBLE, JSON_REQUIRED),
	JSON_FIELD(struct sim_fault, lasting, "for", JSON_DOUBLE, JSON_REQUIRED),
};
static const struct json_table FAULT = JSON_TABLE_STRICT(struct sim_fault, FAULT_FIELDS);

static const struct json_field SIGNAL_FIELDS[] = {
	JSON_FIELD(struct sim_signal, path, "path", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct sim_signal, kind_name, "kind", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct sim_signal, interval, "interval", JSON_DOUBLE, 0),
	JSON_FIELD(struct sim_signal, from, "from", JSON_DOUBLE, 0),
	JSON_FIELD(struct sim_signal, to, "to", JSON_DOUBLE, 0),
	JSON_FIELD(struct sim_signal, period, "period", JSON_DOUBLE, 0),
	JSON_FIELD(struct sim_signal, phase, "phase", JSON_DOUBLE, 0),
	JSON_FIELD(struct sim_signal, start, "start", JSON_DOUBLE, 0),
	JSON_FIELD(struct sim_signal, step, "step", JSON_DOUBLE, 0),
	JSON_FIELD(struct sim_signal, delay, "delay", JSON_DOUBLE, 0),
	JSON_FIELD(struct sim_signal, decimals, "decimals", JSON_I64, 0),
	JSON_FIELD(struct sim_signal, seed, "seed", JSON_I64, 0),
	JSON_FIELD(struct sim_signal, bounce, "bounce", JSON_BOOL_T, 0),
	JSON_FIELD(struct sim_signal, value, "value", JSON_STRING_T, 0),
	JSON_FIELD(struct sim_signal, values, "values", JSON_STRINGS, 0),
	JSON_NESTED(struct sim_signal, dropout, "dropout", JSON_STRUCT, &FAULT, 0),
	JSON_NESTED(struct sim_signal, stuck, "stuck", JSON_STRUCT, &FAULT, 0),
};
static const struct json_table SIGNAL = JSON_TABLE_STRICT(struct sim_signal, SIGNAL_FIELDS);

static const struct json_field ACTUATOR_FIELDS[] = {
	JSON_FIELD(struct sim_actuator, path, "path", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct sim_actuator, answer_name, "answer", JSON_STRING_T, 0),
	JSON_FIELD(struct sim_actuator, text, "text", JSON_STRING_T, 0),
	JSON_FIELD(struct sim_actuator, initial, "initial", JSON_STRING_T, 0),
	JSON_FIELD(struct sim_actuator, after, "after", JSON_DOUBLE, 0),
	JSON_FIELD(struct sim_actuator, refuse_every, "refuse_every", JSON_I64, 0),
	JSON_FIELD(struct sim_actuator, rate, "rate", JSON_DOUBLE, 0),
	JSON_FIELD(struct sim_actuator, interval, "interval", JSON_DOUBLE, 0),
	JSON_FIELD(struct sim_actuator, decimals, "decimals", JSON_I64, 0),
};
static const struct json_table ACTUATOR = JSON_TABLE_STRICT(struct sim_actuator, ACTUATOR_FIELDS);

static const struct json_field DOCUMENT_FIELDS[] = {
	JSON_FIELD(struct document, interval, "interval", JSON_DOUBLE, 0),
	JSON_NESTED_COUNTED(struct document, signals, "signal", JSON_STRUCTS, &SIGNAL, 0),
	JSON_NESTED_COUNTED(struct document, actuators, "actuator", JSON_STRUCTS, &ACTUATOR, 0),
};
static const struct json_table DOCUMENT = JSON_TABLE_STRICT(struct document, DOCUMENT_FIELDS);

static const char *const KINDS[] = {[SIM_CONSTANT] = "constant", [SIM_RAMP] = "ramp", [SIM_SINE] = "sine", [SIM_WALK] = "walk",
				    [SIM_STEPS] = "steps"};
static const char *const ANSWERS[] = {[SIM_ACCEPT] = "ok", [SIM_REFUSE] = "error", [SIM_IGNORE] = "none"};

static int find_name(const char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (str_equal(names[i], name))
			return (int)i;
	return -1;
}

static int invalid(const char *source, const char *path, const char *expected, struct err *err)
{
	return err_set(err, -EINVAL, "simulation.invalid", "%s: %s: expected %s", source, path, expected);
}

/* Are the seconds usable: a number, not below @min? */
static bool is_time(double seconds, double min)
{
	return seconds >= min && seconds <= SECONDS_MAX;
}

static bool is_fault(const struct sim_fault *fault)
{
	return (fault->every == 0 && fault->lasting == 0) ||
	       (is_time(fault->every, 0.001) && is_time(fault->lasting, 0.001) && fault->lasting <= fault->every);
}

static int check_signal(const char *source, struct sim_signal *signal, double interval, struct err *err)
{
	int kind = find_name(KINDS, ARRAY_COUNT(KINDS), signal->kind_name);
	if (kind < 0)
		return invalid(source, signal->path, "kind = constant, ramp, sine, walk or steps", err);
	signal->kind = (enum sim_kind)kind;
	if (signal->interval == 0)
		signal->interval = interval;
	if (!is_time(signal->interval, INTERVAL_MIN))
		return invalid(source, signal->path, "interval: seconds from 0.0001 on", err);
	if ((signal->kind == SIM_RAMP || signal->kind == SIM_SINE || signal->kind == SIM_STEPS) && !is_time(signal->period, 0.001))
		return invalid(source, signal->path, "period: seconds from 0.001 on", err);
	if (signal->kind == SIM_WALK && !(signal->from < signal->to && signal->step > 0))
		return invalid(source, signal->path, "from below to, and a step above 0", err);
	if (signal->kind == SIM_CONSTANT && !signal->value)
		return invalid(source, signal->path, "value = a text", err);
	while (signal->values && signal->values[signal->value_count])
		signal->value_count++;
	if (signal->kind == SIM_STEPS && signal->value_count == 0)
		return invalid(source, signal->path, "values = a list of texts", err);
	if (!is_time(signal->delay, 0) || !is_time(signal->phase, 0))
		return invalid(source, signal->path, "delay and phase: seconds", err);
	if (!is_fault(&signal->dropout) || !is_fault(&signal->stuck))
		return invalid(source, signal->path, "faults as {every = seconds, for = seconds}, for at most every", err);
	signal->random = (uint64_t)signal->seed * 0x9e3779b97f4a7c15u + 0x2545f4914f6cdd1du;
	signal->position = signal->start < signal->from ? signal->from : signal->start > signal->to ? signal->to : signal->start;
	return 0;
}

static int check_actuator(const char *source, struct sim_actuator *actuator, double interval, struct err *err)
{
	int answer = actuator->answer_name ? find_name(ANSWERS, ARRAY_COUNT(ANSWERS), actuator->answer_name) : SIM_ACCEPT;
	if (answer < 0)
		return invalid(source, actuator->path, "answer = ok, error or none", err);
	actuator->answer = (enum sim_answer)answer;
	if (actuator->interval == 0)
		actuator->interval = interval;
	if (!is_time(actuator->after, 0) || !is_time(actuator->interval, INTERVAL_MIN) || actuator->rate < 0 ||
	    actuator->refuse_every < 0)
		return invalid(source, actuator->path, "after, interval, rate and refuse_every from 0 on", err);
	return 0;
}

/* Members that are absent and do not mean 0: the tables leave defaults alone, but lists are made by the decoder. */
static void set_defaults(json_t *list)
{
	size_t index = 0;
	json_t *entry = NULL;
	json_array_foreach(list, index, entry)
	{
		if (json_is_object(entry) && !json_object_get(entry, "decimals"))
			(void)json_object_set_new(entry, "decimals", json_integer(-1)); /* out of memory: 0 decimals */
	}
}

/* Values may be written as numbers and booleans, too. */
static void texts_of_values(json_t *list)
{
	static const char *const MEMBERS[] = {"value", "initial"};
	size_t index = 0;
	json_t *entry = NULL;
	json_array_foreach(list, index, entry)
	{
		json_t *values = json_object_get(entry, "values");
		for (size_t i = 0; i < json_array_size(values); i++)
			if (!json_is_string(json_array_get(values, i))) {
				scoped_free char *text = json_dumps(json_array_get(values, i),
					JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
				(void)json_array_set_new(values, i, json_string(text ? text : ""));
			}
		for (size_t i = 0; i < ARRAY_COUNT(MEMBERS); i++) {
			const json_t *value = json_object_get(entry, MEMBERS[i]);
			if (!value || json_is_string(value))
				continue;
			scoped_free char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
			(void)json_object_set_new(entry, MEMBERS[i], json_string(text ? text : ""));
		}
	}
}

static int read_document(const char *source, json_t *tree, struct simulation *simulation, struct err *err)
{
	struct document document = {.interval = DEFAULT_INTERVAL};
	static const char *const LISTS[] = {"signal", "actuator"};
	for (size_t i = 0; i < ARRAY_COUNT(LISTS); i++) {
		set_defaults(json_object_get(tree, LISTS[i]));
		texts_of_values(json_object_get(tree, LISTS[i]));
	}
	int r = json_decode_value(source, tree, &DOCUMENT, simulation->arena, &document, err);
	if (r < 0)
		return r;
	*simulation = (struct simulation){document.signals, document.signals_count, document.actuators, document.actuators_count,
					  simulation->arena};
	if (simulation->signal_count + simulation->actuator_count == 0)
		return err_set(err, -EINVAL, "simulation.empty", "%s: expected [[signal]] or [[actuator]]", source);
	if (simulation->signal_count + simulation->actuator_count > SIMULATION_SIGNALS_MAX)
		return err_set(err, -E2BIG, "simulation.limit", "%s: more than %d signals", source, SIMULATION_SIGNALS_MAX);
	for (size_t i = 0; i < simulation->signal_count && r == 0; i++)
		r = check_signal(source, &simulation->signals[i], document.interval, err);
	for (size_t i = 0; i < simulation->actuator_count && r == 0; i++)
		r = check_actuator(source, &simulation->actuators[i], document.interval, err);
	return r;
}

int simulation_parse(const char *source, const char *text, size_t length, struct simulation **ret_simulation, struct err *err)
{
	json_t *tree = NULL;
	scoped(simulation_free) struct simulation *simulation = calloc(1, sizeof *simulation);
	if (!simulation || !(simulation->arena = calloc(1, sizeof *simulation->arena)))
		return -ENOMEM;
	simulation->arena->max = 64u << 20;
	int r = toml_parse(source, text, length, &tree, err);
	if (r == 0)
		r = read_document(source, tree, simulation, err);
	json_decref(tree);
	if (r == 0)
		*ret_simulation = TAKE(simulation);
	return r;
}

void simulation_free(struct simulation *simulation)
{
	if (!simulation)
		return;
	if (simulation->arena)
		arena_done(simulation->arena);
	free(simulation->arena);
	free(simulation);
}

/* ---- values ---- */

/* xorshift64*: enough for a walk, and the same everywhere. From -1 to 1. */
static double next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (double)(*state * 0x2545f4914f6cdd1du >> 11) / (double)(UINT64_C(1) << 52) - 1;
}

void sim_format(double number, int64_t decimals, char ret_text[static SIMULATION_TEXT_MAX])
{
	if (decimals < 0)
		(void)snprintf(ret_text, SIMULATION_TEXT_MAX, "%.9g", number);
	else
		(void)snprintf(ret_text, SIMULATION_TEXT_MAX, "%.*f", decimals > 15 ? 15 : (int)decimals,
			       fabs(number) < 1e100 ? number : 0);
}

static bool is_at_fault(const struct sim_fault *fault, double seconds)
{
	return fault->every > 0 && fmod(seconds, fault->every) >= fault->every - fault->lasting;
}

static double number_at(struct sim_signal *signal, double seconds)
{
	double turn = signal->period > 0 ? fmod(seconds / signal->period, 1) : 0;
	switch (signal->kind) {
	case SIM_RAMP:
		if (signal->bounce)
			turn = turn < 0.5 ? 2 * turn : 2 - 2 * turn;
		return signal->from + (signal->to - signal->from) * turn;
	case SIM_SINE:
		return (signal->from + signal->to) / 2 + (signal->to - signal->from) / 2 * sin(2 * M_PI * turn);
	default:
		signal->position += signal->step * next_random(&signal->random);
		signal->position = fmin(fmax(signal->position, signal->from), signal->to);
		return signal->position;
	}
}

int sim_signal_value(struct sim_signal *signal, double seconds, char ret_text[static SIMULATION_TEXT_MAX])
{
	double then = seconds - signal->delay + signal->phase;
	if (is_at_fault(&signal->dropout, seconds))
		return 1;
	bool keeps = is_at_fault(&signal->stuck, seconds) && *signal->last;
	if (!keeps && signal->kind == SIM_CONSTANT)
		(void)snprintf(signal->last, sizeof signal->last, "%s", signal->value);
	else if (!keeps && signal->kind == SIM_STEPS)
		(void)snprintf(signal->last, sizeof signal->last, "%s",
			       signal->values[(size_t)(fmax(then, 0) / signal->period) % signal->value_count]);
	else if (!keeps)
		sim_format(number_at(signal, fmax(then, 0)), signal->decimals, signal->last);
	memcpy(ret_text, signal->last, sizeof signal->last);
	return 0;
}
