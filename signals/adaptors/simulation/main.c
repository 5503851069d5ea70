/* axsignal-sim: provides simulated signals, and answers actuations by a script. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/sys/fd.h"
#include "signals/adaptors/adaptor.h"
#include "signals/adaptors/pace.h"
#include "signals/adaptors/simulation/model.h"

#define ANSWERS_MAX 64 /* requests of one actuator that wait for their answer */

struct options {
	const char *socket, *for_seconds;
	bool check;
};

#define OPTION(member) offsetof(struct options, member)
static const struct opt OPTIONS[] = {
	{0, "for", "SECONDS", OPT_STRING, OPTION(for_seconds), "end after so long"},
	{0, "check", NULL, OPT_FLAG, OPTION(check), "read the description, and exit"},
	{0, "socket", "PATH", OPT_STRING, OPTION(socket), "of the signal service"},
	{0},
};

static const struct adaptor_usage USAGE = {"axsignal-sim", "FILE.toml [OPTION]...",
					   "Provides simulated signals, and answers actuations by a script.", OPTIONS};

/* A request that is answered later. */
struct waiting {
	uint64_t id;
	int64_t due_ns;
	bool refused;
	char value[SIMULATION_TEXT_MAX];
};

struct plant {
	const struct sim_actuator *actuator;
	struct axle_signal_claim *claim;
	struct waiting waiting[ANSWERS_MAX]; /* in the order of requests, which is that of answers */
	size_t count;
	uint64_t requests;
	bool moving;
	double position, target;
	int64_t due_ns; /* of the next step on the way */
};

struct source {
	struct sim_signal *signal;
	struct axle_signal_claim *claim;
	int64_t due_ns;
	bool available;
};

struct sim {
	struct adaptor adaptor;
	struct simulation *simulation;
	struct source *sources;
	struct plant *plants;
	int64_t started_ns;
};

/* ---- actuators ---- */

static void take_request(void *user, struct axle_signal_claim *claim, const struct axle_signal_request_info *request)
{
	struct plant *plant = user;
	const struct sim_actuator *actuator = plant->actuator;
	plant->requests++;
	if (actuator->answer == SIM_IGNORE)
		return;
	if (plant->count == ANSWERS_MAX || strlen(request->value) >= SIMULATION_TEXT_MAX) {
		(void)axle_signal_answer(claim, request->id, "the simulated actuator is busy");
		return;
	}
	struct waiting *waiting = &plant->waiting[plant->count++];
	*waiting = (struct waiting){.id = request->id, .due_ns = adaptor_now() + (int64_t)(actuator->after * 1e9)};
	waiting->refused = actuator->answer == SIM_REFUSE ||
			   (actuator->refuse_every > 0 && plant->requests % (uint64_t)actuator->refuse_every == 0);
	(void)snprintf(waiting->value, sizeof waiting->value, "%s", request->value);
}

/* The target becomes the value: at once, or step by step. */
static void begin_move(struct plant *plant, const char *value, int64_t now_ns)
{
	char *end = NULL;
	double target = strtod(value, &end);
	if (plant->actuator->rate == 0 || end == value || *end) {
		plant->moving = false;
		plant->position = end != value && !*end ? target : 0;
		(void)axle_signal_publish(plant->claim, value, adaptor_wall());
		return;
	}
	plant->target = target;
	plant->moving = true;
	plant->due_ns = now_ns;
}

static void move(struct plant *plant, int64_t now_ns)
{
	char text[SIMULATION_TEXT_MAX];
	double most = plant->actuator->rate * plant->actuator->interval;
	double way = plant->target - plant->position;
	plant->position = fabs(way) <= most ? plant->target : plant->position + (way < 0 ? -most : most);
	plant->moving = plant->position != plant->target;
	plant->due_ns = now_ns + (int64_t)(plant->actuator->interval * 1e9);
	sim_format(plant->position, plant->actuator->decimals, text);
	(void)axle_signal_publish(plant->claim, text, adaptor_wall());
}

static int64_t serve_plant(struct plant *plant, int64_t now_ns)
{
	while (plant->count > 0 && plant->waiting[0].due_ns <= now_ns) {
		struct waiting waiting = plant->waiting[0];
		memmove(plant->waiting, plant->waiting + 1, --plant->count * sizeof waiting);
		const char *text = plant->actuator->text ? plant->actuator->text : "refused by the simulation";
		if (!waiting.refused)
			begin_move(plant, waiting.value, now_ns);
		(void)axle_signal_answer(plant->claim, waiting.id, waiting.refused ? text : NULL);
	}
	if (plant->moving && plant->due_ns <= now_ns)
		move(plant, now_ns);
	int64_t due = plant->moving ? plant->due_ns : INT64_MAX;
	return plant->count > 0 && plant->waiting[0].due_ns < due ? plant->waiting[0].due_ns : due;
}

/* ---- signals ---- */

static int64_t serve_source(struct sim *sim, struct source *source, int64_t now_ns)
{
	char text[SIMULATION_TEXT_MAX];
	int64_t interval = (int64_t)(source->signal->interval * 1e9);
	if (source->due_ns > now_ns)
		return source->due_ns;
	int r = sim_signal_value(source->signal, (double)(now_ns - sim->started_ns) / 1e9, text);
	if (r == 0)
		(void)axle_signal_publish(source->claim, text, adaptor_wall() - (int64_t)(source->signal->delay * 1e9));
	else if (source->available)
		(void)axle_signal_publish(source->claim, NULL, 0);
	source->available = r == 0;
	source->due_ns += interval;
	if (source->due_ns <= now_ns) /* stopped for a while: nothing is made up for */
		source->due_ns = now_ns + interval;
	return source->due_ns;
}

/* Serves all that is due, and says when the next is. */
static int64_t serve(struct sim *sim, int64_t now_ns)
{
	int64_t due = INT64_MAX;
	for (size_t i = 0; i < sim->simulation->signal_count; i++) {
		int64_t next = serve_source(sim, &sim->sources[i], now_ns);
		due = next < due ? next : due;
	}
	for (size_t i = 0; i < sim->simulation->actuator_count; i++) {
		int64_t next = serve_plant(&sim->plants[i], now_ns);
		due = next < due ? next : due;
	}
	return due;
}

/* ---- start ---- */

static int claim_all(struct sim *sim, struct err *err)
{
	const struct simulation *simulation = sim->simulation;
	size_t all = simulation->signal_count + simulation->actuator_count;
	scoped_free struct axle_signal_claim **claims = calloc(all, sizeof(struct axle_signal_claim *));
	scoped_free const char **paths = calloc(all, sizeof(const char *));
	size_t count = 0;
	int r = claims && paths ? 0 : -ENOMEM;
	for (size_t i = 0; r == 0 && i < simulation->signal_count; i++) {
		struct source *source = &sim->sources[i];
		source->signal = &simulation->signals[i];
		source->due_ns = sim->started_ns;
		r = axle_signal_claim(sim->adaptor.signals, source->signal->path, 0, NULL, NULL, &source->claim);
		paths[count] = source->signal->path;
		claims[count++] = source->claim;
	}
	for (size_t i = 0; r == 0 && i < simulation->actuator_count; i++) {
		struct plant *plant = &sim->plants[i];
		plant->actuator = &simulation->actuators[i];
		r = axle_signal_claim(sim->adaptor.signals, plant->actuator->path, 0, take_request, plant, &plant->claim);
		paths[count] = plant->actuator->path;
		claims[count++] = plant->claim;
		if (r == 0 && plant->actuator->initial)
			begin_move(plant, plant->actuator->initial, sim->started_ns);
	}
	if (r < 0)
		return err_set(err, r, "sim.claim", "%s", axle_signal_error(sim->adaptor.signals));
	int standing = adaptor_settle(&sim->adaptor, claims, paths, count, 5000);
	log_info(&sim->adaptor.log, "sim.started", "%d of %zu signals provided", standing, count);
	return 0;
}

static int run(struct sim *sim, const struct options *options, struct err *err)
{
	double seconds = 0;
	if (options->for_seconds && pace_parse_seconds(options->for_seconds, &seconds) < 0)
		return err_set(err, -EINVAL, "sim.usage", "--for %s: expected seconds", options->for_seconds);
	sim->sources = calloc(sim->simulation->signal_count + 1, sizeof *sim->sources);
	sim->plants = calloc(sim->simulation->actuator_count + 1, sizeof *sim->plants);
	if (!sim->sources || !sim->plants)
		return -ENOMEM;
	sim->started_ns = adaptor_now();
	int r = adaptor_start(&sim->adaptor, "axsignal-sim", err);
	if (r == 0)
		r = claim_all(sim, err);
	int64_t end = options->for_seconds ? sim->started_ns + (int64_t)(seconds * 1e9) : INT64_MAX;
	while (r == 0 && !sim->adaptor.ended && adaptor_now() < end) {
		int64_t due = serve(sim, adaptor_now());
		(void)adaptor_wait(&sim->adaptor, -1, due < end ? due : end);
	}
	return r;
}

static int read_file(struct sim *sim, const char *path, struct err *err)
{
	scoped_done(buf_done) struct buf text = {.max = SIMULATION_BYTES_MAX};
	if (!path)
		return err_set(err, -EINVAL, "sim.usage", "expected a description: see --help");
	int r = file_read_at(AT_FDCWD, path, &text, err);
	return r < 0 ? r : simulation_parse(path, text.data ? text.data : "", text.size, &sim->simulation, err);
}

int main(int argc, char **argv)
{
	struct options options = {0};
	struct err err = {0};
	int first = 0;
	int status = 0;
	if (adaptor_parse(&USAGE, argv, &options, &first, &status))
		return status;
	struct sim sim = {.adaptor = {.log = log_to_stderr("axsignal-sim"), .socket = options.socket, .signal_fd = -1}};
	int r = read_file(&sim, first < argc ? argv[first] : NULL, &err);
	if (r == 0 && options.check)
		(void)printf("%zu signals, %zu actuators\n", sim.simulation->signal_count, sim.simulation->actuator_count);
	else if (r == 0)
		r = run(&sim, &options, &err);
	if (r < 0)
		log_err(&sim.adaptor.log, &err, r, "ended");
	if (sim.adaptor.signals)
		adaptor_stop(&sim.adaptor);
	free(sim.sources);
	free(sim.plants);
	simulation_free(sim.simulation);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
