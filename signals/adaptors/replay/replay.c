/* axsignal-replay: publishes a record of signals again, at its own pace. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "signals/adaptors/adaptor.h"
#include "signals/adaptors/pace.h"
#include "signals/adaptors/replay/csv.h"

#define SIGNALS_MAX 16384 /* of one record */

struct options {
	const char *speed, *seek, *socket;
	bool loop, stay, shared;
};

#define OPTION(member) offsetof(struct options, member)
static const struct opt OPTIONS[] = {
	{0, "speed", "FACTOR", OPT_STRING, OPTION(speed), "2 is twice as fast, max does not wait"},
	{0, "seek", "SECONDS", OPT_STRING, OPTION(seek), "start so far behind the first record"},
	{0, "loop", NULL, OPT_FLAG, OPTION(loop), "begin again at the end"},
	{0, "stay", NULL, OPT_FLAG, OPTION(stay), "go on providing the last values at the end"},
	{0, "shared", NULL, OPT_FLAG, OPTION(shared), "publish beside others, without claiming the signals"},
	{0, "socket", "PATH", OPT_STRING, OPTION(socket), "of the signal service"},
	{0},
};

static const struct adaptor_usage USAGE = {"axsignal-replay", "FILE.csv [OPTION]...",
					   "Publishes a record of signals (time,path,value) again. A candump log: axsignal-can.",
					   OPTIONS};

struct replay {
	struct adaptor adaptor;
	struct pace pace;
	FILE *file;
	const char *name;
	char *line; /* of getline() */
	size_t line_size;
	unsigned long line_number;
	unsigned flags; /* of claims */
	char **paths;	/* sorted */
	struct axle_signal_claim **claims;
	size_t count;
};

/* The next record. Returns 1, or 0: the end. Errors: -EINVAL, of read(2); @err has the line. */
static int next_record(struct replay *replay, struct csv_record *ret_record, struct err *err)
{
	for (;;) {
		ssize_t length = getline(&replay->line, &replay->line_size, replay->file);
		if (length < 0)
			return ferror(replay->file) ? err_sys(err, -errno, "replay.read", "%s", replay->name) : 0;
		replay->line_number++;
		if (length > CSV_LINE_MAX)
			return err_set(err, -EINVAL, "replay.line", "%s: line %lu: more than %d bytes", replay->name,
				       replay->line_number, CSV_LINE_MAX);
		if (length > 0 && replay->line[length - 1] == '\n')
			replay->line[length - 1] = '\0';
		int r = csv_parse(replay->line, ret_record, err);
		if (r < 0)
			return err_add(err, r, "%s: line %lu", replay->name, replay->line_number);
		if (r == 1)
			return 1;
	}
}

static void rewind_file(struct replay *replay)
{
	rewind(replay->file);
	replay->line_number = 0;
	pace_restart(&replay->pace);
}

/* Where @path stands among the sorted paths, or would. */
static size_t place_of(const struct replay *replay, const char *path, bool *ret_found)
{
	size_t low = 0;
	for (size_t high = replay->count; low < high;) {
		size_t middle = (low + high) / 2;
		int order = strcmp(replay->paths[middle], path);
		if (order == 0) {
			*ret_found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_found = false;
	return low;
}

static int add_path(struct replay *replay, const char *path, struct err *err)
{
	bool found = false;
	size_t at = place_of(replay, path, &found);
	if (found)
		return 0;
	if (replay->count >= SIGNALS_MAX)
		return err_set(err, -E2BIG, "replay.limit", "%s: more than %d signals", replay->name, SIGNALS_MAX);
	char *copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	memmove(&replay->paths[at + 1], &replay->paths[at], (replay->count - at) * sizeof *replay->paths);
	replay->paths[at] = copy;
	replay->count++;
	return 0;
}

/* The whole record is read once before it begins: a line that is wrong is told at once, and all claims stand when it
 * starts. */
static int read_paths(struct replay *replay, struct err *err)
{
	struct csv_record record;
	int r = 0;
	while ((r = next_record(replay, &record, err)) == 1) {
		r = add_path(replay, record.path, err);
		if (r < 0)
			return r;
	}
	if (r == 0 && replay->count == 0)
		return err_set(err, -EINVAL, "replay.empty", "%s: expected records: " CSV_HEADER, replay->name);
	rewind_file(replay);
	return r;
}

/* Refused, each of them: not just waiting for a service that is away. */
static bool all_refused(const struct replay *replay)
{
	for (size_t i = 0; i < replay->count; i++) {
		int r = axle_signal_claim_error(replay->claims[i]);
		if (r == 0 || r == -EINPROGRESS)
			return false;
	}
	return true;
}

static int claim_all(struct replay *replay, struct err *err)
{
	for (size_t i = 0; i < replay->count; i++) {
		int r = axle_signal_claim(replay->adaptor.signals, replay->paths[i], replay->flags, NULL, NULL, &replay->claims[i]);
		if (r < 0)
			return err_set(err, r, "replay.claim", "%s: %s", replay->paths[i],
				axle_signal_error(replay->adaptor.signals));
	}
	int standing = adaptor_settle(&replay->adaptor, replay->claims, (const char *const *)replay->paths, replay->count, 5000);
	log_info(&replay->adaptor.log, "replay.started", "%d of %zu signals provided from %s", standing, replay->count,
		 replay->name);
	if (all_refused(replay))
		return err_set(err, -EBUSY, "replay.refused", "%s: none of its signals can be provided", replay->name);
	return 0;
}

static int publish(struct replay *replay, const struct csv_record *record)
{
	bool found = false;
	size_t at = place_of(replay, record->path, &found);
	if (!found)
		return 0; /* the file was changed meanwhile */
	for (;;) {
		int r = axle_signal_publish(replay->claims[at], record->value, adaptor_wall());
		if (r != -EAGAIN || replay->adaptor.ended)
			return r;
		(void)adaptor_wait(&replay->adaptor, -1, adaptor_now() + 10000000); /* the service has yet to read */
	}
}

static int play(struct replay *replay, struct err *err)
{
	struct csv_record record;
	int r = 0;
	while (!replay->adaptor.ended && (r = next_record(replay, &record, err)) == 1) {
		int64_t due = pace_due(&replay->pace, record.time_ns, adaptor_now());
		if (due == INT64_MIN)
			continue;
		while (due > adaptor_now() && !replay->adaptor.ended)
			(void)adaptor_wait(&replay->adaptor, -1, due);
		int published = publish(replay, &record);
		if (published < 0 && published != -EAGAIN)
			log_warning(&replay->adaptor.log, "replay.value", "%s: line %lu: %s", replay->name, replay->line_number,
				    axle_signal_error(replay->adaptor.signals));
	}
	return r;
}

static int run(struct replay *replay, const struct options *options, struct err *err)
{
	int r = read_paths(replay, err);
	if (r == 0)
		r = adaptor_start(&replay->adaptor, "axsignal-replay", err);
	if (r == 0)
		r = claim_all(replay, err);
	do {
		if (r == 0)
			r = play(replay, err);
		if (options->loop)
			rewind_file(replay);
		/* A record of one moment must not keep a processor busy. */
		if (r == 0 && options->loop)
			(void)adaptor_wait(&replay->adaptor, -1, adaptor_now() + 1000000);
	} while (r == 0 && options->loop && !replay->adaptor.ended);
	while (r == 0 && options->stay && !replay->adaptor.ended)
		(void)adaptor_wait(&replay->adaptor, -1, INT64_MAX);
	return r;
}

static int prepare(struct replay *replay, const struct options *options, const char *path, struct err *err)
{
	if (!path)
		return err_set(err, -EINVAL, "replay.usage", "expected a file: see --help");
	if (options->speed && pace_parse_speed(options->speed, &replay->pace.speed) < 0)
		return err_set(err, -EINVAL, "replay.usage", "--speed %s: expected a factor above 0, or max", options->speed);
	if (options->seek && pace_parse_seconds(options->seek, &replay->pace.seek) < 0)
		return err_set(err, -EINVAL, "replay.usage", "--seek %s: expected seconds", options->seek);
	replay->file = fopen(path, "re");
	replay->paths = calloc(SIGNALS_MAX + 1, sizeof(char *));
	replay->claims = calloc(SIGNALS_MAX + 1, sizeof(struct axle_signal_claim *));
	if (!replay->file)
		return err_sys(err, -errno, "replay.open", "%s", path);
	return replay->paths && replay->claims ? 0 : -ENOMEM;
}

int main(int argc, char **argv)
{
	struct options options = {0};
	struct err err = {0};
	int first = 0;
	int status = 0;
	if (adaptor_parse(&USAGE, argv, &options, &first, &status))
		return status;
	struct replay replay = {
		.adaptor = {.log = log_to_stderr("axsignal-replay"), .socket = options.socket, .signal_fd = -1},
		.pace = {.speed = 1}, .flags = options.shared ? AXLE_SIGNAL_SHARED : 0, .name = first < argc ? argv[first] : NULL};
	int r = prepare(&replay, &options, replay.name, &err);
	if (r == 0)
		r = run(&replay, &options, &err);
	if (r < 0)
		log_err(&replay.adaptor.log, &err, r, "ended");
	if (replay.adaptor.signals)
		adaptor_stop(&replay.adaptor);
	for (size_t i = 0; i < replay.count; i++)
		free(replay.paths[i]);
	free(replay.paths);
	free(replay.claims);
	free(replay.line);
	if (replay.file)
		(void)fclose(replay.file); /* it was only read */
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
