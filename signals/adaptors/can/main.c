/* axsignal-can: provides vehicle signals from CAN frames, and sends frames for actuations. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/codec/json.h"
#include "core/sys/fd.h"
#include "signals/adaptors/adaptor.h"
#include "signals/adaptors/can/bus.h"
#include "signals/adaptors/can/feeder.h"
#include "signals/adaptors/can/mapping.h"

struct options {
	const char *dbc, *mapping, *can, *candump, *out, *record, *defaults, *speed, *seek, *missed, *socket;
	bool loop, stay, j1939, check;
};

#define OPTION(member) offsetof(struct options, member)
static const struct opt OPTIONS[] = {
	{0, "dbc", "FILE", OPT_STRING, OPTION(dbc), "what the bits of frames mean"},
	{0, "mapping", "FILE", OPT_STRING, OPTION(mapping), "VSS JSON with dbc2vss and vss2dbc keys"},
	{0, "can", "INTERFACE", OPT_STRING, OPTION(can), "read from and send to a CAN interface"},
	{0, "candump", "FILE", OPT_STRING, OPTION(candump), "read a candump log at its own pace; - or a FIFO: lines as they come"},
	{0, "out", "FILE", OPT_STRING, OPTION(out), "send frames as candump lines to FILE (-: standard output)"},
	{0, "record", "FILE", OPT_STRING, OPTION(record), "append received frames to a candump log"},
	{0, "defaults", "FILE", OPT_STRING, OPTION(defaults), "JSON: start values of CAN signals in frames that are sent"},
	{0, "speed", "FACTOR", OPT_STRING, OPTION(speed), "pace of a log: 2 is twice as fast, max does not wait"},
	{0, "seek", "SECONDS", OPT_STRING, OPTION(seek), "start so far behind the log's first frame"},
	{0, "loop", NULL, OPT_FLAG, OPTION(loop), "begin a log again at its end"},
	{0, "stay", NULL, OPT_FLAG, OPTION(stay), "go on providing at the end of a log or pipe"},
	{0, "j1939", NULL, OPT_FLAG, OPTION(j1939), "the highest raw values mean error and not available (SAE J1939-71)"},
	{0, "cycles-missed", "N", OPT_STRING, OPTION(missed), "cycles without a frame until unavailable (3; 0: never)"},
	{0, "check", NULL, OPT_FLAG, OPTION(check), "read the files, say what they hold, and exit"},
	{0, "socket", "PATH", OPT_STRING, OPTION(socket), "of the signal service"},
	{0},
};

static const struct adaptor_usage USAGE = {"axsignal-can", "--dbc FILE --mapping FILE (--can INTERFACE | --candump "
	"FILE) [OPTION]...",
					   "Provides vehicle signals from CAN frames, and sends frames for actuations.", OPTIONS};

struct can {
	struct adaptor adaptor;
	struct bus bus;
	struct dbc *dbc;
	struct mapping *mapping;
	struct feeder *feeder;
};

static int read_files(struct can *can, const struct options *options, struct err *err)
{
	scoped_done(buf_done) struct buf dbc = {.max = DBC_BYTES_MAX};
	scoped_done(buf_done) struct buf mapping = {.max = MAPPING_BYTES_MAX};
	if (!options->dbc || !options->mapping)
		return err_set(err, -EINVAL, "can.usage", "expected --dbc and --mapping: see --help");
	int r = file_read_at(AT_FDCWD, options->dbc, &dbc, err);
	if (r == 0)
		r = dbc_parse(options->dbc, dbc.data ? dbc.data : "", dbc.size, &can->dbc, err);
	if (r == 0)
		r = file_read_at(AT_FDCWD, options->mapping, &mapping, err);
	if (r == 0)
		r = mapping_parse(options->mapping, mapping.data ? mapping.data : "", mapping.size, can->dbc, &can->mapping, err);
	if (r == 0 && can->mapping->from_count + can->mapping->to_count == 0)
		r = err_set(err, -EINVAL, "can.mapping", "%s: expected a dbc2vss or vss2dbc key", options->mapping);
	return r;
}

static void tell_files(const struct can *can)
{
	size_t signals = 0;
	for (size_t i = 0; i < can->dbc->count; i++)
		signals += can->dbc->messages[i].count;
	(void)printf("%zu messages, %zu signals; %zu mapped from CAN, %zu to CAN\n", can->dbc->count, signals,
		     can->mapping->from_count, can->mapping->to_count);
}

/* @path as a descriptor to write to; "-" is standard output. */
static int open_output(const char *path, int flags, int *ret_fd, struct err *err)
{
	if (!path)
		return 0;
	int fd = strcmp(path, "-") == 0 ? STDOUT_FILENO : open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);
	if (fd < 0)
		return err_sys(err, -errno, "can.output", "%s", path);
	*ret_fd = fd;
	return 0;
}

static int open_bus(struct can *can, const struct options *options, struct err *err)
{
	struct bus *bus = &can->bus;
	bus->loop = options->loop;
	bus->pace.speed = 1;
	if (options->speed && pace_parse_speed(options->speed, &bus->pace.speed) < 0)
		return err_set(err, -EINVAL, "can.usage", "--speed %s: expected a factor above 0, or max", options->speed);
	if (options->seek && pace_parse_seconds(options->seek, &bus->pace.seek) < 0)
		return err_set(err, -EINVAL, "can.usage", "--seek %s: expected seconds", options->seek);
	if (!options->can == !options->candump)
		return err_set(err, -EINVAL, "can.usage", "expected either --can or --candump: see --help");
	int r = options->can ? bus_open_socket(bus, options->can, can->mapping, err) : bus_open_log(bus, options->candump, err);
	if (r == 0)
		r = open_output(options->out, O_APPEND, &bus->out_fd, err);
	return r < 0 ? r : open_output(options->record, O_APPEND, &bus->record_fd, err);
}

static int send_frame(void *user, const struct can_frame_data *frame, struct err *err)
{
	return bus_send(user, frame, err);
}

/* {"SignalName": value, ...} as KUKSA's dbc_default_values.json */
static int read_defaults(struct can *can, const char *path, struct err *err)
{
	scoped_done(buf_done) struct buf text = {.max = MAPPING_BYTES_MAX};
	json_t *values = NULL;
	const char *name = NULL;
	json_t *value = NULL;
	int r = file_read_at(AT_FDCWD, path, &text, err);
	if (r == 0)
		r = json_parse(path, text.data ? text.data : "", text.size, &values, err);
	json_object_foreach(values, name, value)
	{
		if (r == 0 && !json_is_number(value))
			r = err_set(err, -EINVAL, "can.defaults", "%s: %s: expected a number", path, name);
		if (r == 0 && feeder_set_default(can->feeder, name, json_number_value(value)) == -ERANGE)
			r = err_set(err, -EINVAL, "can.defaults", "%s: %s: out of the signal's range", path, name);
	}
	json_decref(values);
	return r;
}

static int start(struct can *can, const struct options *options, struct err *err)
{
	double missed = FEEDER_CYCLES_MISSED;
	if (options->missed && pace_parse_seconds(options->missed, &missed) < 0)
		return err_set(err, -EINVAL, "can.usage", "--cycles-missed %s: expected a number", options->missed);
	int r = adaptor_start(&can->adaptor, "axsignal-can", err);
	if (r < 0)
		return r;
	struct feeder_options feeder = {.signals = can->adaptor.signals, .dbc = can->dbc, .mapping = can->mapping,
					.log = &can->adaptor.log, .j1939 = options->j1939, .cycles_missed = missed,
					.send = send_frame, .user = &can->bus};
	r = feeder_new(&feeder, &can->feeder, err);
	if (r == 0 && options->defaults)
		r = read_defaults(can, options->defaults, err);
	return r;
}

/* All frames that are there now, in batches that the service gets as they fill. */
static int take_frames(struct can *can, struct err *err)
{
	struct can_frame_data frame;
	int64_t time_ns = 0;
	for (int i = 0; i < 256; i++) {
		int r = bus_next(&can->bus, adaptor_now(), &frame, &time_ns, err);
		if (r <= 0)
			return r;
		feeder_take(can->feeder, &frame, time_ns, adaptor_now());
	}
	return 0;
}

static bool is_over(const struct can *can, const struct options *options)
{
	if (can->adaptor.ended)
		return true;
	return can->bus.end && !can->bus.has_frame && !options->stay;
}

static int run(struct can *can, const struct options *options, struct err *err)
{
	struct axle_signal_claim *const *claims = NULL;
	const char *const *paths = NULL;
	size_t count = feeder_claims(can->feeder, &claims, &paths);
	int standing = adaptor_settle(&can->adaptor, claims, paths, count, 5000);
	log_info(&can->adaptor.log, "can.started", "%d of %zu signals provided from %s", standing, count, can->bus.name);
	int r = 0;
	while (r == 0 && !is_over(can, options)) {
		int64_t due = bus_due(&can->bus, adaptor_now());
		if (is_over(can, options))
			break;
		if (feeder_due(can->feeder) < due)
			due = feeder_due(can->feeder);
		(void)adaptor_wait(&can->adaptor, bus_fd(&can->bus), due);
		r = take_frames(can, err);
		feeder_expire(can->feeder, adaptor_now());
	}
	if (can->bus.bad_lines > 0)
		log_warning(&can->adaptor.log, "can.lines", "%s: %llu lines could not be read", can->bus.name,
			    (unsigned long long)can->bus.bad_lines);
	return r;
}

int main(int argc, char **argv)
{
	struct options options = {0};
	struct err err = {0};
	int first = 0;
	int status = 0;
	if (adaptor_parse(&USAGE, argv, &options, &first, &status))
		return status;
	struct can can = {.adaptor = {.log = log_to_stderr("axsignal-can"), .socket = options.socket, .signal_fd = -1},
			  .bus = {.fd = -1, .out_fd = -1, .record_fd = -1}};
	int r = first < argc ? err_set(&err, -EINVAL, "can.usage", "%s: expected no argument: see --help", argv[first])
			     : read_files(&can, &options, &err);
	if (r == 0 && options.check) {
		tell_files(&can);
	} else if (r == 0) {
		r = open_bus(&can, &options, &err);
		if (r == 0)
			r = start(&can, &options, &err);
		if (r == 0)
			r = run(&can, &options, &err);
	}
	if (r < 0)
		log_err(&can.adaptor.log, &err, r, "ended");
	feeder_free(can.feeder);
	if (can.adaptor.signals)
		adaptor_stop(&can.adaptor);
	bus_close(&can.bus);
	mapping_free(can.mapping);
	dbc_free(can.dbc);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
